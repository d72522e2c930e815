"""samples.py: the range of the samples and the turns that OpenCV does not look at."""

import io
import struct
import sys

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.photos import read_photo, write_photo
from defocus_edge.files.samples import turn_upright

HEIGHT, WIDTH = 48, 64
ORIENTATIONS = range(1, 9)


@pytest.fixture
def light():
    """(H, W, 3) float picture whose corners differ and whose values reach both ends."""
    rows, columns = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    return np.dstack([(rows + columns) / 2, columns, 1 - rows]).astype(np.float32)


def quantize(light, white):
    return np.rint(light * white).astype(np.uint8 if white < 256 else np.uint16)


def encode_pnm(kind, values, white, *, comment=b""):
    header = b"P%d\n%s%d %d\n%d\n" % (kind, comment, WIDTH, HEIGHT, white)
    if kind in (2, 3):
        return header + b" ".join(b"%d" % value for value in values.ravel()) + b"\n"
    return header + values.astype(np.uint8 if white < 256 else ">u2").tobytes()


def encode_avif(values, bits):
    done, data = cv2.imencode(
        ".avif", values[..., ::-1] if values.ndim == 3 else values, [cv2.IMWRITE_AVIF_DEPTH, bits]
    )
    assert done
    return data.tobytes()


def read(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    return read_image(path)


@pytest.mark.parametrize("white", [1, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_pnm_of_any_largest_value(tmp_path, light, kind, white):
    values = quantize(light if kind in (3, 6) else light[..., 0], white)
    image = read(tmp_path, encode_pnm(kind, values, white), "a.pnm")
    expected = (values / white).astype(np.float32)
    step = 1 / (255 if white < 256 else 65535)  # the type's own rounding
    np.testing.assert_allclose(image, expected if kind in (3, 6) else np.dstack([expected] * 3), atol=step / 2 + 1e-6)


def test_comments_in_the_header_of_pnm(tmp_path, light):
    values = quantize(light, 1023)
    image = read(tmp_path, encode_pnm(6, values, 1023, comment=b"# 20 30 40\n#\n"), "a.ppm")
    assert image.max() == 1


@pytest.mark.parametrize("body", [b"1 2 3", b"1 " * 9000, b"1 x 3", b"-1 " * HEIGHT * WIDTH, b"101 " * HEIGHT * WIDTH])
def test_plain_pnm_with_other_samples_than_its_header_says_is_refused(tmp_path, body):
    with pytest.raises(ImageReadError, match="damaged"):
        read(tmp_path, b"P2\n%d %d\n100\n" % (WIDTH, HEIGHT) + body, "a.pgm")


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("is_grey", [False, True])
def test_avif_of_any_depth(tmp_path, light, bits, is_grey):
    picture = light[..., 0] if is_grey else light
    image = read(tmp_path, encode_avif(quantize(picture, (1 << bits) - 1), bits), "a.avif")
    expected = np.dstack([picture] * 3) if is_grey else picture
    assert np.abs(image - expected).mean() < 0.01


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_is_written_again_in_the_range_of_16_bits(tmp_path, light, bits):
    (tmp_path / "a.avif").write_bytes(encode_avif(quantize(light, (1 << bits) - 1), bits))
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.avif"))
    assert np.abs(read_image(tmp_path / "b.png") - light).mean() < 0.01


def test_grey_avif_of_limited_range(tmp_path, light):
    """Made limited by its header alone: 16 is black and 235 is white."""
    values = np.rint(16 + light[..., 0] * 219).astype(np.uint8)
    data = encode_avif(values, 8)
    place = data.index(b"nclx") + 10
    limited = data[:place] + bytes([data[place] & 0x7F]) + data[place + 1 :]
    assert np.abs(read(tmp_path, limited, "a.avif")[..., 0] - light[..., 0]).mean() < 0.01


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_avif_is_turned_by_its_own_boxes(tmp_path, light, orientation):
    pixels, file, exif = quantize(light, 255), io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation  # Pillow writes irot and imir for it
    Image.fromarray(pixels).save(file, "AVIF", exif=exif, quality=100, subsampling="4:4:4")
    (tmp_path / "a.avif").write_bytes(file.getvalue())
    expected = turn_upright(light, orientation)
    assert np.abs(read_image(tmp_path / "a.avif") - expected).max() < 0.02
    assert np.abs(read_photo(tmp_path / "a.avif").pixels / 255 - expected).max() < 0.02


def make_exif(entries, order="<"):
    """EXIF with (tag, type, count, four bytes of value) each."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return start + struct.pack(order + "H", len(entries)) + body + bytes(4)


EXIF = {
    "short": make_exif([(274, 3, 1, struct.pack("<HH", 6, 0))]),
    "big-endian long": make_exif([(274, 4, 1, struct.pack(">I", 6))], ">"),
    "byte": make_exif([(274, 1, 1, bytes([6, 0, 0, 0]))]),
    "after an entry with a bad offset": make_exif(
        [(270, 2, 400, struct.pack("<I", 1 << 30)), (274, 3, 1, struct.pack("<HH", 6, 0))]
    ),
}


@pytest.mark.parametrize("exif", EXIF.values(), ids=EXIF)
@pytest.mark.parametrize("mark", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_one_parser_turns_all_files(tmp_path, light, file_format, mark, exif):
    """Both readers turn alike, and what is written again is upright for everybody."""
    pixels, file = quantize(light, 255), io.BytesIO()
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 95} if file_format == "JPEG" else {}
    Image.fromarray(np.dstack([pixels, pixels[..., 0]]) if file_format == "PNG" else pixels).save(
        file, file_format, exif=(b"Exif\0\0" if file_format == "JPEG" else mark) + exif, **options
    )
    path = tmp_path / "a"
    path.write_bytes(file.getvalue())
    expected = turn_upright(light, 6)
    image, photo = read_image(path), read_photo(path)
    assert image.shape == expected.shape
    assert np.abs(image - expected).mean() < 0.01
    assert photo.pixels.shape[:2] == expected.shape[:2]
    write_photo(tmp_path / "b.png", photo)
    assert np.abs(read_image(tmp_path / "b.png") - expected).mean() < 0.01


@pytest.mark.parametrize("text", ['<a tiff:Orientation="6"/>', "<tiff:Orientation>6</tiff:Orientation>"])
def test_orientation_in_xmp_counts_where_exif_is_missing(tmp_path, light, text):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{text}</x:xmpmeta>")
    Image.fromarray(quantize(light, 255)).save(tmp_path / "a.png", pnginfo=info)
    assert read_image(tmp_path / "a.png").shape == (WIDTH, HEIGHT, 3)
    assert read_photo(tmp_path / "a.png").pixels.shape == (WIDTH, HEIGHT, 3)


def test_grey_jpeg_2000_with_alpha_keeps_it(tmp_path, light):
    values = quantize(light[..., :2], 255)
    Image.fromarray(values, "LA").save(tmp_path / "a.jp2", irreversible=False)
    pixels = read_photo(tmp_path / "a.jp2").pixels
    assert pixels.shape == (HEIGHT, WIDTH, 2)
    np.testing.assert_array_equal(pixels[..., 1], values[..., 1])


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize("is_grey", [False, True])
def test_jpeg_2000_of_any_depth(tmp_path, light, bits, codec, is_grey):
    white = (1 << bits) - 1
    picture = light[..., 0] if is_grey else light
    path, values = tmp_path / f"a.{codec}", quantize(picture, white)
    path.write_bytes(imagecodecs.jpeg2k_encode(values, bitspersample=bits, codecformat=codec, reversible=True))
    expected = np.dstack([picture] * 3) if is_grey else picture
    np.testing.assert_allclose(read_image(path), expected, atol=0.51 / white + 1e-5)
    write_photo(tmp_path / "b.png", read_photo(path))
    np.testing.assert_allclose(read_image(tmp_path / "b.png"), expected, atol=0.51 / white + 1e-5)


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_another_encoder(tmp_path, light, bits):
    values = quantize(light, (1 << bits) - 1)
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(values, level=100, bitspersample=bits))
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.avif"))
    for name in ("a.avif", "b.png"):
        np.testing.assert_allclose(read_image(tmp_path / name), light, atol=0.01)


def set_components(data, *components):
    """JPEG 2000 file whose header tells other depths and steps, three bytes each."""
    place = data.index(b"\xff\x4f\xff\x51") + 42
    body = b"".join(bytes(component) for component in components)
    return data[:place] + body + data[place + len(body) :]


@pytest.mark.parametrize(
    ("components", "match"),
    [
        ([(7, 1, 1), (9, 1, 1), (7, 1, 1)], "different"),
        ([(7, 1, 1), (7, 2, 2), (7, 2, 2)], "different"),
        ([(7, 2, 1)] * 3, "smaller"),
        ([(0x87, 1, 1)] * 3, "signs"),
    ],
)
def test_jpeg_2000_with_unequal_or_signed_components_is_refused(tmp_path, light, components, match):
    data = imagecodecs.jpeg2k_encode(quantize(light, 255), codecformat="j2k", reversible=True)
    with pytest.raises(ImageReadError, match=f"faithfully.*{match}.*Convert it"):
        read(tmp_path, set_components(data, *components), "a.j2k")


def make_palette_jp2(numbers, palette, depth=8):
    """JPEG 2000 file whose samples are numbers of colours (ISO/IEC 15444-1, I.5.3.4 and I.5.3.5)."""
    plain = imagecodecs.jpeg2k_encode(numbers, bitspersample=depth, codecformat="jp2", reversible=True)
    entries = struct.pack(">HB", *palette.shape) + b"\7" * palette.shape[1] + palette.tobytes()
    columns = b"".join(struct.pack(">HBB", 0, 1, column) for column in range(palette.shape[1]))
    added = b"".join(
        struct.pack(">I4s", 8 + len(content), kind) + content
        for kind, content in ((b"pclr", entries), (b"cmap", columns))
    )
    header = plain.index(b"jp2h") - 4
    length = int.from_bytes(plain[header : header + 4], "big")
    end = header + length
    colours = plain[header + 4 : end].replace(struct.pack(">I", 17), struct.pack(">I", 16))  # grey becomes sRGB
    return plain[:header] + struct.pack(">I", length + len(added)) + colours + added + plain[end:]


@pytest.mark.parametrize("depth", [4, 8])
def test_jpeg_2000_with_a_palette_has_its_colours(tmp_path, light, depth):
    numbers = quantize(light[..., 0], 15)
    palette = np.random.default_rng(0).integers(0, 256, (16, 3), dtype=np.uint8)
    (tmp_path / "a.jp2").write_bytes(make_palette_jp2(numbers, palette, depth))
    np.testing.assert_array_equal(read_photo(tmp_path / "a.jp2").pixels, palette[numbers])
    np.testing.assert_allclose(read_image(tmp_path / "a.jp2"), palette[numbers] / 255, atol=1e-6)


def set_colour_space(data, number):
    """JPEG 2000 file whose container names another colour space (ISO/IEC 15444-1, I.5.3.3)."""
    place = data.index(b"colr") + 7
    return data[:place] + struct.pack(">I", number) + data[place + 4 :]


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("is_installed", [True, False])
def test_jpeg_2000_of_ycbcr(tmp_path, light, bits, is_installed, monkeypatch):
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    white, middle = (1 << bits) - 1, 1 << (bits - 1)
    values = np.clip(np.rint(light @ matrix.T * white + [0, middle, middle]), 0, white)
    values = values.astype(np.uint8 if bits == 8 else np.uint16)
    data = imagecodecs.jpeg2k_encode(values, bitspersample=bits, codecformat="jp2", reversible=True, mct=False)
    if not is_installed:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    if not is_installed and bits == 12:
        with pytest.raises(ImageReadError, match=r"YCbCr of 12 bits.*pip install"):
            read(tmp_path, set_colour_space(data, 18), "a.jp2")
    else:
        np.testing.assert_allclose(read(tmp_path, set_colour_space(data, 18), "a.jp2"), light, atol=2.5 / white)
        np.testing.assert_allclose(
            read_photo(tmp_path / "a.jp2").pixels / ((1 << 8 * (1 + (bits > 8))) - 1), light, atol=2.5 / white
        )


@pytest.mark.parametrize("space", [12, 14, 20, 21])
def test_jpeg_2000_of_other_colours_is_refused(tmp_path, light, space):
    data = imagecodecs.jpeg2k_encode(quantize(light, 255), codecformat="jp2", reversible=True, mct=False)
    with pytest.raises(ImageReadError, match=f"colour space {space}.*Convert it"):
        read(tmp_path, set_colour_space(data, space), "a.jp2")


def test_jpeg_2000_with_another_palette_is_refused(tmp_path, light):
    palette = np.arange(64, dtype=np.uint8).reshape(16, 4)
    with pytest.raises(ImageReadError, match=r"palette.*Convert it"):
        read(tmp_path, make_palette_jp2(quantize(light[..., 0], 15), palette), "a.jp2")


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_damaged_avif_is_a_picture_or_an_error(tmp_path, light, place):
    data = bytearray(encode_avif(quantize(light, 1023), 10))
    data[place % len(data)] ^= 0xFF
    try:
        image = read(tmp_path, bytes(data), "a.avif")
    except ImageReadError:
        return
    assert image.dtype == np.float32


@pytest.mark.parametrize("codec", [34712, 33003, 33005, 50002, 34933, 22610, 50000, 34676, 34887, 12345])
def test_tiff_with_an_unknown_codec_is_refused_with_its_name(tmp_path, light, codec, monkeypatch):
    """OpenCV makes a black picture of it. Only the tag is changed: nothing may look at the samples."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    file = io.BytesIO()
    Image.fromarray(quantize(light, 255)).save(file, "TIFF", compression="tiff_lzw")
    data = bytearray(file.getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == 259:  # Compression
            struct.pack_into("<H", data, entry + 8, codec)
    with pytest.raises(ImageReadError, match="compressed with"):
        read(tmp_path, bytes(data), "a.tif")

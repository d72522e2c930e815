"""tiff.py: TIFF pages of every codec, depth and colour come as they were stored, or are refused with what they are."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.photos import read_photo, write_photo
from defocus_edge.files.samples import turn_upright
from tests.defocus_edge.files.tiff_cases import list_tags, pack_tiff

HEIGHT, WIDTH = 40, 56
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
ENCODERS = {1: bytes, 5: imagecodecs.lzw_encode, 8: zlib.compress, 32773: imagecodecs.packbits_encode}
EXTRA = r"pip install 'defocus-edge\[imagecodecs\]'"


@pytest.fixture
def light():
    """(H, W, 4) floats that reach both ends; the corners and the channels differ."""
    rows, columns = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    return np.dstack([(rows + columns) / 2, columns, 1 - rows, rows * columns])


@pytest.fixture
def without_imagecodecs(monkeypatch):
    """A call that hides the package from then on, so that a test can write its files before."""
    return lambda: monkeypatch.setitem(sys.modules, "imagecodecs", None)


def quantize(light, bits, channels=3):
    values = np.rint(light[..., :channels] * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return values[..., 0] if channels == 1 else values


def stretch(values, bits):
    """The slow, obvious way to the full range of the type."""
    full = np.iinfo(values.dtype).max
    return np.array([round(int(v) * full / ((1 << bits) - 1)) for v in values.ravel()], values.dtype).reshape(
        values.shape
    )


def make_tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


def pack_bits(values, bits):
    """Rows of samples, highest bit first, each row filled up to a byte."""
    rows = values.reshape(len(values), -1)
    return np.packbits((rows[..., np.newaxis] >> np.arange(bits)[::-1] & 1).reshape(len(rows), -1), axis=1).tobytes()


def read(tmp_path, data, **options):
    (tmp_path / "a.tif").write_bytes(data)
    return read_photo(tmp_path / "a.tif", **options).pixels


def read_or_refuse(tmp_path, data, *, may_refuse):
    """None if the file is refused with the advice to install imagecodecs, and may be."""
    try:
        return read(tmp_path, data)
    except ImageReadError as error:
        if not may_refuse or "pip install" not in str(error):
            raise
        return None


# --- Codecs ----------------------------------------------------------------------------------------------------------

LOSSLESS = {
    "lzw": {},
    "zstd": {},
    "lzma": {},
    "lerc": {},
    "deflate": {},
    "packbits": {},
    "jpeg2000": {"compressionargs": {"reversible": True}},
    33003: {},
    33005: {"compressionargs": {"reversible": True}},
    "png": {},
    "jpegxr": {"compressionargs": {"level": 1.0}},
    22610: {"compressionargs": {"level": 1.0}},
    "jpegxl": {"compressionargs": {"lossless": True}},
    "webp": {"compressionargs": {"lossless": True}},
}
ALONE = {"lzma", "deflate", "packbits"}


@pytest.mark.parametrize(
    ("codec", "bits", "planes"),
    [
        *itertools.product([codec for codec in LOSSLESS if codec != "webp"], [8, 16], ["contig", "separate"]),
        ("webp", 8, "contig"),  # the codec holds colours of 8 bits only
    ],
)
def test_every_codec_of_imagecodecs(tmp_path, light, codec, bits, planes):
    values = quantize(light, bits)
    stored = values if planes == "contig" else np.ascontiguousarray(np.moveaxis(values, -1, 0))
    options = {"compressionargs": {"reversible": True}} if codec == 33003 and planes == "separate" else LOSSLESS[codec]
    data = make_tiff(stored, photometric="rgb", planarconfig=planes, compression=codec, rowsperstrip=16, **options)
    tolerance = 0 if codec != 33003 else 0.02 * np.iinfo(values.dtype).max  # by default it is lossy
    np.testing.assert_allclose(read(tmp_path, data).astype(int), values, atol=tolerance)


@pytest.mark.parametrize("codec", [codec for codec in LOSSLESS if codec not in ALONE])
def test_codecs_without_imagecodecs_are_read_right_or_refused_with_advice(tmp_path, light, codec, without_imagecodecs):
    """The case of 16-bit planes: OpenCV misreads it with the codecs that it has, Pillow does not know it."""
    planes = np.ascontiguousarray(np.moveaxis(quantize(light, 8 if codec == "webp" else 16), -1, 0))
    stored = np.moveaxis(planes, 0, -1) if codec == "webp" else planes
    options = {} if codec == "webp" else {"planarconfig": "separate"}
    data = make_tiff(np.ascontiguousarray(stored), photometric="rgb", compression=codec, **options)
    without_imagecodecs()
    with pytest.raises(ImageReadError, match=f"compressed with.*{EXTRA}"):
        read(tmp_path, data)


@pytest.mark.parametrize("codec", ["lzw", "deflate", "zstd"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("channels", "kind", "layout"),
    [
        (1, None, "contig"),
        (1, None, "tiles"),
        *(
            (channels, kind, layout)
            for channels, kind in [(2, "unassalpha"), (3, None), (4, "unassalpha"), (4, "assocalpha"), (4, 0)]
            for layout in ("contig", "separate", "tiles")
        ),
    ],
)
@pytest.mark.parametrize("is_installed", [True, False])
def test_whichever_decoder_gives_the_values_that_are_stored(
    tmp_path, light, codec, predictor, byteorder, bits, channels, kind, layout, is_installed, without_imagecodecs
):
    values = quantize(light, bits, channels)
    options = {"photometric": "rgb" if channels >= 3 else "minisblack", "byteorder": byteorder}
    if channels > 1:
        options |= {"planarconfig": "separate" if layout == "separate" else "contig"}
    if kind is not None:
        options |= {"extrasamples": [kind]}
    if layout == "tiles":
        options |= {"tile": (16, 32)}
    stored = np.ascontiguousarray(np.moveaxis(values, -1, 0)) if layout == "separate" else values
    data = make_tiff(stored, compression=codec, predictor=predictor, **options)
    if not is_installed:
        without_imagecodecs()
    pixels = read_or_refuse(tmp_path, data, may_refuse=not is_installed and codec != "deflate")
    if pixels is None:
        return
    assert pixels.dtype == values.dtype
    np.testing.assert_array_equal(pixels, values)


@pytest.mark.parametrize("is_installed", [True, False])
@pytest.mark.parametrize(
    ("channels", "planes"), [(1, None), (3, "contig"), (3, "separate"), (4, "contig"), (2, "contig")]
)
def test_lzw_of_8_bits_needs_no_extra(tmp_path, light, channels, planes, is_installed, without_imagecodecs):
    values = quantize(light, 8, channels)
    options = {"photometric": "rgb" if channels >= 3 else "minisblack"}
    options |= {"planarconfig": planes} if planes else {}
    options |= {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    stored = np.ascontiguousarray(np.moveaxis(values, -1, 0)) if planes == "separate" else values
    data = make_tiff(stored, compression="lzw", predictor=2, **options)
    if not is_installed:
        without_imagecodecs()
    np.testing.assert_array_equal(read(tmp_path, data), values)


PLAIN_FILES = {
    "deflate": {"compression": "deflate", "predictor": 2},
    "lzma": {"compression": "lzma"},
    "packbits": {"compression": "packbits"},
    "big-endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 16), "compression": "deflate"},
    "BigTIFF": {"bigtiff": True},
}


def test_tifffile_alone_gives_the_same(tmp_path, light):
    """In a process of its own, since tifffile looks for imagecodecs once."""
    values = quantize(light, 16)
    for name, options in PLAIN_FILES.items():
        (tmp_path / f"{name}.tif").write_bytes(make_tiff(values, photometric="rgb", **options))
    np.save(tmp_path / "expected.npy", values)
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "import pathlib, numpy as np\n"
        "from defocus_edge.files.photos import read_photo\n"
        "expected = np.load('expected.npy')\n"
        "print(sum(np.array_equal(read_photo(path).pixels, expected) for path in pathlib.Path().glob('*.tif')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == str(len(PLAIN_FILES))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("codec", "predictor"), [("lzw", 1), ("lzw", 3), ("zstd", 3), ("deflate", 3), ("deflate", 1)])
@pytest.mark.parametrize("is_installed", [True, False])
def test_floats(tmp_path, light, dtype, channels, codec, predictor, is_installed, without_imagecodecs):
    values = light[..., :channels].astype(dtype)
    values = values[..., 0] if channels == 1 else values
    photometric = "minisblack" if channels == 1 else "rgb"
    data = make_tiff(values, photometric=photometric, compression=codec, predictor=predictor)
    if not is_installed:
        without_imagecodecs()
    pixels = read_or_refuse(tmp_path, data, may_refuse=not is_installed)
    if pixels is None:
        return
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, values)


# --- Depths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(1, 16))
@pytest.mark.parametrize(("photometric", "channels"), [(0, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("codec", ENCODERS)
def test_any_depth_gets_its_own_white(tmp_path, light, bits, photometric, channels, codec):
    values = quantize(light, bits, channels)
    tags = list_tags(WIDTH, HEIGHT, bits=[bits] * channels, photometric=photometric, compression=codec)
    pixels = read(tmp_path, pack_tiff([ENCODERS[codec](pack_bits(values, bits))], tags))
    expected = stretch(values, bits)
    np.testing.assert_array_equal(pixels, np.iinfo(values.dtype).max - expected if photometric == 0 else expected)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("codec", ENCODERS)
def test_small_grey_depths_need_no_extra(tmp_path, light, bits, codec, without_imagecodecs):
    values = quantize(light, bits, 1)
    tags = list_tags(WIDTH, HEIGHT, bits=[bits], photometric=1, compression=codec)
    data = pack_tiff([ENCODERS[codec](pack_bits(values, bits))], tags)
    without_imagecodecs()
    np.testing.assert_array_equal(read(tmp_path, data), stretch(values, bits))


def test_12_bits_without_the_extra_are_refused_with_advice(tmp_path, light, without_imagecodecs):
    data = make_tiff(quantize(light, 12), photometric="rgb", bitspersample=12)
    without_imagecodecs()
    with pytest.raises(ImageReadError, match=f"12 bits.*{EXTRA}"):
        read(tmp_path, data)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("announced", [None, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_pictures_are_written_again_in_the_range_of_16_bits(tmp_path, light, bits, announced, suffix):
    """Whether the depth stands in the TIFF's own tags or in the JPEG 2000 stream only."""
    values = quantize(light, bits)
    encoded = imagecodecs.jpeg2k_encode(values, bitspersample=bits, reversible=True)
    tags = list_tags(WIDTH, HEIGHT, bits=[announced or bits] * 3, photometric=2, compression=34712)
    (tmp_path / "a.tif").write_bytes(pack_tiff([encoded], tags))
    write_photo(tmp_path / f"b{suffix}", read_photo(tmp_path / "a.tif"))
    written = read_photo(tmp_path / f"b{suffix}").pixels
    assert (written.min(), written.max()) == (0, 65535)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif"), light[..., :3], atol=1 / (1 << bits))


@pytest.mark.parametrize("planes", [1, 2])
def test_fill_order_of_bits(tmp_path, light, planes):
    values = quantize(light, 16)
    parts = [values] if planes == 1 else [values[..., channel] for channel in range(3)]
    for codec, encode in ENCODERS.items():
        tags = list_tags(WIDTH, HEIGHT, bits=[16] * 3, photometric=2, compression=codec, t266=[2], t284=[planes])
        data = pack_tiff([encode(part.tobytes()).translate(REVERSED) for part in parts], tags)
        np.testing.assert_array_equal(read(tmp_path, data), values)


# --- Colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_installed", [True, False])
@pytest.mark.parametrize("codec", [None, "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_becomes_rgb_by_the_plain_formula(tmp_path, light, bits, codec, is_installed, without_imagecodecs):
    inks, full = quantize(light, bits, 4), (1 << bits) - 1
    lights = full - inks.astype(np.int64)
    data = make_tiff(inks, photometric="separated", compression=codec)
    if not is_installed:
        without_imagecodecs()
    if not is_installed and (codec == "zstd" or (codec == "lzw" and bits == 16)):
        with pytest.raises(ImageReadError, match=EXTRA):
            read(tmp_path, data)
    else:
        np.testing.assert_array_equal(read(tmp_path, data), lights[..., :3] * lights[..., 3:] // full)


@pytest.mark.parametrize("is_installed", [True, False])
@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_becomes_rgb(tmp_path, light, bits, codec, is_installed, without_imagecodecs):
    numbers = quantize(light, bits, 1)
    palette = np.random.default_rng(0).integers(0, 65536, (3, 1 << bits))
    tags = list_tags(WIDTH, HEIGHT, bits=[bits], photometric=3, compression=codec, t320=palette.ravel().tolist())
    data = pack_tiff([ENCODERS[codec](pack_bits(numbers, bits))], tags)
    if not is_installed:
        without_imagecodecs()
    np.testing.assert_array_equal(read(tmp_path, data), (palette >> 8).T[numbers])


def test_palette_of_8_bits(tmp_path, light):
    numbers, palette = quantize(light, 4, 1), np.random.default_rng(0).integers(0, 256, (3, 16))
    tags = list_tags(WIDTH, HEIGHT, bits=[4], photometric=3, t320=palette.ravel().tolist())
    np.testing.assert_array_equal(read(tmp_path, pack_tiff([pack_bits(numbers, 4)], tags)), palette.T[numbers])


@pytest.mark.parametrize(("photometric", "channels"), [("minisblack", 1), ("rgb", 3)])
@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 16}])
def test_jpeg(tmp_path, light, photometric, channels, bits, layout):
    """tifffile stores RGB as YCbCr with half the colours."""
    values = quantize(light, bits, channels)
    options = {"compression": "jpeg", "compressionargs": {"level": 98, "bitspersample": bits}}
    pixels = read(tmp_path, make_tiff(values, photometric=photometric, **options, **layout))
    expected = values if bits == 8 else stretch(values, bits)
    inner = np.s_[:32, :48]  # what follows shares its colours with the black that fills the tiles
    assert np.abs(pixels.astype(int) - expected)[inner].max() < 0.03 * np.iinfo(values.dtype).max


def test_jpeg_is_that_of_opencv(tmp_path, light):
    data = make_tiff(quantize(light, 8), photometric="rgb", compression="jpeg")
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(read(tmp_path, data), expected)


@pytest.mark.parametrize(("bits", "channels"), [(8, 3), (16, 1), (16, 3)])
def test_lossless_jpeg(tmp_path, light, bits, channels):
    values = quantize(light, bits, channels)
    options = {"photometric": "minisblack" if channels == 1 else "rgb", "compression": "jpeg"}
    data = make_tiff(values, compressionargs={"lossless": True, "bitspersample": bits}, **options)
    np.testing.assert_array_equal(read(tmp_path, data), values)


@pytest.mark.parametrize("codec", [1, 5, 8])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4)])
def test_ycbcr(tmp_path, light, codec, across, down):
    rgb = quantize(light, 8)
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    units = []
    for top in range(0, HEIGHT, down):
        for left in range(0, WIDTH, across):
            unit = ycc[top : top + down, left : left + across]
            units += [*unit[..., 0].ravel(), *np.rint(unit[..., 1:].reshape(-1, 2).mean(axis=0))]
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * 3, photometric=6, compression=codec, t530=[across, down])
    pixels = read(tmp_path, pack_tiff([ENCODERS[codec](np.array(units, np.uint8).tobytes())], tags))
    assert np.abs(pixels.astype(int) - rgb).max() < 3 + 10 * (across * down > 1) * down


@pytest.mark.parametrize("has_strips", [True, False])
def test_old_jpeg(tmp_path, light, has_strips):
    jpeg = imagecodecs.jpeg8_encode(quantize(light, 8), level=98)
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * 3, photometric=6, compression=6, t530=[2, 2], t513=[8], t514=[len(jpeg)])
    data = pack_tiff([jpeg], tags, without=() if has_strips else (273, 279))
    assert np.abs(read(tmp_path, data).astype(int) - quantize(light, 8)).max() < 12


@pytest.mark.parametrize("codec", ["tiff_ccitt", "group3", "group4"])
@pytest.mark.parametrize("tags", [{}, {262: 0}, {266: 2}])
def test_facsimile(tmp_path, light, codec, tags):
    black = quantize(light, 8, 1) > 100
    Image.fromarray(black).save(tmp_path / "a.tif", compression=codec, tiffinfo=tags)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, np.where(black, 255, 0))


def test_missing_photometric_interpretation(tmp_path, light):
    for channels in (1, 3):
        values = quantize(light, 8, channels)
        tags = list_tags(WIDTH, HEIGHT, bits=[8] * channels, photometric=0)
        np.testing.assert_array_equal(read(tmp_path, pack_tiff([values.tobytes()], tags, without=(262,))), values)


@pytest.mark.parametrize("is_installed", [True, False])
def test_lzw_of_zeros_is_refused(tmp_path, is_installed, without_imagecodecs):
    if not is_installed:
        without_imagecodecs()
    data = pack_tiff([bytes(4096)], list_tags(100, 100, bits=[8], photometric=1, compression=5))
    with pytest.raises(ImageReadError, match="do not begin with their clear code"):
        read(tmp_path, data)


@pytest.mark.parametrize("orientation", [*range(1, 10), 200, 65535])
@pytest.mark.parametrize("codec", [1, 5])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("is_installed", [True, False])
def test_every_decoder_turns_once(tmp_path, light, orientation, codec, channels, is_installed, without_imagecodecs):
    values = quantize(light, 8, channels)
    extra = {"t338": [2]} if channels == 4 else {}
    kind = 2 if channels > 1 else 1
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * channels, photometric=kind, compression=codec, t274=[orientation])
    data = pack_tiff([ENCODERS[codec](values.tobytes())], tags | {int(k[1:]): v for k, v in extra.items()})
    if not is_installed:
        without_imagecodecs()
    np.testing.assert_array_equal(read(tmp_path, data), turn_upright(values, orientation if orientation < 9 else 1))


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("codec", ["lzw", "zstd", "jpeg2000", None])
def test_kind_of_alpha_goes_along(tmp_path, light, kind, codec):
    options = {"compressionargs": {"reversible": True}} if codec == "jpeg2000" else {}
    values = quantize(light, 16, 4)
    (tmp_path / "a.tif").write_bytes(
        make_tiff(values, photometric="rgb", extrasamples=[kind], compression=codec, **options)
    )
    write_photo(tmp_path / "b.tif", read_photo(tmp_path / "a.tif"))
    np.testing.assert_array_equal(read_photo(tmp_path / "b.tif").pixels, values)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert [int(kind) for kind in file.pages[0].extrasamples] == [kind]


def test_tags_of_a_wrong_type_are_no_crash(tmp_path, light):
    """Kinds of alpha as text."""
    data = make_tiff(quantize(light, 8, 4), photometric="rgb", extrasamples=["unassalpha"], byteorder="<")
    kinds = b"\x52\x01\x03\0"  # tag 338 of type SHORT
    assert data.count(kinds) == 1
    with pytest.raises(ImageReadError, match="damaged"):
        read(tmp_path, data.replace(kinds, b"\x52\x01\x02\0"))


# --- Refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"photometric": 8}, "CIELAB.*Save it as RGB"),
        ({"photometric": 9}, "ICCLAB"),
        ({"bits": [8] * 4, "photometric": 5, "t332": [2]}, "SEPARATED"),
        ({"bits": [8] * 5, "photometric": 2}, "5 channels"),
        ({"bits": [8] * 3, "photometric": 1}, "3 channels, where 1"),
        ({"bits": [8], "photometric": 2}, "1 channels, where 3"),
        ({"bits": [8, 16, 8]}, "different depths"),
        ({"bits": [5, 6, 5]}, "different depths"),
        ({"sample_format": 2}, "dtype int8.*Scale the values"),
        ({"bits": [16] * 3, "sample_format": 2, "compression": 5}, "dtype int16.*Scale the values"),
        ({"bits": [32] * 3}, "dtype uint32.*Scale the values"),
        ({"bits": [24] * 3}, "dtype uint32.*Scale the values"),
        ({"bits": [64], "photometric": 1, "sample_format": 6}, "dtype complex64.*Scale the values"),
        ({"bits": [4], "photometric": 1, "compression": 8, "t317": [2]}, "4 bits with predictor 2"),
        ({"compression": 34661}, "compressed with JBIG"),
        ({"compression": 12345}, "compressed with 12345"),
        ({"bits": [32] * 4, "photometric": 5, "sample_format": 3}, "floats as SEPARATED"),
    ],
)
def test_what_no_decoder_reads_right_is_refused_by_name(tmp_path, changes, match):
    tags = list_tags(WIDTH, HEIGHT, **({"bits": [8] * 3, "photometric": 2} | changes))
    with pytest.raises(ImageReadError, match=f"faithfully.*{match}"):
        read(tmp_path, pack_tiff([bytes(100_000)], tags))


def test_volumes_are_refused(tmp_path, light):
    data = make_tiff(np.stack([quantize(light, 8, 1)] * 3), photometric="minisblack", volumetric=True)
    with pytest.raises(ImageReadError, match="3 layers"):
        read(tmp_path, data)


def make_strips(light, codec=1):
    return [ENCODERS[codec](quantize(light, 8)[top : top + 16].tobytes()) for top in range(0, HEIGHT, 16)]


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("fault", ["missing", "short", "empty", "uncounted"])
def test_missing_strips_are_no_black_stripes(tmp_path, light, codec, fault):
    strips = make_strips(light, codec)
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * 3, photometric=2, compression=codec, rows=16)
    if fault == "missing":
        strips = strips[:2]
    elif fault == "short":
        strips[1] = ENCODERS[codec](quantize(light, 8)[16:20].tobytes())
    elif fault == "empty":
        tags |= {279: [len(strips[0]), 0, len(strips[2])]}
    without = (273, 279) if fault == "uncounted" else ()
    with pytest.raises(ImageReadError, match="cut short or damaged"):
        read(tmp_path, pack_tiff(strips, tags, without=without))


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_cut_files_are_refused(tmp_path, light, codec, share):
    strips = make_strips(light, codec)
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * 3, photometric=2, compression=codec, rows=16)
    data = pack_tiff(strips, tags)
    assert read(tmp_path, data).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageReadError, match="cut short or damaged"):
        read(tmp_path, data[: min(round(len(data) * share), len(data) - 2)])


@pytest.mark.parametrize("codec", [*ENCODERS, 50000, 7, 50002])
@pytest.mark.parametrize("tile", [{}, {"t322": [1 << 19], "t323": [1 << 19]}])
def test_huge_pictures_are_refused_before_they_take_memory(tmp_path, codec, tile):
    side = WIDTH if tile else 1 << 19
    tags = list_tags(side, side, bits=[8] * 3, photometric=2, compression=codec, **tile)
    with pytest.raises(ImageReadError, match="has 1 to 1073741824 px"):
        read(tmp_path, pack_tiff([bytes(1000)], tags), max_pixels=1 << 60)


@pytest.mark.parametrize("codec", ENCODERS)
def test_pictures_that_cannot_be_in_their_bytes_are_refused(tmp_path, codec):
    tags = list_tags(1 << 14, 1 << 14, bits=[8] * 3, photometric=2, compression=codec)
    with pytest.raises(ImageReadError, match="cannot be in 1000 bytes"):
        read(tmp_path, pack_tiff([bytes(1000)], tags), max_pixels=1 << 60)


LARGE = np.zeros((300, 300, 3), np.uint8)


@pytest.mark.parametrize(
    ("codec", "bits", "encoded"),
    [
        (34712, 8, lambda: imagecodecs.jpeg2k_encode(LARGE)),
        (34933, 8, lambda: imagecodecs.png_encode(LARGE)),
        (7, 12, lambda: imagecodecs.jpeg_encode(LARGE.astype(np.uint16), bitspersample=12)),
        (50002, 8, lambda: imagecodecs.jpegxl_encode(LARGE)),
        (34934, 8, lambda: imagecodecs.jpegxr_encode(LARGE)),
        (34712, 8, lambda: imagecodecs.jpeg2k_encode(LARGE[:HEIGHT, :WIDTH].astype(np.uint16))),
        (34933, 8, lambda: imagecodecs.png_encode(LARGE[:HEIGHT, :WIDTH].astype(np.uint16))),
    ],
)
def test_strips_that_hold_another_picture_than_announced_are_refused(tmp_path, codec, bits, encoded):
    tags = list_tags(WIDTH, HEIGHT, bits=[bits] * 3, photometric=2, compression=codec)
    with pytest.raises(ImageReadError, match="cut short or damaged"):
        read(tmp_path, pack_tiff([encoded()], tags))


def test_signed_jpeg_2000_is_refused(tmp_path, light):
    encoded = imagecodecs.jpeg2k_encode(quantize(light, 12).astype(np.int16))
    tags = list_tags(WIDTH, HEIGHT, bits=[16] * 3, photometric=2, compression=34712)
    with pytest.raises(ImageReadError, match="signs"):
        read(tmp_path, pack_tiff([encoded], tags))


def test_components_that_may_be_ycbcr_are_refused(tmp_path, light):
    """Aperio's codec for YCbCr, without the transform that would make RGB of it."""
    encoded = imagecodecs.jpeg2k_encode(quantize(light, 8), mct=False)
    tags = list_tags(WIDTH, HEIGHT, bits=[8] * 3, photometric=2, compression=33003)
    with pytest.raises(ImageReadError, match="YCbCr compressed with APERIO"):
        read(tmp_path, pack_tiff([encoded], tags))


@pytest.mark.parametrize("codec", ["lzw", "zstd", "jpeg2000", "png", "jpegxl", "deflate", "packbits", None])
def test_damaged_files_are_pictures_or_refused(tmp_path, light, codec, rng):
    whole = make_tiff(quantize(light, 16), photometric="rgb", compression=codec, rowsperstrip=16)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, 250 if rng.random() < 0.5 else len(data), 2):
            data[place] = rng.integers(256)
        try:
            pixels = read(tmp_path, bytes(data))
        except ImageReadError:
            continue
        assert pixels.ndim in (2, 3)

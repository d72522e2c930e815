"""pages.py: pages and frames are counted by headers, and each is read as if it were the only one."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from defocus_edge.arrays import ImageWarning, as_image
from defocus_edge.files import pages as _pages
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import count_pages, read_image
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import HEIGHT, WIDTH, encode, exif_orientation, write

# The colour of transparent pixels.
HOLE = 127


@pytest.fixture
def frames():
    """Flat pictures with a few flat rectangles that move: few colours, so that GIF keeps them."""
    result = []
    for number, level in enumerate((50, 100, 150, 100)):
        frame = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
        frame[number * 8 : number * 8 + 8, 5:25] = 255, 0, 0
        frame[:, 40:44] = 0, 255, 0
        result.append(frame)
    return result


def animate(frames, file_format, **options):
    file, (first, *others) = io.BytesIO(), [Image.fromarray(frame) for frame in frames]
    first.save(file, file_format, save_all=True, append_images=others, duration=100, **options)
    return file.getvalue()


def check_pages(path, expected, tolerance=0.0):
    assert count_pages(path) == len(expected)
    for number, page in enumerate(expected):
        np.testing.assert_allclose(read_image(path, page=number), as_image(page), atol=tolerance)
    with pytest.raises(ImageReadError, match=rf"the page {len(expected)}, counted from 0\. Got: {len(expected)} pages"):
        read_image(path, page=len(expected))
    with pytest.raises(ImageReadError, match="page -1"):
        read_image(path, page=-1)
    for read in (read_image, read_photo):
        with pytest.warns(ImageWarning, match=f"{len(expected) - 1} more pages or frames"):
            read(path)


# --- Animations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_gif(tmp_path, frames, disposal):
    check_pages(write(tmp_path / "a.gif", animate(frames, "GIF", disposal=disposal)), frames)


@pytest.mark.parametrize("seed", range(8))
def test_gif_frames_are_composed(tmp_path, seed):
    """Frames that cover a part, have holes, stay, or are taken away again in both ways, against the specification.

    Pillow is no oracle: it composes some of them wrongly.
    """
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (128, 3), dtype=np.uint8)
    data = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0xF6, 0, 0) + palette.tobytes()
    canvas, expected = np.full((HEIGHT, WIDTH), HOLE), []
    for number in range(5):
        height, width = rng.integers(5, 25, 2) if number else (HEIGHT, WIDTH)
        top, left = rng.integers(0, (HEIGHT - height + 1, WIDTH - width + 1))
        part = rng.integers(0, HOLE, (height, width))
        if number:
            part[rng.random(part.shape) < 0.3] = HOLE
        disposal = rng.integers(0, 4)
        control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | 1, 10, HOLE, 0)
        data += control + struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0) + pack_gif_pixels(part)
        before, region = canvas.copy(), canvas[top : top + height, left : left + width]
        region[:] = np.where(part == HOLE, region, part)
        expected.append(canvas.copy())
        if disposal == 2:
            region[:] = HOLE
        elif disposal == 3:
            canvas = before
    path = write(tmp_path / "a.gif", data + b"\x3b")
    assert count_pages(path) == 5
    for number, frame in enumerate(expected):
        is_seen = frame != HOLE
        np.testing.assert_array_equal(read_image(path, page=number)[is_seen], as_image(palette[frame])[is_seen])


def pack_gif_pixels(indices):
    """Pixels below 128 without compression: codes of 8 bits, as the decoder's table never grows beyond."""
    codes = b"".join(b"\x80" + part for part in split(indices.astype(np.uint8).tobytes(), 100)) + b"\x81"
    return b"\x07" + b"".join(bytes([len(part)]) + part for part in split(codes, 255)) + b"\0"


def split(data, length):
    return [data[place : place + length] for place in range(0, len(data), length)]


@pytest.mark.parametrize("options", [{}, {"disposal": 1}, {"blend": 1}, {"disposal": 1, "blend": 1}])
def test_png(tmp_path, frames, options):
    check_pages(write(tmp_path / "a.png", animate(frames, "PNG", **options)), frames)


def test_png_for_programs_without_animation_does_not_count(tmp_path, frames):
    """The default picture, if it is not the first frame, is not shown by others."""
    data = animate(frames, "PNG", default_image=True)
    check_pages(write(tmp_path / "a.png", data), frames[1:])


def test_webp_and_avif(tmp_path, frames):
    check_pages(write(tmp_path / "a.webp", animate(frames, "WEBP", lossless=True)), frames)
    data = animate(frames, "AVIF", quality=100, subsampling="4:4:4")
    check_pages(write(tmp_path / "a.avif", data), frames, tolerance=0.01)


def test_deep_frames(tmp_path):
    ramp = np.linspace(0, 65535, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint16)
    deep = [ramp, 65535 - ramp, ramp // 2]
    check_pages(write(tmp_path / "a.png", assemble_apng(deep)), deep)
    animation = cv2.Animation()
    animation.frames, animation.durations = [frame[..., ::-1] >> 6 for frame in deep], [100] * 3
    done, data = cv2.imencodeanimation(".avif", animation, [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100])
    assert done
    check_pages(write(tmp_path / "a.avif", data.tobytes()), deep, tolerance=0.03)


def assemble_apng(frames):
    """PNG animation of whole frames; Pillow writes 8 bits only."""

    def pack(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = frames[0].shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + pack(b"IHDR", header) + pack(b"acTL", struct.pack(">II", len(frames), 0))
    for number, frame in enumerate(frames):
        place = struct.pack(">IIIIIHHBB", max(0, 2 * number - 1), width, height, 0, 0, 1, 10, 0, 0)
        rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in frame))
        kind = (b"fdAT", struct.pack(">I", 2 * number)) if number else (b"IDAT", b"")
        data += pack(b"fcTL", place) + pack(kind[0], kind[1] + rows)
    return data + pack(b"IEND", b"")


def test_frames_are_upright(tmp_path, frames):
    data = animate(frames, "WEBP", lossless=True, exif=exif_orientation(6))
    check_pages(write(tmp_path / "a.webp", data), [np.rot90(frame, -1) for frame in frames])


def test_damaged_frames(tmp_path, frames, capfd):
    data = animate(frames, "GIF", disposal=2)
    path = write(tmp_path / "a.gif", data[: len(data) - 40])
    assert count_pages(path) == len(frames)
    with pytest.raises(ImageReadError, match=r"frame 3 of '.*a\.gif'"):
        read_image(path, page=3)
    assert capfd.readouterr() == ("", "")


# --- Files with one picture ------------------------------------------------------------------------------------------


def test_one_picture_is_no_reason_to_warn(tmp_path, picture):
    for suffix in (".png", ".webp", ".gif", ".avif", ".jpg", ".bmp", ".tif", ".ppm"):
        path = write(tmp_path / f"a{suffix}", encode(suffix, picture))
        assert count_pages(path) == 1
        np.testing.assert_array_equal(read_image(path), read_image(path, page=0))


def test_mpo_has_one(tmp_path, picture):
    path = write(tmp_path / "a.mpo", animate([picture, 255 - picture], "MPO"))
    with Image.open(path) as file:
        assert file.n_frames == 2
    assert count_pages(path) == 1
    read_image(path)


def test_damaged_files_have_one(tmp_path):
    for start in (
        b"GIF89a",
        b"II*\0",
        b"\0\0\0\x18ftypavis",
        b"\0\0\0\x18ftypheic",
        b"\xff\x0a",
        b"\x89PNG\r\n\x1a\n",
        b"",
    ):
        assert count_pages(write(tmp_path / "a", start)) == 1


# --- TIFF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"bigtiff": True}, {"byteorder": ">"}, {"byteorder": ">", "bigtiff": True}, {"compression": "deflate"}],
)
def test_tiff(tmp_path, deep_picture, options):
    """Pages of different sizes, depths and kinds."""
    expected = [deep_picture, deep_picture[:30, :50, 0], (deep_picture >> 8).astype(np.uint8)]
    writer_options = {name: options[name] for name in ("bigtiff", "byteorder") if name in options}
    page_options = {name: options[name] for name in ("compression",) if name in options}
    with tifffile.TiffWriter(tmp_path / "a.tif", **writer_options) as writer:
        for page in expected:
            photometric = "rgb" if page.ndim == 3 else "minisblack"
            writer.write(page, photometric=photometric, metadata=None, **page_options)
    check_pages(tmp_path / "a.tif", expected)


def test_tiff_of_scanned_pages(tmp_path, picture):
    """Each page has its own orientation."""
    pages = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page, orientation in zip(pages, (1, 6), strict=True):
            tags = [(274, "H", 1, orientation, True)]
            writer.write(np.asarray(page), photometric="rgb", compression="deflate", metadata=None, extratags=tags)
    assert count_pages(tmp_path / "a.tif") == 2
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", page=1), as_image(np.rot90(255 - picture, -1)))


@pytest.mark.parametrize(("kind", "count"), [(1, 1), (4, 1), (5, 1), (0, 2), (2, 2)])
def test_only_pages_in_full_size_count(tmp_path, picture, kind, count):
    """Smaller versions (1) and masks (4) do not, pages of a document (2) do."""
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder="<") as writer:
        writer.write(picture, photometric="rgb", metadata=None)
        writer.write(255 - picture, photometric="rgb", subfiletype=1, metadata=None)
    data, smaller = (tmp_path / "a.tif").read_bytes(), struct.pack("<HHII", 254, 4, 1, 1)
    assert data.count(smaller) == 1
    path = write(tmp_path / "b.tif", data.replace(smaller, struct.pack("<HHII", 254, 4, 1, kind)))
    assert count_pages(path) == count


def test_thumbnails_and_subdirectories_do_not_count(tmp_path, picture):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(picture, photometric="rgb", subifds=1, metadata=None)
        writer.write(picture[::2, ::2], photometric="rgb", metadata=None)  # below the first
        writer.write(picture[::2, ::2], photometric="rgb", metadata=None)
        writer.write(255 - picture, photometric="rgb", metadata=None)
    assert count_pages(tmp_path / "a.tif") == 2
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", page=1), as_image(255 - picture))


def test_each_page_goes_through_the_checks(tmp_path, deep_picture):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in (deep_picture, deep_picture.astype(np.int16), deep_picture[:10]):
            writer.write(page, photometric="rgb", metadata=None)
    with pytest.raises(ImageReadError, match="Got: dtype int16"):
        read_image(tmp_path / "a.tif", page=1)
    with pytest.raises(ImageReadError, match="at least 20 px"):
        read_image(tmp_path / "a.tif", page=2)


def test_directories_in_a_circle(tmp_path, picture):
    """The second directory names the first as the next one."""
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=False) as writer:
        writer.write(picture, photometric="rgb", metadata=None)
        writer.write(picture, photometric="rgb", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, last = file.pages[0].offset, file.pages[1].offset
    data = bytearray((tmp_path / "a.tif").read_bytes())
    end = last + 2 + 12 * int.from_bytes(data[last : last + 2], "little")
    data[end : end + 4] = first.to_bytes(4, "little")
    assert count_pages(write(tmp_path / "b.tif", bytes(data))) in (1, 2)


def test_counting_decodes_nothing(tmp_path, frames, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("decoded")

    for name in ("imdecodeanimation", "imdecodeWithMetadata", "imdecode"):
        monkeypatch.setattr(cv2, name, refuse)
    monkeypatch.setattr(_pages, "decode_picture", refuse)
    for file_format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        assert count_pages(write(tmp_path / "a", animate(frames, file_format))) == len(frames)


def test_no_warning_if_a_page_is_named(tmp_path, frames):
    path = write(tmp_path / "a.gif", animate(frames, "GIF"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(path, page=0)

"""Files of every format with random damage: a picture or an `ImageReadError`, soon, in little memory and in silence.

``READER_EXAMPLES=400`` in the environment tries as many for each format, and others each time.
"""

from __future__ import annotations

import io
import os
import re
import resource
import struct
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from defocus_edge.arrays import MIN_SIDE, ROUNDING_TOLERANCE, ImageWarning
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import count_pages, read_image
from defocus_edge.files.maps import read_map, write_map
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import encode_heif
from tests.defocus_edge.files.format_cases import CASES, encode_jxl, name_case, quantize

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no resource module")

EXAMPLES = int(os.environ.get("READER_EXAMPLES", "12"))
HEIGHT, WIDTH = 32, 40
# Bounds of one example: seconds of the processor, bytes of memory (a header may name 2^30 px of any file).
MOST_SECONDS, MOST_MEMORY = 5.0, 2 << 30
_KIB = 1024


@cache
def make_scene():
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 0.9, (HEIGHT // 4, WIDTH // 4, 3)).repeat(4, axis=0).repeat(4, axis=1)


def animate(file_format):
    pictures = [Image.fromarray(quantize(scene, 8)) for scene in (make_scene(), 1 - make_scene())]
    file = io.BytesIO()
    pictures[0].save(file, file_format, save_all=True, append_images=pictures[1:])
    return file.getvalue()


PICTURES = {f"{name_case(form)}-{depth}": (form.suffixes[0], form, depth) for form, depth in CASES}
OTHERS = {
    "pages-of-tiff": (".tif", lambda: animate("TIFF")),
    "frames-of-gif": (".gif", lambda: animate("GIF")),
    "frames-of-png": (".png", lambda: animate("PNG")),
    "frames-of-webp": (".webp", lambda: animate("WEBP")),
    "frames-of-avif": (".avif", lambda: animate("AVIF")),
    "pictures-of-heic": (
        ".heic",
        lambda: encode_heif(*(quantize(scene, 8) for scene in (make_scene(), 1 - make_scene()))),
    ),
    "frames-of-jxl": (".jxl", lambda: encode_jxl(np.stack([make_scene(), 1 - make_scene()]), 8, 1)),
}
MAPS = [".exr", ".npy", ".tif"]


@cache
def make_file(name):
    """Suffix and bytes of a sound file."""
    if name in PICTURES:
        suffix, form, depth = PICTURES[name]
        return suffix, form.encode(make_scene(), depth, 1)
    suffix, encode = OTHERS[name]
    return suffix, encode()


@cache
def make_map(suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_map(path, make_scene()[..., 0].astype(np.float32) * 6)
        return path.read_bytes()


def change(data, place, values):
    return data[:place] + values + data[place + len(values) :]


def remove(data, place, values):
    return data[:place] + data[place + len(values) :]


def insert(data, place, values):
    return data[:place] + values + data[place:]


def cut(data, place, _):
    return data[:place]


def erase(data, place, values):
    """Zeros over up to a third of the file."""
    length = len(data) * (1 + values[0]) // 768
    return change(data, place, bytes(length))[: len(data)]


# Where most of the structure is, and anywhere.
PLACES = st.one_of(st.floats(0, 0.05), st.floats(0, 1))
STEPS = st.tuples(
    st.sampled_from([change, change, change, remove, insert, cut, erase]), PLACES, st.binary(min_size=1, max_size=9)
)
DAMAGE = st.lists(STEPS, min_size=1, max_size=3)
EXPERIMENT = settings(max_examples=EXAMPLES, derandomize="READER_EXAMPLES" not in os.environ)


def damage(data, steps):
    for step, place, values in steps:
        data = step(data, int(place * len(data)), values)
    return data


@contextmanager
def watched():
    """Fail if the block writes to stdout or stderr, takes long, or needs much memory."""
    sys.stdout.flush()
    before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as held:
        for number in (1, 2):
            os.dup2(held.fileno(), number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ImageWarning)
                yield
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            held.seek(0)
            text = held.read()
    assert text == b""
    assert time.process_time() - before[0] < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1]) * _KIB < MOST_MEMORY


def check_error(error):
    assert "\n" not in str(error)


def read_last_page(path):
    return read_image(path, page=count_pages(path) - 1)


READERS = [read_image, read_image, lambda path: read_photo(path).pixels, read_last_page]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("name", [*PICTURES, *OTHERS])
def test_pictures(folder, name):
    suffix, sound = make_file(name)
    path = folder / f"a{suffix}"

    @EXPERIMENT
    @given(DAMAGE, st.sampled_from(READERS))
    def check(steps, read):
        path.write_bytes(damage(sound, steps))
        try:
            with watched():
                picture = read(path)
        except ImageReadError as error:
            check_error(error)
            return
        assert picture.ndim in (2, 3)
        assert min(picture.shape[:2]) >= MIN_SIDE
        assert np.isfinite(picture).all()
        if picture.dtype.kind == "f":
            assert -ROUNDING_TOLERANCE <= picture.min() <= picture.max() <= 1 + ROUNDING_TOLERANCE

    check()


@pytest.mark.parametrize("suffix", MAPS)
def test_maps(folder, suffix):
    sound, path = make_map(suffix), folder / f"a{suffix}"

    @EXPERIMENT
    @given(DAMAGE)
    def check(steps):
        path.write_bytes(damage(sound, steps))
        try:
            with watched():
                values = read_map(path)
        except ImageReadError as error:
            check_error(error)
            return
        assert values.ndim == 2
        assert np.isfinite(values).all()

    check()


def name_large_size_in_jpeg(data):
    place = re.search(rb"\xff[\xc0\xc2]\x00\x11\x08", data).end()
    return data[:place] + struct.pack(">HH", 16_000, 65_000) + data[place + 4 :]


def name_large_size_in_gif(data):
    return data[:6] + struct.pack("<HH", 32_000, 32_000) + data[10:]


@pytest.mark.parametrize(
    ("name", "name_large_size"),
    [
        ("JPEG-8", name_large_size_in_jpeg),
        ("progressive-JPEG-8", name_large_size_in_jpeg),
        ("GIF-8", name_large_size_in_gif),
    ],
)
def test_sizes_that_cannot_be_in_the_file_are_not_believed(tmp_path, name, name_large_size):
    """A gigapixel in two kilobytes: the decoders would take 6 to 15 GB and a minute."""
    suffix, sound = make_file(name)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(name_large_size(sound))
    with watched(), pytest.raises(ImageReadError, match="damaged"):
        read_image(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_flat_pictures_are_believed(tmp_path, progressive):
    """The densest JPEG and GIF files that there are."""
    flat = Image.new("L", (3000, 2000), 128)
    flat.save(tmp_path / "a.jpg", quality=1, optimize=True, progressive=progressive)
    flat.save(tmp_path / "a.gif")
    for name in ("a.jpg", "a.gif"):
        assert read_image(tmp_path / name).shape == (2000, 3000, 3)

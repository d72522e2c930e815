"""Damage that decoders only warn about: what libjpeg and libpng print is caught, and tells refusals from warnings."""

import io

import numpy as np
import pytest
from PIL import Image

from defocus_edge.arrays import ImageWarning
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import write

KINDS = {
    "baseline": {"quality": 75},
    "fine": {"quality": 95},
    "optimized": {"quality": 75, "optimize": True},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 85, "restart_marker_rows": 1},
}
DAMAGE = {
    "zeros": bytes,
    "ones": lambda length: b"\xff" * length,
    "noise": lambda length: np.random.default_rng(3).bytes(length).replace(b"\xff", b"\xfe"),
}


def encode_jpeg(**options):
    """A picture with texture everywhere, so that damage cannot hide in flat areas."""
    rows, columns = np.mgrid[:200, :300]
    texture = np.random.default_rng(0).normal(0, 20, (200, 300, 3))
    picture = np.clip(128 + 60 * np.sin(rows / 9)[..., None] + 50 * np.cos(columns / 13)[..., None] + texture, 0, 255)
    file = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_with_a_lost_middle_does_not_pass_in_silence(tmp_path, capfd, kind, damage):
    data = encode_jpeg(**KINDS[kind])
    third = len(data) // 3
    path = write(tmp_path / "a.jpg", data[:third] + DAMAGE[damage](third) + data[2 * third :])
    for read in (read_image, read_photo):
        with pytest.raises((ImageReadError, ImageWarning), match=r"picture '.*a\.jpg'|Picture '.*a\.jpg'"):
            read(path)  # pytest makes errors of warnings
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_lost_data_is_refused_with_the_name_of_the_file(tmp_path, kind):
    data = encode_jpeg(**KINDS[kind])
    path = write(tmp_path / "a.jpg", data[: 2 * len(data) // 3] + b"\xff\xd9")
    with pytest.raises(ImageReadError, match=r"a\.jpg.*Corrupt JPEG data"):
        read_image(path)


def test_many_superfluous_bytes_are_data_that_were_lost(tmp_path):
    data = encode_jpeg(quality=75)
    path = write(tmp_path / "a.jpg", data[:-2] + bytes(len(data) // 10) + data[-2:])
    with pytest.raises(ImageReadError, match="extraneous bytes before marker 0xd9"):
        read_image(path)


def test_superfluous_bytes_are_read_with_a_warning(tmp_path, capfd):
    """Some cameras pad the data before the end marker."""
    data = encode_jpeg(quality=75)
    sound, padded = write(tmp_path / "a.jpg", data), write(tmp_path / "b.jpg", data[:-2] + bytes(40) + data[-2:])
    with pytest.warns(ImageWarning, match="extraneous bytes before marker 0xd9"):
        image = read_image(padded)
    np.testing.assert_array_equal(image, read_image(sound))
    assert capfd.readouterr() == ("", "")

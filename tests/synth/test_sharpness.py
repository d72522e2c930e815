"""Measured sharpness follows the true blur, and picks what is in focus all over."""

import json

import numpy as np
import pytest

from defocus_edge.files.images import write_picture
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb
from synth.picking import PickError, pick_pictures
from synth.readers import read_layout
from synth.sharpness import measure_sharpness
from tests.conftest import make_texture


def make_picture(radius, *, side=160, seed=0):
    """Large blocks, blurred in linear light."""
    sharp = make_texture(np.random.default_rng(seed), side, side, block=23) / np.float32(255)
    return encode_srgb(np.clip(blur_with_disk(decode_srgb(sharp), radius), 0, 1))


def test_measured_radius_grows_with_the_true_one():
    radii = np.array([1.5, 2, 3, 4, 5])
    measured = np.array([measure_sharpness(make_picture(radius)).radius for radius in radii])
    assert (np.diff(measured) > 0.5).all()
    # A Gaussian is fitted to the rim of a disk: isolated edges read up to twice the radius.
    assert (measured > radii).all()
    assert (measured < 2 * radii).all()


def test_sharp_is_sharp():
    found = measure_sharpness(make_picture(0))
    assert found.radius < 1.2
    assert found.tiles > 30
    assert found.is_sharp()
    assert not found.is_sharp(-1)


def test_one_soft_quarter_is_enough():
    picture = make_picture(0)
    picture[:80, :80] = make_picture(4)[:80, :80]
    assert not measure_sharpness(picture).is_sharp()


def test_without_edges_nothing_is_known():
    found = measure_sharpness(np.full((50, 60, 3), 0.5, dtype=np.float32))
    assert np.isnan(found.radius)
    assert found.tiles == 0
    assert not found.is_sharp()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, radius in (("sharp.png", 0), ("below/sharp.png", 0.5), ("soft.png", 4)):
        write_picture(folder / name, np.rint(make_picture(radius) * 255).astype(np.uint8))
    write_picture(folder / "sky.png", np.full((50, 60, 3), 200, dtype=np.uint8))
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def pick(folder, out, **options):
    return pick_pictures(read_layout(folder)[1], [folder], out, **options)


def test_names_of_the_sharp_ones(folder, tmp_path):
    complaints, steps = [], []
    found = pick(folder, tmp_path / "list.txt", on_complaint=complaints.append, on_picture=steps.append)
    assert found == (2, 1)
    assert (tmp_path / "list.txt").read_text().splitlines() == ["sharp.png", "below/sharp.png"]
    assert len(complaints) == 1
    assert "broken.jpg" in complaints[0]
    assert steps == [1] * 5


def test_radii_of_all(folder, tmp_path):
    pick(folder, tmp_path / "list.jsonl", limit=10)
    records = [json.loads(line) for line in (tmp_path / "list.jsonl").read_text().splitlines()]
    assert {record["path"]: record["kept"] for record in records} == {
        "sharp.png": True,
        "sky.png": False,
        "soft.png": True,
        "below/sharp.png": True,
    }
    assert next(record for record in records if record["path"] == "sky.png")["radius"] is None
    assert {record["folder"] for record in records} == {0}


def test_copies_of_the_sharp_ones(folder, tmp_path):
    pick(folder, tmp_path / "copies")
    copies = sorted(path.relative_to(tmp_path / "copies").as_posix() for path in (tmp_path / "copies").rglob("*.*"))
    assert copies == ["below/sharp.png", "sharp.png"]
    assert (tmp_path / "copies/sharp.png").read_bytes() == (folder / "sharp.png").read_bytes()


def test_copies_of_several_folders_are_kept_apart(folder, tmp_path):
    sources = [*read_layout(folder)[1], *read_layout(folder / "below")[1]]
    pick_pictures(sources, [folder, folder / "below"], tmp_path / "copies")
    assert (tmp_path / "copies/0/below/sharp.png").is_file()
    assert (tmp_path / "copies/1/sharp.png").is_file()


def test_copies_among_the_sources_are_refused(folder):
    with pytest.raises(PickError, match="out must not lie in a source folder"):
        pick(folder, folder / "copies")


def test_a_file_of_another_kind_is_refused(folder, tmp_path):
    (tmp_path / "list.csv").touch()
    with pytest.raises(PickError, match=r"out must end in \.txt or \.jsonl or be a folder\. Got: the file"):
        pick(folder, tmp_path / "list.csv")

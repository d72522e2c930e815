"""A batch with real networks: the same bytes as `estimate`, from both engines, whatever the number of processes."""

import os
import shutil

import cv2
import pytest
from skimage.data import astronaut

from defocus_edge.cli.app import main
from tests.conftest import lock_folder
from tests.defocus_edge.cli.batch.batch_cases import read_tree

PICTURES = ("a.png", "b/c.png")

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:ray")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "b").mkdir()
    for number, name in enumerate(PICTURES):
        assert cv2.imwrite(str(folder / name), astronaut()[100 * number :: 2, 100 : 100 + 128 : 2, ::-1][:64])
    return folder


@pytest.fixture(scope="module")
def local(pictures, small_preset, tmp_path_factory):
    """What the local engine makes, once Numba has its kernels on disk."""
    folder = tmp_path_factory.mktemp("local")
    assert main(["estimate", str(pictures / PICTURES[0]), "--preset", str(small_preset), "--out", str(folder)]) == 0
    shutil.rmtree(folder)
    assert main(["batch", str(pictures), str(folder), "--preset", str(small_preset), "--preview"]) == 0
    return folder


def test_local_engine_writes_what_estimate_writes(pictures, local, small_preset, tmp_path):
    for name in PICTURES:
        out = tmp_path / name
        assert main(["estimate", str(pictures / name), "--preset", str(small_preset), "--out", str(out)]) == 0
        for path in out.iterdir():
            assert path.read_bytes() == (local / name).with_name(path.name).read_bytes(), path.name
    names = ["a_blur.png", "a_blur.tif", "b/c_blur.png", "b/c_blur.tif", "summary.csv"]
    assert sorted(read_tree(local)) == names


def test_a_picture_too_small_for_the_radius_costs_no_worker(pictures, small_preset, tmp_path):
    mixed, out = shutil.copytree(pictures, tmp_path / "mixed"), tmp_path / "out"
    assert cv2.imwrite(str(mixed / "small.png"), astronaut()[:30, :30])
    assert main(["batch", str(mixed), str(out), "--preset", str(small_preset), "--max-radius", "12"]) == 1
    failures = (out / "failures.csv").read_text(encoding="utf-8").splitlines()
    assert failures == [
        "picture,error",
        "small.png,max_radius of a picture of 30×30 px can be at most 6 px. Got: 12.0.",
    ]
    assert sorted(read_tree(out)) == ["a_blur.tif", "b/c_blur.tif", "failures.csv", "summary.csv"]


def test_pipes_devices_and_locked_folders_are_told(pictures, small_preset, tmp_path, monkeypatch, capfd):
    mixed, out = shutil.copytree(pictures, tmp_path / "mixed"), tmp_path / "out"
    os.mkfifo(mixed / "m.png")
    (mixed / "x.png").symlink_to("/dev/zero")
    (mixed / "locked").mkdir()
    lock_folder(monkeypatch, mixed / "locked")
    assert main(["batch", str(mixed), str(out), "--preset", str(small_preset)]) == 1
    failures = (out / "failures.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(".png,")[0] for line in failures] == ["m", "x"]
    assert all("must name an ordinary file. Got: the device or pipe" in line for line in failures)
    assert capfd.readouterr().err.startswith(f"Error: the folder {mixed / 'locked'} cannot be read: Permission denied.")
    assert (out / "a_blur.tif").is_file()


def test_ray_engine_writes_what_the_local_engine_writes(pictures, local, small_preset, tmp_path, capfd):
    arguments = [
        str(pictures),
        str(tmp_path),
        "--preset",
        str(small_preset),
        "--preview",
        "--engine",
        "ray",
        "--jobs",
        "1",
    ]
    assert main(["batch", *arguments]) == 0
    assert read_tree(tmp_path) == read_tree(local)
    captured = capfd.readouterr()
    assert not captured.out
    assert captured.err.splitlines()[-1] == f"2 pictures done: {tmp_path / 'summary.csv'}"
    assert len(captured.err.splitlines()) == len(PICTURES) + 1

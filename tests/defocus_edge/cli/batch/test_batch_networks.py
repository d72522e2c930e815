"""A batch with real networks: the same bytes as `estimate`, from both engines, whatever the number of processes."""

import os
import shutil

import cv2
import pytest
from skimage.data import astronaut

from defocus_edge.cli.app import main
from defocus_edge.cli.batch.records import Item
from defocus_edge.cli.batch.work import PictureWork
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


@pytest.fixture
def work_again(pictures, local, small_preset, tmp_path):
    """Do the first picture again after a change of its outputs or options; return whether it was new."""
    out = shutil.copytree(local, tmp_path / "again")
    outputs = {"map": out / "a_blur.tif", "preview": out / "a_blur.png"}

    def work(change=lambda _: None, preset=small_preset, **options):
        change(outputs)
        given = {"read_out": "median", "propagation": "default", "max_radius": "auto", "edge_step": 1} | options
        record = PictureWork(str(preset), given, skips_existing=True)(Item("a.png", pictures / "a.png", outputs))
        assert not record.error
        return record.is_new

    return work


def test_whole_results_of_the_same_settings_are_kept(work_again):
    assert not work_again()


@pytest.mark.parametrize("content", [b"", b"garbage", "cut"], ids=str)
@pytest.mark.parametrize("kind", ["map", "preview"])
def test_results_that_are_not_whole_are_done_again(work_again, kind, content):
    def damage(outputs):
        whole = outputs[kind].read_bytes()
        outputs[kind].write_bytes(whole[: len(whole) // 2] if content == "cut" else content)

    assert work_again(damage)
    assert not work_again()


@pytest.mark.parametrize(
    "options",
    [{"read_out": "argmax"}, {"max_radius": 6.0}, {"depth_penalty": 3.0}, {"depth_threshold": 0.7}, {"edge_step": 2}],
    ids=str,
)
def test_maps_of_other_settings_are_done_again(work_again, options):
    assert work_again(**options)
    assert not work_again(**options)


def test_maps_of_another_preset_are_done_again(work_again, small_preset, tmp_path):
    assert work_again(preset=shutil.copytree(small_preset, tmp_path / "other"))


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

"""`--pages`: results for each page of a file, or for the first and a line on the others."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
import tifffile

from defocus_edge.cli.app import main
from defocus_edge.cli.batch.planning import plan_items
from defocus_edge.cli.batch.work import PictureWork
from defocus_edge.cli.console import plan_jobs
from defocus_edge.files.maps import read_map, write_map
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH, list_names, write_photo

PAGES = 3
IGNORED = f"{PAGES - 1} more pages or frames"


@pytest.fixture
def stack(tmp_path, photo):
    """TIFF of three pages: the photo, the photo upside down, and a flat one without edges."""
    picture = cv2.imread(str(photo))[..., ::-1]
    with tifffile.TiffWriter(tmp_path / "stack.tif") as writer:
        for page in (picture, picture[::-1], np.full_like(picture, 99)):
            writer.write(page, photometric="rgb", metadata=None)
    return tmp_path / "stack.tif"


@pytest.fixture
def good_stack(tmp_path, photo):
    """Animation of two frames."""
    animation = cv2.Animation()
    animation.frames, animation.durations = [cv2.imread(str(photo)), cv2.imread(str(photo))[::-1]], [100, 100]
    done, data = cv2.imencodeanimation(".png", animation)
    assert done
    (tmp_path / "moving.png").write_bytes(data.tobytes())
    return tmp_path / "moving.png"


def test_a_map_for_each_page(run, photo, good_stack, tmp_path):
    results = tmp_path / "out"
    code, out, err = run("estimate", good_stack, photo, "--pages", "all", "--out", results, "--json")
    assert code == 0
    assert [line.partition(": blur radius")[0] for line in err] == [
        f"{good_stack}, page 1",
        f"{good_stack}, page 2",
        str(photo),
    ]
    stems = ("moving_p001_blur", "moving_p002_blur", "photo_blur")
    assert list_names(results) == [f"{stem}.{suffix}" for stem in stems for suffix in ("png", "tif")]
    maps = [read_map(results / f"{stem}.tif") for stem in stems]
    np.testing.assert_array_equal(maps[0], maps[2])
    assert (maps[1] != maps[0]).any()
    records = json.loads(out)
    assert [record.get("page") for record in records] == [1, 2, None]
    assert records[1]["outputs"]["map"] == str(results / "moving_p002_blur.tif")


def test_a_page_that_fails_is_named_and_the_others_are_done(run, stack, tmp_path):
    results = tmp_path / "out"
    code, out, err = run("mask", stack, "--pages", "all", "--out", results, "--json")
    assert code == 1
    assert list_names(results) == ["stack_p001_mask.png", "stack_p002_mask.png"]
    records = json.loads(out)
    assert [record["page"] for record in records] == [1, 2, 3]
    assert [record["error"] is None for record in records] == [True, True, False]
    (line,) = [line for line in err if line.startswith("Error: ")]
    assert "stack.tif" in line
    assert "page 3" in line


def test_a_file_that_cannot_be_read_costs_one_line(run, photo, tmp_path):
    (tmp_path / "bad.gif").write_bytes(b"GIF89a")
    files = tmp_path / "bad.gif", tmp_path / "missing.tif", photo
    code, _, err = run("estimate", *files, "--pages", "all", "--out", tmp_path / "out")
    assert code == 1
    assert [line.startswith("Error: ") for line in err].count(True) == 2
    assert len(err) == 3
    assert "photo_blur.tif" in list_names(tmp_path / "out")


def test_the_first_page_and_a_line_on_the_others(run, stack, photo, tmp_path):
    results = tmp_path / "out"
    code, out, err = run("estimate", stack, photo, "--out", results, "--json")
    assert code == 0
    assert list_names(results) == [f"{name}_blur.{suffix}" for name in ("photo", "stack") for suffix in ("png", "tif")]
    (line,) = [line for line in err if line.startswith("Warning: ")]
    assert str(stack) in line
    assert IGNORED in line
    records = json.loads(out)
    assert IGNORED in records[0]["warnings"][0]
    assert records[1]["warnings"] == []
    np.testing.assert_array_equal(read_map(results / "stack_blur.tif"), read_map(results / "photo_blur.tif"))


def test_deblur_takes_the_first(stack, tmp_path, capsys):
    write_map(tmp_path / "map.tif", np.full((HEIGHT, WIDTH), 2.0))
    assert main(["deblur", str(stack), "--map", str(tmp_path / "map.tif")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [IGNORED in line for line in lines if line.startswith("Warning: ")] == [True]
    with tifffile.TiffFile(tmp_path / "stack_deblurred.tif") as file:
        assert len(file.pages) == 1


def test_maps_belong_to_one_page(blur_map, capsys):
    assert main(["mask", "--from-map", str(blur_map), "--pages", "all"]) == 2
    assert "--from-map" in capsys.readouterr().err


def test_batch_of_all_pages(preset, good_stack, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    good_stack.rename(tmp_path / "in" / "moving.png")
    write_photo(tmp_path / "in" / "one.png")
    arguments = [str(tmp_path / "in"), str(tmp_path / "out"), "--pages", "all", "--preset", str(preset)]
    assert main(["batch", *arguments]) == 0
    assert "Warning" not in capsys.readouterr().err
    maps = ["moving_p001_blur.tif", "moving_p002_blur.tif", "one_blur.tif"]
    assert list_names(tmp_path / "out") == [*maps, "summary.csv"]
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        rows = [row["picture"] for row in csv.DictReader(file)]
    assert rows == ["moving.png#page=001", "moving.png#page=002", "one.png"]


def test_batch_of_first_pages_remarks_on_the_others(preset, good_stack, tmp_path):
    """One line for each such file."""
    names = [good_stack.name, write_photo(tmp_path / "one.png").name]
    work = PictureWork(str(preset), {})
    items = plan_items(tmp_path, names, tmp_path / "out", {"map": "_blur.tif"})
    (remark,), none = (work(item).remarks for item in items)
    assert "one more page" in remark
    assert none == ()
    assert list_names(tmp_path / "out") == ["moving_blur.tif", "one_blur.tif"]


def test_names_that_meet_are_refused(good_stack, tmp_path, capsys):
    """Page 1 of moving.png and another picture."""
    other = write_photo(tmp_path / "moving_p001.png")
    with pytest.raises(ValueError, match=r"both moving\.png#page=001 and moving_p001\.png"):
        plan_items(tmp_path, ["moving.png", "moving_p001.png"], tmp_path / "out", {"map": "_blur.tif"}, pages="all")
    assert main(["estimate", str(good_stack), str(other), "--pages", "all"]) == 2
    assert "moving_p001_blur.tif would be written for both" in capsys.readouterr().err


def test_files_are_not_opened_to_be_planned(tmp_path):
    """Unless all pages are wanted, and the file may have several."""
    missing = tmp_path / "missing.tif"
    (job,) = plan_jobs([missing], lambda _: {"map": "_blur.tif"}, out=None)
    assert (job.page, job.outputs["map"].name) == (None, "missing_blur.tif")

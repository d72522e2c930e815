"""planning.py: which pictures are found, and how what is written for them is called."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge._extras import RAW
from defocus_edge.cli.batch.planning import count_others, find_pictures, name_stems, plan_items
from defocus_edge.files.kinds import READABLE_SUFFIXES
from tests.conftest import lock_folder

ENDINGS = {"map": "_blur.tif", "preview": "_blur.png"}


def make_files(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pictures_are_found_at_any_depth_by_their_suffix(tmp_path):
    make_files(tmp_path, "b.JPG", "a/z.png", "a/b/c.tiff", "a.webp", "notes.txt", "a/film.mp4", "jpg")
    assert find_pictures(tmp_path) == ["a.webp", "a/b/c.tiff", "a/z.png", "b.JPG"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    make_files(tmp_path, ".a.jpg", "._b.jpg", ".trash/c.jpg", "d.jpg")
    assert find_pictures(tmp_path) == ["d.jpg"]


def test_raw_files_are_found_if_they_can_be_read(tmp_path, monkeypatch):
    make_files(tmp_path, "a.CR2", "a.jpg")
    monkeypatch.setattr(type(RAW), "is_installed", property(lambda _: True))
    assert find_pictures(tmp_path) == ["a.CR2", "a.jpg"]
    monkeypatch.setattr(type(RAW), "is_installed", property(lambda _: False))
    assert find_pictures(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.jpg"], ["2023/a.JPG", "b.jpg"]),
        (["IMG_*"], ["2024/IMG_1.xyz"]),
        (["2024/*"], ["2024/IMG_1.xyz", "2024/may/c.png"]),
        (["b.*", "*/c.png"], ["2024/may/c.png", "b.jpg"]),
        (["*.gif"], []),
    ],
)
def test_patterns_decide_instead_of_suffixes(tmp_path, patterns, expected):
    make_files(tmp_path, "2023/a.JPG", "2024/IMG_1.xyz", "2024/may/c.png", "b.jpg")
    assert find_pictures(tmp_path, patterns=patterns) == expected


def test_the_folder_of_the_outputs_is_left_out(tmp_path):
    make_files(tmp_path, "a.jpg", "out/a_blur.png", "out/b/c.png", "outside/d.jpg")
    assert find_pictures(tmp_path, excluded=tmp_path / "x" / ".." / "out") == ["a.jpg", "outside/d.jpg"]


def test_links_to_files_count_and_loops_end(tmp_path):
    make_files(tmp_path, "a/b/c.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "d.jpg").symlink_to("b/c.jpg")
    (tmp_path / "self").symlink_to("self")
    assert find_pictures(tmp_path) == ["a/b/c.jpg", "a/d.jpg"]


def test_outputs_mirror_the_tree(tmp_path):
    items = plan_items(tmp_path / "in", ["a.jpg", "b/c.png"], tmp_path / "out", ENDINGS)
    assert [item.picture for item in items] == ["a.jpg", "b/c.png"]
    assert items[1].source == tmp_path / "in" / "b" / "c.png"
    assert items[1].outputs == {
        "map": tmp_path / "out" / "b" / "c_blur.tif",
        "preview": tmp_path / "out" / "b" / "c_blur.png",
    }


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (item,) = plan_items(tmp_path.relative_to(tmp_path), ["a.jpg"], tmp_path.relative_to(tmp_path) / "out", ENDINGS)
    assert item.source == tmp_path / "a.jpg"
    assert item.outputs["map"] == tmp_path / "out" / "a_blur.tif"


def test_the_same_name_in_two_folders_is_no_clash(tmp_path):
    items = plan_items(tmp_path, ["a/x.jpg", "b/x.png"], tmp_path / "out", {"map": "_blur.tif"})
    assert [item.outputs["map"].name for item in items] == ["x_blur.tif", "x_blur.tif"]


def test_no_picture_is_written_over(tmp_path):
    make_files(tmp_path, "in/in/a.jpg", "in/a_blur.png")
    with pytest.raises(ValueError, match=re.escape("to be written for in/a.jpg, is one of the pictures")):
        plan_items(tmp_path / "in", ["a_blur.png", "in/a.jpg"], tmp_path, ENDINGS)


def test_no_picture_is_written_over_through_a_link(tmp_path):
    make_files(tmp_path, "in/a.tif", "out/x")
    (tmp_path / "out" / "a_blur.tif").symlink_to(tmp_path / "in" / "a.tif")
    with pytest.raises(ValueError, match="is one of the pictures"):
        plan_items(tmp_path / "in", ["a.tif"], tmp_path / "out", ENDINGS)


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["IMG_1.JPG", "IMG_2.JPG"], ["IMG_1", "IMG_2"]),
        (["IMG_1.CR2", "IMG_1.JPG", "IMG_2.JPG"], ["IMG_1.CR2", "IMG_1.JPG", "IMG_2"]),
        (["a.jpg", "A.png"], ["a.jpg", "A.png"]),
        (["a.jpg", "a.png", "a.jpg.tif"], ["a.jpg", "a.png", "a.jpg.tif"]),
        (["a.jpg", "A.JPG"], ["a.jpg~2", "A.JPG"]),
    ],
)
def test_names_of_outputs(names, stems):
    assert name_stems(names) == dict(zip(names, stems, strict=True))


@given(
    st.sets(st.text("aAB.~2", min_size=1, max_size=6).filter(lambda name: name.strip(".")), max_size=8), st.randoms()
)
def test_names_of_outputs_differ_by_more_than_case_and_do_not_depend_on_order(names, random):
    stems = name_stems(sorted(names))
    assert stems.keys() == names
    assert len({stem.casefold() for stem in stems.values()}) == len(names)
    shuffled = sorted(names)
    random.shuffle(shuffled)
    assert name_stems(shuffled) == stems


@pytest.mark.parametrize("suffix", READABLE_SUFFIXES)
def test_each_kind_of_picture_is_found_whatever_its_case(tmp_path, suffix):
    make_files(tmp_path, f"a{suffix}", f"B{suffix.upper()}")
    assert find_pictures(tmp_path) == [f"B{suffix.upper()}", f"a{suffix}"]


def test_pipes_are_found_and_told_when_they_are_read(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").touch()
    assert find_pictures(tmp_path) == ["a.jpg", "b.jpg"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    make_files(tmp_path, "a/b.jpg", "c/d.jpg")
    lock_folder(monkeypatch, tmp_path / "a")
    errors = []
    assert find_pictures(tmp_path, tell=errors.append) == ["c/d.jpg"]
    assert [error.filename for error in errors] == [str(tmp_path / "a")]


def test_other_files_are_counted_by_suffix(tmp_path):
    for name in ("a.jpg", "b.psd", "c/d.PSD", "c/e", ".hidden.txt", "out/f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pictures = find_pictures(tmp_path, excluded=tmp_path / "out")
    assert pictures == ["a.jpg"]
    assert count_others(tmp_path, pictures, excluded=tmp_path / "out") == {".psd": 2, "": 1}

"""Pairs of pictures and true maps are found, cut and converted as their sets have them; what is wrong is named."""

import numpy as np
import pytest
from scipy.io import savemat

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import write_map
from synth.__main__ import main as run_synth
from tests.conftest import make_texture, write_png
from training.data.map_datasets import (
    RTF_FULL_SHAPE,
    RTF_SHAPE,
    RTF_VARIABLE,
    MapPair,
    MapSetError,
    check_map_pairs,
    list_folder,
    list_rtf,
    read_map_pair,
)


def write_rtf(root, number, rng, *, shape=RTF_FULL_SHAPE, truth=None, folders=(".", ".")):
    """A pair of the RTF set; the truth is the column in px / 60 unless given."""
    truth = np.tile(np.arange(RTF_FULL_SHAPE[1]) / 60, (RTF_FULL_SHAPE[0], 1)) if truth is None else truth
    write_png(root / folders[0] / f"image_{number:02}.png", make_texture(rng, *shape))
    (root / folders[1]).mkdir(exist_ok=True)
    savemat(root / folders[1] / f"map_{number:02}.mat", {RTF_VARIABLE: truth})


def write_pair(folder, name, *, picture=None, truth=None, suffix=".npy"):
    write_png(folder / f"{name}.png", np.full((24, 30, 3), 99, dtype=np.uint8) if picture is None else picture)
    write_map(folder / f"{name}_radius{suffix}", np.full((24, 30), 1.5) if truth is None else truth)


@pytest.mark.parametrize("folders", [(".", "."), ("image", "gt")])
def test_rtf_pairs_are_cut_to_340_columns(tmp_path, rng, folders):
    for number in (2, 1, 22):
        write_rtf(tmp_path, number, rng, folders=folders)
    pairs = list_rtf(tmp_path)
    assert [(pair.name, pair.family) for pair in pairs] == [("01", "rtf"), ("02", "rtf"), ("22", "rtf")]
    scene = read_map_pair(pairs[0])
    assert scene.image.shape == (*RTF_SHAPE, 3)
    assert scene.radius.shape == RTF_SHAPE == scene.edge_label.shape
    assert scene.radius[0, 0] == 0  # the first columns stay
    assert scene.radius[5, 339] == pytest.approx(339 / 60)
    assert (scene.edge_label == -1).all()
    assert scene.sharp is None


def test_rtf_files_that_are_cut_already_are_taken_as_they_are(tmp_path, rng):
    write_rtf(tmp_path, 1, rng, shape=RTF_SHAPE)
    assert read_map_pair(list_rtf(tmp_path)[0]).image.shape == (*RTF_SHAPE, 3)


def test_rtf_of_another_size_is_refused(tmp_path, rng):
    write_rtf(tmp_path, 1, rng, shape=(360, 300))
    with pytest.raises(MapSetError, match=r"must have \(360, 360\) or \(360, 340\) px\. Got: '.*image_01\.png' with"):
        check_map_pairs(list_rtf(tmp_path))


def test_lonely_rtf_file_is_named(tmp_path, rng):
    write_rtf(tmp_path, 1, rng)
    write_rtf(tmp_path, 7, rng)
    (tmp_path / "map_07.mat").unlink()
    with pytest.raises(MapSetError, match=r"pairs image_NN\.png and map_NN\.mat\. Got: 1 without .*image_07\.png"):
        list_rtf(tmp_path)


def test_matlab_file_without_the_map_is_named(tmp_path, rng):
    write_rtf(tmp_path, 1, rng)
    savemat(tmp_path / "map_01.mat", {"depth": np.zeros((360, 360))})
    with pytest.raises(ImageReadError, match=r"map_01\.mat': .* with a matrix blurMap .*\. Got: the array 'depth'"):
        read_map_pair(list_rtf(tmp_path)[0])
    savemat(tmp_path / "map_01.mat", {RTF_VARIABLE: np.zeros((36, 30, 12))})
    with pytest.raises(MapSetError, match=r"must hold a matrix blurMap\. Got: shape \(36, 30, 12\)"):
        read_map_pair(list_rtf(tmp_path)[0])


def test_matlab_maps_of_integers_beside_other_arrays_are_read(tmp_path, rng):
    write_rtf(tmp_path, 1, rng)
    truth = rng.integers(0, 23, RTF_SHAPE, dtype=np.uint8)
    savemat(tmp_path / "map_01.mat", {"depth": np.zeros((9, 9)), RTF_VARIABLE: truth}, do_compression=True)
    np.testing.assert_array_equal(read_map_pair(list_rtf(tmp_path)[0]).radius, truth)
    savemat(tmp_path / "map_01.mat", {RTF_VARIABLE: np.zeros((361, 360))})
    with pytest.raises(ImageReadError, match=r"more than 129600 numbers"):
        read_map_pair(list_rtf(tmp_path)[0])


def test_damaged_matlab_file_is_named(tmp_path, rng):
    write_rtf(tmp_path, 1, rng)
    whole = (tmp_path / "map_01.mat").read_bytes()
    for content in (b"", b"MATLAB 5.0", whole[: len(whole) // 2]):
        (tmp_path / "map_01.mat").write_bytes(content)
        with pytest.raises(ImageReadError, match=r"Cannot read '.*map_01\.mat'"):
            read_map_pair(list_rtf(tmp_path)[0])


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_folder_pairs_are_named_after_the_picture(tmp_path, suffix):
    folder = tmp_path / "mine"
    for name in ("b", "a"):
        write_pair(folder, name, suffix=suffix)
    pairs = list_folder(folder)
    assert [(pair.name, pair.family, pair.truth_path.suffix) for pair in pairs] == [
        ("a", "mine", suffix),
        ("b", "mine", suffix),
    ]
    assert (read_map_pair(pairs[0]).radius == 1.5).all()


def test_what_synth_writes_is_read_as_it_is(tmp_path, rng):
    for number in range(2):
        write_png(tmp_path / "in" / f"{number}.png", make_texture(rng, 150, 170, block=9))
    out = tmp_path / "run"
    assert run_synth(["gradual", "--sources", str(tmp_path / "in"), "--out", str(out), "--count", "2"]) == 0
    pairs = list_folder(out)
    assert [pair.name for pair in pairs] == ["000000", "000001"]
    check_map_pairs(pairs)
    scene = read_map_pair(pairs[0])
    assert np.ptp(scene.radius) > 0.5
    assert scene.family == "run"


@pytest.mark.parametrize(("unit", "value", "radius"), [("px", 3.0, 3.0), ("sigma", 1.5, 3.0), ("level", 10.0, 3.0)])
def test_units_of_the_truth_become_px(tmp_path, unit, value, radius):
    write_pair(tmp_path, "a", truth=np.full((24, 30), value))
    np.testing.assert_array_equal(read_map_pair(list_folder(tmp_path, unit=unit)[0]).radius, np.float32(radius))


def test_levels_may_be_an_8_bit_picture(tmp_path, rng):
    write_rtf(tmp_path, 1, rng)
    (tmp_path / "map_01.mat").unlink()
    write_png(tmp_path / "map_01.png", np.full(RTF_FULL_SHAPE, 22, dtype=np.uint8))
    assert (read_map_pair(list_rtf(tmp_path, unit="level")[0]).radius == 6).all()
    with pytest.raises(MapSetError, match=r"\.png file must be level numbers\. Got: '.*map_01\.png' in px"):
        read_map_pair(list_rtf(tmp_path)[0])


@pytest.mark.parametrize(("value", "complaint"), [(23.0, "label must be between 0 and 22"), (2.5, "must be whole")])
def test_impossible_levels_are_refused(tmp_path, value, complaint):
    write_pair(tmp_path, "a", truth=np.full((24, 30), value))
    with pytest.raises(MapSetError, match=rf"a_radius\.npy'.*{complaint}"):
        read_map_pair(list_folder(tmp_path, unit="level")[0])


def test_impossible_radii_are_refused(tmp_path):
    write_pair(tmp_path, "a", truth=np.full((24, 30), -1.0))
    with pytest.raises(MapSetError, match=r"Cannot use '.*a_radius\.npy': blur_map must hold radii in px >= 0"):
        check_map_pairs(list_folder(tmp_path))


def test_another_size_is_named(tmp_path):
    write_pair(tmp_path, "a", truth=np.ones((24, 31)))
    with pytest.raises(MapSetError, match=r"a_radius\.npy' with \(24, 31\) for '.*a\.png' with \(24, 30\)"):
        check_map_pairs(list_folder(tmp_path))


def test_lonely_files_of_a_folder_are_named(tmp_path):
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b")
    (tmp_path / "b.png").unlink()
    with pytest.raises(MapSetError, match=r"Got: 1 without the other, such as '.*b_radius\.npy'"):
        list_folder(tmp_path)


def test_two_pictures_of_one_stem_are_named(tmp_path):
    write_pair(tmp_path, "a")
    write_png(tmp_path / "a.jpg", np.full((24, 30, 3), 99, dtype=np.uint8))
    with pytest.raises(MapSetError, match=r"Names must differ .* Got: '.*a\.jpg' and '.*a\.png'"):
        list_folder(tmp_path)


@pytest.mark.parametrize("list_pairs", [list_folder, list_rtf])
def test_a_folder_without_pictures_is_refused(tmp_path, list_pairs):
    with pytest.raises(MapSetError, match=r"must hold pairs .*Got: no picture"):
        list_pairs(tmp_path / "nowhere")


def test_missing_and_damaged_pictures_are_named(tmp_path):
    write_pair(tmp_path, "a")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ImageReadError, match=r"a\.png"):
        check_map_pairs(list_folder(tmp_path))
    gone = MapPair("a", "family", tmp_path / "gone.png", tmp_path / "a_radius.npy")
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        read_map_pair(gone)

"""Public sets of blur masks as they unpack: found, split, matched and read; wrong folders are named."""

import numpy as np
import pytest

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import write_picture
from tests.conftest import write_png
from training.data.mask_datasets import (
    CUHK_COUNTS,
    MaskPair,
    MaskSetError,
    list_ctcug,
    list_cuhk,
    list_dut,
    list_pairs,
    read_pair,
)

LIST_604 = "test_604-100.txt"


def touch(root, *names):
    """Empty files: listing must not open one."""
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).touch()


def touch_pairs(root, pictures, masks, names, *, suffix=".png"):
    touch(root / pictures, *[f"{name}.jpg" for name in names])
    touch(root / masks, *[f"{name}{suffix}" for name in names])


def names_of(pairs):
    return [pair.name for pair in pairs]


@pytest.fixture(scope="module")
def cuhk(tmp_path_factory):
    root = tmp_path_factory.mktemp("cuhk")
    names = [f"{kind}{number:04}" for kind, count in CUHK_COUNTS.items() for number in range(1, count + 1)]
    touch_pairs(root, "image", "gt", names)
    return root


@pytest.fixture
def pair(tmp_path, rng):
    """Picture of 24×24 px whose mask has each grey value near the limit, in columns."""
    picture = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    grey = np.array([[0, 1, 126, 127, 128, 255] * 4] * 24, dtype=np.uint8)
    write_png(tmp_path / "a.png", picture)
    write_png(tmp_path / "mask" / "a.png", grey)
    return MaskPair("a", tmp_path / "a.png", tmp_path / "mask" / "a.png"), picture


def test_cuhk_side_by_side_and_its_development_tenth(tmp_path):
    """Part of the set, as it is handed on; a picture without a mask is left out."""
    names = [f"out_of_focus{number:04}" for number in range(1, 24)]
    touch(tmp_path, *[f"{name}.jpg" for name in names], *[f"{name}_mask.png" for name in names], "out_of_focus0100.jpg")
    pairs = list_cuhk(tmp_path)
    assert names_of(pairs) == names
    assert pairs[0].picture_path == tmp_path / "out_of_focus0001.jpg"
    assert pairs[0].mask_path == tmp_path / "out_of_focus0001_mask.png"
    test, train = (names_of(list_cuhk(tmp_path, split="tenth", part=part)) for part in ("test", "train"))
    assert test == names[::10]
    assert sorted(test + train) == names
    with pytest.raises(MaskSetError, match=r"The split 604/100 needs all 704 pictures \(out_of_focus\)\. Got: 23 in"):
        list_cuhk(tmp_path, part="test")


def test_pair_is_read_as_picture_and_mask(pair):
    pair, expected = pair
    picture, mask = read_pair(pair)
    assert picture.dtype == np.uint8
    assert mask.dtype == bool
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_array_equal(mask, [[False, False, False, False, True, True] * 4] * 24)


def test_flag_inverts_the_mask(pair):
    pair, _ = pair
    _, mask = read_pair(MaskPair("a", pair.picture_path, pair.mask_path, white_is_blurred=False))
    np.testing.assert_array_equal(mask, [[True, True, True, True, False, False] * 4] * 24)


def test_colour_bmp_masks_are_read(pair, tmp_path):
    pair, _ = pair
    write_picture(tmp_path / "a.bmp", np.full((24, 24, 3), 255, dtype=np.uint8))
    assert read_pair(MaskPair("a", pair.picture_path, tmp_path / "a.bmp"))[1].all()


def test_a_list_that_is_no_text_is_named(tmp_path):
    touch_pairs(tmp_path, "image", "gt", [f"out_of_focus{number:04}" for number in range(1, 705)])
    (tmp_path / "list.txt").write_bytes(b"out_of_focus0001.jpg\n\xff\xfe\n")
    with pytest.raises(MaskSetError, match=r"must be text in UTF-8\. Got: '.*list\.txt'"):
        list_cuhk(tmp_path, part="test", split_list=tmp_path / "list.txt")


def test_mask_of_another_size_is_named(pair, tmp_path):
    pair, _ = pair
    write_png(tmp_path / "small.png", np.zeros((24, 23), dtype=np.uint8))
    with pytest.raises(MaskSetError, match=r"Got: '.*small\.png' with \(24, 23\) for '.*a\.png' with \(24, 24\)"):
        read_pair(MaskPair("a", pair.picture_path, tmp_path / "small.png"))


def test_damaged_mask_is_named(pair, tmp_path):
    pair, _ = pair
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ImageReadError, match=r"bad\.png"):
        read_pair(MaskPair("a", pair.picture_path, tmp_path / "bad.png"))


def test_pairs_are_matched_by_stem_in_order(tmp_path):
    touch(tmp_path / "one", "b.JPG", "a.png", "c.webp", "notes.txt", "._a.png")
    touch(tmp_path / "two", "c.png", "a.bmp", "b.png", "d.png")
    pairs = list_pairs(tmp_path / "one", tmp_path / "two", white_is_blurred=False)
    assert names_of(pairs) == ["a", "b", "c"]
    assert [pair.picture_path.name for pair in pairs] == ["a.png", "b.JPG", "c.webp"]
    assert [pair.mask_path.name for pair in pairs] == ["a.bmp", "b.png", "c.png"]
    assert not any(pair.white_is_blurred for pair in pairs)


def test_picture_without_mask_is_named(tmp_path):
    touch(tmp_path / "one", "a.png", "b.jpg")
    touch(tmp_path / "two", "a.png")
    with pytest.raises(MaskSetError, match=r"a mask of the same stem in '.*two'\. Got: 1 without, such as 'b\.jpg'"):
        list_pairs(tmp_path / "one", tmp_path / "two")


def test_two_pictures_of_one_stem_are_refused(tmp_path):
    touch(tmp_path / "one", "a.png", "a.jpg")
    with pytest.raises(MaskSetError, match=r"differ in more than their suffix\. Got: '.*a\.jpg' and '.*a\.png'"):
        list_pairs(tmp_path / "one", tmp_path / "one")


def test_missing_folder_of_pairs_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_pairs(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize(("split", "count"), [("604/100", 704), ("504/200", 704), ("800/200", 1000)])
def test_all_of_cuhk_needs_no_list(cuhk, split, count):
    pairs = list_cuhk(cuhk, split=split)
    assert len(pairs) == count
    assert all(pair.white_is_blurred for pair in pairs)


@pytest.mark.parametrize(("split", "train", "test"), [("504/200", 504, 200), ("800/200", 800, 200)])
def test_rules_split_cuhk_into_disjoint_parts(cuhk, split, train, test):
    parts = [set(names_of(list_cuhk(cuhk, split=split, part=part))) for part in ("train", "test", "all")]
    assert [len(part) for part in parts] == [train, test, train + test]
    assert parts[0] | parts[1] == parts[2]


def test_rules_of_cuhk_are_those_documented(cuhk):
    numbers = [f"out_of_focus{number:04}" for number in range(505, 705)]
    assert names_of(list_cuhk(cuhk, split="504/200", part="test")) == numbers
    mixed = names_of(list_cuhk(cuhk, split="800/200", part="test"))
    assert sum(name.startswith("motion") for name in mixed) == 60


@pytest.mark.parametrize("line", ["out_of_focus{:04}", "{0}.bmp--out_of_focus{0:04}.jpg", " out_of_focus{:04}.JPG \r"])
def test_list_chooses_the_test_pictures(cuhk, tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(line.format(7 * number) for number in range(1, 101)) + "\n\n", encoding="utf-8")
    test = names_of(list_cuhk(cuhk, part="test", split_list=path))
    assert test == [f"out_of_focus{7 * number:04}" for number in range(1, 101)]
    train = list_cuhk(cuhk, part="train", split_list=path)
    assert len(train) == 604
    assert not set(test) & set(names_of(train))


def test_list_in_the_set_is_found_and_goes_before_the_rule(tmp_path):
    touch_pairs(tmp_path, "image", "gt", [f"out_of_focus{number:04}" for number in range(1, 705)])
    names = [f"out_of_focus{number:04}" for number in range(1, 201)]
    (tmp_path / LIST_604).write_text("\n".join(names[:100]), encoding="utf-8")
    (tmp_path / "test_504-200.txt").write_text("\n".join(names), encoding="utf-8")
    assert names_of(list_cuhk(tmp_path, part="test")) == names[:100]
    assert names_of(list_cuhk(tmp_path, split="504/200", part="test")) == names


def test_missing_list_says_where_it_was_looked_for(cuhk):
    with pytest.raises(
        FileNotFoundError, match=rf"needs a list of its 100 test pictures\. Got: no file '.*{LIST_604}'"
    ):
        list_cuhk(cuhk, part="test")


def test_named_list_must_be_there(cuhk, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"The split 800/200 needs a list .*gone\.txt"):
        list_cuhk(cuhk, split="800/200", part="train", split_list=tmp_path / "gone.txt")


def test_list_must_name_pictures_of_the_set(cuhk, tmp_path):
    (tmp_path / "list.txt").write_text("motion0001.jpg\n", encoding="utf-8")
    with pytest.raises(MaskSetError, match=r"must name pictures of the set\. Got: 'motion0001' in '.*list\.txt'"):
        list_cuhk(cuhk, part="test", split_list=tmp_path / "list.txt")


def test_list_must_be_complete(cuhk, tmp_path):
    (tmp_path / "list.txt").write_text("out_of_focus0001\n", encoding="utf-8")
    with pytest.raises(MaskSetError, match=r"must name 100 pictures\. Got: 1 in '.*list\.txt'"):
        list_cuhk(cuhk, part="test", split_list=tmp_path / "list.txt")


def test_part_of_cuhk_cannot_be_split(tmp_path):
    touch_pairs(tmp_path, "BlurDatasetImage/image", "BlurDatasetGT/gt", ["out_of_focus0001", "motion0001"])
    assert names_of(list_cuhk(tmp_path)) == ["out_of_focus0001"]
    with pytest.raises(MaskSetError, match=r"The split 504/200 needs all 704 pictures \(out_of_focus\)\. Got: 1 in"):
        list_cuhk(tmp_path, split="504/200", part="test")


def test_wrong_folder_says_what_was_expected_and_where(tmp_path):
    looked = r"Got: '.*', looked for '.*image' with '.*gt', '.*BlurDatasetImage/image' with '.*BlurDatasetGT/gt'"
    with pytest.raises(MaskSetError, match=rf"The CUHK set must hold image/ \(out_of_focusNNNN\.jpg, .*{looked}"):
        list_cuhk(tmp_path)
    with pytest.raises(MaskSetError, match=r"train part of DUT-DBD must hold DUT600S_Training and DUT600GT_Training"):
        list_dut(tmp_path, part="train")
    with pytest.raises(MaskSetError, match=r"The CTCUG set must hold CTCUG_images and CTCUG_gt\. Got: "):
        list_ctcug(tmp_path)


def test_pictures_of_another_set_are_not_cuhk(tmp_path):
    touch_pairs(tmp_path, "image", "gt", ["1", "2"])
    with pytest.raises(MaskSetError, match="whose pictures have other names"):
        list_cuhk(tmp_path)


@pytest.mark.parametrize("base", ["", "DUT-DBD_Dataset/"])
def test_parts_of_dut(tmp_path, base):
    touch_pairs(tmp_path, f"{base}DUT600S_Training", f"{base}DUT600GT_Training", ["1", "2", "3"], suffix=".bmp")
    touch_pairs(tmp_path, f"{base}DUT500S-Testing", f"{base}DUT500GT-Testing", ["1", "2"], suffix=".bmp")
    assert [len(list_dut(tmp_path, part=part)) for part in ("train", "test", "all")] == [3, 2, 5]
    assert list_dut(tmp_path)[0].mask_path == tmp_path / f"{base}DUT500GT-Testing" / "1.bmp"


def test_white_is_in_focus_in_dut_only(tmp_path):
    touch_pairs(tmp_path, "dut500-source", "dut500-gt", ["1"])
    touch_pairs(tmp_path, "CTCUG_images", "CTCUG_gt", ["1"])
    assert not list_dut(tmp_path)[0].white_is_blurred
    assert list_dut(tmp_path, white_is_blurred=True)[0].white_is_blurred
    assert list_ctcug(tmp_path)[0].white_is_blurred


@pytest.mark.parametrize("folders", [("CTCUG_images", "CTCUG_gt"), ("image", "gt")])
def test_folders_of_ctcug(tmp_path, folders):
    touch_pairs(tmp_path, *folders, ["1", "2"])
    assert names_of(list_ctcug(tmp_path)) == ["1", "2"]


def test_unknown_choices_are_refused(cuhk):
    with pytest.raises(ValueError, match=r"split must be one of 604/100, 504/200, 800/200, tenth\. Got: '700/4'"):
        list_cuhk(cuhk, split="700/4")
    with pytest.raises(ValueError, match=r"part must be one of train, test, all\. Got: 'val'"):
        list_dut(cuhk, part="val")

"""Readers: each layout as its set unpacks, and a clear word on anything else."""

import json

import cv2
import numpy as np
import pytest

from synth.coco import CocoError, CocoObject, draw_mask
from synth.readers import LAYOUTS, LayoutError, Source, read_layout, unique_pictures
from tests.conftest import lock_folder


def write(path, shape=(20, 30, 3), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, value, dtype=np.uint8))


def write_coco(root, annotations, *, folder="train2017", name="000000000009.jpg", split="train2017"):
    write(root / folder / name)
    content = {"images": [{"id": 9, "file_name": name, "height": 20, "width": 30}], "annotations": annotations}
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def annotate(number, *, area=200.0, segmentation=((5, 5, 25, 5, 25, 15, 5, 15),), **more):
    return {"id": number, "image_id": 9, "area": area, "segmentation": segmentation, "iscrowd": 0, **more}


def make_ilsvrc(root):
    write(root / "ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_18.JPEG")
    write(root / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG")


def make_classes(root):
    write(root / "train/n01440764/n01440764_18.JPEG")


def make_flat(root):
    write(root / "ILSVRC2012_val_00000001.JPEG")


def make_coco(root):
    write_coco(root, [annotate(1)])


def make_hku_is(root):
    write(root / "imgs/0004.png")
    write(root / "gt/0004.png", (20, 30))


def make_hku_is_above(root):
    make_hku_is(root / "HKU-IS")


def make_depth(root):
    write(root / "teddy_rgb.png")
    write(root / "teddy_disparity.png", (20, 30))


def make_metric(root):
    write(root / "office_rgb.jpg")
    np.save(root / "office_depth.npy", np.ones((20, 30), dtype=np.float32))


def make_depth_folders(root):
    write(root / "rgb/1.png")
    write(root / "depth/1.png", (20, 30))


def make_objects(root):
    write(root / "0001.jpg")
    write(root / "0001_mask.png", (20, 30))
    write(root / "0002.jpg")


def make_pictures(root):
    write(root / "a/b/one.png")
    write(root / "two.tif")
    (root / "notes.txt").write_text("no picture")


@pytest.mark.parametrize(
    ("make", "layout", "pictures"),
    [
        (
            make_ilsvrc,
            "ilsvrc",
            ["CLS-LOC/train/n01440764/n01440764_18.JPEG", "CLS-LOC/val/ILSVRC2012_val_00000001.JPEG"],
        ),
        (make_classes, "ilsvrc", ["train/n01440764/n01440764_18.JPEG"]),
        (make_flat, "ilsvrc", ["ILSVRC2012_val_00000001.JPEG"]),
        (make_coco, "coco", ["train2017/000000000009.jpg"]),
        (make_hku_is, "hku-is", ["imgs/0004.png"]),
        (make_hku_is_above, "hku-is", ["HKU-IS/imgs/0004.png"]),
        (make_depth, "depth", ["teddy_rgb.png"]),
        (make_metric, "depth", ["office_rgb.jpg"]),
        (make_depth_folders, "depth", ["rgb/1.png"]),
        (make_objects, "objects", ["0001.jpg"]),
        (make_pictures, "pictures", ["two.tif", "a/b/one.png"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_layouts_are_recognized(make, layout, pictures, tmp_path):
    make(tmp_path)
    found, sources = read_layout(tmp_path)
    assert found == layout
    assert [source.picture.removeprefix("ILSVRC/Data/") for source in sources] == pictures
    assert (found, sources) == read_layout(str(tmp_path), layout=layout)
    assert all((tmp_path / source.picture).is_file() for source in sources)


def test_what_belongs_to_a_picture_is_named(tmp_path):
    for make in (make_hku_is_above, make_metric, make_depth):
        make(tmp_path / make.__name__)
    names = ("make_hku_is_above", "make_metric", "make_depth")
    [salient], [scene], [photo] = (read_layout(tmp_path / name)[1] for name in names)
    assert salient.mask == "HKU-IS/gt/0004.png"
    assert salient.has_object
    assert (scene.depth, scene.depth_kind) == ("office_depth.npy", "depth")
    assert (photo.depth, photo.depth_kind) == ("teddy_disparity.png", "disparity")
    assert not photo.has_object


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "pictures"])
def test_another_folder_is_refused_with_what_was_expected(layout, tmp_path):
    make_pictures(tmp_path)
    expected = {"coco": "instances_train2017", "hku-is": "gt/NAME", "ilsvrc": "CLS-LOC", "objects": "NAME_mask"}
    words = expected.get(layout, "NAME")
    with pytest.raises(LayoutError, match=rf"sources of layout {layout} must hold .*{words}.* Got: "):
        read_layout(tmp_path, layout=layout)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(LayoutError, match=r"must hold pictures \(\.png, .* Got: "):
        read_layout(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(NotADirectoryError, match="sources must name an existing folder"):
        read_layout(tmp_path / "none")


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"layout must be one of coco, .*\. Got: 'voc'"):
        read_layout(tmp_path, layout="voc")


def test_hidden_files_are_passed_over(tmp_path):
    make_pictures(tmp_path)
    write(tmp_path / ".thumbnails" / "three.png")
    write(tmp_path / "._two.png")
    assert len(read_layout(tmp_path)[1]) == 2


def test_objects_share_their_picture(tmp_path):
    write_coco(tmp_path, [annotate(2), annotate(1)])
    _, sources = read_layout(tmp_path)
    assert [source.outline.number for source in sources] == [1, 2]
    assert unique_pictures(sources) == [Source(tmp_path, "train2017/000000000009.jpg")]


def test_crowds_tiny_objects_and_missing_pictures_are_passed_over(tmp_path):
    annotations = [annotate(1, iscrowd=1), annotate(2, area=5.0), annotate(3)]
    write_coco(tmp_path, annotations, folder="images/val2014", split="val2014")
    _, [source] = read_layout(tmp_path)
    assert (source.picture, source.outline.number) == ("images/val2014/000000000009.jpg", 3)
    (tmp_path / source.picture).rename(tmp_path / "images/val2014/other.jpg")
    with pytest.raises(LayoutError, match="instances_SPLIT"):
        read_layout(tmp_path, layout="coco")


@pytest.mark.parametrize("content", ["no json", "[]", '{"images": []}', '{"images": [{}], "annotations": []}'])
def test_a_damaged_instance_file_is_refused(content, tmp_path):
    make_coco(tmp_path)
    (tmp_path / "annotations/instances_train2017.json").write_text(content)
    with pytest.raises(CocoError, match=r"must be an instance file of MS-COCO \(images, annotations\)\. Got: "):
        read_layout(tmp_path)


def pack_counts(counts):
    """COCO's packed run lengths, from its description: differences from the third on, 5 bits a character."""
    text = ""
    for position, count in enumerate(counts):
        value = count - (counts[position - 2] if position > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr((bits | (0x20 if more else 0)) + 48)
    return text


@pytest.mark.parametrize(
    ("height", "width", "complaint"),
    [
        (0, 30, r"1 to \d+ px\. Got: 0×30"),
        (-20, -30, r"1 to \d+ px\. Got: -20×-30"),
        (1_000_000, 1_000_000, r"1 to \d+ px\. Got: 1000000×1000000"),
        (float("inf"), 30, "OverflowError"),
        (float("nan"), 30, "ValueError"),
    ],
)
def test_impossible_sizes_of_pictures_are_refused(tmp_path, height, width, complaint):
    make_coco(tmp_path)
    path = tmp_path / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": height, "width": width}
    path.write_text(json.dumps(content))
    with pytest.raises(CocoError, match=rf"must be an instance file of MS-COCO .*{complaint}"):
        read_layout(tmp_path, layout="coco")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"images": ["x"], "annotations": []}', '{"annotations": [3]}'])
def test_other_json_is_no_instance_file(tmp_path, content):
    make_coco(tmp_path)
    (tmp_path / "annotations" / "instances_train2017.json").write_text(content)
    with pytest.raises(CocoError, match=r"must be an instance file of MS-COCO"):
        read_layout(tmp_path, layout="coco")


def test_masks_of_polygons_and_run_lengths_agree():
    expected = np.zeros((20, 30), dtype=bool)
    expected[5:15, 5:25] = True
    runs = [5 * 20 + 5, *([10, 10] * 19), 10, 5 + 5 * 20]
    for counts in (runs, pack_counts(runs)):
        mask = draw_mask(CocoObject(1, (20, 30), json.dumps({"counts": counts, "size": [20, 30]})))
        np.testing.assert_array_equal(mask, expected)
    polygon = draw_mask(CocoObject(1, (20, 30), json.dumps([[5, 5, 25, 5, 25, 15, 5, 15]])))
    assert (polygon != expected).sum() <= 60  # the outline itself
    assert polygon[expected].all()


def test_overlapping_polygons_leave_no_hole():
    polygons = [[0, 0, 20, 0, 20, 20, 0, 20], [10, 0, 30, 0, 30, 20, 10, 20]]
    assert draw_mask(CocoObject(1, (20, 30), json.dumps(polygons))).all()


@pytest.mark.parametrize(
    "segmentation",
    [
        *([], {}, 3, None, {"counts": [1, 2]}, {"counts": [700, -100]}, {"counts": None}, {"counts": ["600"]}),
        *([[]], [[5, 5, 25]], [{"a": 1}], [[float("nan"), 1, 2, 3]], [[1e30, 1, 2, 3]], {"counts": [300.0, 300.0]}),
    ],
)
def test_an_impossible_mask_is_refused(segmentation):
    with pytest.raises(CocoError, match=r"object 7 must have polygons or run lengths of 20×30 px\. Got: "):
        draw_mask(CocoObject(7, (20, 30), json.dumps(segmentation)))


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    write(tmp_path / "a/b.png")
    lock_folder(monkeypatch, tmp_path / "a")
    with pytest.raises(PermissionError, match="Permission denied"):
        read_layout(tmp_path, layout="pictures")

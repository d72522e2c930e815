"""ONNX files: onnxruntime gives the numbers of Keras, for any size, and the file says what it is."""

import dataclasses
import json
import shutil
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from skimage.data import astronaut

import defocus_edge
from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.onnx import export
from defocus_edge.networks.onnx.export import export_onnx
from defocus_edge.networks.onnx.graph import OPSET, GraphBuilder
from defocus_edge.networks.onnx.layers import add_layer
from defocus_edge.networks.preset_files import WEIGHTS_FILE, PresetError, list_presets, read_metadata
from defocus_edge.networks.presets import (
    SegmentationPreset,
    load_edge_networks,
    load_segmentation_preset,
    save_edge_preset,
    save_segmentation_preset,
)
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
from tests.conftest import fill_networks
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator, pad_border

#: Largest difference of a probability.
TOLERANCE = 1e-5
#: Trained networks are steeper: at the worst of some thousand points of a photo Keras and onnxruntime, both in float32,
#: are up to 7e-5 apart, and each is up to 2e-5 off what float64 gives. Their mean difference is 1e-7.
TRAINED_TOLERANCE, MEAN_TOLERANCE = 3e-4, 1e-6


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_dense(session, image, points):
    """What the README shows: one picture, one run."""
    places = np.insert(points, 0, 0, axis=1).astype(np.int32)
    return session.run(["blur", "edge"], {"image": pad_border(image)[None], "points": places})


def draw_points(rng, height, width, count):
    """The corners first."""
    corners = [(0, 0), (height - 1, width - 1), (0, width - 1), (height - 1, 0)]
    anywhere = np.stack([rng.integers(0, height, count), rng.integers(0, width, count)], axis=1)
    return np.concatenate([np.array(corners), anywhere])[:count]


def assert_same(found, expected, tolerance=TOLERANCE):
    for values, wanted in zip(found, (expected.blur, expected.edge), strict=True):
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance)


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def dense_file(small_preset, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "dense.onnx"
    export_onnx(small_preset, path)
    return path


@pytest.fixture(scope="module")
def dense_session(dense_file):
    return open_session(dense_file)


@pytest.fixture(scope="module")
def keras_patches(small_networks):
    return PatchEvaluator(small_networks)


# Edge networks


@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 80), (53, 37), (20, 150)])
@pytest.mark.parametrize("count", [1, 40])
def test_pictures_of_any_size_and_any_number_of_points(rng, dense_session, keras_patches, height, width, count):
    image, points = rng.random((height, width, 3), dtype=np.float32), draw_points(rng, height, width, count)
    assert_same(run_dense(dense_session, image, points), keras_patches.predict(image, points))


def test_no_points_are_no_numbers(rng, dense_session):
    blur, edge = run_dense(dense_session, rng.random((30, 40, 3), dtype=np.float32), np.zeros((0, 2), int))
    assert (blur.shape, edge.shape) == ((0, 23), (0, 2))


def test_tiles_of_a_picture_give_what_the_picture_gives(rng, dense_session):
    image = rng.random((60, 96, 3), dtype=np.float32)
    points = draw_points(rng, 60, 96, 50)
    padded = pad_border(image)
    tiles = np.stack([padded[:, start : start + 48 + 40] for start in (0, 48)])
    places = np.stack([points[:, 1] // 48, points[:, 0], points[:, 1] % 48], axis=1).astype(np.int32)
    tiled = dense_session.run(["blur", "edge"], {"image": tiles, "points": places})
    for one, other in zip(tiled, run_dense(dense_session, image, points), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", [(1, 0, 0), (0, 30, 0), (0, 0, 40)])
def test_points_outside_are_refused_by_the_runtime(rng, dense_session, place):
    image = pad_border(rng.random((30, 40, 3), dtype=np.float32))[None]
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="GatherND"):
        dense_session.run(None, {"image": image, "points": np.array([place], dtype=np.int32)})


@pytest.mark.parametrize("count", [1, 7])
def test_patches(rng, small_preset, small_networks, tmp_path, count):
    export_onnx(small_preset, tmp_path / "patches.onnx", patches=True)
    session = open_session(tmp_path / "patches.onnx")
    patches = rng.random((count, 41, 41, 3), dtype=np.float32)
    expected = small_networks.joint(patches)
    for name, values in zip(("blur", "edge"), session.run(["blur", "edge"], {"patches": patches}), strict=True):
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "options",
    [{"crop_shift": 1}, {"branch_sides": (41,)}, {"branch_sides": (41, 15)}, {"dense_units": (5,), "input_mean": 0.0}],
    ids=str,
)
def test_other_architectures(rng, tmp_path, options):
    networks = build_edge_networks(EdgeNetworksConfig(**{"filters": 3, "dense_units": (6, 4), **options}))
    fill_networks(networks, rng)
    export_onnx(save_edge_preset(networks, tmp_path / "preset", {}), tmp_path / "x.onnx")
    image, points = rng.random((30, 43, 3), dtype=np.float32), draw_points(rng, 30, 43, 20)
    expected = PatchEvaluator(networks).predict(image, points)
    assert_same(run_dense(open_session(tmp_path / "x.onnx"), image, points), expected)


@pytest.mark.parametrize("preset", list_presets("edge"))
def test_edge_presets_on_a_photo(rng, tmp_path, preset):
    export_onnx(preset, tmp_path / "x.onnx")
    image = np.float32(astronaut()[:96, 100:220] / 255)
    points = draw_points(rng, *image.shape[:2], 300)
    networks = load_edge_networks(preset)
    expected = DenseEvaluator(KerasEngine(networks)).predict(image, points)
    squares = points // networks.config.grid_step  # what a graph with a grid takes
    blur, edge = run_dense(open_session(tmp_path / "x.onnx"), image, squares)
    assert_same([blur, edge], expected, TRAINED_TOLERANCE)
    assert np.abs(blur - expected.blur).mean() < MEAN_TOLERANCE


# Segmentation networks


def compare_maps(path, model, rng, sizes, *, output="probability", scale=1.0):
    session = open_session(path)
    for size in sizes:
        image = rng.random((*size, 3), dtype=np.float32)
        expected = scale * keras.ops.sigmoid(model(image, training=False)[..., -1])
        (found,) = session.run([output], {"image": image})
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=scale * TOLERANCE)
        assert np.ptp(found) > 100 * scale * TOLERANCE  # no constant, which would be easy


def fill_model(model, rng):
    """Weights that leave no layer idle, the attention included."""
    weights = []
    for weight in model.weights:
        if len(weight.shape) > 1:
            weights.append(rng.normal(0, np.sqrt(2 / np.prod(weight.shape[:-1])), weight.shape))
        else:
            weights.append(rng.uniform(0.5, 1.0, weight.shape))
    model.set_weights(weights)


@pytest.mark.parametrize("name", SEGMENTATION_NETWORKS)
def test_segmentation_networks(rng, tmp_path, monkeypatch, name):
    """Each architecture, built once: whole presets follow."""
    config = SEGMENTATION_NETWORKS[name].config_class(width=1 / 16)  # without the normalization that all presets have
    model = build_segmentation_network(name, config)
    fill_model(model, rng)
    is_mask = SEGMENTATION_NETWORKS[name].answer == "mask"
    preset = SegmentationPreset(name, config, model, 0.4 if is_mask else None)
    monkeypatch.setattr(export, "load_segmentation_preset", lambda _: preset)
    export_onnx("lite-v4", tmp_path / "x.onnx")
    told = {} if is_mask else {"output": "radius", "scale": LARGEST_RADIUS}
    compare_maps(tmp_path / "x.onnx", model, rng, [(1, 32, 64), (2, 96, 32)], **told)


@pytest.mark.parametrize("preset", [preset for name in SEGMENTATION_NETWORKS for preset in list_presets(name)])
def test_segmentation_presets(rng, tmp_path, preset):
    export_onnx(preset, tmp_path / "x.onnx")
    compare_maps(tmp_path / "x.onnx", load_segmentation_preset(preset).model, rng, [(1, 64, 32), (1, 96, 128)])


# What the file says


def test_the_file_says_what_goes_in_and_what_comes_out(dense_session):
    inputs, outputs = dense_session.get_inputs(), dense_session.get_outputs()
    assert [(port.name, port.type, port.shape) for port in [*inputs, *outputs]] == [
        ("image", "tensor(float)", ["tiles", "height", "width", 3]),
        ("points", "tensor(int32)", ["points", 3]),
        ("blur", "tensor(float)", ["points", 23]),
        ("edge", "tensor(float)", ["points", 2]),
    ]


def test_the_file_says_where_it_comes_from_and_how_to_read_it(small_preset, dense_file, dense_session):
    said = dense_session.get_modelmeta().custom_metadata_map
    assert said["preset"] == small_preset.name
    assert said["software"] == f"defocus_edge {defocus_edge.__version__}"
    assert said["sha256"] == read_metadata(small_preset)["sha256"]
    assert said["licence"] == "unknown"
    assert (said["network"], said["form"], said["border_px"]) == ("edge", "dense", "20")
    assert json.loads(said["blur_levels_px"]) == BLUR_LEVELS.tolist()
    assert json.loads(said["edge_classes"]) == ["pattern", "depth"]
    assert float(said["depth_threshold"]) == 0.5
    assert said["inputs"] == "image float32 (tiles, height, width, 3); points int32 (points, 3)"
    model = onnx.load(dense_file)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert "RGB in [0, 1]" in model.doc_string
    assert model.producer_name == "defocus_edge"
    assert str(small_preset.parent) not in str(model)


def test_a_segmentation_file_names_stride_and_threshold(segmentation_presets, tmp_path):
    said = export_onnx(segmentation_presets / "defusion", tmp_path / "x.onnx")
    assert (said["network"], said["form"], said["stride"], said["threshold"]) == ("defusion", "map", "32", "0.4")
    assert "height and width multiples of 32" in onnx.load(tmp_path / "x.onnx").doc_string
    assert open_session(tmp_path / "x.onnx").get_modelmeta().custom_metadata_map == said


def test_a_segmentation_file_says_how_its_network_sees_pictures(segmentation_presets, tmp_path):
    preset = load_segmentation_preset(segmentation_presets / "defusion")
    seen = dataclasses.replace(preset, seen_side=(64, 96), smoothing=0.05)
    said = export_onnx(save_segmentation_preset(seen, tmp_path / "preset", {}), tmp_path / "x.onnx")
    assert (json.loads(said["seen_side"]), float(said["smoothing"])) == ([64, 96], 0.05)
    assert "seen_side" not in export_onnx(segmentation_presets / "defusion", tmp_path / "y.onnx")


def test_licence_of_a_preset_goes_with_it(small_networks, tmp_path):
    folder = save_edge_preset(small_networks, tmp_path / "preset", {"licence": "CC0"})
    assert export_onnx(folder, tmp_path / "x.onnx", patches=True)["licence"] == "CC0"


def test_the_same_preset_gives_the_same_bytes(small_preset, dense_file, tmp_path):
    defocus_edge.export_onnx(str(small_preset), str(tmp_path / "again.ONNX"))
    assert (tmp_path / "again.ONNX").read_bytes() == dense_file.read_bytes()


# What goes wrong


def test_an_existing_file_is_replaced(small_preset, dense_file, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"old")
    export_onnx(small_preset, tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").read_bytes() == dense_file.read_bytes()
    assert list_names(tmp_path) == ["x.onnx"]


def test_a_failed_export_leaves_the_file_as_it_was(small_preset, tmp_path, monkeypatch):
    def break_off(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "x.onnx").write_bytes(b"old")
    monkeypatch.setattr(onnx.checker, "check_model", break_off)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(small_preset, tmp_path / "x.onnx")
    assert list_names(tmp_path) == ["x.onnx"]
    assert (tmp_path / "x.onnx").read_bytes() == b"old"


def test_a_damaged_preset_is_refused(small_preset, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "preset")
    (folder / WEIGHTS_FILE).write_bytes(b"half")
    with pytest.raises(PresetError, match=r"SHA-256 must be"):
        export_onnx(folder, tmp_path / "x.onnx")
    assert list_names(tmp_path) == ["preset"]


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(PresetError, match=r"preset must be one of .*Got: 'bigger'"):
        export_onnx("bigger", tmp_path / "x.onnx")


@pytest.mark.parametrize("name", ["x", "x.png", "onnx"])
def test_the_name_must_end_in_onnx(small_preset, tmp_path, name):
    with pytest.raises(ValueError, match=rf"path must end in \.onnx\. Got: .*{name}\."):
        export_onnx(small_preset, tmp_path / name)


def test_patches_of_a_segmentation_network_are_refused(segmentation_presets, tmp_path):
    with pytest.raises(ValueError, match=r"patches goes with a preset of the edge networks only\. Got: .*of msdu\."):
        export_onnx(segmentation_presets / "msdu", tmp_path / "x.onnx", patches=True)


def test_a_folder_is_not_replaced(small_preset, tmp_path):
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"path must name a file to write\. Got: the folder"):
        export_onnx(small_preset, tmp_path / "x.onnx")


def test_a_missing_folder_is_said(small_preset, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot write into the folder .*none"):
        export_onnx(small_preset, tmp_path / "none" / "x.onnx")


def test_a_missing_package_is_said(small_preset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"need the package onnx: pip install 'defocus-edge\[onnx\]'\."):
        export_onnx(small_preset, tmp_path / "x.onnx")
    assert list_names(tmp_path) == []


def test_a_layer_without_a_form_is_refused():
    with pytest.raises(TypeError, match=r"layer must be one of \['Activation', .*Got: GroupNormalization\."):
        add_layer(GraphBuilder(), layers.GroupNormalization(), ["x"])

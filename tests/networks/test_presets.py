"""Presets: what is written is read back, and everything else is refused with a reason."""

import json
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from defocus_edge.networks import presets
from defocus_edge.networks.edge_networks import EdgeNetworksConfig, build_edge_networks
from defocus_edge.networks.presets import (
    CONFIG_FILE,
    METADATA_FILE,
    WEIGHTS_FILE,
    PresetError,
    compute_sha256,
    find_preset,
    import_authors_weights,
    list_presets,
    load_edge_networks,
    read_metadata,
    save_preset,
    verify_preset,
)

BLUR_LAYERS = [f"{group}_conv{number}" for group in ("b1", "b2", "b3", "blur_head") for number in (1, 2, 3, 4)]
EDGE_LAYERS = [f"{group}_conv{number}" for group in ("b1", "f2", "b2", "b3", "edge_head") for number in (1, 2, 3, 4)]


@pytest.fixture
def preset(small_preset, tmp_path):
    """A copy of the small preset that a test may damage."""
    return shutil.copytree(small_preset, tmp_path / "copy")


@pytest.fixture
def packaged(small_preset, tmp_path, monkeypatch):
    """The package's folder of presets, with two of them."""
    folder = tmp_path / "packaged"
    for name in ("small", "another"):
        shutil.copytree(small_preset, folder / name)
    (folder / "no preset").mkdir()
    monkeypatch.setattr(presets, "PRESETS_FOLDER", folder)
    return folder


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def sign_again(folder):
    """Make the checksum that of the weights as they are."""
    edit_json(folder / METADATA_FILE, sha256=compute_sha256(folder / WEIGHTS_FILE))


def list_arrays(folder, head, layers):
    """Path of each of the authors' files with the layer and the shape of its array."""
    networks = build_edge_networks()
    names = [*layers, *(f"{head}_head_dense{number}" for number in (1, 2, 3))]
    variables = [(name, tuple(weight.shape)) for name in names for weight in networks.joint.get_layer(name).weights]
    return [(folder / head / f"{number}.mat", name, shape) for number, (name, shape) in enumerate(variables)]


@pytest.fixture
def authors_folder(tmp_path):
    """Made-up files in the layout of the authors' weights: each array full of a number that tells its layer."""
    folder = tmp_path / "authors"
    for head, layers in (("blur", BLUR_LAYERS), ("edge", EDGE_LAYERS)):
        (folder / head).mkdir(parents=True)
        for number, (path, name, shape) in enumerate(list_arrays(folder, head, layers)):
            value = BLUR_LAYERS.index(name) if name in BLUR_LAYERS else number + 100
            array = np.full(shape, value, dtype=np.float32)
            savemat(path, {"weights": array}, do_compression=True)  # a bias becomes a row, as in their files
    return folder


def test_what_is_saved_is_loaded(small_networks, preset, rng):
    loaded = load_edge_networks(preset)
    assert loaded.config == small_networks.config
    patches = rng.random((6, 41, 41, 3), dtype=np.float32)
    for name in ("blur", "edge"):
        np.testing.assert_array_equal(loaded.joint(patches)[name], small_networks.joint(patches)[name])


def test_a_preset_is_three_files(preset):
    assert sorted(path.name for path in preset.iterdir()) == [CONFIG_FILE, METADATA_FILE, WEIGHTS_FILE]
    config = json.loads((preset / CONFIG_FILE).read_text(encoding="utf-8"))
    assert config.pop("depth_threshold") == 0.5
    assert config == {"filters": 4, "dense_units": [8, 6], "crop_shift": 0, "input_mean": 0.5, "input_gain": 4.0}


def test_saving_makes_folders_and_returns_the_preset(small_networks, tmp_path):
    folder = save_preset(small_networks, str(tmp_path / "new" / "one"), {})
    assert folder == tmp_path / "new" / "one"
    assert find_preset(folder) == folder


def test_metadata_keeps_what_was_said_and_adds_the_checksum(small_networks, tmp_path):
    said = {"name": "ä", "scores": {"mae_px": 0.25}}
    folder = save_preset(small_networks, tmp_path, said)
    assert read_metadata(folder) == {**said, "sha256": compute_sha256(folder / WEIGHTS_FILE)}
    assert said == {"name": "ä", "scores": {"mae_px": 0.25}}


def test_presets_of_the_package_are_listed_by_name(packaged):
    assert list_presets() == ["another", "small"]
    assert find_preset("small") == packaged / "small"
    assert read_metadata("another")["name"] == "small"
    assert load_edge_networks("small").config.filters == 4


def test_no_presets_are_an_empty_list(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "PRESETS_FOLDER", tmp_path / "none")
    assert list_presets() == []


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("read", [find_preset, load_edge_networks, read_metadata, verify_preset])
def test_unknown_preset_is_refused_with_the_names_that_exist(read):
    with pytest.raises(PresetError, match=r"preset must be one of \['another', 'small'\] or a folder.*Got: 'bigger'"):
        read("bigger")


def test_preset_error_is_a_value_error():
    assert issubclass(PresetError, ValueError)


def test_preset_without_weights_is_refused(preset):
    (preset / WEIGHTS_FILE).unlink()
    with pytest.raises(PresetError, match=r"has no model\.weights\.h5\. Install the package again"):
        load_edge_networks(preset)


def test_preset_without_metadata_is_refused(preset):
    (preset / METADATA_FILE).unlink()
    with pytest.raises(PresetError, match=r"The preset has no metadata\.json: looked for"):
        load_edge_networks(preset)


@pytest.mark.parametrize("name", [CONFIG_FILE, METADATA_FILE])
@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00"])
def test_damaged_json_is_refused(preset, name, content):
    (preset / name).write_bytes(content)
    with pytest.raises(PresetError, match=rf"{name} is not a JSON file: "):
        load_edge_networks(preset)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_metadata_that_is_no_object_is_refused(preset, content):
    (preset / METADATA_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(PresetError, match=r"metadata\.json must hold a JSON object\. Got: "):
        load_edge_networks(preset)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"dense_units": 3}',
        '{"dense_units": [8, 6], "filters": 0}',
        '{"dense_units": [8, 6], "filters": "4"}',
        '{"dense_units": [8, 6], "filters": 4, "colour": 1}',
    ],
)
def test_config_of_something_else_is_refused(preset, content):
    (preset / CONFIG_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(PresetError, match=r"config\.json does not describe the edge networks: "):
        load_edge_networks(preset)


@pytest.mark.parametrize("read", [verify_preset, load_edge_networks])
def test_changed_weights_are_refused(preset, read):
    verify_preset(preset)
    weights = preset / WEIGHTS_FILE
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(PresetError, match=r"SHA-256 must be [0-9a-f]{64}\. Got: [0-9a-f]{64}.*damaged"):
        read(preset)


def test_missing_checksum_is_refused(preset):
    (preset / METADATA_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(PresetError, match=r"SHA-256 must be None\. Got: "):
        load_edge_networks(preset)


@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_truncated_weights_with_the_right_checksum_are_refused(preset, kept):
    data = (preset / WEIGHTS_FILE).read_bytes()
    (preset / WEIGHTS_FILE).write_bytes(data[: int(kept * len(data))])
    sign_again(preset)
    with pytest.raises(PresetError, match=r"model\.weights\.h5 cannot be loaded into the networks of .*config\.json"):
        load_edge_networks(preset)


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras, before it gives up
@pytest.mark.parametrize(
    "changes", [{"filters": 5}, {"dense_units": [8, 7]}, {"dense_units": [8]}, {"dense_units": [8, 6, 5]}]
)
def test_weights_of_another_architecture_are_refused(preset, changes):
    edit_json(preset / CONFIG_FILE, **changes)
    with pytest.raises(PresetError, match=r"model\.weights\.h5 cannot be loaded into the networks of .*config\.json"):
        load_edge_networks(preset)


def test_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert compute_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_authors_arrays_go_to_their_layers(authors_folder):
    networks = import_authors_weights(authors_folder)
    assert networks.config == EdgeNetworksConfig(crop_shift=1, input_mean=0.0, input_gain=1.0)
    found = {layer.name: [float(weight.numpy().mean()) for weight in layer.weights] for layer in networks.joint.layers}
    assert [found[name] for name in BLUR_LAYERS] == [[number] for number in range(16)]
    # Numbers of the issue: edge 4-7 f2, 16-19 head convolutions, 20-25 dense (weight, bias) three times.
    assert [found[f"f2_conv{number}"] for number in (1, 2, 3, 4)] == [[104], [105], [106], [107]]
    assert [found[f"edge_head_conv{number}"] for number in (1, 2, 3, 4)] == [[116], [117], [118], [119]]
    assert [found[f"edge_head_dense{number}"] for number in (1, 2, 3)] == [[120, 121], [122, 123], [124, 125]]
    assert [found[f"blur_head_dense{number}"] for number in (1, 2, 3)] == [[116, 117], [118, 119], [120, 121]]


@pytest.mark.parametrize("name", ["blur/0.mat", "blur/21.mat", "edge/25.mat"])
def test_missing_file_of_the_authors_is_named(authors_folder, name):
    (authors_folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"one \.mat file for each array\. Not found: .*{name}"):
        import_authors_weights(authors_folder)


def test_missing_folder_of_the_authors_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Not found: .*nowhere/blur/0\.mat"):
        import_authors_weights(tmp_path / "nowhere")


def test_array_of_another_shape_is_refused(authors_folder):
    savemat(authors_folder / "blur" / "1.mat", {"weights": np.zeros((3, 3, 64, 32), dtype=np.float32)})
    with pytest.raises(PresetError, match=r"1\.mat must hold the \(3, 3, 64, 64\) array of b1_conv2\. Got: shape "):
        import_authors_weights(authors_folder)


def test_f1_must_be_the_same_in_both_folders(authors_folder):
    savemat(authors_folder / "edge" / "8.mat", {"weights": np.full((3, 3, 3, 64), 9, dtype=np.float32)})
    with pytest.raises(PresetError, match=r"The layer b2_conv1 must be the same in .*blur and .*edge; it is not"):
        import_authors_weights(authors_folder)


def test_mat_file_with_another_key_is_refused(authors_folder):
    savemat(authors_folder / "blur" / "0.mat", {"kernel": np.zeros((3, 3, 3, 64), dtype=np.float32)})
    with pytest.raises(PresetError, match=r"0\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


@pytest.mark.parametrize("kept", [0, 60, 200, -20])
def test_damaged_mat_file_is_refused(authors_folder, kept):
    path = authors_folder / "blur" / "3.mat"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PresetError, match=r"3\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


def test_file_that_is_no_mat_file_is_refused(authors_folder):
    (authors_folder / "edge" / "5.mat").write_text("no matrix " * 50, encoding="utf-8")
    with pytest.raises(PresetError, match=r"5\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


def test_a_failed_save_leaves_the_preset_as_it_was(small_networks, tmp_path, monkeypatch):
    folder = save_preset(small_networks, tmp_path / "kept", {"seed": 1})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def break_off(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(small_networks.joint, "save_weights", break_off)
    with pytest.raises(KeyboardInterrupt):
        save_preset(small_networks, folder, {"seed": 2})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

"""Presets: what is written is read back, and everything else is refused with a reason."""

import json
import shutil

import numpy as np
import pytest

from defocus_edge.networks import preset_files
from defocus_edge.networks.preset_files import (
    CONFIG_FILE,
    METADATA_FILE,
    WEIGHTS_FILE,
    PresetError,
    compute_sha256,
    find_preset,
    list_presets,
    read_metadata,
    verify_preset,
)
from defocus_edge.networks.presets import load_edge_networks, save_edge_preset


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
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", folder)
    return folder


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def sign_again(folder):
    """Make the checksum that of the weights as they are."""
    edit_json(folder / METADATA_FILE, sha256=compute_sha256(folder / WEIGHTS_FILE))


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
    assert config.pop("network") == "edge"
    assert config.pop("branch_sides") == [41, 27, 15]
    assert config.pop("head_normalization") is False
    assert config.pop("context") is None
    assert config.pop("grid_step") == 1
    assert config == {"filters": 4, "dense_units": [8, 6], "crop_shift": 0, "input_mean": 0.5, "input_gain": 4.0}


def test_saving_makes_folders_and_returns_the_preset(small_networks, tmp_path):
    folder = save_edge_preset(small_networks, str(tmp_path / "new" / "one"), {})
    assert folder == tmp_path / "new" / "one"
    assert find_preset(folder) == folder


def test_metadata_keeps_what_was_said_and_adds_the_checksum(small_networks, tmp_path):
    said = {"name": "ä", "scores": {"mae_px": 0.25}}
    folder = save_edge_preset(small_networks, tmp_path, said)
    assert read_metadata(folder) == {**said, "sha256": compute_sha256(folder / WEIGHTS_FILE)}
    assert said == {"name": "ä", "scores": {"mae_px": 0.25}}


def test_presets_of_the_package_are_listed_by_name(packaged):
    assert list_presets() == ["another", "small"]
    assert find_preset("small") == packaged / "small"
    assert read_metadata("another")["name"] == "small"
    assert load_edge_networks("small").config.filters == 4


def test_presets_are_listed_by_network(packaged):
    edit_json(packaged / "small" / CONFIG_FILE, network="msdu")
    assert list_presets("edge") == ["another"]
    assert list_presets("msdu") == ["small"]
    assert list_presets("maganet") == []


def test_no_presets_are_an_empty_list(tmp_path, monkeypatch):
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path / "none")
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
        '{"network": "edge"}',
        '{"network": "edge", "dense_units": 3}',
        '{"network": "edge", "dense_units": [8, 6], "filters": 0}',
        '{"network": "edge", "dense_units": [8, 6], "filters": "4"}',
        '{"network": "edge", "dense_units": [8, 6], "filters": 4, "colour": 1}',
    ],
)
def test_config_of_something_else_is_refused(preset, content):
    (preset / CONFIG_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(PresetError, match=r"config\.json does not describe a network 'edge': "):
        load_edge_networks(preset)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"network": 3}'])
def test_config_that_names_no_network_is_refused(preset, content):
    (preset / CONFIG_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(PresetError, match=r"config\.json must be a JSON object that names its network\. Got: "):
        load_edge_networks(preset)


def test_preset_of_another_network_is_refused(preset):
    edit_json(preset / CONFIG_FILE, network="msdu")
    with pytest.raises(PresetError, match=r"config\.json must be of a network 'edge'; presets of it: \["):
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


def test_a_failed_save_leaves_the_preset_as_it_was(small_networks, tmp_path, monkeypatch):
    folder = save_edge_preset(small_networks, tmp_path / "kept", {"seed": 1})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def break_off(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(small_networks.joint, "save_weights", break_off)
    with pytest.raises(KeyboardInterrupt):
        save_edge_preset(small_networks, folder, {"seed": 2})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

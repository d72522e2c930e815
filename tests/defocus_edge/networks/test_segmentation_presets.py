"""Presets of the blur-detection networks: half the size, the same network."""

import dataclasses
import json

import h5py
import keras
import numpy as np
import pytest

from defocus_edge.networks.preset_files import CONFIG_FILE, WEIGHTS_FILE, PresetError
from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset, save_segmentation_preset
from defocus_edge.networks.segmentation.architectures.msdu import MsduNetConfig
from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from defocus_edge.networks.segmentation.registry import build_segmentation_network

CONFIG = MsduNetConfig(width=1 / 16, normalization="batch")


@pytest.fixture(scope="module")
def preset():
    keras.utils.set_random_seed(0)
    return SegmentationPreset("msdu", CONFIG, build_segmentation_network("msdu", CONFIG), threshold=0.37)


def list_arrays(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def test_kernels_are_stored_in_half_and_the_rest_in_full(preset, tmp_path):
    half = list_arrays(save_segmentation_preset(preset, tmp_path / "half", {}) / WEIGHTS_FILE)
    full = list_arrays(save_segmentation_preset(preset, tmp_path / "full", {}, half=False) / WEIGHTS_FILE)
    assert half.keys() == full.keys()
    for name, values in half.items():
        assert values.dtype == (np.float16 if values.ndim > 1 else full[name].dtype)
        np.testing.assert_allclose(values, full[name], rtol=1e-3, atol=1e-6)
    sizes = [(tmp_path / name / WEIGHTS_FILE).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.75 * sizes[1]  # narrow as it is, names weigh as much as numbers


def test_what_is_saved_is_loaded(preset, rng, tmp_path):
    loaded = load_segmentation_preset(save_segmentation_preset(preset, tmp_path, {"name": "one"}), network="msdu")
    assert (loaded.network, loaded.config, loaded.threshold) == ("msdu", CONFIG, 0.37)
    assert {variable.dtype for variable in loaded.model.weights} == {"float32"}
    images = rng.random((1, 32, 48, 3), dtype=np.float32)
    one, other = (keras.ops.convert_to_numpy(model(images, training=False)) for model in (preset.model, loaded.model))
    np.testing.assert_allclose(one, other, atol=0.02 * np.abs(one).max())


def test_the_size_that_the_network_sees_is_kept(preset, tmp_path):
    reduced = dataclasses.replace(preset, seen_side=448)
    assert load_segmentation_preset(save_segmentation_preset(reduced, tmp_path / "reduced", {})).seen_side == 448
    several = dataclasses.replace(preset, seen_side=(384, 512))
    folder = save_segmentation_preset(several, tmp_path / "several", {})
    assert load_segmentation_preset(folder).seen_side == (384, 512)
    smoothed = dataclasses.replace(preset, smoothing=0.0625)
    assert load_segmentation_preset(save_segmentation_preset(smoothed, tmp_path / "smooth", {})).smoothing == 0.0625
    save_segmentation_preset(preset, tmp_path / "full", {})
    assert load_segmentation_preset(tmp_path / "full").smoothing == 0
    assert load_segmentation_preset(tmp_path / "full").seen_side is None
    assert "seen_side" not in json.loads((tmp_path / "full" / CONFIG_FILE).read_text())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        *(
            ({"threshold": value}, r"config\.json does not describe msdu: threshold must be between 0 and 1\. Got: ")
            for value in ("high", "0.5", float("nan"), -0.1, 1.5, 10**400, True, None)
        ),
        *(
            (
                {"seen_side": value},
                r"does not describe msdu: seen_side must be a whole number from 20 to 4096, "
                r"or a list of up to 16 of them\. Got: ",
            )
            for value in ("big", 19, 4097, 64.0, True, [], [64, 19], [64, "big"], [True], [64] * 17)
        ),
        *(
            ({"smoothing": value}, r"config\.json does not describe msdu: smoothing must be between 0 and 1\. Got: ")
            for value in ("much", -0.1, 1.5, True, None, float("nan"))
        ),
        (
            {"width": 1e9},
            r"config\.json does not describe msdu: width must be a number up to 4096\. Got: 1000000000\.0",
        ),
        ({"width": 300}, r"config\.json does not describe msdu: width must be at most 2\. Got: 300"),
        ({"width": "1"}, r"config\.json does not describe msdu: width must be a number up to 4096\. Got: '1'"),
        ({"normalization": ["none"]}, r"config\.json does not describe msdu: normalization must be a text\. Got: \["),
        ({"colour": 1}, r"config\.json does not describe msdu: .*colour"),
        ({"width": -1}, r"config\.json does not describe msdu: width must be positive"),
        ({"network": "unet"}, rf"config\.json must be of {', '.join(NETWORK_NAMES)}\. Got: 'unet'\."),
    ],
)
def test_config_of_something_else_is_refused(preset, tmp_path, change, complaint):
    folder = save_segmentation_preset(preset, tmp_path, {})
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(PresetError, match=complaint):
        load_segmentation_preset(folder)


def test_a_failed_rewrite_leaves_nothing_behind(preset, tmp_path, monkeypatch):
    def break_off(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "create_dataset", break_off)
    with pytest.raises(KeyboardInterrupt):
        save_segmentation_preset(preset, tmp_path, {})
    assert list(tmp_path.iterdir()) == []

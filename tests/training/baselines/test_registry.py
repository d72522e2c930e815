"""What every baseline must do."""

import dataclasses
import functools
import sys

import numpy as np
import pytest
from baseline_cases import SIDE, blur_photograph, load_photograph, make_composite, make_strips
from sklearn.metrics import roc_auc_score

from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines import BASELINES

NAMES = list(BASELINES)
RADII = (0.5, 2.0, 4.5)


@functools.cache
def load(name):
    return load_photograph(name)


def test_names_and_units():
    assert {name: baseline.unit for name, baseline in BASELINES.items()} == {
        "zhuo-sim": "px",
        "karaali-jung": "px",
        "hifst": "score",
        "lbp": "score",
        "ltcop": "score",
        "pcnn-lbp": "score",
        "edge-dct": "score",
        "multiscale-svd": "score",
        "local-rank": "px",
        "liu-zhou-liao": "px",
        "zhang-wang": "px",
        "andrade": "px",
        "liu-liao-xue-zhou": "px",
        "narayan-parida-sahay": "px",
        "dhde": "px",
        "cnn-metric": "score",
    }
    assert all(name == baseline.name for name, baseline in BASELINES.items())


def test_registry_and_entries_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        BASELINES["other"] = BASELINES["lbp"]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        BASELINES["lbp"].name = "other"


@pytest.mark.parametrize("name", NAMES)
def test_map_of_a_photograph(name):
    picture = load("astronaut")[:60]
    before = picture.copy()
    blur_map = BASELINES[name].measure(picture)
    assert blur_map.shape == (60, SIDE)
    assert blur_map.dtype == np.float32
    assert np.isfinite(blur_map).all()
    assert 0 <= blur_map.min() < blur_map.max() <= (1 if BASELINES[name].unit == "score" else 10)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(BASELINES[name].measure(picture), blur_map)


@pytest.mark.parametrize("photograph", ["coffee", pytest.param("grass", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_value_rises_with_the_blur_of_the_parts_of_a_picture(name, photograph):
    picture, strips = make_strips(load(photograph), (0.5, 1.5, 3.0))
    blur_map = BASELINES[name].measure(picture)
    means = [blur_map[:, strip].mean() for strip in strips]
    assert (np.diff(means) > 0).all(), means


@pytest.mark.parametrize("name", [name for name in NAMES if BASELINES[name].unit == "px"])
def test_radius_rises_with_the_blur_of_a_whole_picture(name):
    means = [BASELINES[name].measure(blur_photograph(load("astronaut"), radius)).mean() for radius in RADII]
    assert (np.diff(means) > 0.2).all(), means


@pytest.mark.parametrize("name", NAMES)
def test_map_separates_the_sharp_half_from_the_blurred_one(name):
    picture, mask = make_composite(load("chelsea"), load("astronaut"), 4.0)
    assert roc_auc_score(mask.ravel(), BASELINES[name].measure(picture).ravel()) > 0.9
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    assert roc_auc_score(mask[:, ::-1].ravel(), BASELINES[name].measure(mirrored).ravel()) > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_plain_pictures_have_no_edges(name, value):
    with pytest.raises(NoEdgesError, match=r"image must have edges.* Got: "):
        BASELINES[name].measure(np.full((40, 50, 3), value, dtype=np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_picture_is_refused(name):
    with pytest.raises(ValueError, match=r"image must have shape \(H, W, 3\).* Got: shape \(40, 50\)\."):
        BASELINES[name].measure(np.zeros((40, 50), dtype=np.float32))
    picture = load("astronaut").copy()
    picture[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match=r"image must be finite and within \[0, 1\]\. Got: nan"):
        BASELINES[name].measure(picture)


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_pymatting_says_so(name, monkeypatch):
    for module in ("pymatting.laplacian.cf_laplacian", "pymatting.preconditioner.ichol", "pymatting.solver.cg"):
        monkeypatch.setitem(sys.modules, module, None)
    picture = load("astronaut")[:40, :60]
    if BASELINES[name].matting:
        with pytest.raises(ImportError, match=r"matting needs pymatting\. Got: .* Install it with: pip install"):
            BASELINES[name].measure(picture)
    else:
        assert BASELINES[name].measure(picture).shape == (40, 60)

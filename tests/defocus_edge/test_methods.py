"""The method that is taken where none is named."""

import pytest

from defocus_edge.choices import DEFAULT_METHOD, MAP_METHOD
from defocus_edge.methods import choose_method
from defocus_edge.networks.preset_files import PresetError

NOTHING = {"alpha": None, "radius": None, "read_out": None}


def test_without_any_wish_it_is_the_default():
    assert choose_method(None, preset=None, map_options=NOTHING) == DEFAULT_METHOD


@pytest.mark.parametrize("option", [{"alpha": 0.0}, {"radius": 2.0}, {"read_out": "argmax"}], ids=str)
def test_an_option_of_the_map_asks_for_the_map(segmentation_presets, option):
    for preset in (None, "edge-fast", segmentation_presets / "msdu", "nobody"):
        assert choose_method(None, preset=preset, map_options=NOTHING | option) == MAP_METHOD


@pytest.mark.parametrize(
    ("preset", "method"), [("edge-v2", MAP_METHOD), ("msdu-v1", "msdu"), ("maganet-v1", "maganet")]
)
def test_a_preset_asks_for_its_own_network(preset, method):
    assert choose_method(None, preset=preset, map_options=NOTHING) == method


def test_what_is_named_is_taken():
    for method in ("threshold", "defusion"):
        assert choose_method(method, preset="nobody", map_options=NOTHING | {"radius": 1.0}) == method


def test_an_unknown_preset_is_said():
    with pytest.raises(PresetError, match=r"preset must be one of .* Got: 'nobody'"):
        choose_method(None, preset="nobody", map_options=NOTHING)

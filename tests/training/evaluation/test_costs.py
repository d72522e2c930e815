"""What presets cost, against counts by hand."""

import json
import shutil

import keras
import numpy as np
import pytest

from defocus_edge.networks.preset_files import METADATA_FILE, PresetError, find_preset
from training.evaluation.costs import (
    COSTS,
    MINUTES,
    MULTIPLY_ADDS,
    PARAMETERS,
    add_costs,
    count_multiply_adds,
    measure_costs,
)


def test_multiply_adds_are_counted_as_by_hand():
    source = keras.Input((None, None, 3))
    tensor = keras.layers.Conv2D(5, 3, strides=2, padding="same")(source)
    tensor = keras.layers.BatchNormalization()(tensor)
    model = keras.Model(source, keras.layers.Conv2DTranspose(2, 2, strides=2)(tensor))
    assert count_multiply_adds(model, 8, 12) == 4 * 6 * (3 * 3 * 3 * 5) + 4 * 6 * (2 * 2 * 5 * 2)


def test_a_network_costs_what_its_preset_holds():
    """`lite-v4` was trained three times, for 45, 18 and 90 minutes."""
    costs = measure_costs("lite-v4")
    assert costs[PARAMETERS] == pytest.approx(3.094, abs=1e-3)
    assert costs[MULTIPLY_ADDS] == pytest.approx(0.839, abs=1e-3)
    assert costs[MINUTES] == pytest.approx(45 + 18 + 90)


def test_edge_networks_have_no_fixed_arithmetic():
    costs = measure_costs("edge-fast")
    assert 0 < costs[PARAMETERS] < 1
    assert np.isnan(costs[MULTIPLY_ADDS])
    assert costs[MINUTES] > 0


@pytest.mark.parametrize(("changes", "minutes"), [({"settings": {"seconds": 90.0}}, 1.5), ({"settings": {}}, np.nan)])
def test_minutes_are_those_of_the_settings_if_these_end_a_training(tmp_path, changes, minutes):
    preset = shutil.copytree(find_preset("edge-fast"), tmp_path / "other")
    metadata = json.loads((preset / METADATA_FILE).read_text(encoding="utf-8"))
    kept = {name: value for name, value in metadata.items() if name not in ("hours_of_last_run", "first_run")}
    (preset / METADATA_FILE).write_text(json.dumps(kept | changes), encoding="utf-8")
    assert measure_costs(preset)[MINUTES] == pytest.approx(minutes, nan_ok=True)


def test_each_row_has_its_own_costs():
    rows = add_costs(
        [{"method": "lbp", "MAE": 0.2}, {"method": "ours"}], {"ours": "lite-v4", "lbp": None}, column="method"
    )
    assert [*rows[0]] == ["method", "MAE", *COSTS]
    assert np.isnan([rows[0][name] for name in COSTS]).all()
    assert rows[1] == {"method": "ours", **measure_costs("lite-v4")}


def test_an_unknown_preset_is_refused():
    with pytest.raises(PresetError, match="preset must be one of"):
        measure_costs("nothing")

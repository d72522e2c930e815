"""Means, ratios and the Markdown of tables."""

import numpy as np
import pytest

from training.tables import average_known, divide, format_table

NAN = float("nan")


def test_table_is_markdown_with_three_decimals_and_dashes_for_nothing():
    table = format_table([{"family": "f", "scenes": 1, "error": 1.0}, {"family": "g", "scenes": 2, "error": NAN}])
    assert table.splitlines() == ["| family | scenes | error |", "|---|---|---|", "| f | 1 | 1.000 |", "| g | 2 | – |"]


def test_no_rows_make_no_table():
    assert format_table([]) == ""


def test_mean_passes_over_nan():
    assert average_known([1.0, NAN, 2.0]) == pytest.approx(1.5)
    assert np.isnan(average_known([NAN]))
    assert np.isnan(average_known([]))


def test_ratio_to_nothing_is_nan():
    assert divide(1.0, 4.0) == pytest.approx(0.25)
    assert np.isnan(divide(1.0, 0.0))
    assert np.isnan(divide(1.0, NAN))

"""Means, ratios, groups and the Markdown of tables."""

from dataclasses import dataclass

import numpy as np
import pytest

from training.runs.tables import (
    ALL_FAMILIES,
    average_known,
    divide,
    format_table,
    group_by_family,
    median_known,
    spread_known,
)

NAN = float("nan")


@dataclass(frozen=True)
class Score:
    family: str
    method: str
    number: int


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


def test_spread_and_median_pass_over_nan():
    assert spread_known([1.0, NAN, 3.0]) == pytest.approx(1)
    assert median_known([1.0, NAN, 3.0, 4.0]) == pytest.approx(3)
    assert np.isnan(spread_known([NAN]))
    assert np.isnan(median_known([]))


def test_groups_keep_the_order_of_appearance_and_end_with_all():
    scores = [Score("g", "b", 1), Score("f", "a", 2), Score("g", "a", 3), Score("f", "b", 4)]
    groups = [(family, method, [score.number for score in own]) for family, method, own in group_by_family(scores)]
    assert groups == [
        ("g", "b", [1]),
        ("g", "a", [3]),
        ("f", "b", [4]),
        ("f", "a", [2]),
        (ALL_FAMILIES, "b", [1, 4]),
        (ALL_FAMILIES, "a", [2, 3]),
    ]


def test_groups_that_are_empty_or_the_only_family_are_left_out():
    assert group_by_family([]) == []
    assert [key[:2] for key in group_by_family([Score("f", "a", 1)])] == [("f", "a")]
    scores = [Score("f", "a", 1), Score("g", "b", 2)]
    assert [key[:2] for key in group_by_family(scores)] == [("f", "a"), ("g", "b"), ("all", "a"), ("all", "b")]

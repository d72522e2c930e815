"""`make bench` is no part of the tests, but what it calls must exist."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("bench_*.py")))
def test_a_benchmark_can_be_imported_and_has_a_table(name):
    assert callable(importlib.import_module(f"tests.benchmarks.{name}").run)

"""Every reader of a foreign file: changed files give a value or the documented error. `make fuzz` tries far more."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.arrays import ImageWarning
from tests.fuzz import worker
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

EXAMPLES = 25


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        yield


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name, tmp_path):
    """At least one is sound, so that the fuzzing does not stop at the first byte."""
    target = TARGETS[name]
    results = []
    for number, seed in enumerate(target.make_seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        results.append(target.check(seed, folder))
    assert any(results)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_give_a_value_or_the_documented_error(name, tmp_path_factory):
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES, derandomize=True, database=None)
    @given(st.integers(1000, 2**32))
    def check(number):
        target.check(target.make_input(number), tmp_path_factory.mktemp("input"))

    check()


def test_the_loop_tells_errors_that_are_not_documented(tmp_path, monkeypatch):
    def read(data, _):
        raise KeyError(data)

    target = Target("bad", lambda: [b"x"], read, (ValueError,))
    monkeypatch.setitem(TARGETS, "bad", target)
    place, text = worker.try_input("bad", target.make_input(0), tmp_path)
    assert place.startswith("bad: KeyError in test_fuzz_targets.py:")
    assert "KeyError: b'x'" in text
    assert worker.try_input("exif", b"", tmp_path) is None
    assert not list(tmp_path.iterdir())

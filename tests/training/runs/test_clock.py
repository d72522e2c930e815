"""A stage that ends by the clock: the rate follows it, a checkpoint keeps it, compiling is not counted."""

from types import SimpleNamespace

import pytest

from training.edges.settings import TrainingSettings
from training.runs import clock as run_clock
from training.runs.clock import Clock

SETTINGS = TrainingSettings("blur", 10**6, learning_rate=0.1, warmup=2, decay=0.5, seconds=10.0)


@pytest.fixture
def now(monkeypatch):
    """A clock that stands still until it is set."""
    times = SimpleNamespace(now=100.0)
    monkeypatch.setattr(run_clock, "time", SimpleNamespace(monotonic=lambda: times.now))
    return times


def tick(clock, now, at, iterations=1000):
    now.now = at
    optimizer = SimpleNamespace(iterations=iterations, learning_rate=None)
    clock.tick(optimizer)
    return optimizer.learning_rate


def test_rate_rises_stays_and_falls(now):
    clock = Clock(SETTINGS)
    assert tick(clock, now, 20, iterations=0) == pytest.approx(0.05)
    assert tick(clock, now, 100) == pytest.approx(0.1)  # the first step compiled
    assert clock.progress == 0
    assert tick(clock, now, 104) == pytest.approx(0.1)
    assert clock.progress == pytest.approx(0.4)
    assert tick(clock, now, 107.5) == pytest.approx(0.05)
    assert tick(clock, now, 111) == pytest.approx(0.001)
    assert clock.progress > 1


def test_time_goes_on_where_a_checkpoint_left_it(now):
    first, second = Clock(SETTINGS), Clock(SETTINGS)
    for at in (50, 100, 106):
        tick(first, now, at)
    second.variables[0].assign(first.variables[0])
    for at in (500, 600, 601):
        tick(second, now, at)
    assert second.progress == pytest.approx(0.7)


def test_a_pause_is_not_counted(now):
    clock = Clock(SETTINGS)
    for at in (0, 100, 101):
        tick(clock, now, at)
    clock.pause()
    tick(clock, now, 150)
    tick(clock, now, 152)
    assert clock.progress == pytest.approx(0.3)


def test_without_seconds_nothing_is_changed(now):
    clock = Clock(TrainingSettings("blur", 10))
    assert tick(clock, now, 100) is None
    assert tick(clock, now, 200) is None
    assert (clock.progress, clock.variables) == (0, [])

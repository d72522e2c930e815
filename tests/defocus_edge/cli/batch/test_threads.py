"""threads.py: workers divide the cores."""

import pytest

from defocus_edge.cli.batch import threads
from defocus_edge.cli.batch.threads import THREAD_VARIABLES, share_cores
from defocus_edge.networks.devices import count_cores


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("jobs", "count"), [(1, "8"), (3, "2"), (8, "1"), (20, "1")])
def test_cores_are_divided(monkeypatch, jobs, count):
    monkeypatch.setattr(threads, "count_cores", lambda: 8)
    assert share_cores(jobs) == dict.fromkeys(THREAD_VARIABLES, count)


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in share_cores(2)


def test_there_is_a_core():
    assert count_cores() >= 1

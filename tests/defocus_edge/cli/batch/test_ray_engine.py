"""ray_engine.py on a cluster of this computer: every picture comes back once, whatever becomes of the actors."""

import os
import types

import pytest

from defocus_edge._extras import Extra
from defocus_edge.cli.batch import ray_engine
from defocus_edge.cli.batch.ray_engine import RayEngine
from defocus_edge.cli.batch.records import MAX_DEATHS, EngineError
from tests.defocus_edge.cli.batch.batch_cases import BAD, DIE, DIE_ONCE, RAISE, ScriptedWork, make_items


@pytest.fixture
def work(tmp_path):
    (tmp_path / "notes").mkdir()
    return ScriptedWork(tmp_path / "notes")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:ray")
def test_actors_that_die_cost_no_picture(work, tmp_path, capfd):
    """One dies once, one with each attempt, one of a bug, and one picture is bad; two actors at work."""
    scripts = {"a": "", "b": DIE_ONCE, "c": BAD, "d": DIE, "e": RAISE, "f": "", "g": ""}
    items = make_items(tmp_path / "in", tmp_path / "out", scripts)
    found = list(RayEngine(work, jobs=2, environment={"DEFOCUS_EDGE_TEST": "17"}).run(items))
    records = {record.picture: record for record in found}
    assert sorted(record.picture for record in found) == sorted(scripts)
    errors = {picture: record.error for picture, record in records.items() if record.error}
    assert errors == {
        "c": f"Cannot read picture '{items[2].source}': bad.",
        "d": f"worker died {MAX_DEATHS} times with this picture: it was killed or crashed",
        "e": f"worker died {MAX_DEATHS} times with this picture: ArithmeticError: a bug of two lines",
    }
    attempts = [picture for picture, _ in work.read_attempts()]
    assert {picture: attempts.count(picture) for picture in scripts} == {
        **dict.fromkeys("acfg", 1),
        **dict.fromkeys("bde", 2),
    }
    assert not any(pid == str(os.getpid()) for _, pid in work.read_attempts())
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


class FakeRay:
    """Ray as far as a start needs it."""

    def __init__(self, *, gpus=0, error=None):
        self.gpus, self.error, self.options, self.is_down = gpus, error, None, False

    def init(self, **options):
        self.options = options
        if self.error:
            raise self.error

    def cluster_resources(self):
        return {"CPU": 2.0, "GPU": self.gpus}

    def shutdown(self):
        self.is_down = True


@pytest.fixture
def use_ray(monkeypatch):
    def use(ray):
        monkeypatch.setattr(ray_engine, "RAY", types.SimpleNamespace(load=lambda: ray))
        return ray

    return use


def start(work, tmp_path, **options):
    next(RayEngine(work, **options).run(make_items(tmp_path / "in", tmp_path / "out", {"a": ""})))


def test_a_cluster_that_is_not_there(work, tmp_path, use_ray):
    ray = use_ray(FakeRay(error=ConnectionError("no\nanswer")))
    with pytest.raises(EngineError, match=r"Ray cannot be reached: no answer"):
        start(work, tmp_path, address="10.0.0.1:6379")
    assert ray.options["address"] == "10.0.0.1:6379"


def test_ray_that_does_not_start(work, tmp_path, use_ray):
    use_ray(FakeRay(error=RuntimeError("no memory")))
    with pytest.raises(EngineError, match="Ray cannot be started: no memory"):
        start(work, tmp_path)


def test_too_few_gpus_are_said_not_waited_for(work, tmp_path, use_ray):
    ray = use_ray(FakeRay(gpus=1))
    with pytest.raises(EngineError, match=r"4 jobs with 0\.5 GPUs each do not fit this computer\. Got: 1 GPUs\."):
        start(work, tmp_path, jobs=4, num_gpus=0.5)
    assert ray.is_down
    assert ray.options["num_cpus"] >= 4


def test_without_ray_the_extra_is_named(work, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "RAY", Extra("ray", "no_such_module", ray_engine.RAY.purpose))
    with pytest.raises(ImportError, match=r"pip install 'defocus-edge\[ray\]'"):
        start(work, tmp_path)


def test_nothing_to_do_starts_nothing(work, use_ray):
    ray = use_ray(FakeRay())
    assert list(RayEngine(work).run([])) == []
    assert ray.options is None

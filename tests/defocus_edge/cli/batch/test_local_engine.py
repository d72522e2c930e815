"""local_engine.py: every picture comes back once, whatever becomes of the workers."""

import os
import signal
import threading
import time
from contextlib import closing

import pytest

from defocus_edge.cli.batch.local_engine import LocalEngine
from defocus_edge.cli.batch.records import MAX_DEATHS, EngineError
from tests.defocus_edge.cli.batch.batch_cases import BAD, DIE, DIE_ONCE, RAISE, SLOW, ScriptedWork, make_items

PATIENCE = 120.0


@pytest.fixture
def work(tmp_path):
    (tmp_path / "notes").mkdir()
    return ScriptedWork(tmp_path / "notes")


@pytest.fixture
def plan(tmp_path):
    """Items for scripts, by name."""
    return lambda scripts: make_items(tmp_path / "in", tmp_path / "out", scripts)


def run(work, items, **options):
    records = list(LocalEngine(work, **options).run(items))
    assert sorted(record.picture for record in records) == sorted(item.picture for item in items)
    return {record.picture: record for record in records}


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_that_die_cost_no_picture(work, plan):
    """One dies once, one with each attempt, one of a bug, and one picture is bad; two processes at work."""
    scripts = {"a": "", "b": DIE_ONCE, "c": BAD, "d": DIE, "e": RAISE, "f": "", "g": ""}
    items = plan(scripts)
    records = run(work, items, jobs=2)
    errors = {picture: record.error for picture, record in records.items() if record.error}
    assert errors == {
        "c": f"Cannot read picture '{items[2].source}': bad.",
        "d": f"worker died {MAX_DEATHS} times with this picture: killed by SIGKILL",
        "e": f"worker died {MAX_DEATHS} times with this picture: ArithmeticError: a bug of two lines",
    }
    attempts = [picture for picture, _ in work.read_attempts()]
    assert {picture: attempts.count(picture) for picture in scripts} == {
        **dict.fromkeys("acfg", 1),
        **dict.fromkeys("bde", 2),
    }
    assert all((record.summary is None) == bool(record.error) for record in records.values())


def test_one_process_does_all_that_goes_well(work, plan):
    run(work, plan(dict.fromkeys("abcd", "")), jobs=1)
    pids = {pid for _, pid in work.read_attempts()}
    assert len(pids) == 1
    assert pids != {str(os.getpid())}
    wait_until(lambda: not is_running(pids.pop()) if pids else True)


def test_a_process_killed_from_outside_is_replaced(work, plan):
    """As by the system when memory runs out."""
    work.seconds = 0.05
    records = []
    with closing(LocalEngine(work, jobs=1).run(plan(dict.fromkeys("abcdef", "")))) as stream:
        for record in stream:
            records.append(record)
            if len(records) == 2:
                os.kill(int(work.read_attempts()[-1][1]), signal.SIGKILL)
    assert [record.picture for record in records] == list("abcdef")
    assert not any(record.error for record in records)
    assert len({pid for _, pid in work.read_attempts()}) == 2


def test_ctrl_c_ends_busy_workers_at_once(work, plan):
    pressed = []

    def press_ctrl_c():
        wait_until(lambda: len(work.read_attempts()) == 2)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press_ctrl_c)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(LocalEngine(work, jobs=2).run(plan({"a": SLOW, "b": SLOW})))
    thread.join()
    assert time.monotonic() - pressed[0] < 30  # they would have gone on for a minute
    assert not any(is_running(pid) for _, pid in work.read_attempts())


def test_environment_reaches_the_workers(plan):
    work = _TellEnvironment()
    (record,) = LocalEngine(work, environment={"DEFOCUS_EDGE_TEST": "17"}).run(plan({"a": ""}))
    assert record.error == "17"
    assert "DEFOCUS_EDGE_TEST" not in os.environ


class _TellEnvironment:
    def __call__(self, item):
        from defocus_edge.cli.batch.records import Record

        return Record(item.picture, error=os.environ["DEFOCUS_EDGE_TEST"])


class _Unwelcome:
    """Work that cannot be unpickled in a worker, such as that of a package which is not there."""

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise SystemExit(3)


def test_workers_that_cannot_start_end_the_run(plan):
    with pytest.raises(EngineError, match="Worker processes end as soon as they start: exit code 3"):
        list(LocalEngine(_Unwelcome()).run(plan({"a": "", "b": ""})))


def test_nothing_to_do(work):
    assert list(LocalEngine(work).run([])) == []

"""Work in threads: results in order, few things at once, faults and an early end are passed on."""

import threading
import time
import weakref

import pytest

from defocus_edge._ahead import load_ahead, map_ahead


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads):
    def work(number, factor):
        time.sleep(0.002 * (number % 3))
        return number * factor

    items = [(number, 2) for number in range(20)]
    assert list(map_ahead(work, items, threads=threads)) == [2 * number for number in range(20)]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_few_items_are_taken_before_their_results_are_asked_for(threads):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield (number,)

    for count, result in enumerate(map_ahead(lambda number: number, items(), threads=threads), start=1):
        assert result == count - 1
        assert len(taken) <= count + threads


def test_items_are_worked_on_at_once():
    together = threading.Barrier(2, timeout=20)  # broken unless two calls wait for each other
    assert list(map_ahead(lambda _: together.wait() >= 0, [(0,)] * 6, threads=2)) == [True] * 6


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fault_is_raised_where_its_result_is_asked_for(threads):
    results = map_ahead(lambda number: 1 / number, [(1,), (0,), (2,)], threads=threads)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_more_is_worked_on_after_an_early_end():
    done = []
    results = map_ahead(lambda number: done.append(number) or number, ((number,) for number in range(100)), threads=2)
    next(results)
    results.close()
    count = len(done)
    assert count <= 4
    time.sleep(0.05)
    assert len(done) == count


def test_items_are_loaded_one_ahead_in_another_thread():
    loaded = []

    def load(number):
        loaded.append((number, threading.current_thread()))
        return number

    results = load_ahead(load, iter(range(20)))
    for count, result in enumerate(results):
        assert result == count
        assert len(loaded) <= count + 2
    assert len(loaded) == 20
    assert {thread for _, thread in loaded}.isdisjoint({threading.current_thread()})
    assert len({thread for _, thread in loaded}) == 1


def test_the_next_item_is_loaded_while_a_result_is_used():
    second = threading.Event()
    results = load_ahead(lambda number: second.set() if number else number, [0, 1])
    assert next(results) == 0
    assert second.wait(timeout=20)


def test_what_loading_raises_comes_in_its_place():
    results = list(load_ahead(lambda number: 1 / number, [1, 0, 2]))
    assert results[::2] == [1, 0.5]
    assert isinstance(results[1], ZeroDivisionError)


def test_what_the_items_raise_comes_after_the_results_before():
    def items():
        yield 1
        yield 2
        raise RuntimeError("the tape tore")

    results = load_ahead(abs, items())
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(RuntimeError, match="tape"):
        next(results)


def test_results_are_held_by_nobody_but_the_caller():
    class Picture:
        pass

    results = load_ahead(lambda _: Picture(), [0, 1, 2])
    reference = weakref.ref(next(results))
    assert reference() is None


def test_nothing_is_loaded_after_the_caller_stops():
    taken = []
    results = load_ahead(taken.append, range(100))
    next(results)
    results.close()
    assert len(taken) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load_ahead")]

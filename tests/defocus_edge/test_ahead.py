"""Work in threads: results in order, few things at once, faults and an early end are passed on."""

import threading
import time

import pytest

from defocus_edge._ahead import map_ahead


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

"""Batches that are drawn ahead do not depend on who draws them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest

from training.runs.drawing import draw_ahead


@dataclass(frozen=True)
class Numbers:
    """Draws the step, a random number and the process; refuses one step."""

    refused: int = 0

    def draw(self, step, rng):
        if step == self.refused:
            raise ValueError(f"step {step}")
        return step, rng.random(), os.getpid()


@pytest.mark.parametrize("jobs", [0, 2])
def test_each_step_has_its_batch_in_order(jobs):
    drawn = list(draw_ahead(Numbers(), seed=7, first=3, last=20, jobs=jobs))
    assert [step for step, _ in drawn] == list(range(4, 21))
    for step, (own, number, process) in drawn:
        assert own == step
        assert number == np.random.default_rng((7, step)).random()
        assert (process == os.getpid()) == (jobs == 0)


@pytest.mark.parametrize("jobs", [0, 1])
def test_an_error_comes_at_its_step(jobs):
    batches = draw_ahead(Numbers(refused=3), seed=0, first=0, last=9, jobs=jobs)
    assert [next(batches)[0] for _ in range(2)] == [1, 2]
    with pytest.raises(ValueError, match="step 3"):
        next(batches)


def test_nothing_is_drawn_beyond_the_last_step():
    assert list(draw_ahead(Numbers(), seed=0, first=5, last=5, jobs=1)) == []

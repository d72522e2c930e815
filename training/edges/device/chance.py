"""Random numbers on the accelerator, from a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from training.edges.device.lazy_jax import jax, jnp

# Random numbers that are drawn at once for each crop: one long draw is faster than many short ones.
_DRAWS = 64


class Chance:
    """One random number for each of B crops at a time; all depend on the key and on what was drawn before."""

    def __init__(self, key: Any, crops: int) -> None:
        self._key, self._crops, self._keys = key, crops, 0
        self._rows = self._draw_rows()

    def _draw_rows(self) -> Iterator[Any]:
        """Evenly distributed numbers without end."""
        while True:
            yield from jax.random.uniform(self._next_key(), (_DRAWS, self._crops))

    def _next_key(self) -> Any:
        self._keys += 1
        return jax.random.fold_in(self._key, self._keys)

    def draw(self, low: float = 0.0, high: float = 1.0) -> Any:
        """Evenly distributed numbers."""
        return low + (high - low) * next(self._rows)

    def count(self, number: Any) -> Any:
        """Whole numbers from 0 to number - 1, int32; `number` may differ between crops."""
        return jnp.clip(jnp.floor(next(self._rows) * number), 0, jnp.maximum(number - 1, 0)).astype(jnp.int32)

    def toss(self, share: float = 0.5) -> Any:
        """True with this probability."""
        return next(self._rows) < share

    def exponential(self, mean: float, most: float) -> Any:
        """Exponentially distributed numbers, at most `most`."""
        return jnp.minimum(-mean * jnp.log(1 - self.draw()), most)

    def choose(self, shares: Sequence[float]) -> Any:
        """Numbers of kinds, int32, that occur as often as their shares, whose sum is 1."""
        place = self.draw()
        bounds = np.cumsum(shares[:-1]).tolist()
        return sum(((place >= bound).astype(jnp.int32) for bound in bounds), jnp.zeros(self._crops, jnp.int32))

    def normal(self, *shape: int) -> Any:
        """Standard normal deviates, (B, *shape)."""
        return jax.random.normal(self._next_key(), (self._crops, *shape))

    def uniform(self, *shape: int) -> Any:
        """Evenly distributed numbers in [0, 1), (B, *shape)."""
        return jax.random.uniform(self._next_key(), (self._crops, *shape))

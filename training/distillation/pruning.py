"""A narrow pair of networks that begins as a part of a wide one: it keeps some channels and fits their weights.

Layer by layer, from the picture on: those channels of the wide network are kept from which the others follow best, by
pivoted QR of their values, weighted by what the next layer makes of them. The weights of the narrow layer are then
fitted to the values of these channels, given what the narrow layers before it say (least squares; below zero only the
sign counts, since a ReLU follows). Fitting to values is the idea of Y. He, X. Zhang, J. Sun, "Channel pruning for
accelerating very deep neural networks", ICCV 2017, arXiv:1707.06168; choosing by QR is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.linalg import qr

from defocus_edge.networks.edge.architecture import (
    BRANCH_NAMES,
    BRANCH_SIDES,
    HEADS,
    NORMALIZATION_EPSILON,
    POOL_STRIDE,
    SECOND_BRANCH,
    EdgeNetworksConfig,
    EdgeWeights,
)
from defocus_edge.networks.edge.patches import PATCH_SIDE

FloatArray = NDArray[np.float32]

#: Number of places of a map that a layer is fitted to.
PLACES = 12_000
#: Share of the mean variance that is added to that of each input, so that the fit does not follow noise.
RIDGE = 1e-3
#: How often the values below zero are taken anew from the fit.
ROUNDS = 4
# Branches that each head joins, in the order of its first kernel.
_JOINED = {"blur": BRANCH_NAMES, "edge": (SECOND_BRANCH, *BRANCH_NAMES)}


@dataclass(frozen=True, eq=False)
class _Both:
    """Values of one layer: of the narrow network and of the wide one, maps (N, H, W, C) or rows (N, C)."""

    narrow: FloatArray
    wide: FloatArray


def prune(
    teacher: EdgeWeights, config: EdgeNetworksConfig, patches: FloatArray, rng: np.random.Generator
) -> EdgeWeights:
    """Weights of `config`, narrower than the teacher and else of its architecture, that imitate it on patches.

    `patches` are (N, 41, 41, 3), RGB in [0, 1]; some thousand of many pictures. ValueError if a branch is missing, or
    the teacher is narrower than `config`.
    """
    sides = (teacher.config.branch_sides, config.branch_sides)
    if config.filters > teacher.config.filters or sides != (BRANCH_SIDES, BRANCH_SIDES):
        msg = f"config must have all branches and no more filters than the teacher. Got: {config}, {teacher.config}."
        raise ValueError(msg)
    return _Pruning(teacher, config, rng).run(patches)


class _Pruning:
    """Fits one layer after the other."""

    def __init__(self, teacher: EdgeWeights, config: EdgeNetworksConfig, rng: np.random.Generator) -> None:
        self._teacher, self._config, self._rng = teacher, config, rng
        self._fitted: dict[str, list[FloatArray]] = {}

    def run(self, patches: FloatArray) -> EdgeWeights:
        """See `prune`."""
        config = self._config
        picture = ((patches - config.input_mean) * config.input_gain).astype(np.float32)
        ends = {name: self._follow_branch(name, picture) for name in (*BRANCH_NAMES, SECOND_BRANCH)}
        for head, names in _JOINED.items():
            narrow, wide = ([getattr(ends[name], side) for name in names] for side in ("narrow", "wide"))
            self._follow_head(head, _Both(np.concatenate(narrow, axis=-1), np.concatenate(wide, axis=-1)))
        return EdgeWeights(config, self._fitted)

    def _follow_branch(self, name: str, picture: FloatArray) -> _Both:
        side = dict(zip(BRANCH_NAMES, BRANCH_SIDES, strict=True)).get(name, PATCH_SIDE)
        margin = (PATCH_SIDE - side) // 2
        seen = picture[:, margin : PATCH_SIDE - margin, margin : PATCH_SIDE - margin]
        both = _Both(seen, seen)
        pooled_after = {"b1": 1, "f2": 1, "b2": 3}.get(name)
        for number in (1, 2, 3, 4):
            use = self._weigh_next(f"{name}_conv{number + 1}") if number < 4 else self._weigh_branch(name)
            both = self._fit_conv(f"{name}_conv{number}", both, use)
            if number == pooled_after:
                both = _Both(*(_pool(values) for values in (both.narrow, both.wide)))
        return both

    def _follow_head(self, head: str, both: _Both) -> None:
        for number in (1, 2, 3, 4):
            following = f"{head}_head_conv{number + 1}" if number < 4 else f"{head}_head_dense1"
            both = self._fit_conv(f"{head}_head_conv{number}", both, self._weigh_next(following))
        both = _Both(*(values.reshape(len(values), -1) for values in (both.narrow, both.wide)))
        if self._config.head_normalization:
            both = _Both(*(_normalize(values) for values in (both.narrow, both.wide)))
        units = [*self._config.dense_units, HEADS[head]]
        for number, count in enumerate(units, start=1):
            both = self._fit_dense(f"{head}_head_dense{number}", both, count, is_last=number == len(units))

    def _weigh_next(self, name: str) -> FloatArray:
        """How much a layer makes of each of its inputs: the norm of its weights."""
        kernel = self._teacher.arrays[name][0]
        return np.sqrt((kernel**2).sum(axis=tuple(axis for axis in range(kernel.ndim) if axis != kernel.ndim - 2)))

    def _weigh_branch(self, name: str) -> FloatArray:
        """The same for the last layer of a branch, whose values both heads or one of them see."""
        filters, squares = self._teacher.config.filters, np.zeros(self._teacher.config.filters, np.float32)
        for head, names in _JOINED.items():
            if name in names:
                start = names.index(name) * filters
                squares += self._weigh_next(f"{head}_head_conv1")[start : start + filters] ** 2
        return np.sqrt(squares)

    def _fit_conv(self, name: str, both: _Both, use: FloatArray) -> _Both:
        kernel = self._teacher.arrays[name][0]
        size, inputs = kernel.shape[0], both.narrow.shape[-1]
        values = _convolve(both.wide, kernel)
        places = tuple(self._rng.integers(0, length, PLACES) for length in values.shape[:3])
        kept = _choose(np.maximum(values[places], 0), use, self._config.filters)
        if both.narrow is both.wide:  # the picture itself: nothing to fit
            fitted = kernel[..., kept]
        else:
            weights = _fit(_unfold(both.narrow, size, places), values[places][:, kept], has_relu=True)
            fitted = weights.reshape(size, size, inputs, len(kept))
        self._fitted[name] = [np.ascontiguousarray(fitted)]
        return _Both(np.maximum(_convolve(both.narrow, fitted), 0), np.maximum(values, 0))

    def _fit_dense(self, name: str, both: _Both, count: int, *, is_last: bool) -> _Both:
        kernel, bias = self._teacher.arrays[name]
        values = both.wide @ kernel + bias
        kept = np.arange(count)
        if not is_last:
            following = f"{name[:-1]}{int(name[-1]) + 1}"
            kept = _choose(np.maximum(values, 0), self._weigh_next(following), count)
        ones = np.ones((len(both.narrow), 1), np.float32)
        weights = _fit(np.hstack([both.narrow, ones]), values[:, kept], has_relu=not is_last)
        self._fitted[name] = [np.ascontiguousarray(weights[:-1]), weights[-1]]
        return _Both(np.maximum(both.narrow @ weights[:-1] + weights[-1], 0), np.maximum(values, 0))


def _choose(values: FloatArray, use: FloatArray, count: int) -> NDArray[np.int64]:
    """Choose columns of (N, C) values, sorted."""
    order = qr(values * use, mode="r", pivoting=True)[1]
    return np.sort(order[:count])


def _fit(inputs: FloatArray, wanted: FloatArray, *, has_relu: bool) -> FloatArray:
    """Weights (inputs × outputs) of the least squares."""
    rows = inputs.astype(np.float64)
    squares = rows.T @ rows
    squares += RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares))
    weights = np.linalg.solve(squares, rows.T @ wanted)
    for _ in range(ROUNDS if has_relu else 0):
        aim = np.where(wanted > 0, wanted, np.minimum(rows @ weights, 0))
        weights = np.linalg.solve(squares, rows.T @ aim)
    return weights.astype(np.float32)


def _unfold(maps: FloatArray, size: int, places: tuple[NDArray[np.int64], ...]) -> FloatArray:
    """Windows of `size` × `size` values at places of maps, (P, size² · C)."""
    number, row, column = places
    cut = [maps[number, row + y, column + x] for y, x in np.ndindex(size, size)]
    return np.stack(cut, axis=1).reshape(len(number), -1)


def _convolve(maps: FloatArray, kernel: FloatArray) -> FloatArray:
    return np.asarray(ops.convert_to_numpy(ops.conv(maps, kernel, padding="valid")))


def _pool(maps: FloatArray) -> FloatArray:
    return np.asarray(ops.convert_to_numpy(ops.max_pool(maps, POOL_STRIDE, strides=POOL_STRIDE, padding="valid")))


def _normalize(values: FloatArray) -> FloatArray:
    return values / np.sqrt((values**2).mean(axis=1, keepdims=True) + np.float32(NORMALIZATION_EPSILON))

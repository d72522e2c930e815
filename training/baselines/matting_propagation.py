"""Spread sparse values with a Laplacian, above all that of matting: the alternative to `defocus_edge.propagation`."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: λ of Zhuo and Sim 2011: weight of the known values against the smoothness.
ZHUO_SIM_FIDELITY = 0.001
#: ε of Levin, Lischinski and Weiss 2008: regularizes the colour line of a window, for colours in [0, 1].
EPSILON = 1e-7
#: The conjugate gradients stop at this size of the residual, as a share of the right-hand side; ours.
TOLERANCE = 1e-6
#: Number of steps after which there is an error; the baselines need 20 to 60 (measured).
_MOST_STEPS = 5000
#: Entries of the incomplete Cholesky factor below this are dropped; pymatting's own default.
_DISCARD = 1e-4
#: What is added to the diagonal for that factor, the next value if it does not exist with the one before. Without any
#: it did not for most photographs (measured).
_SHIFTS = (1e-3, 1e-2, 0.1, 1.0)
# Orthonormal axes of colour: grey, red against blue, green against both. The matting Laplacian is the same in any, but
# pymatting inverts covariances by cofactors, and in RGB rounding is all that is left of those of a grey picture
# (measured: a step between two grey values cost 1e5 times as much as it should).
_COLOUR_AXES = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
# Known values that differ by less are all the same.
_LEAST_SPREAD = float(np.finfo(np.float32).tiny)


def propagate_by_matting(
    sparse_values: NDArray[np.float32],
    support_weight: NDArray[np.float32],
    guide: NDArray[np.float32],
    *,
    fidelity: float = ZHUO_SIM_FIDELITY,
    epsilon: float = EPSILON,
) -> NDArray[np.float32]:
    r"""Spread known values over a picture so that they are locally a linear function of its colours.

    Returns a map, (H, W) float32, clipped to the range of the known values, since the linear model overshoots. Raises
    ValueError if a shape or a value is not as described. Raises ImportError if pymatting is not installed.

    Parameters
    ----------
    sparse_values : (H, W) ndarray of float32
        Known values, in any unit; what stands where the weight is 0 does not matter.
    support_weight : (H, W) ndarray of float32
        How much each known value counts, >= 0; 0 where nothing is known. Somewhere larger than 0.
    guide : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    fidelity : float
        λ below: small for a smooth map, large for one that keeps the known values.
    epsilon : float
        Regularization of the matting Laplacian: larger lets values pass more of the edges of the guide.

    Notes
    -----
    The map :math:`d` minimizes :math:`d^T L d + \lambda (d - \hat d)^T D (d - \hat d)` with the matting Laplacian
    :math:`L` [1]_ of windows of 3×3 px and the diagonal matrix :math:`D` of the weights [2]_, that is

    .. math:: (L + \lambda D) \, d = \lambda D \hat d

    solved by conjugate gradients with an incomplete Cholesky factor, both of pymatting. Memory is about 1 KB a pixel.
    The first call in a new environment takes half a minute more: pymatting compiles all it has, once.

    References
    ----------
    .. [1] A. Levin, D. Lischinski and Y. Weiss, "A closed-form solution to natural image matting", TPAMI 30(2), 2008,
       doi:10.1109/TPAMI.2007.1177.
    .. [2] S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern Recognition 44(9), 2011,
       doi:10.1016/j.patcog.2011.03.009.
    """
    _check(sparse_values, support_weight, guide)
    for name, value in (("fidelity", fidelity), ("epsilon", epsilon)):
        if not (math.isfinite(value) and value > 0):
            msg = f"{name} must be finite and greater than 0. Got: {value}."
            raise ValueError(msg)
    return propagate_by_laplacian(
        sparse_values, support_weight, lambda: _build_matting_laplacian(guide, epsilon), fidelity=fidelity
    )


def propagate_by_laplacian(
    sparse_values: NDArray[np.float32],
    support_weight: NDArray[np.float32],
    build_laplacian: Callable[[], Any],
    *,
    fidelity: float,
) -> NDArray[np.float32]:
    """Spread known values so that those of pixels that a Laplacian connects differ little: `propagate_by_matting`.

    Returns a map, (H, W) float32, clipped to the range of the known values. Raises ImportError if pymatting is not
    installed. The caller has checked the values.

    Parameters
    ----------
    sparse_values, support_weight : (H, W) ndarray of float32
        As for `propagate_by_matting`.
    build_laplacian : callable
        Returns the sparse symmetric matrix, (H·W, H·W), in the order of the pixels. It is not called if all known
        values are equal.
    fidelity : float
        Weight of the known values, > 0.
    """
    known = support_weight > 0
    low, high = float(sparse_values[known].min()), float(sparse_values[known].max())
    # The unknown values count 0 times, but NaN times 0 is NaN. Between 0 and 1 the tolerance means the same always.
    spread = max(high - low, _LEAST_SPREAD)
    target = np.where(known, (sparse_values.astype(np.float64) - low) / spread, 0.0)
    weight = fidelity * support_weight.astype(np.float64).ravel()
    solution = _solve(build_laplacian, weight, weight * target.ravel())
    return np.clip(low + spread * solution.reshape(known.shape), low, high).astype(np.float32)


def _solve(
    build_laplacian: Callable[[], Any], weight: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solution of (L + diag(weight)) d = right, in the order of the pixels."""
    with explain_missing_pymatting():
        from pymatting.preconditioner.ichol import ichol
        from pymatting.solver.cg import cg
    if not right.any():  # all known values are the smallest one
        return np.zeros(len(right))
    matrix: Any = build_laplacian() + sparse.diags(weight)
    with redirect_stdout(io.StringIO()):  # it prints each shift that was too small
        factor = ichol(sparse.csc_matrix(matrix), discard_threshold=_DISCARD, shifts=_SHIFTS)
    solution: NDArray[np.float64] = cg(sparse.csr_matrix(matrix), right, M=factor, rtol=TOLERANCE, maxiter=_MOST_STEPS)
    return solution


def _build_matting_laplacian(guide: NDArray[np.float32], epsilon: float) -> Any:
    """Matting Laplacian of windows of 3×3 px."""
    with explain_missing_pymatting():
        from pymatting.laplacian.cf_laplacian import cf_laplacian
    return cf_laplacian(guide @ _COLOUR_AXES.T, epsilon=epsilon)


@contextmanager
def explain_missing_pymatting() -> Iterator[None]:
    """Say what to do if pymatting cannot be imported."""
    try:
        yield
    except ImportError as error:
        msg = f"matting needs pymatting. Got: {error}. Install it with: pip install 'defocus-edge[evaluation]'."
        raise ImportError(msg) from error


def _check(values: NDArray[np.float32], weight: NDArray[np.float32], guide: NDArray[np.float32]) -> None:
    """Refuse shapes that differ, weights that are none, and values that are not finite where they count."""
    if guide.ndim != 3 or guide.shape[2] != 3:
        msg = f"guide must have shape (H, W, 3). Got: {guide.shape}."
        raise ValueError(msg)
    if not (np.isfinite(guide).all() and guide.min() >= 0 and guide.max() <= 1):
        msg = "guide must be finite and within [0, 1]. Got: other values."
        raise ValueError(msg)
    for name, array in (("sparse_values", values), ("support_weight", weight)):
        if array.shape != guide.shape[:2]:
            msg = f"{name} must have the shape of the guide, {guide.shape[:2]}. Got: {array.shape}."
            raise ValueError(msg)
    if not (np.isfinite(weight).all() and weight.min() >= 0 and weight.max() > 0):
        msg = "support_weight must be finite, >= 0 and somewhere larger. Got: none above 0, or other values."
        raise ValueError(msg)
    if not np.isfinite(values[weight > 0]).all():
        msg = "sparse_values must be finite where support_weight is above 0. Got: NaN or infinity."
        raise ValueError(msg)

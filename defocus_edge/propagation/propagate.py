"""From blur radii at pattern edge points to a blur map."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.propagation.checks import check_per_point, check_picture, check_walls
from defocus_edge.propagation.depth_boundaries import close_depth_edges
from defocus_edge.propagation.domain_transform import (
    Feedback,
    domain_transform_filter,
    filter_in_place,
    measure_feedback,
)
from defocus_edge.propagation.settings import PropagationSettings

FloatArray = npt.NDArray[np.float32]

SUPPORT_FLOOR = np.float32(1e-20)
"""Filtered weights of at most this share of the largest one count as 0: ratios of denormal numbers would be noise."""


class NoEdgesError(ValueError):
    """A picture without pattern edge points has no blur that could be measured."""


def simplify_guide(
    image: npt.NDArray[np.floating], *, settings: PropagationSettings | None = None, out: FloatArray | None = None
) -> FloatArray:
    """Smooth an (H, W, 3) image in [0, 1] along itself, so that outlines stop the propagation but texture does not.

    The result is the guide of the propagation; it is written into `out` if that is given, which may be `image`.
    """
    chosen = settings or PropagationSettings()
    picture = check_picture(image)
    return domain_transform_filter(
        picture,
        picture,
        sigma_s=chosen.guide_sigma_s,
        sigma_r=chosen.guide_sigma_r,
        iterations=chosen.guide_iterations,
        out=out,
    )


def propagate_blur(
    image: npt.NDArray[np.floating],
    points: npt.NDArray[np.integer],
    point_radius: npt.NDArray[np.floating],
    point_confidence: npt.NDArray[np.floating],
    depth_edges: npt.NDArray[np.bool_],
    *,
    settings: PropagationSettings | None = None,
    point_weight: npt.NDArray[np.floating] | None = None,
    boundaries: npt.NDArray[np.bool_] | None = None,
    overwrite_image: bool = False,
) -> tuple[FloatArray, FloatArray]:
    r"""Spread the blur radii of pattern edge points over the whole image.

    Parameters
    ----------
    image : (H, W, 3) float array
        RGB in [0, 1].
    points : (N, 2) integer array
        Pattern edge points ``(row, col)``. A point may occur more than once; its weights add up.
    point_radius : (N,) float array
        Blur radius at each point, in pixels.
    point_confidence : (N,) float array
        Confidence in each radius, in (0, 1].
    depth_edges : (H, W) bool array
        Where depth jumps: blur does not spread across.
    settings : PropagationSettings, optional
        None for the defaults; `PropagationSettings.paper` for the paper's.
    point_weight : (N,) float array, optional
        Number of points that each one counts for, above 0; 1 unless given.
    boundaries : (H, W) bool array, optional
        True where blur does not spread between a pixel and its left and upper neighbour. Unlike ``depth_edges``, they
        are not linked along contours first.
    overwrite_image : bool
        Use the memory of ``image``, if it is float32 and C-contiguous: what it holds is lost.

    Returns
    -------
    radius : (H, W) float32 array
        Blur map, in pixels, between the smallest and the largest ``point_radius``.
    confidence : (H, W) float32 array
        How well each value is supported, in [0, 1]; see Notes. 0 where the value had to be taken from elsewhere.

    Raises
    ------
    NoEdgesError
        If there is no point.
    ValueError, TypeError
        If an array is not as described above.

    Notes
    -----
    With :math:`F` the `domain_transform_filter` along the guide of `simplify_guide`, :math:`c` and :math:`I_S` the
    confidences and radii of the points and 0 elsewhere, and the weights :math:`w = c^p` [1]_:

    .. math:: B = \frac{F(w \cdot I_S)}{F(w)}

    Where :math:`F(w)` is 0, the radius is that of the nearest pixel where it is not. The confidence is the mean
    confidence of the points behind a value, times the support that they give it:

    .. math:: C = \frac{F(w \, c)}{F(w)} \cdot \min\left(1, \sqrt{2 \pi} \, \sigma_s \, F(c)\right)

    The support is scaled so that a straight edge of certain points in a plain picture has 1 on the edge and about
    :math:`e^{-d^2 / 2 \sigma_s^2}` at a distance of d pixels. F is more peaked than a Gaussian, 1.26 times as high in
    the middle; the minimum cuts that off.

    References
    ----------
    .. [1] A. Karaali, N. Harte and C. R. Jung, "Deep multi-scale feature learning for defocus blur estimation", IEEE
       Transactions on Image Processing 31, 2022. https://arxiv.org/abs/2009.11939

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((8, 8, 3), 0.5, dtype=np.float32)
    >>> points = np.array([[2, 1], [5, 6]])
    >>> no_depth_edges = np.zeros((8, 8), dtype=bool)
    >>> radius, _ = propagate_blur(image, points, np.array([1.0, 3.0]), np.array([1.0, 1.0]), no_depth_edges)
    >>> radius.shape, radius[2, 1] < radius[5, 6]
    ((8, 8), np.True_)
    """
    spread = prepare_spread(
        image, points, depth_edges, settings=settings, boundaries=boundaries, overwrite_image=overwrite_image
    )
    return spread.run(point_radius, point_confidence, point_weight=point_weight)


def prepare_spread(
    image: npt.NDArray[np.floating],
    points: npt.NDArray[np.integer],
    depth_edges: npt.NDArray[np.bool_],
    *,
    settings: PropagationSettings | None = None,
    boundaries: npt.NDArray[np.bool_] | None = None,
    overwrite_image: bool = False,
) -> "PreparedSpread":
    """Do the half of `propagate_blur` that needs the image, so that its memory can be freed before the other half.

    The arguments and errors are those of `propagate_blur`.
    """
    chosen = settings or PropagationSettings()
    picture = check_picture(image)
    shape = (picture.shape[0], picture.shape[1])
    rows, columns = _check_points(points, shape)
    walls = check_walls("depth_edges", depth_edges, shape)
    if chosen.close_boundaries and chosen.depth_penalty > 0 and walls.any():
        walls = walls | close_depth_edges(picture, walls, _mark(rows, columns, shape))
    if boundaries is not None:
        walls = walls | check_walls("boundaries", boundaries, shape)
    own_memory = overwrite_image and picture is image and picture.flags.carray
    guide = simplify_guide(picture, settings=chosen, out=picture if own_memory else None)
    sigma_s = chosen.compute_sigma_s(*shape)
    feedback = measure_feedback(
        guide,
        sigma_s=sigma_s,
        sigma_r=chosen.sigma_r,
        iterations=chosen.iterations,
        penalty=walls * np.float32(chosen.depth_penalty) if chosen.depth_penalty > 0 and walls.any() else None,
    )
    return PreparedSpread(rows, columns, shape, feedback, sigma_s, chosen.confidence_power)


@dataclass(eq=False)
class PreparedSpread:
    """N points, and how far each spreads. `run` works once: it uses up the memory.

    `rows` and `columns` hold the place of each point and are empty after `run`. `shape` is (H, W), `sigma_s` the
    spatial standard deviation in px, and `confidence_power` that of `PropagationSettings`.
    """

    rows: npt.NDArray[Any]
    columns: npt.NDArray[Any]
    shape: tuple[int, int]
    feedback: Feedback
    sigma_s: float
    confidence_power: float

    def run(
        self,
        point_radius: npt.NDArray[np.floating],
        point_confidence: npt.NDArray[np.floating],
        *,
        point_weight: npt.NDArray[np.floating] | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Spread the points: radius and confidence of all pixels, as `propagate_blur` describes them."""
        if not len(self.rows):
            msg = "a spread can run once: its memory is used up. Prepare it again"
            raise ValueError(msg)
        radii = check_per_point("point_radius", point_radius, len(self.rows), math.inf)
        confidences = check_per_point("point_confidence", point_confidence, len(self.rows), 1.0)
        counts = np.ones(1, np.float32)
        if point_weight is not None:
            counts = check_per_point("point_weight", point_weight, len(self.rows), math.inf)
        dense = np.zeros((*self.shape, 4), np.float32)  # channels of one call share the guide's coefficients
        self._scatter(dense, radii, confidences, counts)
        lowest, highest = radii.min(), radii.max()
        # Millions of points take as much memory as two channels. This frees them unless the caller keeps them.
        del radii, confidences, counts, point_radius, point_confidence, point_weight
        self.rows = self.columns = np.empty(0, np.int32)
        filter_in_place(dense, self.feedback)
        return _divide(dense, self.sigma_s, lowest, highest)

    def _scatter(self, dense: FloatArray, radii: FloatArray, confidences: FloatArray, counts: FloatArray) -> None:
        """Add up the four channels of the points that lie in a pixel."""
        weights = confidences ** np.float32(self.confidence_power)
        for channel, values in enumerate((weights * radii, weights, weights * confidences, confidences)):
            np.add.at(dense[..., channel], (self.rows, self.columns), values * counts)


def _divide(
    dense: FloatArray, sigma_s: float, lowest: np.float32, highest: np.float32
) -> tuple[FloatArray, FloatArray]:
    """Radius and confidence from the filtered channels."""
    shape = dense.shape[:2]
    weight = dense[..., 1]
    supported = weight > SUPPORT_FLOOR * weight.max()
    radius = np.divide(dense[..., 0], weight, out=np.zeros(shape, np.float32), where=supported)
    confidence = np.divide(dense[..., 2], weight, out=np.zeros(shape, np.float32), where=supported)
    support = dense[..., 3]
    support *= np.float32(math.sqrt(2 * math.pi) * sigma_s)
    confidence *= np.minimum(support, np.float32(1.0), out=support)
    if not supported.all():
        _fill_from_nearest(radius, supported)
    # In exact arithmetic a convex combination needs no clipping; rounding may leave the range by the last bit.
    return np.clip(radius, lowest, highest, out=radius), np.clip(confidence, 0.0, 1.0, out=confidence)


def _mark(rows: npt.NDArray[Any], columns: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Mark points in an empty mask."""
    marked = np.zeros(shape, bool)
    marked[rows, columns] = True
    return marked


def _fill_from_nearest(radius: FloatArray, supported: npt.NDArray[np.bool_]) -> None:
    """Set unsupported pixels, in place, to the value of the nearest supported one."""
    from scipy import ndimage  # here, since few pictures need it

    nearest = ndimage.distance_transform_edt(~supported, return_distances=False, return_indices=True)
    missing = ~supported
    radius[missing] = radius[nearest[0][missing], nearest[1][missing]]


def _check_points(points: npt.NDArray[np.integer], shape: tuple[int, int]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the rows and columns of points, at least one and all inside the image."""
    pairs = np.asarray(points)
    if pairs.size == 0:
        msg = (
            "points must hold at least one pattern edge point: without one, no blur can be measured. Got: none; lower "
            "the edge thresholds, or check that the picture is not plain or blurred beyond any edge"
        )
        raise NoEdgesError(msg)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        msg = f"points must have the shape (N, 2), one (row, col) each. Got: {pairs.shape}; numpy.argwhere returns it"
        raise ValueError(msg)
    if pairs.dtype.kind not in "iu":
        msg = f"points must be integers. Got: dtype {pairs.dtype}; round them to pixels"
        raise TypeError(msg)
    rows, columns = pairs[:, 0], pairs[:, 1]
    if rows.min() < 0 or columns.min() < 0 or rows.max() >= shape[0] or columns.max() >= shape[1]:
        msg = (
            f"points must lie inside the image of shape {shape}. Got: rows {rows.min()} to {rows.max()}, columns "
            f"{columns.min()} to {columns.max()}; the order is (row, col), not (x, y)"
        )
        raise ValueError(msg)
    return rows, columns

"""Edge-aware smoothing with the domain-transform recursive filter."""

import math
import operator
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from defocus_edge.propagation.checks import check_filter, check_guide, check_out, check_penalty, check_values

FloatArray = npt.NDArray[np.float32]
Block = tuple[int, int]

CACHE_LINE = 16
"""Number of float32 values in 64 bytes. Blocks start on a cache line, so that two threads do not share one."""
PAGE = 1024
"""Number of float32 values in 4 KiB. Rows that are a multiple of half of it apart compete for the same cache sets."""
SMALLEST_SHARE = 1 << 15
"""Smallest number of values per thread: for less, starting a thread costs more than it saves."""
ROW_BLOCKS_PER_THREAD = 4
"""Blocks of rows for each thread: several even out a busy machine."""
NARROWEST_BLOCK = 128
"""Smallest number of columns in a block: narrower ones waste the prefetching of consecutive memory."""


@dataclass(eq=False)
class Feedback:
    """How much of each pixel's left and upper neighbour flows on into it. It replaces the guide, at 8 bytes a pixel.

    `along_rows` and `along_columns` are (H, W or a little more) and hold the feedback of the next iteration. They are
    empty after `filter_in_place`, which uses up the memory. `width` is the width W of the guide.
    """

    along_rows: FloatArray
    along_columns: FloatArray
    width: int
    iterations: int


def domain_transform_filter(
    image: npt.NDArray[np.floating],
    guide: npt.NDArray[np.number],
    *,
    sigma_s: float,
    sigma_r: float,
    iterations: int = 3,
    penalty: npt.NDArray[np.floating] | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    r"""Smooth an image within the regions that the edges of a guide separate.

    Parameters
    ----------
    image : (H, W) or (H, W, C) float array
        Values to smooth, in float32. All channels share one guide and are filtered together.
    guide : (H, W), (H, W, 1) or (H, W, 3) array
        Picture whose edges stop the smoothing.
    sigma_s : float
        Spatial standard deviation, in pixels.
    sigma_r : float
        Range standard deviation, in the unit of ``guide``: a step of ``sigma_r`` (summed over the channels) counts
        like a distance of ``sigma_s`` pixels.
    iterations : int
        Number of passes along rows and columns; each halves the standard deviation of the one before.
    penalty : (H, W) float array, optional
        Added to the derivative of the domain transform between a pixel and its left and upper neighbour, in pixels.
        At least 0; large values (100) build walls that the guide does not show, infinity a perfect one.
    out : C-contiguous float32 array, optional
        Array for the result, shaped like ``image``. It may be ``image`` or ``guide`` itself, which saves memory.

    Returns
    -------
    (H, W) or (H, W, C) float32 array
        The smoothed image, shaped like ``image``; ``out`` if that was given. Other inputs are not modified.

    Raises
    ------
    ValueError
        If a shape, a number or a value (NaN, an infinite image, a negative penalty) is not as described above.
    TypeError
        If an array is not numeric, or ``iterations`` is not an integer.

    Notes
    -----
    The recursive filter (RF) of Gastal and Oliveira [1]_, with a penalty :math:`\Psi` in the derivative of the
    domain transform (their equation 11):

    .. math:: ct'(x) = 1 + \Psi(x) + \frac{\sigma_s}{\sigma_r} \sum_c |I_c'(x)|

    .. math:: J[n] = (1 - a^d) I[n] + a^d J[n - 1], \qquad a = e^{-\sqrt{2} / \sigma_{H_i}}

    (equation 21), run in both directions, with the standard deviation of iteration i of N (equation 14):

    .. math:: \sigma_{H_i} = \sigma_s \sqrt{3} \, \frac{2^{N - i}}{\sqrt{4^N - 1}}

    As :math:`\sigma_{H_{i+1}} = \sigma_{H_i} / 2`, the feedback :math:`a^d` of an iteration is the square of the one
    before: one exponential per pixel and direction serves all iterations. All usable cores share the rows, then the
    columns; the environment variable ``NUMBA_NUM_THREADS`` limits them. Any number of threads may call the function at
    once. The recursion starts at the first pixel of a row or column: so near the border the filter of a flipped image
    is not the flipped filter of the image.

    References
    ----------
    .. [1] E. S. L. Gastal and M. M. Oliveira, "Domain transform for edge-aware image and video processing", ACM
       Transactions on Graphics 30(4), 2011. https://doi.org/10.1145/2010324.1964964

    Examples
    --------
    >>> import numpy as np
    >>> step = np.array([[0, 0, 0, 1, 1, 1]], dtype=np.float32)
    >>> noisy = np.array([[0.0, 0.2, 0.1, 1.0, 0.8, 0.9]], dtype=np.float32)
    >>> domain_transform_filter(noisy, step, sigma_s=2, sigma_r=0.1).round(1)
    array([[0.1, 0.1, 0.1, 0.9, 0.9, 0.9]], dtype=float32)
    """
    values = check_values(image)
    edges = check_guide(guide, values.shape[:2])
    walls = check_penalty(penalty, values.shape[:2])
    check_filter(sigma_s, sigma_r, iterations)
    result = np.empty(values.shape, np.float32) if out is None else check_out(out, values.shape)
    if values.size == 0:
        return result

    feedback = _compute_feedback(edges, walls, float(sigma_s), float(sigma_r), operator.index(iterations))
    np.copyto(result, values)  # now that the guide has been read: `out` may be the guide
    filter_in_place(result, feedback)
    return result


def measure_feedback(
    guide: npt.NDArray[np.number],
    *,
    sigma_s: float,
    sigma_r: float,
    iterations: int = 3,
    penalty: npt.NDArray[np.floating] | None = None,
) -> Feedback:
    """Do the first half of `domain_transform_filter`. The guide is not needed after it.

    The arguments and errors are those of `domain_transform_filter`.
    """
    edges = check_guide(guide, np.shape(guide)[:2])
    walls = check_penalty(penalty, edges.shape[:2])
    check_filter(sigma_s, sigma_r, iterations)
    return _compute_feedback(edges, walls, float(sigma_s), float(sigma_r), operator.index(iterations))


def _compute_feedback(
    guide: FloatArray, penalty: FloatArray, sigma_s: float, sigma_r: float, iterations: int
) -> Feedback:
    """Feedback of the first iteration, from checked arguments."""
    from defocus_edge.propagation import kernels as _kernels  # here, since importing Numba takes half a second

    height, width = guide.shape[:2]
    flat_guide = guide.reshape(height, -1)
    # ct' >= 1 in pixels and 2**t instead of e**t: the kernels take log2(a) of the first iteration, equation 14.
    sigma_1 = sigma_s * math.sqrt(3) * 2 ** (iterations - 1) / math.sqrt(4**iterations - 1)
    log2_feedback = np.float32(-math.sqrt(2) / sigma_1 / math.log(2))
    slope_factor = np.float32(sigma_s / sigma_r)
    along_rows, along_columns = (np.empty((height, _row_stride(width)), np.float32) for _ in range(2))

    def prepare(start: int, stop: int) -> None:
        _kernels.compute_feedback(
            flat_guide, flat_guide.shape[1] // width, penalty, slope_factor, log2_feedback,
            along_rows, along_columns, start, stop,
        )  # fmt: skip

    threads = _count_threads(height * width)
    with ThreadPoolExecutor(threads) as pool:
        _run(pool, prepare, _split_rows(height, threads))
    return Feedback(along_rows, along_columns, width, iterations)


def filter_in_place(values: FloatArray, feedback: Feedback) -> None:
    """Do the second half of `domain_transform_filter`; the result replaces `values`, which are C-contiguous.

    The feedback, of a guide as large as `values`, is used up. ValueError if it is of another size or used up already,
    or if a value of the image or of the guide is NaN or infinite.
    """
    from defocus_edge.propagation import kernels as _kernels  # here, since importing Numba takes half a second

    height, width = values.shape[:2]
    if (len(feedback.along_rows), feedback.width) != (height, width):
        got = f"{len(feedback.along_rows)}×{feedback.width}"
        msg = f"feedback must be of a guide of {height}×{width} px and not used up. Got: {got}; measure it again"
        raise ValueError(msg)
    flat = values.reshape(height, -1)
    channels = flat.shape[1] // width

    def filter_rows(square: bool, start: int, stop: int) -> None:
        _kernels.filter_rows(flat, channels, feedback.along_rows, width, square, start, stop)

    def filter_columns(square: bool, start: int, stop: int) -> None:
        _kernels.filter_columns(flat, channels, feedback.along_columns, square, start, stop)

    threads = _count_threads(flat.size)
    row_blocks = _split_rows(height, threads)
    column_blocks = _split(width, min(threads, max(1, width // NARROWEST_BLOCK)), CACHE_LINE)
    # A pool per call: a lasting one would be dead, and block, in processes forked from this one.
    with ThreadPoolExecutor(threads) as pool:
        for iteration in range(1, feedback.iterations + 1):
            square = iteration < feedback.iterations  # the last feedback is needed by no other iteration
            _run(pool, partial(filter_rows, square), row_blocks)
            _run(pool, partial(filter_columns, square), column_blocks)
    feedback.along_rows = feedback.along_columns = np.empty((0, 0), np.float32)
    # The recursion carries a NaN or infinity to every pixel of its channel: looking at one pixel is enough.
    if not np.isfinite(values[0, 0]).all():
        msg = (
            "image and guide must be finite and not overflow float32. Got: a NaN or an infinity in one of them; "
            "replace such values first, for example with numpy.nan_to_num"
        )
        raise ValueError(msg)


def _count_threads(size: int) -> int:
    """Choose the number of threads for a number of values."""
    from defocus_edge.propagation import kernels as _kernels  # here, as above

    return max(1, min(_kernels.count_threads(), size // SMALLEST_SHARE))


def _split_rows(height: int, threads: int) -> list[Block]:
    """Cut the rows into blocks, several for each thread."""
    from defocus_edge.propagation import kernels as _kernels  # here, as above

    return _split(height, ROW_BLOCKS_PER_THREAD * threads if threads > 1 else 1, _kernels.ROWS_TOGETHER)


def _run(pool: ThreadPoolExecutor, work: Callable[[int, int], None], blocks: list[Block]) -> None:
    """Work on all blocks and wait for them; a single block needs no other thread."""
    if len(blocks) == 1:
        work(*blocks[0])
    else:
        for future in [pool.submit(work, *block) for block in blocks]:
            future.result()


def _split(length: int, parts: int, multiple: int) -> list[Block]:
    """Cut ``range(length)`` into at most ``parts`` blocks that start at a multiple of ``multiple``."""
    size = math.ceil(length / parts / multiple) * multiple
    starts: Iterable[int] = range(0, length, size)
    return [(start, min(start + size, length)) for start in starts]


def _row_stride(width: int) -> int:
    """Row length, in values, that starts each row on a cache line but no two rows in the same cache sets."""
    stride = math.ceil(width / CACHE_LINE) * CACHE_LINE
    return stride + CACHE_LINE if stride % (PAGE // 2) == 0 else stride

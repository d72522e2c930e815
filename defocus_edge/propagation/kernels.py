"""Numba kernels of the domain-transform recursive filter.

Every kernel works on a block of rows or columns, so that plain Python threads share the work.
"""

import numba
import numpy as np
import numpy.typing as npt

from defocus_edge._compiling import compile_kernel

FloatArray = npt.NDArray[np.float32]

ROWS_TOGETHER = 4  # independent chains that hide the latency of the recursion; eight rows run out of registers
ZERO = np.float32(0.0)
ONE = np.float32(1.0)
HALF = np.float32(0.5)
# Feedback below 2**-64 counts as 0: nothing visible passes, and products of such numbers are slow denormals.
SMALLEST_EXPONENT = np.float32(-64.0)
# The number 2**whole has the bits (whole + 127) << 23 in IEEE 754 binary32.
EXPONENT_BIAS = np.int32(127)
EXPONENT_SHIFT = np.int32(23)
# Taylor coefficients ln(2)**k / k! of 2**f; for |f| <= 1/2 the error is below the resolution of float32.
EXP2_1 = np.float32(0.6931471805599453)
EXP2_2 = np.float32(0.24022650695910072)
EXP2_3 = np.float32(0.05550410866482158)
EXP2_4 = np.float32(0.009618129107628477)
EXP2_5 = np.float32(0.0013333558146428443)
EXP2_6 = np.float32(0.00015403530393381608)
EXP2_7 = np.float32(1.5252733804059841e-05)


def count_threads() -> int:
    """Number of threads of a filter call: all usable cores, or what the environment variable NUMBA_NUM_THREADS says."""
    return int(numba.config.NUMBA_NUM_THREADS)


@compile_kernel
def _raise_two_to(exponents: FloatArray) -> None:
    """Replace each ``t <= 0`` by ``2**t``; no call of ``exp``, so that LLVM vectorises the loop."""
    for x in range(exponents.shape[0]):
        t = exponents[x]
        whole = np.int32(max(t, SMALLEST_EXPONENT) - HALF)
        f = t - np.float32(whole)
        power = EXP2_6 + f * EXP2_7
        power = EXP2_5 + f * power
        power = EXP2_4 + f * power
        power = EXP2_3 + f * power
        power = EXP2_2 + f * power
        power = EXP2_1 + f * power
        power = ONE + f * power
        power *= np.int32((whole + EXPONENT_BIAS) << EXPONENT_SHIFT).view(np.float32)
        # In this order a NaN of the guide stays NaN and is noticed, instead of passing for an edge.
        exponents[x] = ZERO if t <= SMALLEST_EXPONENT else power


@compile_kernel
def _sum_differences(first: FloatArray, second: FloatArray, channels: int, total: FloatArray) -> None:
    """Absolute differences of two rows of interleaved channels (1 or 3), summed over the channels."""
    if channels == 3:
        for x in range(total.shape[0]):
            difference = abs(first[3 * x] - second[3 * x]) + abs(first[3 * x + 1] - second[3 * x + 1])
            total[x] = difference + abs(first[3 * x + 2] - second[3 * x + 2])
    else:
        for x in range(total.shape[0]):
            total[x] = abs(first[x] - second[x])


@compile_kernel
def compute_feedback(
    guide: FloatArray,
    channels: int,
    penalty: FloatArray,
    slope_factor: np.float32,
    log2_feedback: np.float32,
    along_rows: FloatArray,
    along_columns: FloatArray,
    row_start: int,
    row_stop: int,
) -> None:
    """Fill in ``a**ct`` of the first iteration, between each pixel and its left (``along_rows``) or upper neighbour.

    ``guide`` is (H, W * channels); ``penalty`` is (H, W), or (0, W) for none; ``slope_factor`` is sigma_s / sigma_r.
    """
    width = guide.shape[1] // channels
    for y in range(row_start, row_stop):
        here = guide[y]
        above = guide[max(y - 1, 0)]
        across = along_rows[y, :width]
        down = along_columns[y, :width]
        across[0] = ZERO
        _sum_differences(here[channels:], here[:-channels], channels, across[1:])
        _sum_differences(here, above, channels, down)
        for x in range(width):
            across[x] = log2_feedback * (ONE + slope_factor * across[x])
            down[x] = log2_feedback * (ONE + slope_factor * down[x])
        if penalty.shape[0] > 0:
            extra = penalty[y]
            for x in range(width):
                across[x] += log2_feedback * extra[x]
                down[x] += log2_feedback * extra[x]
        _raise_two_to(across)
        _raise_two_to(down)


@compile_kernel
def _sweep_channel(
    r0: FloatArray, r1: FloatArray, r2: FloatArray, r3: FloatArray,
    v0: FloatArray, v1: FloatArray, v2: FloatArray, v3: FloatArray,
    start: int, step: int, v_start: int, v_step: int, count: int,
) -> None:  # fmt: skip
    """Run the recursion along one channel of four rows, from entry ``start``; ``step`` < 0 runs to the left."""
    # Unsigned, since signed indices make Numba test each for being negative; adding a negative step wraps around.
    a, forth, v, v_forth = np.uintp(start), np.uintp(step), np.uintp(v_start), np.uintp(v_step)
    p0, p1, p2, p3 = r0[a], r1[a], r2[a], r3[a]
    for _ in range(count):
        a += forth
        p0 = r0[a] + v0[v] * (p0 - r0[a])
        p1 = r1[a] + v1[v] * (p1 - r1[a])
        p2 = r2[a] + v2[v] * (p2 - r2[a])
        p3 = r3[a] + v3[v] * (p3 - r3[a])
        r0[a], r1[a], r2[a], r3[a] = p0, p1, p2, p3
        v += v_forth


@compile_kernel
def _sweep_pair(
    r0: FloatArray, r1: FloatArray, r2: FloatArray, r3: FloatArray,
    v0: FloatArray, v1: FloatArray, v2: FloatArray, v3: FloatArray,
    start: int, step: int, v_start: int, v_step: int, count: int,
) -> None:  # fmt: skip
    """Run two neighbouring channels (value and weight) like `_sweep_channel`: eight chains instead of four."""
    a, forth, v, v_forth = np.uintp(start), np.uintp(step), np.uintp(v_start), np.uintp(v_step)
    b = np.uintp(start + 1)
    p0, p1, p2, p3 = r0[a], r1[a], r2[a], r3[a]
    q0, q1, q2, q3 = r0[b], r1[b], r2[b], r3[b]
    for _ in range(count):
        a += forth
        b += forth
        p0 = r0[a] + v0[v] * (p0 - r0[a])
        p1 = r1[a] + v1[v] * (p1 - r1[a])
        p2 = r2[a] + v2[v] * (p2 - r2[a])
        p3 = r3[a] + v3[v] * (p3 - r3[a])
        q0 = r0[b] + v0[v] * (q0 - r0[b])
        q1 = r1[b] + v1[v] * (q1 - r1[b])
        q2 = r2[b] + v2[v] * (q2 - r2[b])
        q3 = r3[b] + v3[v] * (q3 - r3[b])
        r0[a], r1[a], r2[a], r3[a] = p0, p1, p2, p3
        r0[b], r1[b], r2[b], r3[b] = q0, q1, q2, q3
        v += v_forth


@compile_kernel
def filter_rows(
    image: FloatArray, channels: int, feedback: FloatArray, width: int, square: bool, row_start: int, row_stop: int
) -> None:
    """Run one iteration along the rows, to the right and back; ``square`` the feedback for the next iteration.

    ``image`` is (H, W * channels) and changed in place; ``feedback`` is (H, >= W).
    """
    count = width - 1
    for y in range(row_start, row_stop, ROWS_TOGETHER):
        # A short last group repeats its last row: the same numbers are computed and stored again.
        y1, y2, y3 = min(y + 1, row_stop - 1), min(y + 2, row_stop - 1), min(y + 3, row_stop - 1)
        r0, r1, r2, r3 = image[y], image[y1], image[y2], image[y3]
        v0, v1, v2, v3 = feedback[y], feedback[y1], feedback[y2], feedback[y3]
        channel = 0
        while channel < channels:
            end = count * channels + channel
            if channel + 1 < channels:
                _sweep_pair(r0, r1, r2, r3, v0, v1, v2, v3, channel, channels, 1, 1, count)
                _sweep_pair(r0, r1, r2, r3, v0, v1, v2, v3, end, -channels, count, -1, count)
                channel += 2
            else:
                _sweep_channel(r0, r1, r2, r3, v0, v1, v2, v3, channel, channels, 1, 1, count)
                _sweep_channel(r0, r1, r2, r3, v0, v1, v2, v3, end, -channels, count, -1, count)
                channel += 1
        if square:
            for last in range(y, y3 + 1):
                row = feedback[last, :width]
                for x in range(width):
                    row[x] *= row[x]


@compile_kernel
def _blend(here: FloatArray, neighbour: FloatArray, v: FloatArray, channels: int) -> None:
    """Move one row of interleaved channels towards ``neighbour`` by ``v``; a constant step lets LLVM vectorise."""
    if channels == 1:
        for x in range(v.shape[0]):
            here[x] += v[x] * (neighbour[x] - here[x])
    elif channels == 2:
        for x in range(v.shape[0]):
            here[2 * x] += v[x] * (neighbour[2 * x] - here[2 * x])
            here[2 * x + 1] += v[x] * (neighbour[2 * x + 1] - here[2 * x + 1])
    elif channels == 3:
        for x in range(v.shape[0]):
            here[3 * x] += v[x] * (neighbour[3 * x] - here[3 * x])
            here[3 * x + 1] += v[x] * (neighbour[3 * x + 1] - here[3 * x + 1])
            here[3 * x + 2] += v[x] * (neighbour[3 * x + 2] - here[3 * x + 2])
    else:
        for x in range(v.shape[0]):
            for i in range(x * channels, (x + 1) * channels):
                here[i] += v[x] * (neighbour[i] - here[i])


@compile_kernel
def filter_columns(
    image: FloatArray, channels: int, feedback: FloatArray, square: bool, column_start: int, column_stop: int
) -> None:
    """Run one iteration along the columns, down and back up; ``square`` the feedback for the next iteration.

    Whole rows of the block are blended at once: the recursion runs from row to row, where memory is contiguous.
    """
    height = image.shape[0]
    start, stop = column_start * channels, column_stop * channels
    # Rows are sliced one by one: Numba knows that a piece of a row is contiguous, but not that rows of a block are.
    for y in range(1, height):
        v = feedback[y, column_start:column_stop]
        _blend(image[y, start:stop], image[y - 1, start:stop], v, channels)
    for y in range(height - 1, 0, -1):
        v = feedback[y, column_start:column_stop]
        _blend(image[y - 1, start:stop], image[y, start:stop], v, channels)
        if square:
            for x in range(v.shape[0]):
                v[x] *= v[x]

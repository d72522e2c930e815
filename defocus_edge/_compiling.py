"""Compiles kernels with Numba.

Every kernel releases the GIL, so that plain Python threads share the work. ``parallel=True`` is not used: Numba's
workqueue layer aborts the process when two threads enter it at once.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compile_kernel(function: Kernel) -> Kernel:
    """Compile for use without the GIL, and keep the result on disk if there is a writable place for it."""
    # No fastmath: with {"contract"}, fresh code and the same code from the cache fused other products into sums, and
    # their results differed in the last bit.
    try:
        compiled: Kernel = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # read-only installation and no home folder: "no locator available" (numba#4908)
        compiled = numba.njit(function, nogil=True)
    return compiled

"""How many threads each of several workers starts."""

from __future__ import annotations

import os

#: What TensorFlow, Numba, OpenCV and OpenMP read from the environment when they are loaded. Maps do not depend on them:
#: 1 to 16 threads of TensorFlow gave the same bytes, and 1, 2 and 8 of the others.
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "OMP_NUM_THREADS")


def share_cores(jobs: int) -> dict[str, str]:
    """Environment of each of some workers that divide the cores of this computer among them.

    Parameters
    ----------
    jobs : int

    Returns
    -------
    dict of str to str
        Variables that the user has set are not among them.
    """
    count = str(max(1, count_cores() // jobs))
    return {name: count for name in THREAD_VARIABLES if name not in os.environ}


def count_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

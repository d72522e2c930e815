"""Number of threads that each worker of a batch starts."""

from __future__ import annotations

import os

from defocus_edge.networks.devices import count_cores

#: Environment variables that TensorFlow, Numba, OpenCV and OpenMP read when loaded; NumPy and our onnxruntime read that
#: of OpenMP. Maps hardly depend on them: 1 to 16 threads of TensorFlow and 1, 2 and 8 threads of the others gave the
#: same bytes, but for the products of matrices of the context network: 1 thread and more were 3e-6 px apart.
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "OMP_NUM_THREADS")


def share_cores(jobs: int) -> dict[str, str]:
    """Environment variables that let workers share the cores of this computer, without those that the user has set."""
    count = str(max(1, count_cores() // jobs))
    return {name: count for name in THREAD_VARIABLES if name not in os.environ}

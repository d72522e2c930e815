"""What the benchmarks share: alternating runs, and tables."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def measure_medians(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each side, alternating in one process; the first round warms up and is not counted.

    Machines are shared and noisy: ratios of such medians hold where seconds do not.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for counted in range(rounds + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if counted:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def read_memory() -> int:
    """Bytes of memory of this process; Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def print_table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows of equal keys."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=160).print(table)


def describe_machine() -> str:
    """Processor, cores and Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"

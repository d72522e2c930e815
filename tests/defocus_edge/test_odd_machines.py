"""Odd machines: each child process is one, and each has several oddities, since a start takes seconds."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from defocus_edge.files.maps import read_map
from defocus_edge.masks import BlurDetector
from defocus_edge.networks import forks
from defocus_edge.networks.forks import ForkError
from defocus_edge.pipeline import BlurEstimator
from tests.conftest import make_texture, write_png

PRESET = "edge-fast"
PATIENCE = 300
#: Largest difference in px of maps by numbers of threads, as `threads.py` and docs/reliability.md tell it.
THREADS_DIFFER_BY = 3e-6
# No home, no place for Numba's cache, nothing is written where it starts, ASCII only, neither docstrings nor asserts.
# Unoptimized kernels give the same bytes and compile faster.
ODD = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "NUMBA_CACHE_DIR": "/proc/none"}
ODD |= {"PYTHONDONTWRITEBYTECODE": "1", "NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0"}
COMMANDS = """
import sys
from pathlib import Path
from defocus_edge.cli.app import main
photo, out, preset = sys.argv[1:]
codes = [main(["estimate", photo, photo + ".png", "--preset", preset, "--out", out, "--json"])]
codes += [main(["mask", "--from-map", next(map(str, Path(out).glob("*.tif"))), "--out", out])]
codes += [main([name, "--help"]) for name in ("estimate", "batch")]
print(codes, __debug__, main.__doc__)
"""
THREADS = """
import sys
import numpy as np
from defocus_edge import BlurEstimator, read_image
photo, out, preset = sys.argv[1:]
np.save(out, BlurEstimator(preset, engine="onnxruntime").estimate(read_image(photo)).radius)
"""
FORKS = """
import os
estimator = BlurEstimator(preset, engine="onnxruntime")
def attempt(function):
    try:
        function()
    except RuntimeError as error:
        print(type(error).__name__, error, flush=True)
number = os.fork()
if not number:
    attempt(lambda: estimator.estimate(read_image(photo)))
    attempt(lambda: BlurEstimator(preset))
    os._exit(0)
assert os.waitpid(number, 0)[1] == 0
estimator.estimate(read_image(photo))
"""


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photó.png"
    write_png(path, make_texture(np.random.default_rng(0), 96, 120, block=6))
    return path


@pytest.fixture(scope="module")
def start(photo, repository):
    """Run a program in a child process; its result is a path."""

    def run(code, out, *options, cwd=None, **variables):
        environment = {**os.environ, "PYTHONPATH": str(repository), **variables}
        command = [sys.executable, *options, "-c", code, str(photo), str(out), PRESET]
        environment = {name: value for name, value in environment.items() if value is not None}
        ended = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended

    return run


@pytest.fixture(scope="module")
def one_thread(start, tmp_path_factory):
    """Map of a machine with all oddities and one thread, and what its process said."""
    out = tmp_path_factory.mktemp("odd")
    ended = start(COMMANDS, out, "-OO", cwd="/proc", HOME=None, OMP_NUM_THREADS="1", **ODD)
    return read_map(out / "photó_blur.tif"), ended


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write to")
def test_commands_work_on_an_odd_machine(one_thread):
    values, ended = one_thread
    assert values.shape == (96, 120)
    assert ended.stdout.splitlines()[-1] == "[1, 0, 0, 0] False None"  # one of two photos is missing
    assert "Traceback" not in ended.stderr


def test_threads_hardly_change_a_map_and_a_fork_is_refused(start, one_thread, tmp_path):
    for count in (2, 4):
        path = tmp_path / f"{count}.npy"
        ended = start(THREADS + (FORKS if count == 4 else ""), path, OMP_NUM_THREADS=str(count))
        difference = np.abs(np.load(path) - one_thread[0]).max()
        assert difference <= THREADS_DIFFER_BY
    lines = [line for line in ended.stdout.splitlines() if line]
    assert [line.split()[0] for line in lines] == ["ForkError"] * 2
    assert all("Start processes with 'spawn': multiprocessing.get_context('spawn')." in line for line in lines)


def test_eight_threads_share_an_estimator(small_networks, rng):
    estimator = BlurEstimator(small_networks, max_radius=6)
    pictures = [make_texture(rng, 48 + 4 * number, 60) for number in range(8)]
    one_by_one = [estimator.estimate(picture).radius for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda picture: estimator.estimate(picture).radius, [*pictures, *reversed(pictures)]))
    for alone, beside in zip([*one_by_one, *reversed(one_by_one)], together, strict=True):
        np.testing.assert_array_equal(alone, beside)


def test_a_forked_process_is_told_what_to_do(small_networks, texture, monkeypatch):
    estimator = BlurEstimator(small_networks, max_radius=6)
    monkeypatch.setattr(forks, "_STARTED_IN", [1])
    with pytest.raises(ForkError, match=r"Got: process \d+, which was forked from 1\. Start processes with 'spawn'"):
        estimator.estimate(texture)
    with pytest.raises(ForkError, match="networks must run in a process that was not forked after"):
        BlurDetector("lite")

"""Streams that are closed and signals: the command does its work or ends in one line."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from defocus_edge.cli.streams import ENDING_SIGNALS, stop_on_signals
from defocus_edge.files.maps import write_map

PROGRAM = (sys.executable, "-m", "defocus_edge")


@pytest.fixture
def call(repository):
    def run(*arguments, shell_ending="", **options):
        command = " ".join([*PROGRAM, *map(str, arguments), shell_ending])
        return subprocess.run(
            command, shell=True, cwd=repository, capture_output=True, text=True, timeout=120, check=False, **options
        )

    return run


def test_closed_streams_do_not_stop_the_work(call, tmp_path, rng):
    write_map(tmp_path / "a_blur.tif", rng.uniform(0, 6, (48, 64)).astype(np.float32))
    result = call("mask", "--from-map", tmp_path / "a_blur.tif", "--json", shell_ending="<&- >&- 2>&-")
    assert result.returncode == 0
    assert (tmp_path / "a_mask.png").is_file()


def test_closed_streams_are_opened_on_nothing(repository):
    """Each alone, in a process that closes it first."""
    program = (
        "import os, sys\n"
        "number = int(sys.argv[1])\n"
        "os.close(number)\n"
        "sys.stdout, sys.stderr = [None if number == n else s for n, s in ((1, sys.stdout), (2, sys.stderr))]\n"
        "from defocus_edge.cli.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "assert os.path.samestat(os.fstat(number), os.stat(os.devnull))\n"
        "print('lost', file=(sys.stdin, sys.stdout, sys.stderr)[number] if number else sys.stdout)\n"
    )
    for number in range(3):
        command = [sys.executable, "-c", program, str(number)]
        result = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == ("lost" if number == 0 else "")


def test_a_reader_that_goes_away_gets_no_traceback(call):
    result = call("estimate --help", shell_ending="| head -c 1")
    assert result.stdout
    assert "Traceback" not in result.stderr
    assert "BrokenPipe" not in result.stderr


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_is_told_and_ends_the_block_as_ctrl_c_does(number):
    told = []
    before = signal.signal(number, signal.SIG_DFL)  # others, such as Ray's, may have been set by other tests
    try:
        with suppress(KeyboardInterrupt), stop_on_signals(told.append):
            assert signal.getsignal(number) != signal.SIG_DFL
            os.kill(os.getpid(), number)
            pytest.fail("the signal did not end the block")
        assert told == [number]
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(pytest.fail):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

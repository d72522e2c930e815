"""Ctrl-C waits for the end of a block, once."""

import os
import signal
import threading

import pytest

from training.runs.interrupts import hold_interrupt


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_nothing_is_raised_where_nothing_is_pressed():
    before = signal.getsignal(signal.SIGINT)
    with hold_interrupt() as is_pressed:
        assert not is_pressed()
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_the_block_ends_first():
    before, done = signal.getsignal(signal.SIGINT), []

    def run():
        with hold_interrupt() as is_pressed:
            press_ctrl_c()
            done.append(is_pressed())

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_one_does_not_wait():
    done = []

    def run():
        with hold_interrupt():
            press_ctrl_c()
            press_ctrl_c()
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not done


def test_an_error_of_the_block_comes_out():
    def run():
        with hold_interrupt():
            press_ctrl_c()
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        run()


def test_other_threads_have_no_ctrl_c():
    before, seen = signal.getsignal(signal.SIGINT), []

    def run():
        with hold_interrupt() as is_pressed:
            seen.append((is_pressed(), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, True)]

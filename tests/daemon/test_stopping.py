"""A signal ends the daemon at whatever moment it comes."""

import os
import signal
import threading

import pytest

from secmon.daemon.stopping import STOPS, stop_signals

NUMBERS = sorted(STOPS)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: signal.Signals(one).name)
def test_one_that_came_before_anybody_waited_is_not_lost(number: int) -> None:
    with stop_signals() as wait:
        os.kill(os.getpid(), number)
        wait()


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: signal.Signals(one).name)
def test_one_that_comes_while_it_waits_ends_it(number: int) -> None:
    with stop_signals() as wait:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        wait()
        timer.join()


def test_others_do_not() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with stop_signals() as wait:
            os.kill(os.getpid(), signal.SIGUSR1)
            waiting = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
            waiting.start()
            wait()
            waiting.join()
            assert not waiting.is_alive()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_was_done_with_signals_before_is_done_again_behind_it() -> None:
    before = {number: signal.getsignal(number) for number in STOPS}
    with stop_signals():
        pass
    assert {number: signal.getsignal(number) for number in STOPS} == before


def test_a_hangup_reloads_and_does_not_end_it() -> None:
    reloads: list[int] = []
    with stop_signals() as wait:
        os.kill(os.getpid(), signal.SIGHUP)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        wait(lambda: reloads.append(1))
        timer.join()
    assert reloads == [1]


def test_a_flood_of_hangups_does_not_keep_the_end_out() -> None:
    with stop_signals() as wait:
        for _ in range(70_000):  # more than a pipe has room for
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        wait()

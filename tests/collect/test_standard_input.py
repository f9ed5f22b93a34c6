"""Standard input is read as it comes, and an interrupt ends it at any moment."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from secmon.collect.standard_input import StandardInput, standard_input


@contextmanager
def pipe_as_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Yield the writing end of a pipe that is standard input meanwhile."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        yield writing


def test_what_is_there_comes_at_once_and_the_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_as_input(monkeypatch) as writing, standard_input() as found:
        assert isinstance(found, StandardInput)
        os.write(writing, b"one\ntwo\n")
        assert found.read1(100) == b"one\ntwo\n"
        os.write(writing, b"three\n")
        assert found.read(2) == b"th"
        os.close(writing)
        assert found.read() == b"ree\n"
        assert found.read1(100) == b""
        assert found.read(4) == b""


def test_an_interrupt_that_nobody_noticed_ends_the_next_read_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    noticed = signal.signal(signal.SIGINT, lambda *_: None)  # as a library does that calls back and drops errors
    try:
        with pipe_as_input(monkeypatch) as writing, standard_input() as found:
            assert isinstance(found, StandardInput)
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                found.read1(100)
            os.close(writing)
    finally:
        signal.signal(signal.SIGINT, noticed)


def test_other_signals_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with pipe_as_input(monkeypatch) as writing, standard_input() as found:
            assert isinstance(found, StandardInput)
            os.kill(os.getpid(), signal.SIGUSR1)
            os.write(writing, b"line\n")
            assert found.read1(100) == b"line\n"
            os.close(writing)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_what_was_there_before_is_there_again_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with pipe_as_input(monkeypatch) as writing:
        with standard_input():
            pass
        os.close(writing)
    assert signal.set_wakeup_fd(before) == before


def test_another_thread_reads_it_without_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bytes] = []

    def run() -> None:
        with standard_input() as stream:
            found.append(stream.read())

    reading, writing = os.pipe()
    with os.fdopen(reading, "r") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        thread = threading.Thread(target=run)
        thread.start()
        os.write(writing, b"one\n")
        os.close(writing)
        thread.join(20)
    assert found == [b"one\n"]

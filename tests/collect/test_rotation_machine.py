"""FileCollector against any sequence of writing, rotating, packing, deleting, stopping: exactly once, always."""

import gzip
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.collect.harness import Follower


class Rotations(RuleBasedStateMachine):
    """A program that logs, a rotation beside it, and a collector that is stopped and started at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rotations-"))
        self.log = self.folder / "app.log"
        self.follower = Follower(self.folder / "app.log*", max_open=4, max_bytes=500, takes_pieces=False)
        self.is_running = True
        self.written: Counter[bytes] = Counter()
        self.rotated: list[Path] = []
        self.names = 0
        self.half = b""
        self.writer: BinaryIO = self.log.open("ab", buffering=0)
        self.writing_to = self.log

    def teardown(self) -> None:
        try:
            self.finish_line()
            self.start()
            self.follower.settle()
            counted = self.follower.counted()
            assert (self.written - counted, counted - self.written) == (Counter(), Counter())
            assert self.follower.lost_bytes == 0
        finally:
            self.writer.close()
            self.follower.stop()
            shutil.rmtree(self.folder)

    def next_name(self, suffix: str = "") -> Path:
        self.names += 1
        return self.folder / f"app.log-{self.names:03}{suffix}"

    def finish_line(self) -> None:
        if self.half:
            rest = b"the other half\n"
            self.writer.write(rest)
            self.written[self.half + rest] += 1
            self.half = b""

    @rule(count=st.integers(1, 30), width=st.sampled_from([0, 40]))
    def write_lines(self, count: int, width: int) -> None:
        self.finish_line()
        for _ in range(count):
            line = b"line %d %s\n" % (self.written.total(), b"x" * width)
            self.writer.write(line)
            self.written[line] += 1

    @rule()
    def write_half_a_line(self) -> None:
        self.finish_line()
        self.half = b"half a line %d " % self.written.total()
        self.writer.write(self.half)

    @precondition(lambda self: self.is_running)
    @rule(chunks=st.sampled_from([None, 0, 1, 3]), pass_s=st.sampled_from([1, 10, 200]))
    def poll(self, chunks: int | None, pass_s: int) -> None:
        self.follower.poll(stop_after=chunks, pass_s=pass_s)

    @precondition(lambda self: self.is_running)
    @rule()
    def stop(self) -> None:
        self.follower.stop()
        self.is_running = False

    @precondition(lambda self: not self.is_running)
    @rule()
    def start(self) -> None:
        if not self.is_running:
            self.follower.start()
            self.is_running = True

    @precondition(lambda self: self.writing_to == self.log)
    @rule()
    def rename(self) -> None:
        """The program goes on writing into the renamed file until it is told to open the log anew."""
        self.writing_to = self.next_name()
        self.log.rename(self.writing_to)
        self.rotated.append(self.writing_to)

    @rule()
    def open_anew(self) -> None:
        self.finish_line()
        self.writer.close()
        self.writer = self.log.open("ab", buffering=0)
        self.writing_to = self.log

    @precondition(lambda self: self.writing_to == self.log)
    @rule(polls=st.booleans())
    def copy_and_truncate(self, *, polls: bool) -> None:
        self.finish_line()
        copy = self.next_name()
        shutil.copyfile(self.log, copy)
        self.rotated.append(copy)
        if polls and self.is_running:
            self.follower.poll()
        os.truncate(self.log, 0)

    @precondition(lambda self: self.finished_files())
    @rule(data=st.data(), polls=st.booleans())
    def pack(self, data: st.DataObject, *, polls: bool) -> None:
        path = data.draw(st.sampled_from(self.finished_files()))
        packed = self.next_name(".gz")
        whole = gzip.compress(path.read_bytes())
        packed.write_bytes(whole[: len(whole) // 2])
        if polls and self.is_running:
            self.follower.poll()
        packed.write_bytes(whole)
        path.unlink()
        self.rotated.remove(path)
        self.rotated.append(packed)

    @rule()
    def shift_names(self) -> None:
        for number, path in enumerate(self.rotated):
            if path != self.writing_to:
                self.rotated[number] = self.next_name(path.suffix if path.suffix == ".gz" else "")
                path.rename(self.rotated[number])

    @precondition(lambda self: self.is_running and self.finished_files())
    @rule(data=st.data())
    def delete_what_was_read(self, data: st.DataObject) -> None:
        self.follower.settle()
        path = data.draw(st.sampled_from(self.finished_files()))
        path.unlink()
        self.rotated.remove(path)

    def finished_files(self) -> list[Path]:
        return [path for path in self.rotated if path != self.writing_to and path.suffix != ".gz"]

    @invariant()
    def nothing_is_read_twice_or_made_up(self) -> None:
        assert self.follower.counted() <= self.written


Rotations.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRotations = Rotations.TestCase

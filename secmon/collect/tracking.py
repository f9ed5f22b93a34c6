"""What a collector remembers of the files it saw, and which of them it holds open.

A file that is held open can be read to its end after it was deleted or moved away, and its inode cannot be given to
another file meanwhile.
"""

import errno
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from secmon.collect.content import Content, open_content
from secmon.collect.scan import FileKey, Sighting, shown

FIRST_BYTES = 256
# Two changes within one tick of a file system's clock (up to 2 s) can show the same time and size: a poll between
# them sees the first only. So a file is looked at again at the next polls after every change.
CHECKS_AFTER_CHANGE = 2


class Role(Enum):
    """What a file is to its source."""

    NEW = "new"
    """Not decided yet: empty, still being packed, or not readable now."""
    STREAM = "stream"
    """It is where a stream is read from."""
    COPY = "copy"
    """All it holds is also in another file, which is where that stream is read from."""
    SPENT = "spent"
    """All it holds has been read already, as part of a stream that went further than it does."""


@dataclass(slots=True)
class Tracked:
    """One file under observation.

    Args:
        sighting: how it was last seen.
        changed_at: when its size last changed, by the monotonic clock.
        generation: the stream it holds (`STREAM`) or is a copy of (`COPY`), else "".
        first: its first up to 256 bytes of uncompressed content.
        former: streams that it held and holds no longer, or turned out not to hold.
        copied: the stream that all of it was a copy of when it was last compared.
        original: of a copy, the file it is a copy of.
        packed_end: of a packed file, where its content ends, once that is known.
        gone: nobody finds it under a name any more; it is read on through its open descriptor.
        extra: the patterns do not name it; it is read because a stream that we know ends in it.
        suspect: something about it does not fit; look again at the next poll.
        waiting: look again at every poll.
        checks_left: look again at so many polls even if nothing seems to have changed.
        problem: why it cannot be read, "place: problem (remedy)".
    """

    sighting: Sighting
    changed_at: float
    role: Role = Role.NEW
    generation: str = ""
    first: bytes = b""
    former: set[str] = field(default_factory=set)
    copied: str = ""
    original: FileKey | None = None
    packed: bool = False
    packed_end: int | None = None
    gone: bool = False
    extra: bool = False
    suspect: bool = False
    waiting: bool = False
    checks_left: int = CHECKS_AFTER_CHANGE
    problem: str = ""
    content: Content | None = None

    @property
    def key(self) -> FileKey:
        """Device and inode."""
        return self.sighting.key

    @property
    def place(self) -> str:
        """Its path as it stands in checkpoints and messages."""
        return shown(self.sighting.path)

    def undecide(self) -> None:
        """Forget what it is, not what it was."""
        self.role, self.generation, self.original = Role.NEW, "", None
        self.packed_end = None


class OpenFiles:
    """The files held open: the most recently used ones.

    Args:
        limit: most files to hold; at least two.

    Files without a name that had to be closed all the same are listed in `given_up`, until somebody empties it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(2, limit)
        self.given_up: list[Tracked] = []
        self._open: OrderedDict[FileKey, Tracked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def content(self, file: Tracked) -> Content:
        """Return a file's content, opening it if need be.

        Raises:
            OSError: it cannot be opened.
            SecmonError: it is nothing that can be read.
        """
        if file.content is None:
            if file.gone:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            file.content = open_content(file.sighting.path, where=file.place, key=file.key)
            file.packed = file.content.packed
            self._shrink()
            self._open[file.key] = file
        self._open.move_to_end(file.key)
        return file.content

    def close(self, file: Tracked) -> None:
        """Give a file back; nothing happens if it is not held."""
        if file.content is not None:
            file.content.close()
            file.content = None
            del self._open[file.key]

    def close_all(self) -> None:
        """Give all back."""
        for file in list(self._open.values()):
            self.close(file)

    def _shrink(self) -> None:
        """Make room: close the least recently used file; one without a name last, for it cannot be opened again.

        The file used last stays: somebody is comparing it with the one that is to be opened.
        """
        if len(self._open) >= self._limit:
            oldest = next(iter(self._open.values()))
            others = islice(self._open.values(), len(self._open) - 1)
            chosen = next((file for file in others if not file.gone), oldest)
            self.close(chosen)
            if chosen.gone:
                self.given_up.append(chosen)

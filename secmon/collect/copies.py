"""Copies: a file all of whose content stands at the beginning of another file is a copy of it, not a stream.

That is what `logrotate` with copytruncate makes before it truncates the original, what `gzip` makes before it
removes it, and what a backup beside the logs is.
"""

from collections.abc import Callable, Iterator

from secmon.collect.matching import Look
from secmon.collect.scan import FileKey
from secmon.collect.tracking import FIRST_BYTES, OpenFiles, Tracked
from secmon.errors import SecmonError
from secmon.model.fingerprint import TAIL_BYTES

_INDEX_STEPS = (8, 32, 64, 256)
_MAX_COMPARED = 64


class Originals:
    """The files that streams are read from, by how they begin.

    Args:
        open_files: opens them for comparing.
    """

    def __init__(self, open_files: OpenFiles) -> None:
        self._open = open_files
        self._files: dict[FileKey, Tracked] = {}
        self._by_first: dict[bytes, dict[FileKey, Tracked]] = {}

    def add(self, file: Tracked) -> None:
        """Take a file in, or note that it has grown."""
        self._files[file.key] = file
        for step in _INDEX_STEPS:
            if len(file.first) >= step:
                self._by_first.setdefault(file.first[:step], {})[file.key] = file

    def discard(self, file: Tracked) -> None:
        """Forget a file."""
        self._files.pop(file.key, None)
        for step in _INDEX_STEPS:
            alike = self._by_first.get(file.first[:step])
            if alike is not None:
                alike.pop(file.key, None)
                if not alike:
                    del self._by_first[file.first[:step]]

    def of(self, file: Tracked, look: Look, is_successor: Callable[[Tracked], bool]) -> Tracked | None:
        """Return the file that this one is a copy of, if there is one.

        Args:
            file: the file.
            look: what it holds.
            is_successor: tells of another file whether this one has taken its place.
        """
        compared = 0
        for other in self._alike(look.first):
            if other is file or is_successor(other):
                continue
            compared += 1
            if compared > _MAX_COMPARED:
                return None
            if self._contains(other, look):
                return other
        return None

    def _alike(self, first: bytes) -> Iterator[Tracked]:
        step = max((step for step in _INDEX_STEPS if step <= len(first)), default=0)
        first = first[:FIRST_BYTES]
        for other in self._by_first.get(first[:step], {}).values() if step else self._files.values():
            if other.first.startswith(first):
                yield other

    def _contains(self, other: Tracked, look: Look) -> bool:
        """Compare the first 64 KiB and, if neither is packed, the last 256 bytes."""
        try:
            content = self._open.content(other)
            if content.at(0, len(look.first)) != look.first:
                return False
            if look.content.packed or content.packed or look.size is None:
                return True
            start = max(0, look.size - TAIL_BYTES)
            count = look.size - start
            return content.at(start, count) == look.content.at(start, count)
        except (OSError, SecmonError):
            return False

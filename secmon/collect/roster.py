"""Which file holds which stream now: the rules of rotation.

A poll goes: take note of what changed; check that changed files still hold their streams; let go of files that are
gone; find the streams without a file in the files without a stream; begin new streams with the rest. The order
matters: with copytruncate the copy can only take the stream over after the original was found truncated.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from secmon.collect.copies import Originals
from secmon.collect.matching import Look, Streams, look_into
from secmon.collect.scan import FileKey, Scan, Scanner, Sighting, reason, rotated_siblings
from secmon.collect.tracking import CHECKS_AFTER_CHANGE, FIRST_BYTES, OpenFiles, Role, Tracked
from secmon.errors import SecmonError
from secmon.model.fingerprint import HEAD_BYTES, TAIL_BYTES, head_length, tail_of
from secmon.model.stream import Checkpoint

_REMEMBERED_ENDS = 1000
_LENGTH_MODULUS = 1 << 32
_SURE_BYTES = 64


class Roster:
    """Files and streams of one source.

    Args:
        scanner: the source's patterns.
        open_files: the descriptors it may hold.
        settle_s: a packed file is left alone until it has not changed for so long.
        linger_s: a file without a name is kept open until it has not changed for so long.
    """

    def __init__(self, scanner: Scanner, open_files: OpenFiles, *, settle_s: float, linger_s: float) -> None:
        self.streams = Streams()
        self.live: dict[str, Tracked] = {}
        self.files: dict[FileKey, Tracked] = {}
        self._scanner, self._open = scanner, open_files
        self._settle_s, self._linger_s = settle_s, linger_s
        self._originals = Originals(open_files)
        self._last_at: dict[str, str] = {}
        self._seen_end: dict[str, int] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._orphans: set[str] = set()
        self._is_first = True

    def update(self, template: Checkpoint, *, now_s: float, wall_s: float) -> Scan:
        """Look at the folders once and bring everything up to date.

        Args:
            template: what a new stream begins with.
            now_s: the monotonic clock.
            wall_s: seconds since 1970, only to judge how long a file rested before it was first seen.
        """
        scan = self._scanner.scan([file.sighting.path for file in self.files.values() if file.extra])
        undecided = self._note(scan, now_s, wall_s)
        undecided += self._let_go(scan, now_s)
        undecided += self._stale_copies()
        undecided = [file for file in undecided if self._ready(file, now_s)]
        self._drop_given_up()
        self._resume(undecided)
        # What might be a copy comes after what it might be a copy of.
        for file in sorted(undecided, key=lambda file: (file.packed, -file.sighting.size)):
            self._drop_given_up()
            if file.role is Role.NEW:
                self._decide(file, template)
        if self._is_first:
            self._is_first = False
            self._orphans = {checkpoint.generation for checkpoint in self.streams.all()}
        self._orphans -= self.live.keys()
        if self._orphans:
            self._search_elsewhere(scan, now_s, wall_s)
        return scan

    def lost(self) -> list[tuple[str, int]]:
        """Return (place, bytes) of what was seen of streams and was gone before it could be read."""
        return [(place, lost) for generation, place in self._ended.items() if (lost := self._loss(generation))]

    def _loss(self, generation: str) -> int:
        reached = self.streams[generation].position.offset
        end = self._seen_end.get(generation, 0)
        file = self.live.get(generation)
        if file is not None:
            held = file.packed_end if file.packed else file.sighting.size
            reached = max(reached, end if held is None else held)
        return max(0, end - reached)

    # What changed

    def _note(self, scan: Scan, now_s: float, wall_s: float) -> list[Tracked]:
        """Take over how files are now; return those whose role is open."""
        undecided = []
        for key, sighting in scan.files.items():
            file = self.files.get(key)
            if file is None:
                rested = max(0.0, wall_s - sighting.mtime_ns / 1e9)
                file = self.files[key] = Tracked(sighting, now_s - rested)
                undecided.append(file)
                continue
            if sighting == file.sighting and not (file.suspect or file.waiting or file.gone or file.checks_left):
                continue
            if self._has_changed(file, sighting, now_s) and self._recheck(file):
                undecided.append(file)
        return undecided

    def _has_changed(self, file: Tracked, sighting: Sighting, now_s: float) -> bool:
        """Take over how a file is now; tell whether it is to be looked at."""
        old, file.sighting, file.gone = file.sighting, sighting, False
        if sighting.size != old.size:
            file.changed_at = now_s
        if sighting.size != old.size or sighting.mtime_ns != old.mtime_ns:
            file.checks_left = CHECKS_AFTER_CHANGE
            if sighting.path != old.path:
                file.former.clear()  # perhaps the inode of another file, given anew: its past says nothing
            return True
        is_due = file.checks_left > 0 and not file.packed
        file.checks_left = max(0, file.checks_left - 1)
        return is_due or file.suspect or file.waiting

    def _recheck(self, file: Tracked) -> bool:
        """Look again at a file that changed; tell whether its role is open now."""
        suspect, file.suspect, file.waiting = file.suspect, False, False
        if file.role is Role.STREAM and not file.packed and self._still_holds(file):
            self._seen(file)
            return False
        if file.role is Role.STREAM:
            self._leave(file, for_good=suspect or not file.packed)
        self._open.close(file)
        file.undecide()
        file.copied = ""
        return True

    def _still_holds(self, file: Tracked) -> bool:
        checkpoint = self.streams[file.generation]
        offset = checkpoint.position.offset
        try:
            content = self._open.content(file)
            first = content.at(0, FIRST_BYTES)
            before = content.at(max(0, offset - TAIL_BYTES), min(offset, TAIL_BYTES))
            end = content.end()
        except (OSError, SecmonError) as error:
            self._cannot_read(file, error)
            return True
        if not first.startswith(file.first) or (end is not None and end < offset):
            return False
        if checkpoint.tail and tail_of(before) != checkpoint.tail:
            return False
        file.problem = ""
        if len(first) > len(file.first):
            file.first = first
            self._originals.add(file)
        return True

    def _seen(self, file: Tracked) -> None:
        if not file.packed:
            self._seen_end[file.generation] = max(self._seen_end.get(file.generation, 0), file.sighting.size)

    # What is gone

    def _let_go(self, scan: Scan, now_s: float) -> list[Tracked]:
        """Drop what is gone and read; return the nameless files whose role is open."""
        undecided = []
        for key in self.files.keys() - scan.files.keys():
            file = self.files[key]
            if not file.gone:
                file.gone, file.changed_at = True, now_s
            if file.content is None or file.role in (Role.COPY, Role.SPENT):
                self._drop(file)
            elif self._is_open_nameless(file, now_s):
                undecided.append(file)
        for file in [file for file in self.files.values() if file.extra]:
            if file.role is not Role.STREAM:
                self._drop(file)
            elif self._is_finished(file, now_s):
                self._drop_finished(file)
        return undecided

    def _is_open_nameless(self, file: Tracked, now_s: float) -> bool:
        """Bring a file up to date that is only known by its descriptor; tell whether its role is open."""
        size = file.content.end() if file.content is not None and not file.packed else None
        if size is not None and size != file.sighting.size:
            file.sighting, file.changed_at = file.sighting._replace(size=size), now_s
        if file.role is Role.STREAM and not file.packed:
            if self._still_holds(file):
                self._seen(file)
            else:
                self._leave(file, for_good=True)
        if file.role is Role.STREAM:
            if self._is_finished(file, now_s):
                self._drop_finished(file)
            return False
        if now_s - file.changed_at >= self._linger_s:
            self._drop(file)
            return False
        return True

    def _is_finished(self, file: Tracked, now_s: float) -> bool:
        end = file.packed_end if file.packed else file.sighting.size
        offset = self.streams[file.generation].position.offset
        return end is not None and offset >= end and now_s - file.changed_at >= self._linger_s

    def _drop(self, file: Tracked) -> None:
        if file.role is Role.STREAM:
            self._leave(file, for_good=False)
        self._open.close(file)
        del self.files[file.key]

    def _drop_given_up(self) -> None:
        """Drop the nameless files that had to be closed for others: their streams may go on elsewhere."""
        while self._open.given_up:
            file = self._open.given_up.pop()
            if self.files.get(file.key) is file and file.content is None:
                self._drop(file)

    def _drop_finished(self, file: Tracked) -> None:
        """Drop a file that was read to its end: nobody need look where its stream has gone."""
        generation = file.generation
        self._drop(file)
        self._orphans.discard(generation)

    def _leave(self, file: Tracked, *, for_good: bool) -> None:
        """End a file's being the file of its stream."""
        generation = file.generation
        if for_good:
            file.former.add(generation)
        self._originals.discard(file)
        del self.live[generation]
        self._ended[generation] = file.place
        self._ended.move_to_end(generation)
        if len(self._ended) > _REMEMBERED_ENDS:
            self._ended.popitem(last=False)
        self._orphans.add(generation)
        file.undecide()

    def _stale_copies(self) -> list[Tracked]:
        """Return the copies whose original is not the file of their stream any more."""
        stale = []
        for file in self.files.values():
            if file.role is Role.COPY:
                original = self.live.get(file.generation)
                if original is None or original.key != file.original:
                    file.undecide()
                    stale.append(file)
        return stale

    # What holds what

    def _ready(self, file: Tracked, now_s: float) -> bool:
        """Tell whether a file without a role can be judged now; a packed one only when it rests."""
        file.problem = ""
        if file.sighting.size == 0:
            return False
        try:
            packed = self._open.content(file).packed
        except (OSError, SecmonError) as error:
            self._cannot_read(file, error)
            return False
        file.waiting = packed and now_s - file.changed_at < self._settle_s
        if file.waiting:
            self._open.close(file)
        return not file.waiting

    def _look(self, file: Tracked) -> Look | None:
        try:
            content = self._open.content(file)
            # A packed file would have to be unpacked from its start: its tail is checked when it is read.
            look = look_into(content, is_thorough=not content.packed)
        except (OSError, SecmonError) as error:
            self._cannot_read(file, error)
            return None
        file.first = look.first[:FIRST_BYTES]
        if not look.first and look.content.failure is not None:
            file.problem = str(look.content.failure)
        return look if look.first else None

    def _resume(self, files: Iterable[Tracked], only: set[str] | None = None) -> None:
        """Find streams without a file; first where they were last, then in the largest file.

        Elsewhere than at its place a stream of which little is known must wait: a copy of another one might begin
        with the same few bytes (`_decide` looks for copies first). Not so if it is looked for by name (`only`).
        """
        found: list[tuple[Tracked, list[Checkpoint]]] = []
        for file in files:
            look = self._look(file)
            if look is not None:
                found.append((file, self._held(file, look)))
        found.sort(key=lambda pair: -pair[0].sighting.size)
        for at_place in (True, False):
            for file, held in found:
                # What holds all of a longer stream that has its file is a copy of that; `_decide` looks.
                taken = max((_proof(c) for c in held if c.generation in self.live), default=(0, 0))
                free = [
                    checkpoint
                    for checkpoint in held
                    if checkpoint.generation not in self.live
                    and (only is None or checkpoint.generation in only)
                    and (
                        checkpoint.place == file.place
                        if at_place
                        else only is not None or max(_proof(checkpoint)) >= _SURE_BYTES
                    )
                    and _proof(checkpoint) >= taken
                ]
                if free and file.role is Role.NEW:
                    self._assign(file, max(free, key=_proof))

    def _held(self, file: Tracked, look: Look) -> list[Checkpoint]:
        """Return the streams that a file may hold."""
        return [checkpoint for checkpoint in self.streams.found_in(look) if checkpoint.generation not in file.former]

    def _decide(self, file: Tracked, template: Checkpoint) -> None:
        """Say what a file is that holds no stream we look for."""
        look = self._look(file)
        if look is None:
            return
        original = self._originals.of(file, look, lambda other: self._succeeds(file, other))
        if original is not None:
            file.role, file.generation, file.original = Role.COPY, original.generation, original.key
            file.copied = original.generation
        elif self._is_spent(file, look):
            file.role = Role.SPENT
        elif free := [c for c in self._held(file, look) if c.generation not in self.live]:
            self._assign(file, max(free, key=_proof))
        else:
            self._assign(file, self.streams.begin(replace(template, place=file.place), look))

    def _succeeds(self, file: Tracked, other: Tracked) -> bool:
        """Tell whether a file stands where the other one's stream was: then it is its successor, not its copy."""
        generation, place = other.generation, file.place
        was_here = generation == self._last_at.get(place) or self.streams[generation].place == place
        return generation in file.former or (was_here and other.place != place)

    def _is_spent(self, file: Tracked, look: Look) -> bool:
        if file.copied in self.streams and not look.holds(self.streams[file.copied].position.offset + 1):
            return True
        return any(
            checkpoint.place != file.place and checkpoint.generation not in file.former
            for checkpoint in self.streams.gone_beyond(look)
        )

    def _assign(self, file: Tracked, checkpoint: Checkpoint) -> None:
        generation = checkpoint.generation
        file.role, file.generation, file.original = Role.STREAM, generation, None
        self.live[generation] = file
        self._last_at[file.place] = generation
        self._originals.add(file)
        self._seen(file)
        if file.content is not None and file.packed:
            file.packed_end = _packed_end(file, checkpoint)

    # Where else a stream may have gone

    def _search_elsewhere(self, scan: Scan, now_s: float, wall_s: float) -> None:
        """Look for streams without a file among the rotated siblings of their last place.

        Patterns often name the live file only ("/var/log/auth.log"); what was rotated away while nobody looked is
        then found as auth.log.1 or auth.log-20260901.gz, and behind a symbolic link that was moved on.
        """
        places = [self.streams[generation].place for generation in self._orphans]
        fresh = []
        for sighting in rotated_siblings(place for place in places if self._is_ours(place, scan)):
            if sighting.key not in self.files:
                rested = max(0.0, wall_s - sighting.mtime_ns / 1e9)
                fresh.append(Tracked(sighting, now_s - rested, extra=True))
        self._resume([file for file in fresh if self._ready(file, now_s)], self._orphans)
        for file in fresh:
            if file.role is Role.STREAM:
                self.files[file.key] = file
            else:
                self._open.close(file)
        if not any(file.waiting for file in fresh):
            self._orphans = set()

    def _is_ours(self, place: str, scan: Scan) -> bool:
        return self._scanner.covers(place) or os.path.dirname(place) in scan.link_folders  # noqa: PTH120  see scan.py

    def _cannot_read(self, file: Tracked, error: OSError | SecmonError) -> None:
        """Note why a file cannot be read; it is tried again at every poll, other files go on."""
        self._open.close(file)
        file.waiting = True
        if isinstance(error, SecmonError):
            file.problem = str(error)
        elif error.errno != errno.ENOENT:  # a file that just went is no problem; the next poll sees it
            file.problem = f"{file.place}: {reason(error)}"


def _proof(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return how much of a file is known to be a stream's if the fingerprints agree."""
    return checkpoint.position.offset, head_length(checkpoint.head)


def _packed_end(file: Tracked, checkpoint: Checkpoint) -> int | None:
    """Return where a packed file ends, as far as it can be told without unpacking all of it."""
    content = file.content
    if content is None:
        return None
    offset = checkpoint.position.offset
    is_whole_head = head_length(checkpoint.head) == HEAD_BYTES
    if content.end() is None and is_whole_head and content.stated_length == offset % _LENGTH_MODULUS:
        return offset
    return content.end()

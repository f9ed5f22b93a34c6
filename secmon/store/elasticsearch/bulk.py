"""Bulk writing: requests as large and as many as the cluster takes (`pace`); poison is named, the rest goes on.

Elasticsearch answers each item by itself (docs/elasticsearch.md): 201 stored, 409 the id is there, 400 this document
can never be stored, 429 and 503 not now; or it refuses the whole request with 413 or 429.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from secmon.errors import StoreError, StoreUnavailableError
from secmon.store.elasticsearch.encode import Item
from secmon.store.elasticsearch.failures import (
    BAD_REQUEST,
    CONFLICT,
    TOO_LARGE,
    TOO_MANY,
    LostError,
    api_failure,
    error_of,
    is_blocked,
)
from secmon.store.elasticsearch.gateway import Answer, Gateway
from secmon.store.elasticsearch.pace import MAX_BYTES, MAX_REQUESTS, Pace

MAX_ITEMS: Final = 5_000
FIRST_PIECE_BYTES: Final = 128 * 1024
ATTEMPTS: Final = 8
"""In a row, without a single item taken."""
RESENDS: Final = 3
"""Of a request whose connection was lost: it may have been done, and is done once all the same."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
LONGEST_RETRY_AFTER_S: Final = 30.0

_UNAVAILABLE = 503
_BUSY = frozenset((TOO_MANY, _UNAVAILABLE))
_FINE = 300
_FILTER = "error.type,errors,items.*.status,items.*.error.type"


class Action(NamedTuple):
    """One item of a bulk request: its two lines of JSON, and what to call it."""

    id: str
    command: bytes
    document: bytes

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.command) + len(self.document) + 2


@dataclass(slots=True)
class Outcome:
    """What became of the items of a bulk write, each by its id."""

    taken: list[str] = field(default_factory=list)
    """The id was there already (409), or its version was another."""
    refused: list[str] = field(default_factory=list)
    """Poison (400): the document can never be stored as it is."""


class BulkWriter:
    """Writes many documents at once; any thread may use it.

    Args:
        gateway: the way to the cluster.
        sleep: waits some seconds before the next attempt.
    """

    def __init__(self, gateway: Gateway, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._gateway = gateway
        self._sleep = sleep
        self._pace = Pace()
        self._threads = ThreadPoolExecutor(MAX_REQUESTS, thread_name_prefix="elasticsearch-bulk")

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown()

    def write(self, index: str, actions: Iterable[Action]) -> Outcome:
        """Write all actions to one index; see `write_all`."""
        return self.write_all([(index, actions)])[0]

    def write_all(self, work: Iterable[tuple[str, Iterable[Action]]]) -> list[Outcome]:
        """Write actions to their indices, as often as it takes; they are made while earlier ones are under way.

        Args:
            work: index and actions; one outcome is returned for each.

        Raises:
            StoreUnavailableError: the cluster was too busy or away for too long; some may be stored.
            StoreError: it refused in a way that no waiting mends.
        """
        outcomes: list[Outcome] = []
        under_way: deque[Future[None]] = deque()
        try:
            sizes = _rising(lambda: self._pace.bytes)
            for index, actions in work:
                outcomes.append(Outcome())
                for part in _cut(actions, sizes.__next__):
                    under_way.append(self._started(index, part, outcomes[-1]))
                    while under_way and under_way[0].done():
                        under_way.popleft().result()
            while under_way:
                under_way.popleft().result()
        finally:
            wait(under_way)  # nothing is still being written when a failure is told
        return outcomes

    def _started(self, index: str, part: list[Action], outcome: Outcome) -> Future[None]:
        size = sum(action.size for action in part)
        self._pace.enter(size)
        try:
            future = self._threads.submit(self._write_part, index, part, outcome)
        except BaseException:
            self._pace.leave(size)
            raise
        future.add_done_callback(lambda _: self._pace.leave(size))
        return future

    def _write_part(self, index: str, part: list[Action], outcome: Outcome) -> None:
        """Send a part until nothing of it is left, in ever smaller pieces if need be."""
        pieces, failures = deque([part]), 0
        while pieces:
            sent = pieces.popleft()
            started = self._pace.start()
            answer = self._send(index, sent)
            if answer.status == TOO_LARGE:
                self._pace.too_large()
                pieces.extendleft(reversed(_halves(sent, outcome)))
                continue
            is_fine = answer.status < _FINE and not answer.body["errors"]
            left = [] if is_fine else self._left(sent, answer, outcome)
            if not left:
                failures = 0
                self._pace.went_well(started, sum(action.size for action in sent))
                continue
            self._pace.overloaded(started)
            failures = failures + 1 if len(left) == len(sent) else 1
            if failures == ATTEMPTS:
                raise StoreUnavailableError(
                    "the cluster is too busy to take more", where=self._gateway.url, hint="it is tried again by itself"
                )
            pieces.extendleft(reversed(list(_cut(left, lambda: self._pace.bytes))))
            self._sleep(_pause(failures, answer.retry_after_s))

    def _send(self, index: str, part: Sequence[Action]) -> Answer:
        body = b"".join([line for action in part for line in (action.command, b"\n", action.document, b"\n")])
        for attempt in range(RESENDS):
            try:
                answer = self._gateway.lines(f"/{index}/_bulk", body, expect=(TOO_LARGE, *_BUSY), filter_path=_FILTER)
                break
            except LostError:
                # Whatever of it was done answers 409 now, and carries our token (`writing` looks).
                if attempt == RESENDS - 1:
                    raise
                self._sleep(_pause(attempt + 1))
        kind = error_of(answer.body)
        if is_blocked(answer.status, kind):
            raise api_failure(self._gateway.url, answer.status, kind)
        return answer

    def _left(self, part: Sequence[Action], answer: Answer, outcome: Outcome) -> list[Action]:
        """Sort the items of an answer; return those to send again."""
        if answer.status in _BUSY:
            return list(part)
        left = []
        for action, item in zip(part, answer.body["items"], strict=True):
            (result,) = item.values()
            status, kind = result["status"], result.get("error", {}).get("type", "")
            if status < _FINE:
                continue
            if status == CONFLICT:
                outcome.taken.append(action.id)
            elif status == BAD_REQUEST:
                outcome.refused.append(action.id)
            elif status in _BUSY and not is_blocked(status, kind):
                left.append(action)
            else:
                raise api_failure(self._gateway.url, status, kind)
        return left


def _halves(part: list[Action], outcome: Outcome) -> list[list[Action]]:
    """Return a request that was too large in two; a single document that is too large is poison."""
    if len(part) == 1:
        outcome.refused.append(part[0].id)
        return []
    middle = len(part) // 2
    return [part[:middle], part[middle:]]


def _pause(failures: int, retry_after_s: float | None = None) -> float:
    """Return seconds to wait: as the cluster says; else doubling, spread, so that daemons do not come back at once."""
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_RETRY_AFTER_S)
    pause: float = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  no secret


def create(items: Iterable[Item], token: str) -> Iterator[Action]:
    """Yield the actions that create documents, unless their ids are taken."""
    mark = token.encode()
    for item in items:
        yield Action(item.id, b'{"create":{"_id":"' + item.id.encode() + b'"}}', item.document(mark))


def overwrite(item: Item, token: str, seq_no: int, primary_term: int) -> Action:
    """Return the action that replaces exactly one version of a document."""
    command = f'{{"index":{{"_id":"{item.id}","if_seq_no":{seq_no},"if_primary_term":{primary_term}}}}}'
    return Action(item.id, command.encode(), item.document(token.encode()))


def _rising(most: Callable[[], int]) -> Iterator[int]:
    """Yield the bytes of one request after the other: few at first, so that the cluster has something to do at once."""
    size = FIRST_PIECE_BYTES
    while True:
        yield min(size, most())
        size = min(size * 2, MAX_BYTES)


def _cut(actions: Iterable[Action], size: Callable[[], int]) -> Iterator[list[Action]]:
    """Yield pieces of at most so many bytes, as it is at the beginning of each; one action may be larger by itself."""
    piece: list[Action] = []
    held, most = 0, size()
    for action in actions:
        if piece and (held + action.size > most or len(piece) == MAX_ITEMS):
            yield piece
            piece, held, most = [], 0, size()
        piece.append(action)
        held += action.size
    if piece:
        yield piece


def refuse_poison(outcome: Outcome, where: str) -> None:
    """Raise for documents of our own making that Elasticsearch refuses: hits, findings, dead letters.

    Raises:
        StoreError: there is one.
    """
    if outcome.refused:
        raise StoreError(
            "{count} documents cannot be stored",
            where=where,
            hint="the templates were changed; see docs/elasticsearch.md",
            values={"count": len(outcome.refused)},
        )

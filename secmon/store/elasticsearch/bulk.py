"""Bulk writing: pieces of bounded size, some at once; what is too much now is sent again, what is poison is named.

Elasticsearch answers each item by itself (docs/elasticsearch.md): 201 stored, 409 the id is there, 400 this document
can never be stored, 429 and 503 not now; or it refuses the whole request with 413 or 429.
"""

import random
import threading
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
    api_failure,
    error_of,
    is_blocked,
)
from secmon.store.elasticsearch.gateway import Answer, Gateway

MIN_BYTES: Final = 256 * 1024
MAX_BYTES: Final = 4 << 20
FIRST_BYTES: Final = 1 << 20
MAX_ITEMS: Final = 5_000
CONCURRENCY: Final = 4
ATTEMPTS: Final = 8
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0

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


class Pace:
    """How much one request may hold: halved when the cluster says it is too much, raised slowly when it is not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = FIRST_BYTES

    @property
    def bytes(self) -> int:
        """Bytes of one request."""
        return self._bytes

    def slower(self) -> None:
        """The cluster was overloaded."""
        with self._lock:
            self._bytes = max(self._bytes // 2, MIN_BYTES)

    def faster(self) -> None:
        """A request went well."""
        with self._lock:
            self._bytes = min(self._bytes + self._bytes // 16, MAX_BYTES)


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
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="elasticsearch-bulk")

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown()

    def write(self, index: str, actions: Iterable[Action]) -> Outcome:
        """Write all actions to one index, as often as it takes; they are made while earlier ones are under way.

        Raises:
            StoreUnavailableError: the cluster was too busy or away for too long; some may be stored.
            StoreError: it refused in a way that no waiting mends.
        """
        outcome = Outcome()
        under_way: deque[Future[None]] = deque()
        try:
            for part in _cut(actions, self._pace.bytes):
                under_way.append(self._threads.submit(self._write_part, index, part, outcome))
                if len(under_way) > CONCURRENCY:
                    under_way.popleft().result()
            while under_way:
                under_way.popleft().result()
        finally:
            wait(under_way)  # nothing is still being written when a failure is told
        return outcome

    def _write_part(self, index: str, part: Sequence[Action], outcome: Outcome) -> None:
        for attempt in range(ATTEMPTS):
            answer = self._send(index, part)
            if answer.status == TOO_LARGE:
                self._halve(index, part, outcome)
                return
            part = [] if answer.status < _FINE and not answer.body["errors"] else self._left(part, answer, outcome)
            if not part:
                self._pace.faster()
                return
            self._pace.slower()
            # Spread, so that several daemons do not come back at the same moment.
            pause = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
        raise StoreUnavailableError(
            "the cluster is too busy to take more", where=self._gateway.url, hint="it is tried again by itself"
        )

    def _send(self, index: str, part: Sequence[Action]) -> Answer:
        body = b"".join([line for action in part for line in (action.command, b"\n", action.document, b"\n")])
        answer = self._gateway.lines(f"/{index}/_bulk", body, expect=(TOO_LARGE, *_BUSY), filter_path=_FILTER)
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

    def _halve(self, index: str, part: Sequence[Action], outcome: Outcome) -> None:
        """Send a request that was too large in two; a single document that is too large is poison."""
        self._pace.slower()
        if len(part) == 1:
            outcome.refused.append(part[0].id)
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            self._write_part(index, half, outcome)


def create(items: Iterable[Item], token: str) -> Iterator[Action]:
    """Yield the actions that create documents, unless their ids are taken."""
    mark = token.encode()
    for item in items:
        yield Action(item.id, b'{"create":{"_id":"' + item.id.encode() + b'"}}', item.document(mark))


def overwrite(item: Item, token: str, seq_no: int, primary_term: int) -> Action:
    """Return the action that replaces exactly one version of a document."""
    command = f'{{"index":{{"_id":"{item.id}","if_seq_no":{seq_no},"if_primary_term":{primary_term}}}}}'
    return Action(item.id, command.encode(), item.document(token.encode()))


def _cut(actions: Iterable[Action], size: int) -> Iterator[list[Action]]:
    """Yield pieces of at most this many bytes; one action may be larger by itself."""
    piece: list[Action] = []
    held = 0
    for action in actions:
        if piece and (held + action.size > size or len(piece) == MAX_ITEMS):
            yield piece
            piece, held = [], 0
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

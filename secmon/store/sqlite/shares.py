"""Which blocks a query takes whole, which in part, and which not at all: told by `posting` without reading a row.

Logs come a source at a time, so nearly every block is of one kind. A question such as "web events of this system"
takes most blocks whole or not at all; rows are looked at in the rest. That is what lets an assessment ask forty
questions about ten million events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from secmon.model.access import Scope
from secmon.model.event import to_micros
from secmon.model.questions import EventQuery
from secmon.store.sqlite.conditions import NUMBER_OF
from secmon.store.sqlite.connection import fetch, fetch_one
from secmon.store.sqlite.schema import any_word
from secmon.store.sqlite.selection import column_words, numbers

# A field with more words than this is counted row by row: its postings are as many as the rows.
MAX_WORDS = 1_000

_BLOCKS = "SELECT first, events, since, until FROM block INDEXED BY block_span ORDER BY first"
_SHARE = "SELECT block, sum(events) FROM posting WHERE word IN (SELECT value FROM carray(?)) GROUP BY block"
_WORDS = "SELECT p.block, w.text, p.events FROM word w CROSS JOIN posting p ON p.word = w.id WHERE w.field = ?"


class Block(NamedTuple):
    """One block: the seq of its first event, how many events, the earliest and latest `@timestamp` (µs)."""

    first: int
    events: int
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Shares:
    """The blocks of one partition in which something may match.

    Args:
        whole: every event of them does.
        mixed: some may.
    """

    whole: Sequence[Block]
    mixed: Sequence[Block]


def shares(connection: apsw.Connection, query: EventQuery, scope: Scope) -> Shares:
    """Return the shares of a query that asks for times, `equals` and `present` only."""
    since = -(2**63) if query.since is None else to_micros(query.since)
    until = 2**63 if query.until is None else to_micros(query.until)
    conditions = [words for _, words in column_words(connection, query, scope)]
    conditions += [[any_word(NUMBER_OF[name])] for name in query.present]
    held = [dict(fetch(connection, _SHARE, (numbers(words),))) if words else {} for words in conditions]
    whole: list[Block] = []
    mixed: list[Block] = []
    for block in (Block(*row) for row in fetch(connection, _BLOCKS)):
        if block.until < since or block.since >= until or any(block.first not in share for share in held):
            continue
        is_inside = since <= block.since and block.until < until
        is_whole = is_inside and all(share[block.first] == block.events for share in held)
        (whole if is_whole else mixed).append(block)
    return Shares(whole, mixed)


def texts_of_blocks(connection: apsw.Connection, field: int) -> Mapping[int, Sequence[tuple[str, int]]] | None:
    """Return block → the texts of a field, each with the events that have it; None for more than `MAX_WORDS` texts."""
    ask = "SELECT count(*) FROM (SELECT 1 FROM word WHERE field = ? LIMIT ?)"
    if fetch_one(connection, ask, (field, MAX_WORDS + 1)) > MAX_WORDS:
        return None
    found: dict[int, list[tuple[str, int]]] = {}
    for block, text, events in fetch(connection, _WORDS, (field,)):
        found.setdefault(block, []).append((text, events))
    return found

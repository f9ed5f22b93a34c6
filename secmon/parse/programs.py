"""How the messages of one program are read: a list of patterns, each with what it means.

The patterns are our own and linear; they are tried in order, those of the most frequent messages first.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from secmon.model.event import Event
from secmon.parse.address import port_of, source_of

# A match of a message → the fields it adds to the event; None: it is not what it looked like.
Reading = Callable[[re.Match[str]], Event | None]

# Longer messages are kept, not interpreted: what programs say about a login is short, and a pattern that looks twice
# at each character of a mebibyte stops the daemon.
MAX_INTERPRETED = 8192


@dataclass(frozen=True, slots=True)
class Program:
    """One program that writes to syslog.

    Args:
        module: `event.module` of its events.
        dataset: `event.dataset` of its events.
        read: a message → the fields it adds, None where it is not interpreted.
    """

    module: str
    dataset: str
    read: Callable[[str], Event | None]


def program(module: str, dataset: str, table: Sequence[tuple[str, Reading]]) -> Program:
    """Build a program from (pattern, reading) pairs; a pattern must match the whole message."""
    compiled = tuple((re.compile(pattern, re.DOTALL | re.ASCII), reading) for pattern, reading in table)

    def read(message: str) -> Event | None:
        for pattern, reading in compiled:
            found = pattern.fullmatch(message)
            if found is not None:
                return reading(found)
        return None

    return Program(module, dataset, read)


def meaning(category: str, *types: str, action: str = "", outcome: str = "") -> Event:
    """Return the ECS categorisation fields."""
    event: Event = {"event.category": [category], "event.type": list(types)}
    if action:
        event["event.action"] = action
    if outcome:
        event["event.outcome"] = outcome
    return event


def source(address: str | None, port: str | None) -> Event:
    """Return the `source.*` fields of an address and a port."""
    event = source_of(address or "")
    if port and (number := port_of(port)) is not None:
        event["source.port"] = number
    return event


def user(name: str | None, *, prefix: str = "user") -> Event:
    """Return `user.name` (or `prefix.name`), nothing where there is no name."""
    return {f"{prefix}.name": name} if name else {}

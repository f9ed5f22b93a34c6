"""Events and queries that meet: few values, among them what an index cannot hold or compares in its own way."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from secmon.model.event import Event, Value
from secmon.model.query import (
    Addresses,
    AllOf,
    AnyOf,
    During,
    Equals,
    Exists,
    Holds,
    Like,
    Not,
    Numbers,
    Query,
    Says,
    address_number,
)
from secmon.model.text import words
from tests.contracts.builders import event_at
from tests.contracts.oracle import MOMENTS, UNITS

_NAMES = [
    "mori",
    "Mori",
    "MORI",
    "王小明",
    "Ä",
    "ä",
    "\u212a",
    "k",
    "a*b",
    "a?b",
    "a\\b",
    "a_b",
    "a%b",
    "a\0b",
    "",
    "42",
    "a\nb",
]
_ADDRESSES = [
    "192.0.2.1",
    "192.0.2.200",
    "::ffff:192.0.2.1",
    "2001:db8::1",
    "2001:DB8:0::1",
    "fe80::1%eth0",
    "192.0.02.1",
    "x",
]
_NUMBERS: list[Any] = [200, 404, "404", -1, 0, 2**63 - 1, "x", 1.5, True, "1e3"]
_TEXTS = ["Failed password for mori", "failed  PASSWORD", "导出学籍表 200", "GET /etc/passwd", "\u212aelvin", "--"]


def _one_or_more(values: list[Any]) -> st.SearchStrategy[Value]:
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3).map(list[Any])


# In turn: a column of SQLite, an address, a number, a keyword of the table, a field of nobody's, a text, words.
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "user.name": _one_or_more(_NAMES),
    "source.ip": st.sampled_from(_ADDRESSES),
    "destination.ip": _one_or_more(_ADDRESSES),
    "http.response.status_code": _one_or_more(_NUMBERS),
    "process.name": _one_or_more(_NAMES),
    "labels.odd": _one_or_more([*_NAMES, *_NUMBERS, *_ADDRESSES]),
    "message": st.sampled_from(_TEXTS),
    "unit.id": st.sampled_from(UNITS),
    "event.created": st.sampled_from(["2026-11-21T12:00:00.000Z", "1601-01-01T00:00:00.000Z", "never"]),
}
FIELDS = (*_FIELDS, "host.name", "odd*name", "@timestamp")


@st.composite
def hunted_events(draw: st.DrawFn, max_size: int = 20) -> list[Event]:
    """Draw events with different ids."""
    drawn = draw(st.lists(st.tuples(MOMENTS, st.fixed_dictionaries({}, optional=_FIELDS)), max_size=max_size))
    return [{**event_at(number * 7, at), **fields} for number, (at, fields) in enumerate(drawn)]


_PATTERNS = st.sampled_from(
    [
        "m*",
        "M?RI",
        "*o*",
        "a\\*b",
        "a\\?b",
        "a\\\\b",
        "a_b",
        "a%*",
        "?",
        "??",
        "*",
        "k",
        "\u212a",
        "Ä*",
        "a?b",
        "4*",
        "192.0.2.*",
    ]
)
_ENDS = st.none() | st.sampled_from(
    [Decimal(text) for text in ("-1", "0", "1.5", "200", "403.5", "404", "1e3", "1e40", "-1e40")]
)
_HOSTS = st.sampled_from(
    [address_number(text) or 0 for text in ("::ffff:0:0", "192.0.2.1", "192.0.2.255", "2001:db8::", "::")]
)
_MICROS = st.none() | MOMENTS.map(lambda moment: int(moment.timestamp() * 1_000_000))
_PHRASES = st.sampled_from(
    ["failed password", "PASSWORD", "学籍", "籍 表", "200", "kelvin", "\u212aelvin", "etc passwd", "1e3", "mori"]
)
_NAME = st.sampled_from(FIELDS)

LEAVES: st.SearchStrategy[Query] = st.one_of(
    st.builds(Exists, _NAME),
    st.builds(Equals, _NAME, st.sampled_from([*_NAMES, *map(str, _NUMBERS), *_ADDRESSES, "\ud800"])),
    st.builds(Like, _NAME, _PATTERNS),
    st.builds(Numbers, field=_NAME, low=_ENDS, high=_ENDS, above=st.booleans(), below=st.booleans()),
    st.builds(Addresses, field=_NAME, low=_HOSTS, high=_HOSTS | st.just((1 << 128) - 1)),
    st.builds(During, field=_NAME, since=_MICROS, until=_MICROS),
    st.builds(Says, st.sampled_from(["", "message", "user.name"]), _PHRASES.map(lambda text: tuple(words(text)))),
    st.builds(Holds, st.sampled_from(["", "message", "process.name"]), _PATTERNS),
)
QUERIES: st.SearchStrategy[Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)

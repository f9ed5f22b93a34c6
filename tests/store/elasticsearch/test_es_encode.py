"""Events as documents: nothing is lost, and where the index might not tell the truth, it says so."""

import json
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from secmon.model.batch import StoredEvent
from secmon.model.event import Event, value_texts
from secmon.model.text import words
from secmon.store.elasticsearch.encode import ANY_FIELD, event_item, event_of
from secmon.store.elasticsearch.fields import MAX_TEXT, REST, indexed_as, is_plain
from secmon.store.elasticsearch.words import indexed_words

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_SCALARS = _TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
_NAMES = st.sampled_from(["user.name", "source.port", "source.ip", "message", "event.type", "tags", "x.y", "winlog.z"])
_EVENTS = st.dictionaries(
    _NAMES | _TEXTS.filter(lambda name: not name.startswith("store")),
    _SCALARS | st.lists(_SCALARS, max_size=4),
    max_size=6,
)


def stored(event: Event) -> StoredEvent:
    return StoredEvent(id=bytes(range(16)), time=-5, digest=bytes(16), body=orjson.dumps(event), columns=())


def document(event: Event) -> dict[str, Any]:
    source: dict[str, Any] = orjson.loads(event_item(stored(event)).document(b"token"))
    return source


@given(fields=_EVENTS)
@example(fields={"user.name": "a\x1fb", "x.y": ["\x1f"], "tags": [], "source.port": True, "message": 1.5})
@example(fields={"user.name": "x" * (MAX_TEXT + 1), "unknown": ["y" * (MAX_TEXT + 1), "z"]})
def test_an_event_comes_back_as_it_was(fields: Event) -> None:
    event: Event = {"event.id": "00" * 16, **fields}
    assert event_of(document(event)) == event


@given(fields=_EVENTS)
@example(fields={"user.name": ["1", "1"], "tags": [1, "1"], "x.y": [True, "True"]})
@example(fields={"source.port": 8080, "user.name": ["a", "b"], "http.version": "2"})
@example(fields={"": "empty", "*": "star", "a\0": "nul", "source.port": False})
def test_an_index_tells_all_texts_of_a_field_or_the_document_says_that_it_does_not(fields: Event) -> None:
    source = document({"event.id": "00" * 16, **fields})
    scan = source["store"].get("scan", [])
    for name, value in fields.items():
        place = indexed_as(name)
        if place is None or name in scan or (not is_plain(name) and ANY_FIELD in scan):
            continue
        top = source.get(name) if place == name else source["store"]["rest"][place.removeprefix(REST + ".")]
        held = top if isinstance(top, list) else [top]
        assert all(item.__class__ in {str, int} for item in held)
        assert sorted(map(str, held)) == sorted(value_texts(value))
        assert len(set(map(str, held))) == len(held)  # an index keeps equal values of a document once


def test_a_plain_event_is_not_rewritten() -> None:
    body = b'{"event.id":"00","user.name":"mori",  "source.port":22,"tags":["a","b"]}'
    item = event_item(StoredEvent(id=bytes(16), time=1, digest=bytes(16), body=body, columns=()))
    assert item.document(b"t").endswith(body[1:])


@given(
    body=st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3))
)
@example(body={"a": "user=mori\\nWORD _x_y 学籍"})
@example(body={"a": "\\\\n\\n\\tword\\x01next \\u212a"})
@example(body={"line": 'GET /a\nb "quoted"'})
def test_all_words_of_all_texts_can_be_found(body: object) -> None:
    parsed = {"body": body}
    held = set(indexed_words(orjson.dumps(parsed)).decode().split(" "))
    assert {word for text in _texts(body) for word in words(text)} <= held


def test_the_words_of_plain_ascii_are_those_of_the_model_and_the_names() -> None:
    text = "GET /a-b_c?x=1&y=192.0.2.1 HTTP/1.1"
    body = json.dumps({"m": text}).encode()
    assert set(indexed_words(body).decode().split()) == {*words(text), "m"}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for child in children for text in _texts(child)]

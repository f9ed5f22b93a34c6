"""What a query means, said once for every store: the slow, obvious twin of each store's indexes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from secmon.model.event import Event, value_texts
from secmon.model.query import predicate
from secmon.model.questions import EventQuery
from secmon.model.text import has_phrase, words


def matches(event: Event, *, equals: Mapping[str, tuple[str, ...]], present: Iterable[str], phrase: list[str]) -> bool:
    """Tell whether an event has the wanted values and fields, and the phrase in one of its texts."""
    for name, wanted in equals.items():
        value = event.get(name)
        if value is None or set(wanted).isdisjoint(value_texts(value)):
            return False
    if any(name not in event for name in present):
        return False
    return not phrase or says(event, phrase)


def decision(query: EventQuery) -> Callable[[Event], bool]:
    """Return the test that decides about an event, apart from time and scope."""
    phrase = phrase_of(query.text) if query.text else []
    if phrase is None:
        return lambda _event: False
    where = predicate(query.where)
    equals, present = query.equals, query.present
    return lambda event: matches(event, equals=equals, present=present, phrase=phrase) and where(event)


def says(body: Mapping[str, Any], phrase: list[str]) -> bool:
    """Tell whether one text of a JSON object holds the phrase (`model.text`); names of fields are not searched."""
    return any(has_phrase(text, phrase) for text in _texts(body))


def may_say(body: bytes, phrase: list[str]) -> bool:
    """Tell whether a JSON text could hold the phrase in one of its texts: quick, and never wrongly no.

    Only plain letters and digits decide: JSON may write others as escapes, and "k" is also the lower case of the
    Kelvin sign.
    """
    lowered = body.lower()
    return b"\\u" in lowered or all(word.encode() in lowered for word in phrase if word.isascii() and "k" not in word)


def phrase_of(text: str) -> list[str] | None:
    """Return the words of a search text; None if there are none in it, so that nothing can hold it."""
    found = words(text)
    return found or None


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    stack: list[Any] = [body]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)

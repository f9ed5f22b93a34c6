"""The fields of an event that can hold personal data."""

from collections.abc import Mapping, Sequence

from secmon.classify.views import View, views
from secmon.model.event import Event, Scalar, Value

# Our own facts about the event; nothing out of the record stands in them.
_OWN_FIELDS = frozenset(
    {
        "@timestamp", "ecs.version", "event.id", "event.hash", "event.ingested", "event.kind", "event.category",
        "event.type", "event.dataset", "event.module", "unit.id", "asset.id",
    }
)  # fmt: skip
_OWN_PREFIXES = ("data.", "secmon.")
# These come out of the record all the same: what a sender wrote into our fields (parse/ecs_reserved.py), and web
# addresses with their escapes undone (parse/url_text.py).
_OUT_OF_RECORD = ("secmon.sent.", "secmon.url.")
# Numbers below this cannot be anybody's number; counters and ports are passed over.
_LEAST_NUMBER = 10**9
# The shortest value of any class is a name of two characters.
_LEAST_TEXT = 2


class Item:
    """One text of a field.

    Args:
        place: where it stands in the field's list.
        text: the text as it stands.
        is_number: it stands for a number.
    """

    __slots__ = ("_views", "is_number", "place", "text")

    def __init__(self, place: int, text: str, *, is_number: bool) -> None:
        self.place, self.text, self.is_number = place, text, is_number
        self._views: list[View] | None = None

    @property
    def views(self) -> list[View]:
        """Its views; made when first asked, because most fields of an event are never looked at."""
        if self._views is None:
            self._views = views(self.text)
        return self._views


Fields = Mapping[str, list[Item]]


def text_fields(event: Event) -> Fields:
    """Return texts, and whole numbers as long as a telephone number, by field."""
    fields: dict[str, list[Item]] = {}
    for name, value in event.items():
        if name in _OWN_FIELDS or (name.startswith(_OWN_PREFIXES) and not name.startswith(_OUT_OF_RECORD)):
            continue
        items: list[Item] = []
        for place, item in enumerate(value if isinstance(value, list) else (value,)):
            if isinstance(item, str):
                if len(item) >= _LEAST_TEXT:
                    items.append(Item(place, item, is_number=False))
            elif type(item) is int and item >= _LEAST_NUMBER:
                items.append(Item(place, str(item), is_number=True))
        if items:
            fields[name] = items
    return fields


def with_texts(value: Value, items: Sequence[Item], texts: Sequence[str]) -> Value:
    """Put masked texts into a field; a number that had to be masked becomes text, one that had not stays."""
    changed: list[Scalar] = [*value] if isinstance(value, list) else [value]
    for item, text in zip(items, texts, strict=True):
        if text != item.text:
            changed[item.place] = text
    return changed if isinstance(value, list) else changed[0]

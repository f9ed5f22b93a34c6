"""What of a hit no query asks for, small: a flood is millions of hits of one rule, alike but for their values.

Which fields a hit has values of is its shape: a text of the dictionary, the same for all hits of a rule. Its detail is

    number of keys (1 byte) · signature (8) · keys (8 each) · JSON array of the values, group's first

and where a key or signature is not the hex digits that secmon makes, a JSON object with names, and no shape.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.store.values import to_json

_KEY = re.compile(r"[0-9a-f]{16}")  # model.ids.key_id, sigma.hits: signatures
_KEY_BYTES = 8
_MAX_KEYS = ord("{") - 1  # the first byte of a detail with names
_SHAPES = 4_096


class Detail(NamedTuple):
    """What a detail holds."""

    group: dict[str, Value]
    keys: tuple[str, ...]
    captured: dict[str, Value]
    signature: str


def packed(hit: Hit) -> tuple[str | None, bytes]:
    """Return shape and detail of a hit.

    Raises:
        StoreError: a value cannot be written as JSON.
    """
    hexes = (hit.signature, *hit.keys)
    if len(hit.keys) > _MAX_KEYS or not all(_KEY.fullmatch(text) for text in hexes):
        return None, to_json(_named(hit))
    shape = to_json([list(hit.group), list(hit.captured)]).decode()
    values = to_json([*hit.group.values(), *hit.captured.values()])
    return shape, bytes((len(hit.keys),)) + bytes.fromhex("".join(hexes)) + values


def unpacked(shape: str | None, detail: bytes) -> Detail:
    """Return what a detail holds."""
    if shape is None:
        named = orjson.loads(detail)
        named_keys = tuple(named.get("keys", ()))
        return Detail(named.get("group", {}), named_keys, named.get("captured", {}), named.get("signature", ""))
    start = 1 + _KEY_BYTES * (1 + detail[0])
    signature, *keys = (detail[at : at + _KEY_BYTES].hex() for at in range(1, start, _KEY_BYTES))
    group, captured = _names(shape)
    values = orjson.loads(detail[start:])
    cut = len(group)
    return Detail(
        dict(zip(group, values[:cut], strict=True)),
        tuple(keys),
        dict(zip(captured, values[cut:], strict=True)),
        signature,
    )


@lru_cache(_SHAPES)
def _names(shape: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    group, captured = orjson.loads(shape)
    return tuple(group), tuple(captured)


def _named(hit: Hit) -> Mapping[str, Any]:
    every = {"group": hit.group, "keys": hit.keys, "captured": hit.captured, "signature": hit.signature}
    return {name: value for name, value in every.items() if value}

"""Values of a rule as their modifiers read them, before pySigma sees them.

YAML is read literally (`documents.py`), so that `10.0` and `yes` are texts. Where a modifier can only mean the number
or the boolean, they are one after all; where it can only mean a text (`contains`, `re` …), numbers and booleans are
their text form, which is what they are compared with. What fits no modifier stays, and pySigma refuses it.
"""

import math
from collections.abc import Iterable
from typing import Any

from secmon.sigma.values import MAX_EXACT, number_of, text_of

_NUMERIC = frozenset({"gt", "gte", "lt", "lte", "minute", "hour", "day", "week", "month", "year"})
_TEXTUAL = frozenset(
    {
        "contains",
        "startswith",
        "endswith",
        "cased",
        "windash",
        "re",
        "base64",
        "base64offset",
        "wide",
        "utf16",
        "utf16le",
        "utf16be",
        "expand",
    }
)
# Booleans of YAML 1.1, which authors and other readers of rules go by.
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}

# Modifiers that may stand beside `fieldref`, all of them behind it: what stands before would change the field's name.
_BESIDE_FIELD_REFERENCE = frozenset({"fieldref", "startswith", "endswith", "contains", "all", "neq"})


def fits_field_reference(names: list[str]) -> bool:
    """Tell whether modifiers say what a comparison of two fields can keep; so they do without `fieldref`."""
    if "fieldref" not in names:
        return True
    changing = [name for name in names if name not in {"all", "neq"}]
    return changing[0] == "fieldref" and changing.count("fieldref") == 1 and _BESIDE_FIELD_REFERENCE.issuperset(names)


def as_number(value: Any) -> int | float | None:
    """Return the finite number that a value is, whole ones as such as long as they are exact; else None."""
    number = number_of(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) == math.inf:
        return None
    is_whole = isinstance(number, float) and number.is_integer() and abs(number) < MAX_EXACT
    return int(number) if is_whole else number


def as_boolean(value: Any) -> Any:
    """Return the boolean that a text is in YAML 1.1; anything else as it is."""
    return _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value


def as_modified(detection: Any) -> Any:
    """Return a part of a `detection` with its values as the modifiers of their fields read them."""
    if isinstance(detection, dict):
        return {key: _value(str(key).split("|")[1:], value) for key, value in detection.items()}
    if isinstance(detection, list):
        return [as_modified(each) for each in detection]
    return detection


def _value(names: list[str], value: Any) -> Any:
    if not names:
        return as_modified(value)
    if isinstance(value, list):
        return [_scalar(names, each) for each in value]
    return _scalar(names, value)


def _scalar(names: Iterable[str], value: Any) -> Any:
    first = next((name for name in names if name not in {"all", "neq"}), "")
    if first in _NUMERIC and isinstance(value, str):
        number = as_number(value)
        return value if number is None else number
    if first == "exists":
        return as_boolean(value)
    if first in _TEXTUAL and isinstance(value, bool | int | float):
        return text_of(value)
    return value

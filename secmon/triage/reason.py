"""One sentence that says why an alert was raised, out of a rule's template and the first hit's values."""

import re
from collections.abc import Mapping

from secmon.model.alert import AlertContent
from secmon.model.event import Value

_PLACE = re.compile(r"\{([@A-Za-z0-9_.\- ]+)\}")
MAX_VALUE = 120


def reason_sentence(template: str, content: AlertContent, group: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """Fill `{field}` places; a field that the events do not have becomes "—".

    A value that is a key of `names` (a data class) is shown by its name. Besides the captured fields there are
    `{count}`, the satisfied moments, and `{secmon.count}`, the correlation's highest count.
    """
    values: dict[str, Value] = {**content.captured, **group, "count": content.count}
    return _PLACE.sub(lambda found: _shown(values.get(found[1]), names), template)


def _shown(value: Value | None, names: Mapping[str, str]) -> str:
    if value is None:
        return "—"
    parts = value if isinstance(value, list) else [value]
    text = "、".join(names.get(str(part), str(part)) for part in parts)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"

"""One sentence that says why an alert was raised, out of a rule's template and the first hit's values."""

import re

from secmon.model.event import Value
from secmon.triage.content import Draft

_PLACE = re.compile(r"\{([@A-Za-z0-9_.\- ]+)\}")
MAX_VALUE = 120


def reason_sentence(template: str, draft: Draft) -> str:
    """Fill `{field}` places; a field that the events do not have becomes "—".

    Besides the captured fields: `{count}` satisfied moments, `{secmon.count}` the correlation's highest count.
    """
    values: dict[str, Value] = {**draft.content.captured, **draft.group, "count": draft.content.count}
    return _PLACE.sub(lambda found: _shown(values.get(found[1])), template)


def _shown(value: Value | None) -> str:
    if value is None:
        return "—"
    text = "、".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"

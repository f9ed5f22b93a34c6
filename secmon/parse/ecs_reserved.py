"""Fields that are ours: what a sender writes there is moved aside.

A sender must not forge what the product itself states: identity and time of arrival of an event, the organisation
and the system it belongs to, what the classifier found, who was alerted. Its values are kept, under
`secmon.sent.<name>`, where nothing of ours is ever read from.
"""

from secmon.model.event import Event

SENT = "secmon.sent."

RESERVED_FIELDS = frozenset(
    (
        "event.id",
        "event.hash",
        "event.ingested",
        "event.original",
        "ecs.version",
        "log.file.path",
        "log.flags",
        "rule.level",
        "rule.digest",
    )
)
# The part of a name before its first dot (contracts: our namespaces beside ECS).
RESERVED_NAMESPACES = frozenset(
    ("secmon", "unit", "asset", "data", "alert", "case", "control", "evidence", "bulletin", "deadletter")
)


def is_reserved(name: str) -> bool:
    """Tell whether only the product may set a field."""
    return name in RESERVED_FIELDS or name.partition(".")[0] in RESERVED_NAMESPACES


def set_aside(fields: Event) -> Event:
    """Return a sender's fields, those that are ours renamed to `secmon.sent.<name>`."""
    return {SENT + name if is_reserved(name) else name: value for name, value in fields.items()}

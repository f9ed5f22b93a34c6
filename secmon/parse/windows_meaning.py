"""What is known of one Windows event id: the shape of the rows in windows_sysmon, _security and _logs."""

from dataclasses import dataclass

from secmon.parse.windows_convert import Write

EVENT_DATA = "winlog.event_data."

# EventData name → what is written from it.
Copies = tuple[tuple[str, Write], ...]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of one event id.

    Args:
        action: `event.action`.
        category: `event.category`.
        type: `event.type`.
        outcome: `event.outcome` where the id alone tells it.
        copies: which EventData values are copied into ECS fields, by the full name of the verbatim field.
    """

    action: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    outcome: str | None
    copies: Copies


def meaning(action: str, category: str, type: str, *groups: Copies, outcome: str | None = None) -> Meaning:  # noqa: A002
    """Return one row; `category` and `type` are ECS values separated by spaces, `groups` are joined in order."""
    copies = tuple((EVENT_DATA + name, write) for group in groups for name, write in group)
    return Meaning(action, tuple(category.split()), tuple(type.split()), outcome, copies)

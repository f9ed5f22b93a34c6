"""The school calendar that the settings name."""

from secmon.config import Settings
from secmon.errors import ContentError
from secmon.model.calendar import Calendar
from secmon.model.calendar_file import read_calendar


def load_calendar(settings: Settings) -> tuple[Calendar, list[str]]:
    """Read the calendar; wrong entries are named, the others count. Without a file every weekday is a school day."""
    zone, path = settings["secmon.zone"], settings["calendar.file"]
    if path is None:
        return Calendar(zone=zone), []
    from secmon.sigma.documents import documents  # noqa: PLC0415  only where there is a calendar

    try:
        found = list(documents(str(path), path.read_text(encoding="utf-8-sig")))
    except ContentError as error:
        return Calendar(zone=zone), [str(error)]
    except (OSError, UnicodeDecodeError) as error:
        values = {"reason": type(error).__name__}
        hint = "see calendar.file in the settings"
        unread = ContentError("the calendar cannot be read: {reason}", where=str(path), hint=hint, values=values)
        return Calendar(zone=zone), [str(unread)]
    if not found:
        return Calendar(zone=zone), []
    first = found[0]
    calendar, errors = read_calendar(first.data, lambda *keys: f"{path}:{first.line_of(*keys)}", zone)
    return calendar, [str(error) for error in errors]

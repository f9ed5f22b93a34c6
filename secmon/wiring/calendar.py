"""The school calendar that the settings name."""

from secmon.config import Settings
from secmon.errors import ContentError
from secmon.model.calendar import Calendar
from secmon.model.calendar_file import read_calendar
from secmon.sigma.rule import RuleFile


def load_calendar(settings: Settings, file: RuleFile | None) -> tuple[Calendar, list[str]]:
    """Return the calendar; wrong entries are named, the others count. Without a file every weekday is a school day."""
    zone = settings["secmon.zone"]
    if file is None:
        return Calendar(zone=zone), []
    from secmon.sigma.documents import documents  # noqa: PLC0415  only where there is a calendar

    try:
        found = list(documents(file.path, file.text))
    except ContentError as error:
        return Calendar(zone=zone), [str(error)]
    if not found:
        return Calendar(zone=zone), []
    first = found[0]
    calendar, errors = read_calendar(first.data, lambda *keys: f"{file.path}:{first.line_of(*keys)}", zone)
    return calendar, [str(error) for error in errors]

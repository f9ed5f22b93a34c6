"""Retention: whole partitions are dropped when their time is over, never before the law's six months.

The job believes the clock only where it goes on from its last run, which the ledger knows. A clock that is suddenly
further than that would drop in one run what has still to be kept; then nothing is dropped until an operator confirms
the date. A legal hold will keep a partition out of `_due`.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from secmon.app import audit, ledger
from secmon.app.installation import Installation
from secmon.errors import AccessError, ConflictError, StoreError
from secmon.model.access import Access, Role
from secmon.model.batch import Partition
from secmon.model.event import format_time, parse_time
from secmon.model.record import Body, Document
from secmon.model.retention import ceiling_of, class_of, days_kept

TASK: Final = "retention"
MAX_LEAP_DAYS: Final = 7
"""So far the clock may have gone on between two runs; less where a leap could drop what the law wants kept."""
_CONFIRMED: Final = ("clock", "confirmed")
_DROPPED: Final = ("retention", "dropped")
_CONFIRMATION: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Review:
    """What the job would do now.

    Args:
        due: partitions whose time is over.
        beyond: those of them that are older than the ceiling of their class.
        leap_days: by how many days the clock is further than the last run explains; 0 if it explains all.
    """

    due: tuple[Partition, ...]
    beyond: tuple[Partition, ...]
    leap_days: int

    @property
    def is_held_up(self) -> bool:
        """Whether the job waits for an operator."""
        return bool(self.due) and self.leap_days > 0


def review(house: Installation, access: Access) -> Review:
    """Return what is due, and whether the clock can be believed."""
    partitions, today = house.log.partitions(access), house.clock.now().date()
    due = tuple(one for one in partitions if _is_older(one, today, kept_days(house, one.retention)))
    beyond = tuple(one for one in due if _is_older(one, today, ceiling_of(one.retention, house.retention_ceilings)))
    return Review(due, beyond, _leap_days(house, access))


def apply_retention(house: Installation, access: Access) -> list[str]:
    """Drop the partitions whose ingest day is older than the setting; return their names.

    Each drop is written into the audit chain before it happens: a crash leaves an intention, not a riddle.

    Raises:
        StoreError: the clock has gone further than the last run explains; nothing was dropped.
    """
    found = review(house, access)
    if found.is_held_up:
        raise StoreError(
            "retention waits: the clock is {days} days further than its last run explains",
            where=TASK,
            hint="set the clock; if the date is right: secmon store retention --confirm-clock",
            values={"days": found.leap_days},
        )
    dropped = []
    for partition in found.due:
        name = f"{partition.retention}-{partition.day.isoformat()}"
        details = {"events": partition.events, "retention_days": kept_days(house, partition.retention)}
        audit.append(house, access, "partition.drop", name, details)
        _write_dropped(house, access, partition.day)
        house.log.drop_partition(access, partition.day, partition.retention)
        dropped.append(name)
    return dropped


def dropped_until(house: Installation, access: Access) -> date | None:
    """Return the latest ingest day of which a partition was dropped, None if nothing ever was."""
    document = house.records.get(access, *_DROPPED)
    return date.fromisoformat(document.body["until"]) if document else None


def _write_dropped(house: Installation, access: Access, day: date) -> None:
    kind, identity = _DROPPED
    body: Body = {"until": day.isoformat()}
    while True:
        document = house.records.get(access, kind, identity)
        try:
            if document is None:
                house.records.create(access, Document(kind=kind, id=identity, body=body))
            elif document.body["until"] < body["until"]:
                house.records.replace(access, Document(kind=kind, id=identity, body=body, version=document.version))
        except ConflictError:
            continue  # another daemon wrote a day of its own: the later one stays
        return


def confirm_clock(house: Installation, access: Access) -> None:
    """Let the job go on with the clock as it is; good for a day.

    Raises:
        AccessError: the asker may not.
    """
    if not access.may(Role.SYSTEM_ADMIN):
        raise AccessError("confirming the clock needs the role system_admin")
    kind, identity = _CONFIRMED
    body: Body = {"at": format_time(house.clock.now()), "by": access.principal.id}
    document = house.records.get(access, kind, identity)
    audit.append(house, access, "clock.confirm", TASK, {"at": body["at"]})
    if document is None:
        house.records.create(access, Document(kind=kind, id=identity, body=body))
    else:
        house.records.replace(access, Document(kind=kind, id=identity, body=body, version=document.version))


def kept_days(house: Installation, retention: str) -> int:
    """Return for how many days partitions of a class are kept here."""
    return days_kept(retention, house.retention_days, house.retention_ceilings)


def _is_older(partition: Partition, today: date, days: int) -> bool:
    return partition.day < today - timedelta(days=days)


def _leap_days(house: Installation, access: Access) -> int:
    last, now = ledger.done_until(house, access, TASK), house.clock.now()
    if last is None:
        return 0
    spare = house.retention_days - class_of("").least_days
    leap = (now - last).days
    if leap <= min(max(spare, 1), MAX_LEAP_DAYS):
        return 0
    confirmed = house.records.get(access, *_CONFIRMED)
    if confirmed is not None and abs(now - parse_time(confirmed.body["at"])) <= _CONFIRMATION:
        return 0
    return leap


def run_review(house: Installation, access: Access, args: dict[str, Any]) -> dict[str, Any]:
    """Do `store retention`."""
    del args
    found, partitions = review(house, access), house.log.partitions(access)
    classes = sorted({one.retention for one in partitions})
    return {
        "classes": [_row(house, found, [one for one in partitions if one.retention == name]) for name in classes],
        "leap_days": found.leap_days,
        "waits": found.is_held_up,
    }


def _row(house: Installation, found: Review, partitions: list[Partition]) -> dict[str, Any]:
    name = partitions[0].retention
    return {
        "retention": name,
        "days": kept_days(house, name),
        "ceiling": ceiling_of(name, house.retention_ceilings),
        "partitions": len(partitions),
        "oldest": partitions[0].day.isoformat(),
        "due": sum(one.retention == name for one in found.due),
        "beyond": sum(one.retention == name for one in found.beyond),
    }


def run_confirm(house: Installation, access: Access, args: dict[str, Any]) -> dict[str, Any]:
    """Do `store retention --confirm-clock`."""
    confirm_clock(house, access)
    return run_review(house, access, args)

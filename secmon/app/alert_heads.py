"""Bringing alerts up to date: what every job does that raises, revises or withdraws them."""

from collections.abc import Callable
from dataclasses import replace

from secmon.app.alerts import KIND, REVISION, to_alert, to_document
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.alert import Alert
from secmon.triage.lifecycle import says_less

_ATTEMPTS = 20

Change = Callable[[Alert | None], Alert | None]
"""An alert as it is stored, None if there is none → as it shall be; the same object, or None, changes nothing."""


def bring(house: Installation, access: Access, alert_id: str, change: Change) -> tuple[Alert | None, Alert | None]:
    """Bring an alert up to date; an operator who acts meanwhile is not overrun.

    What it said before and says no more is kept under its id and revision, for documents that cite it.

    Args:
        house: the installation.
        access: whose job it is.
        alert_id: the alert's id.
        change: asked again whenever somebody else was faster.

    Returns:
        The alert before and after; the same object twice if nothing was changed.

    Raises:
        ConflictError: others keep changing it; or `change` gives up.
    """
    for _ in range(_ATTEMPTS):
        document = house.records.get(access, KIND, alert_id)
        before = to_alert(document) if document else None
        after = change(before)
        if after is None or after is before:
            return before, before
        try:
            if document is None or before is None:
                house.records.create(access, to_document(after))
            else:
                if not before.withdrawn and says_less(before.content, after.content):
                    _keep_revision(house, access, before)
                house.records.replace(access, to_document(after, document.version))
        except ConflictError:
            continue
        return before, after
    raise in_between()


def in_between() -> ConflictError:
    """Return the error of a job that others keep from bringing an alert up to date."""
    return ConflictError("others change the alerts at the same moment", hint="the next tick tries again")


def _keep_revision(house: Installation, access: Access, alert: Alert) -> None:
    """Keep an alert as it stands, for documents that cite this revision; doing it twice changes nothing."""
    document = replace(to_document(alert), kind=REVISION, id=f"{alert.id}:{alert.revision}", keys={"alert": alert.id})
    house.records.create_all(access, [document])

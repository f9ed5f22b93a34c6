"""Alerts about the monitor's own sight."""

from secmon.app.installation import Installation
from secmon.model.access import Access


def watch(house: Installation, access: Access) -> None:
    """Later."""
    del house, access

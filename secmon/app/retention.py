"""Retention: whole partitions are dropped when their time is over, never before the law's six months."""

from datetime import timedelta
from typing import Final

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.model.access import Access

MIN_DAYS: Final = 180
"""网络安全法 第二十三条第三项 (2025 修改): network logs are kept for at least six months."""


def apply_retention(house: Installation, access: Access) -> list[str]:
    """Drop the partitions whose ingest day is older than the setting; return their names.

    Each drop is written into the audit chain before it happens: a crash leaves an intention, not a riddle.
    """
    days = max(house.retention_days, MIN_DAYS)
    oldest = house.clock.now().date() - timedelta(days=days)
    dropped = []
    for partition in house.log.partitions(access):
        if partition.day >= oldest:
            continue
        name = f"{partition.retention}-{partition.day.isoformat()}"
        audit.append(house, access, "partition.drop", name, {"events": partition.events, "retention_days": days})
        house.log.drop_partition(access, partition.day, partition.retention)
        dropped.append(name)
    return dropped

"""What a partition is called: a day of receipt and a retention class, whose name files and indices bear."""

import re
from dataclasses import dataclass
from datetime import date

from secmon.errors import StoreError

RETENTION_PATTERN = "[a-z][a-z0-9_-]{0,39}"
_RETENTION = re.compile(RETENTION_PATTERN)


@dataclass(frozen=True, slots=True, order=True)
class PartitionName:
    """Which partition; sorts by day, then retention class."""

    day: date
    retention: str


def partition_name(day: date, retention: str) -> PartitionName:
    """Return a partition's name.

    Raises:
        StoreError: the retention class cannot be part of the name of a file or index.
    """
    if not _RETENTION.fullmatch(retention):
        raise StoreError(
            "a retention class is a lower-case word",
            where="retention",
            hint="letters a-z, digits, - and _, at most 40",
        )
    return PartitionName(day, retention)

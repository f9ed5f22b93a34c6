"""Names of indices and aliases: a pure function of prefix, kind, ingest day and retention class.

`<prefix>-events-<retention class>-2026.11.21`, likewise `hits` and `findings`; `<prefix>-batches` and
`<prefix>-records` hold the small documents of all days. Each name without class and day is an alias over its kind.
"""

import re
from dataclasses import dataclass
from typing import Literal

from secmon.errors import ConfigError
from secmon.store.partition_name import PartitionName

Kind = Literal["events", "hits", "findings"]
KINDS: tuple[Kind, ...] = ("events", "hits", "findings")

_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one installation; make it with `names_of`."""

    prefix: str

    @property
    def batches(self) -> str:
        """Index of the batches of all partitions: one shard, so that its sequence numbers are one order."""
        return f"{self.prefix}-batches"

    @property
    def records(self) -> str:
        """Index of all documents."""
        return f"{self.prefix}-records"

    @property
    def everything(self) -> str:
        """All indices of this installation, as a list in a path: "secmon-*" would be those of "secmon-test" too.

        The partitions' are patterns; the two single indices need not be there yet.
        """
        return ",".join([*(f"{self.alias(kind)}-*" for kind in KINDS), self.batches, self.records])

    def alias(self, kind: Kind) -> str:
        """Return the alias over all partitions of a kind."""
        return f"{self.prefix}-{kind}"

    def index(self, kind: Kind, partition: PartitionName) -> str:
        """Return the index of one partition."""
        return f"{self.prefix}-{kind}-{partition.retention}-{partition.day:%Y.%m.%d}"


def names_of(prefix: str) -> Names:
    """Return the names below a prefix.

    Raises:
        ConfigError: it cannot be part of the name of an index.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            "the prefix is not a lower-case word", where="store.elasticsearch.prefix", hint="a-z, digits, - and _"
        )
    return Names(prefix)

"""Installations on either store, for tests that ask the same of both."""

import json
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.clusters import on_cluster, remove_store
from tests.faults.running import House

_NOT_FOUND = 404


class Installations:
    """Installations on the embedded store: where they are, and when something was last written there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def house(self, name: str) -> House:
        """Return a new one."""
        return House(self._folder / name, workers=0)

    def last_write(self, house: House) -> int:
        """Return a number that grows with every write of a batch, also of its first part."""
        return max((path.stat().st_mtime_ns for path in house.state.glob("events/*.db-wal")), default=0)


class InstallationsOnCluster(Installations):
    """The same on the real server, each with a prefix of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._urls = os.environ["SECMON_ES_URL"].split(",")
        self._prefixes: dict[Path, str] = {}

    def house(self, name: str) -> House:
        prefix = f"faults-{uuid.uuid4().hex[:12]}"
        house = House(self._folder / name, workers=0, more=on_cluster(self._urls, prefix))
        self._prefixes[house.folder] = prefix
        return house

    def last_write(self, house: House) -> int:
        """Return the last sequence number of the index where attempts are announced and decided."""
        stats = f"{self._urls[0]}/{self._prefixes[house.folder]}-batches/_stats/docs?level=shards"
        try:
            with urllib.request.urlopen(stats, timeout=20) as answer:  # noqa: S310  our own server
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != _NOT_FOUND:
                raise
            return -1
        shards = [shard for index in found["indices"].values() for shard in index["shards"].values()]
        return max((int(copy["seq_no"]["max_seq_no"]) for shard in shards for copy in shard), default=-1)

    def remove(self) -> None:
        """Remove their stores."""
        for prefix in self._prefixes.values():
            remove_store(self._urls, prefix)


@contextmanager
def installations_on(kind: str, folder: Path) -> Iterator[Installations]:
    """Give installations on one kind of store; what they keep outside of the folder is removed."""
    if kind == "sqlite":
        yield Installations(folder)
        return
    found = InstallationsOnCluster(folder)
    try:
        yield found
    finally:
        found.remove()

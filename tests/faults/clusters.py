"""Several daemons on one Elasticsearch store: their houses, and the logs that they all see."""

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from secmon.app.leases import readers
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from tests.faults.running import ACCESS, SOURCE, House, web_line

OTHER = "web2"


@dataclass
class Site:
    """A folder of logs, and houses whose daemons all follow it and share one store.

    Args:
        folder: where everything is.
        urls: nodes of the cluster.
        replicas: copies of each shard.
    """

    folder: Path
    urls: tuple[str, ...] = ()
    replicas: int = 0
    prefixes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.urls = self.urls or (os.environ["SECMON_ES_URL"],)
        for source in (SOURCE, OTHER):
            (self.folder / "logs" / source).mkdir(parents=True)

    def log(self, source: str) -> Path:
        """Return the log of a source."""
        return self.folder / "logs" / source / "access.log"

    def prefix(self) -> str:
        """Return the prefix of a store of its own."""
        self.prefixes.append(f"faults-{uuid.uuid4().hex[:12]}")
        return self.prefixes[-1]

    def house(self, name: str, prefix: str, keys: House | None = None) -> House:
        """Return a machine of the site.

        Args:
            name: its folder.
            prefix: its store.
            keys: another machine of the same installation.
        """
        return self._house(name, on_cluster(self.urls, prefix, self.replicas), keys)

    def embedded(self, name: str, keys: House) -> House:
        """Return a machine that has its store for itself, embedded, with the keys of another."""
        return self._house(name, "", keys)

    def _house(self, name: str, store: str, keys: House | None) -> House:
        other = f'[[sources]]\nname = "{OTHER}"\nkind = "nginx.access"\npaths = {json.dumps([str(self.log(OTHER))])}\n'
        house = House(self.folder / name, [str(self.log(SOURCE))], more=other + store)
        if keys is not None:
            house.share_keys_of(keys)
        return house

    def remove(self) -> None:
        """Remove all stores."""
        for prefix in self.prefixes:
            remove_store(self.urls, prefix)


def on_cluster(urls: Sequence[str], prefix: str, replicas: int = 0) -> str:
    """Return the settings, as TOML, of a store on a cluster."""
    return (
        f'[store]\nkind = "elasticsearch"\n[store.elasticsearch]\nurls = {json.dumps(urls)}\n'
        f'prefix = "{prefix}"\nreplicas = {replicas}\n'
    )


def remove_store(urls: Sequence[str], prefix: str) -> None:
    """Remove all that a store keeps on a cluster."""
    gateway = Gateway(ElasticsearchSettings(urls=tuple(urls), prefix=prefix))
    gateway.remove_everything()
    gateway.close()


def read_by(house: House) -> dict[str, str]:
    """Return source → first digits of the id of the daemon that reads it."""
    with house.reading() as opened:
        return {source: peer.id for source, peer in readers(opened, ACCESS).items()}


def id_of(house: House) -> str:
    """Return the id of a house's daemon."""
    return (house.state / "daemon.id").read_text(encoding="ascii").strip()


def _line(number: int) -> str:
    path = "/admin/shell.jsp?cmd=id&" if number % 89 == 0 else f"/jwxt/grade?id={number}&"
    return web_line(f"{path}n={number}", number)


class Load(threading.Thread):
    """Writes numbered lines to both logs in turn, until it is told to stop.

    Args:
        site: where the logs are.
        every_s: pause between two writes.
        lines: how many go to each log at once.
        line: makes a line of its number.
    """

    def __init__(self, site: Site, *, every_s: float = 0.1, lines: int = 5, line: Callable[[int], str] = _line) -> None:
        super().__init__(daemon=True)
        self._site, self._every_s, self._lines, self._line = site, every_s, lines, line
        self._stopping = threading.Event()
        self.written = 0

    def write(self, lines: int) -> None:
        """Write so many lines to each log."""
        for source in (SOURCE, OTHER):
            with self._site.log(source).open("a", encoding="utf-8") as file:
                for _ in range(lines):
                    file.write(self._line(self.written) + "\n")
                    self.written += 1

    def run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self.write(self._lines)

    def finish(self) -> int:
        """Stop writing; return how many lines were written."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        return self.written


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Lay out a site; its stores are removed with the block."""
    found = Site(folder)
    try:
        yield found
    finally:
        found.remove()

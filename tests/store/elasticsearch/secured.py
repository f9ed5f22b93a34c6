"""One cluster with security switched on for a whole test run, however many processes run the tests."""

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.elasticsearch.server import Options, discard, start
from secmon.store.elasticsearch.connection import ElasticsearchSettings
from secmon.store.elasticsearch.mapping import IndexSettings
from tests.store.elasticsearch.certificates import new_authority

DOCS = Path(__file__).parents[3] / "docs" / "elasticsearch.md"
_ROLE = re.compile(r"PUT /_security/role/(\w+)`.*?```json\n(.*?)```", re.DOTALL)
_TLS = "xpack.security.http.ssl"


@dataclass(frozen=True, slots=True)
class Secured:
    """The cluster: how its superuser speaks to it; there is a user of the name of each role, with the same password."""

    root: ElasticsearchSettings

    def as_user(self, name: str, prefix: str) -> ElasticsearchSettings:
        """Return the settings of a user below a prefix."""
        return replace(self.root, user=name, prefix=prefix)


def documented_roles() -> dict[str, dict[str, Any]]:
    """Return the roles that docs/elasticsearch.md gives to be copied."""
    return {name: json.loads(body) for name, body in _ROLE.findall(DOCS.read_text(encoding="utf-8"))}


def daemon_rights() -> list[tuple[str, str]]:
    """Return each single right of the daemon's role, as ("cluster" or "indices", privilege)."""
    role = documented_roles()["secmon_daemon"]
    (indices,) = role["indices"]
    return [*(("cluster", right) for right in role["cluster"]), *(("indices", one) for one in indices["privileges"])]


def role_without(where: str, right: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the body of the daemon's role without one of its rights."""
    role = json.loads(json.dumps(documented_roles()["secmon_daemon"]))
    (role["cluster"] if where == "cluster" else role["indices"][0]["privileges"]).remove(right)
    return f"without_{where}_{right}", role


@contextmanager
def secured_cluster(folder: Path) -> Iterator[Secured]:
    """Use the cluster of a test run: the first process starts it, the last one stops it.

    Args:
        folder: the same for all processes of the run.
    """
    folder.mkdir(exist_ok=True)
    mine = folder / f"{os.getpid()}.user"
    told = folder / "cluster.json"
    with _locked(folder):
        if not _users(folder):
            told.write_text(json.dumps(_started(folder)))
        mine.touch()
    try:
        known = json.loads(told.read_text())
        indices = IndexSettings(replicas=0, refresh_interval="-1")
        yield Secured(
            ElasticsearchSettings(
                urls=(known["url"],), ca=folder / "ca.pem", user="elastic", password=known["password"], indices=indices
            )
        )
    finally:
        with _locked(folder):
            mine.unlink()
            if not _users(folder):
                discard(known["port"])


def _started(folder: Path) -> dict[str, Any]:
    authority = new_authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.sign()
    roles = documented_roles() | dict(role_without(*right) for right in daemon_rights())
    lines = "".join(f"{name}: {json.dumps(role)}\n" for name, role in roles.items())
    options = Options(
        port=_free_port(),
        security=True,
        settings={f"{_TLS}.enabled": "true", f"{_TLS}.certificate": "node.pem", f"{_TLS}.key": "node.key"},
        files={"node.pem": certificate, "node.key": key, "roles.yml": lines.encode()},
        users={name: name for name in roles},
        ca=folder / "ca.pem",
    )
    cluster = start(options)
    return {"url": cluster.url, "password": cluster.password, "port": options.port}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _users(folder: Path) -> list[int]:
    """Return the processes that use the cluster; those that died without a word do not count."""
    found = []
    for file in folder.glob("*.user"):
        with suppress(ProcessLookupError):
            os.kill(int(file.stem), 0)
            found.append(int(file.stem))
    return found


def _free_port() -> int:
    """Return a port that is free, and so is the one for the transport 100 above."""
    while True:
        with socket.socket() as http, socket.socket() as transport:
            http.bind(("127.0.0.1", 0))
            port: int = http.getsockname()[1]
            with suppress(OSError, OverflowError):
                transport.bind(("127.0.0.1", port + 100))
                return port

"""Snapshots of one installation's indices in a repository of files, and their way back.

A snapshot takes its indices one after the other. It is good if no batch was announced or decided meanwhile: the index
of batches then stands at the same sequence number before and behind it. Templates are made by the program and not taken
along; aliases are set anew, so that what is restored may have another prefix. Sequence numbers, on which marks rest,
come back as they were: they are stored with the documents.
"""

import time
from typing import Any, Final

from secmon.errors import ConflictError, NotFoundError, StoreError, StoreUnavailableError
from secmon.store.elasticsearch.batches import Batches
from secmon.store.elasticsearch.failures import error_of
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.mapping import VERSION
from secmon.store.elasticsearch.naming import KINDS

_ATTEMPTS: Final = 3
_POLL_S: Final = 0.5
_REFUSED: Final = (400, 404, 500)
_REPOSITORY_FAILURES: Final = frozenset({"repository_exception", "repository_verification_exception"})


def backup(gateway: Gateway, location: str, name: str) -> dict[str, Any]:
    """Take a snapshot; return its name and size.

    Args:
        gateway: the way to the cluster.
        location: folder of the repository as the nodes see it, below their `path.repo`.
        name: of the snapshot: lower-case, sorts by time.

    Raises:
        ConflictError: the store was written all the time.
        StoreError: the cluster cannot use the folder, or a shard could not be read.
    """
    repository = _register(gateway, location, read_only=False)
    batches = Batches(gateway)
    for _ in range(_ATTEMPTS):
        before = batches.checkpoint()
        found = _snapshot(gateway, f"{repository}/{name}")
        if batches.checkpoint() == before:
            return {"backup": name, "indices": len(found["indices"]), "shards": found["shards"]["total"]}
        gateway.write("DELETE", f"/_snapshot/{repository}/{name}")
    raise ConflictError(
        "the store was written while it was backed up", where=gateway.url, hint="stop secmon, or choose a quiet hour"
    )


def restore(gateway: Gateway, location: str, name: str = "") -> dict[str, Any]:
    """Bring a snapshot back under the prefix of this installation, where nothing lies yet.

    Args:
        gateway: the way to the cluster; its prefix may be another one than that of the snapshot.
        location: as in `backup`.
        name: of the snapshot; the newest whole one if empty.

    Raises:
        ConflictError: something lies under the prefix already.
        NotFoundError: there is no such snapshot.
        StoreError: it was made by a newer secmon, or the cluster cannot use the folder.
    """
    prefix = gateway.names.prefix
    if gateway.holds_anything():
        hint = "choose an empty prefix, or remove its indices first"
        raise ConflictError("the target holds something else", where=gateway.url, hint=hint)
    repository = _register(gateway, location, read_only=True)
    snapshot = _chosen(gateway, repository, name)
    old = snapshot["metadata"]["secmon"]["prefix"]
    gateway.install_templates()
    # Documents come last: an installation is there when they are.
    rest = [one for one in snapshot["indices"] if one != f"{old}-records"]
    for indices in (rest, [f"{old}-records"]):
        body = {
            "indices": ",".join(indices), "include_global_state": False, "include_aliases": False,
            "rename_pattern": f"^{old}-(.*)$", "rename_replacement": f"{prefix}-$1",
            "index_settings": {"index.number_of_replicas": gateway.replicas},
        }  # fmt: skip
        gateway.write("POST", f"/_snapshot/{repository}/{snapshot['snapshot']}/_restore", body)
        _wait(gateway, [f"{prefix}{one.removeprefix(old)}" for one in indices])
    _set_aliases(gateway, snapshot["indices"], old)
    return {"restored": snapshot["snapshot"], "indices": len(snapshot["indices"])}


def _register(gateway: Gateway, location: str, *, read_only: bool) -> str:
    """Make the repository known to the cluster and return its name."""
    repository = f"{gateway.names.prefix}-{'restore' if read_only else 'backup'}"
    body = {"type": "fs", "settings": {"location": location, "readonly": read_only}}
    answer = gateway.write("PUT", f"/_snapshot/{repository}", body, expect=_REFUSED)
    if answer.status in _REFUSED:
        kind = error_of(answer.body)
        if kind in _REPOSITORY_FAILURES:
            hint = "all nodes need the folder, shared and writable, below their path.repo"
            raise StoreError("the cluster cannot use the folder of the backup", where=gateway.url, hint=hint)
        raise StoreError("Elasticsearch refused the request: {kind}", where=gateway.url, values={"kind": kind})
    return repository


def _snapshot(gateway: Gateway, place: str) -> dict[str, Any]:
    body = {
        "indices": gateway.names.everything, "include_global_state": False, "feature_states": ["none"],
        "metadata": {"secmon": {"prefix": gateway.names.prefix, "schema": VERSION}},
    }  # fmt: skip
    gateway.write("PUT", f"/_snapshot/{place}", body)
    while True:
        found: dict[str, Any] = gateway.read("GET", f"/_snapshot/{place}").body["snapshots"][0]
        if found["state"] == "SUCCESS":
            return found
        if found["state"] != "IN_PROGRESS":
            hint = "see `secmon doctor`, and the log of the cluster"
            raise StoreUnavailableError("the snapshot is not whole", where=gateway.url, hint=hint)
        time.sleep(_POLL_S)


def _chosen(gateway: Gateway, repository: str, name: str) -> dict[str, Any]:
    found = gateway.read("GET", f"/_snapshot/{repository}/*", sort="start_time", order="asc").body["snapshots"]
    whole = [
        one for one in found
        if one["state"] == "SUCCESS" and "secmon" in (one.get("metadata") or {}) and name in {"", one["snapshot"]}
    ]  # fmt: skip
    if not whole:
        raise NotFoundError("there is no such backup", where=gateway.url, hint="see the folder of the backups")
    chosen: dict[str, Any] = whole[-1]
    if chosen["metadata"]["secmon"]["schema"] > VERSION:
        raise StoreError("the backup was made by a newer secmon", where=gateway.url, hint="install that version")
    return chosen


def _wait(gateway: Gateway, indices: list[str]) -> None:
    """Wait until the primaries of restored indices are there."""
    for start in range(0, len(indices), 50):  # a request line has an end
        names = ",".join(indices[start : start + 50])
        while True:
            answer = gateway.read(
                "GET", f"/_cluster/health/{names}", expect=(408,), wait_for_status="yellow", timeout="5s"
            )
            if not answer.body.get("timed_out", True):
                break


def _set_aliases(gateway: Gateway, indices: list[str], old: str) -> None:
    actions = [
        {"add": {"index": f"{gateway.names.alias(kind)}-*", "alias": gateway.names.alias(kind)}}
        for kind in KINDS
        if any(one.startswith(f"{old}-{kind}-") for one in indices)
    ]
    if actions:
        gateway.write("POST", "/_aliases", {"actions": actions})

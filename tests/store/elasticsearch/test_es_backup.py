"""Snapshots: what comes back is the same, under another prefix, and goes on where it was."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from secmon.app import audit, integrity
from secmon.app.evaluate import evaluate
from secmon.errors import ConflictError, NotFoundError, StoreError
from secmon.store.elasticsearch.backup import backup, restore
from secmon.store.elasticsearch.gateway import Answer, Body, Gateway
from tests.app.houses import OPERATOR, SetClock
from tests.app.moves import fill, house_on, visit
from tests.contracts.backends import remove_store, settings_of

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Gateway]:
    yield from _gateway(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Gateway]:
    yield from _gateway(tmp_path / "new")


def _gateway(state: Path) -> Iterator[Gateway]:
    gateway = Gateway(settings_of(state))
    yield gateway
    for repository in ("backup", "restore"):
        gateway.write("DELETE", f"/_snapshot/{gateway.names.prefix}-{repository}", expect=(404,))
    gateway.close()
    remove_store("elasticsearch", state)


@pytest.fixture
def place(old: Gateway) -> str:
    """A folder of this test below the `path.repo` of the server."""
    found = old.read("GET", "/_nodes/settings", filter_path="nodes.*.settings.path.repo").body["nodes"]
    repo = next(iter(found.values()))["settings"]["path"]["repo"]
    return os.path.join(repo[0] if isinstance(repo, list) else repo, old.names.prefix)  # noqa: PTH118  on the server


def test_what_is_restored_is_the_same_and_alerts_go_on(tmp_path: Path, old: Gateway, new: Gateway, place: str) -> None:
    clock = SetClock()
    with house_on("elasticsearch", tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock)
        before = integrity.digest(house, OPERATOR)
        taken = backup(old, place, "first")
        # What comes later is not in it.
        visit(house, tmp_path, 3)
        evaluate(house, OPERATOR)
        expected = integrity.digest(house, OPERATOR)
    assert taken["backup"] == "first"
    assert restore(new, place)["restored"] == "first"
    with house_on("elasticsearch", tmp_path / "new", clock) as house:
        assert integrity.digest(house, OPERATOR) == before
        assert integrity.check(house, OPERATOR, store="new", deep=True)["ok"]
        assert audit.verify(house, OPERATOR) == []
        assert evaluate(house, OPERATOR).hits == 4  # the import that waited for its tick, and nothing twice
        visit(house, tmp_path, 3)
        assert evaluate(house, OPERATOR).hits == 4
        assert integrity.digest(house, OPERATOR) == expected


def test_the_newest_backup_comes_back_unless_another_is_named(
    tmp_path: Path, old: Gateway, new: Gateway, place: str
) -> None:
    clock = SetClock()
    with house_on("elasticsearch", tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock, visits=1)
        first = integrity.digest(house, OPERATOR)
        backup(old, place, "first")
        visit(house, tmp_path, 1)
        second = integrity.digest(house, OPERATOR)
        backup(old, place, "second")
    for name, digest in (("", second), ("first", first)):
        restore(new, place, name)
        with house_on("elasticsearch", tmp_path / "new", clock) as house:
            assert integrity.digest(house, OPERATOR) == digest
        new.remove_everything()


def test_nothing_is_restored_over_anything(tmp_path: Path, old: Gateway, place: str) -> None:
    clock = SetClock()
    with house_on("elasticsearch", tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock, visits=1)
        backup(old, place, "first")
        before = integrity.digest(house, OPERATOR)
        with pytest.raises(ConflictError, match="the target holds something else"):
            restore(old, place)
        assert integrity.digest(house, OPERATOR) == before


def test_a_backup_that_is_not_there_is_told(tmp_path: Path, old: Gateway, new: Gateway, place: str) -> None:
    clock = SetClock()
    with house_on("elasticsearch", tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock, visits=1)
    backup(old, place, "first")
    with pytest.raises(NotFoundError, match="there is no such backup"):
        restore(new, place, "second")


def test_a_folder_that_the_cluster_may_not_use_is_told(old: Gateway) -> None:
    with pytest.raises(StoreError, match="the cluster cannot use the folder"):
        backup(old, "/nowhere/below/path.repo", "first")


class Busy(Gateway):
    """A gateway under which batches are announced all the time."""

    def write(
        self, method: str, path: str, body: Body | None = None, *, expect: Sequence[int] = (), **params: Any
    ) -> Answer:
        """Change something, and announce a batch behind the beginning of each snapshot."""
        answer = super().write(method, path, body, expect=expect, **params)
        if method == "PUT" and path.endswith("/first"):
            super().write("POST", f"/{self.names.batches}/_doc", {"committed": False, "dead": [], "token": "t"})
        return answer


def test_a_store_that_is_written_all_the_time_gives_no_backup(tmp_path: Path, old: Gateway, place: str) -> None:
    clock = SetClock()
    with house_on("elasticsearch", tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock, visits=1)
    busy = Busy(settings_of(tmp_path / "old"))
    try:
        with pytest.raises(ConflictError, match="written while it was backed up"):
            backup(busy, place, "first")
        left = old.read("GET", f"/_snapshot/{old.names.prefix}-backup/*").body["snapshots"]
        assert left == []
    finally:
        busy.close()

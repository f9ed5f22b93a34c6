"""A server with security switched on: TLS, credentials, and the documented roles, right by right."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.errors import StoreUnavailableError
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.store.elasticsearch import mapping
from secmon.store.elasticsearch.connection import ElasticsearchSettings
from secmon.store.elasticsearch.diagnosis import require_ready
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import READING, Gateway
from secmon.store.elasticsearch.records import ElasticsearchRecords
from secmon.store.elasticsearch.schema import bring_forward
from tests.contracts.builders import DAY, NOON, ROOT_ACCESS, batch_of, event_at, finding_in, hit_on
from tests.store.elasticsearch.certificates import new_authority
from tests.store.elasticsearch.secured import Secured, daemon_rights, role_without

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

DAEMON, SETUP, READER = "secmon_daemon", "secmon_setup", "secmon_reader"


@contextmanager
def gateway_of(settings: ElasticsearchSettings) -> Iterator[Gateway]:
    gateway = Gateway(settings)
    try:
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def prefix(request: pytest.FixtureRequest, secured: Secured) -> Iterator[str]:
    """A prefix of the test's own that the documented roles cover; everything below it is removed."""
    name = f"secmon-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
    yield name
    with gateway_of(replace(secured.root, prefix=name)) as gateway:
        gateway.remove_everything()


@pytest.fixture
def set_up(secured: Secured, prefix: str) -> str:
    """The prefix, after somebody with the set-up role installed templates there."""
    with gateway_of(secured.as_user(SETUP, prefix)) as gateway:
        gateway.install()
    return prefix


def work(settings: ElasticsearchSettings) -> None:
    """Do what the daemon does with its store, and find everything again."""
    log = ElasticsearchEventLog(settings, writable=True)
    records = ElasticsearchRecords(settings, writable=True)
    try:
        _work_on_events(log)
        _work_on_records(records)
    finally:
        log.close()
        records.close()


def _work_on_events(log: ElasticsearchEventLog) -> None:
    events = [event_at(number, NOON + timedelta(seconds=number), user_name="mori") for number in range(3)]
    batch = batch_of(events, hits=list(map(hit_on, events)), findings=list(map(finding_in, events)))
    row = log.commit(ROOT_ACCESS, batch)
    assert log.commit(ROOT_ACCESS, batch) == row
    assert log.batch(ROOT_ACCESS, day=DAY, retention="security", stream=batch.stream, number=1) == row
    assert list(log.batches(ROOT_ACCESS)) == list(log.batches_of(ROOT_ACCESS, batch.stream)) == [row]
    assert list(log.events(ROOT_ACCESS, EventQuery(text="mori"))) == events
    ids = [str(event["event.id"]) for event in events]
    assert log.events_by_id(ROOT_ACCESS, ids) == events
    assert len(log.digests(ROOT_ACCESS, ids)) == 3
    assert log.count(ROOT_ACCESS, EventQuery(), by="user.name") == {"mori": 3}
    assert log.profile(ROOT_ACCESS, EventQuery(), by="message").count == 3
    assert len(list(log.hits(ROOT_ACCESS, HitQuery()))) == len(log.hits_since(ROOT_ACCESS, "")[0]) == 3
    assert len(list(log.findings(ROOT_ACCESS, FindingQuery()))) == 3
    assert log.count_findings(ROOT_ACCESS, FindingQuery()) == {"cn_id18": 3}
    assert [one.events for one in log.partitions(ROOT_ACCESS)] == [3]
    assert log.check(ROOT_ACCESS, deep=True) == []
    assert set(log.digest(ROOT_ACCESS)) == {"events", "hits", "findings"}
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert log.count(ROOT_ACCESS, EventQuery()) == {"": 0}
    assert log.partitions(ROOT_ACCESS) == []


def _work_on_records(records: ElasticsearchRecords) -> None:
    made = records.create(ROOT_ACCESS, Document(kind="session", id="a", body={}, keys={"state": "new"}))
    changed = records.replace(ROOT_ACCESS, replace(made, keys={"state": "old"}))
    assert records.get(ROOT_ACCESS, "session", "a") == changed
    assert records.create_all(ROOT_ACCESS, [Document(kind="session", id=one, body={}) for one in "ab"]) == 1
    assert len(records.find(ROOT_ACCESS, RecordQuery(kind="session")).documents) == 2
    assert records.count(ROOT_ACCESS, RecordQuery(kind="session"), by="state") == {"old": 1, "": 1}
    records.delete(ROOT_ACCESS, "session", "a")
    assert records.get(ROOT_ACCESS, "session", "a") is None
    assert records.check(ROOT_ACCESS, deep=True) == []


def status_of(settings: ElasticsearchSettings, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """Ask the server something and return the status of its answer."""
    with gateway_of(settings) as gateway:
        return gateway.write(method, path, body, expect=(403,)).status


def test_the_superuser_can_do_everything(secured: Secured, prefix: str) -> None:
    work(replace(secured.root, prefix=prefix))


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wr0ng"}, {"user": "nobody"}, {"user": "", "password": "", "api_key": "d3Jvbmc6d3Jvbmc="}],
    ids=["password", "user", "key"],
)
def test_wrong_credentials_are_one_clear_sentence(secured: Secured, wrong: dict[str, Any]) -> None:
    with pytest.raises(StoreUnavailableError, match="does not accept the credentials") as told:
        work(replace(secured.root, **wrong))
    assert not any(value and value in str(told.value) for value in wrong.values())


def test_a_cluster_of_another_authority_is_not_spoken_to(secured: Secured, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(new_authority().pem)
    for ca in (other, None):
        with pytest.raises(StoreUnavailableError, match="signed by an authority that is not trusted"):
            work(replace(secured.root, ca=ca))


def test_plain_http_to_a_cluster_with_tls_is_one_clear_sentence(secured: Secured) -> None:
    plain = tuple(url.replace("https://", "http://") for url in secured.root.urls)
    with pytest.raises(StoreUnavailableError, match=r"connection failed|cannot be reached"):
        work(replace(secured.root, urls=plain))


def test_the_daemon_s_role_can_do_all_that_the_product_does(secured: Secured, set_up: str) -> None:
    work(secured.as_user(DAEMON, set_up))


def test_the_diagnosis_names_what_is_missing_now(secured: Secured, prefix: str) -> None:
    with gateway_of(secured.as_user(DAEMON, prefix)) as daemon:
        with pytest.raises(StoreUnavailableError, match="lack these rights: cluster:manage_index_templates"):
            require_ready(daemon, DAY)
        with gateway_of(secured.as_user(SETUP, prefix)) as setup:
            setup.install()
        require_ready(daemon, DAY)
    user, _ = role_without("indices", "write")
    with (
        gateway_of(secured.as_user(user, prefix)) as lacking,
        pytest.raises(StoreUnavailableError, match="lack these rights: write"),
    ):
        require_ready(lacking, DAY)


def test_without_templates_the_daemon_says_which_right_is_missing_to_install_them(
    secured: Secured, prefix: str
) -> None:
    with pytest.raises(StoreUnavailableError, match="lack these rights: manage_index_templates"):
        work(secured.as_user(DAEMON, prefix))


def test_the_set_up_role_sees_and_writes_no_content(secured: Secured, set_up: str) -> None:
    work_of_root = replace(secured.root, prefix=set_up)
    work(work_of_root)
    setup = secured.as_user(SETUP, set_up)
    assert status_of(setup, "POST", f"/{set_up}-records/_search") == 403
    assert status_of(setup, "PUT", f"/{set_up}-records/_doc/1", {}) == 403
    assert status_of(setup, "DELETE", f"/{set_up}-records") == 403
    with pytest.raises(StoreUnavailableError, match="lack these rights: read, maintenance, write, delete_index"):
        work(setup)


def test_the_reader_s_role_sees_events_and_no_records(secured: Secured) -> None:
    work(replace(secured.root, prefix="secmon"))
    log = ElasticsearchEventLog(replace(secured.root, prefix="secmon"), writable=True)
    log.commit(ROOT_ACCESS, batch_of([event_at(1)]))
    log.count(ROOT_ACCESS, EventQuery())  # makes it visible
    log.close()
    reader = secured.as_user(READER, "secmon")
    with gateway_of(reader) as gateway:
        assert len(gateway.read("POST", "/secmon-events/_search").body["hits"]["hits"]) == 1
    assert status_of(reader, "POST", "/secmon-records/_search") == 403
    assert status_of(reader, "POST", "/secmon-events/_doc", {}) == 403
    assert status_of(reader, "DELETE", "/secmon-batches") == 403
    with gateway_of(replace(secured.root, prefix="secmon")) as gateway:
        gateway.remove_everything()


@pytest.mark.parametrize("user", [DAEMON, SETUP, READER])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/other-index/_search", None),
        ("PUT", "/other-index/_doc/1", {}),
        ("PUT", "/other-made", None),
        ("DELETE", "/other-index", None),
        ("PUT", "/_cluster/settings", {"persistent": {"cluster.routing.allocation.enable": "none"}}),
        ("POST", "/_security/api_key", {"name": "more"}),
        ("GET", "/_security/user", None),
    ],
)
def test_no_role_reaches_beyond_secmon(
    secured: Secured, user: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    with gateway_of(secured.root) as root:
        root.write("PUT", "/other-index", expect=(400,))
    assert status_of(secured.as_user(user, "secmon"), method, path, body) == 403


def test_only_the_set_up_role_changes_templates(secured: Secured) -> None:
    template = {"index_patterns": ["secmon-nothing-*"]}
    for user, status in ((DAEMON, 403), (READER, 403), (SETUP, 200)):
        assert status_of(secured.as_user(user, "secmon"), "PUT", "/_index_template/secmon-nothing", template) == status
    assert status_of(secured.as_user(SETUP, "secmon"), "DELETE", "/_index_template/secmon-nothing") == 200


def test_after_an_update_who_sets_up_brings_the_indices_forward(
    secured: Secured, set_up: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, setup = (secured.as_user(user, set_up) for user in (DAEMON, SETUP))
    work(daemon)
    monkeypatch.setattr(mapping, "VERSION", mapping.VERSION + 1)
    with pytest.raises(StoreUnavailableError, match="of an older secmon"):
        work(daemon)
    with gateway_of(setup) as gateway:
        assert f"{set_up}-records" in bring_forward(gateway)
        gateway.install_templates()
    with gateway_of(daemon) as gateway:
        gateway.prepare_writing()


@pytest.mark.parametrize(("where", "right"), daemon_rights(), ids=lambda part: part)
def test_without_a_single_right_the_daemon_names_it(secured: Secured, set_up: str, where: str, right: str) -> None:
    user, _ = role_without(where, right)
    with pytest.raises(StoreUnavailableError) as told:
        work(secured.as_user(user, set_up))
    assert str(told.value).startswith(secured.root.urls[0])
    name = right if where == "indices" else f"cluster:{right}"
    assert f"the credentials lack these rights: {name} (docs/elasticsearch.md" in str(told.value)
    assert "\n" not in str(told.value)


READS: dict[str, Callable[[ElasticsearchEventLog], object]] = {
    "events": lambda log: list(log.events(ROOT_ACCESS, EventQuery())),
    "count": lambda log: log.count(ROOT_ACCESS, EventQuery()),
    "hits": lambda log: list(log.hits(ROOT_ACCESS, HitQuery())),
    "partitions": lambda log: log.partitions(ROOT_ACCESS),
    "batches": lambda log: list(log.batches(ROOT_ACCESS)),
}


@pytest.mark.parametrize("right", READING)
@pytest.mark.parametrize("ask", READS.values(), ids=READS)
def test_a_reader_without_a_right_is_told_and_never_finds_too_little(
    secured: Secured, set_up: str, ask: Callable[[ElasticsearchEventLog], object], right: str
) -> None:
    user, _ = role_without("indices", right)
    log = ElasticsearchEventLog(secured.as_user(user, set_up), writable=False)
    try:
        with pytest.raises(StoreUnavailableError, match=f"lack these rights: {right}"):
            ask(log)
    finally:
        log.close()


@pytest.mark.parametrize("right", ["read", "maintenance"])
@pytest.mark.parametrize("ask", READS.values(), ids=READS)
def test_a_right_that_was_taken_away_later_is_told_too(
    secured: Secured, set_up: str, ask: Callable[[ElasticsearchEventLog], object], right: str
) -> None:
    writer = ElasticsearchEventLog(secured.as_user(DAEMON, set_up), writable=True)
    event = event_at(1)
    writer.commit(ROOT_ACCESS, batch_of([event], hits=[hit_on(event)]))
    writer.close()
    user, _ = role_without("indices", right)
    log = ElasticsearchEventLog(secured.as_user(user, set_up), writable=False)
    log._gateway._granted.update(READING)  # what it was told before the right was taken away
    try:
        with pytest.raises(StoreUnavailableError, match="lack these rights: "):
            ask(log)
    finally:
        log.close()


def test_a_partition_is_not_forgotten_where_it_cannot_be_removed(secured: Secured, set_up: str) -> None:
    log = ElasticsearchEventLog(secured.as_user(DAEMON, set_up), writable=True)
    log.commit(ROOT_ACCESS, batch_of([event_at(1)]))
    user, _ = role_without("indices", "delete_index")
    other = ElasticsearchEventLog(secured.as_user(user, set_up), writable=True)
    with pytest.raises(StoreUnavailableError, match="lack these rights: delete_index"):
        other.drop_partition(ROOT_ACCESS, DAY, "security")
    other.close()
    assert [one.events for one in log.partitions(ROOT_ACCESS)] == [1]
    assert log.check(ROOT_ACCESS, deep=True) == []
    log.close()

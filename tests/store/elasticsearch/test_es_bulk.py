"""Bulk writing under duress: nothing lost, nothing sent for ever, poison named and never in the way of the rest."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import StoreError, StoreUnavailableError
from secmon.store.elasticsearch.bulk import ATTEMPTS, LONGEST_RETRY_AFTER_S, RESENDS, BulkWriter, create
from secmon.store.elasticsearch.encode import Item
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.pace import FIRST_BYTES, MAX_BYTES
from tests.store.elasticsearch.scripted import PRODUCT, Reply, Scripted, scripted

Verdict = Callable[[str], int]


def items(count: int, *, size: int = 10) -> list[Item]:
    return [Item(f"{number:032x}", b'{"batch":"', b'","x":"' + b"y" * size + b'"}') for number in range(count)]


def ids_of(body: bytes) -> list[str]:
    return [json.loads(line)["create"]["_id"] for line in body.split(b"\n")[:-1:2]]


def answered(body: bytes, verdict: Verdict) -> Reply:
    """Answer each item of a bulk request by itself."""
    results = []
    for one in ids_of(body):
        status = verdict(one)
        error = {} if status < 300 else {"error": {"type": f"error_{status}"}}
        results.append({"create": {"status": status, **error}})
    errors = any("error" in result["create"] for result in results)
    return Reply(200, {"errors": errors, "items": results})


@contextmanager
def writer(server: Scripted, pauses: list[float]) -> Iterator[BulkWriter]:
    gateway = Gateway(server.settings)
    bulk = BulkWriter(gateway, sleep=pauses.append)
    try:
        yield bulk
    finally:
        bulk.close()
        gateway.close()


def test_all_are_stored_in_requests_of_bounded_size() -> None:
    with scripted(lambda _m, _p, body: answered(body, lambda _: 201)) as server, writer(server, []) as bulk:
        outcome = bulk.write("t-events-security-2026.11.21", create(items(600, size=20_000), "k"))
    assert (outcome.taken, outcome.refused) == ([], [])
    assert sorted(one for _, _, body in server.asked for one in ids_of(body)) == [item.id for item in items(600)]
    assert len(server.asked) > 1
    assert max(len(body) for _, _, body in server.asked) <= MAX_BYTES
    assert len(server.asked[0][2]) <= FIRST_BYTES


def test_every_document_carries_the_token() -> None:
    with scripted(lambda _m, _p, body: answered(body, lambda _: 201)) as server, writer(server, []) as bulk:
        bulk.write("i", create(items(1), "token"))
    ((_, _, body),) = server.asked
    assert json.loads(body.split(b"\n")[1])["batch"] == "token"


@settings(deadline=None, max_examples=25)
@given(fates=st.lists(st.sampled_from([201, 409, 400]), min_size=1, max_size=30), busy=st.integers(0, 3))
def test_each_item_ends_as_the_cluster_says_and_the_busy_ones_are_sent_again(fates: list[int], busy: int) -> None:
    left = {f"{number:032x}": busy * (number % 2) for number in range(len(fates))}
    ends = {f"{number:032x}": fate for number, fate in enumerate(fates)}

    def verdict(one: str) -> int:
        if left[one]:
            left[one] -= 1
            return 429
        return ends[one]

    pauses: list[float] = []
    with scripted(lambda _m, _p, body: answered(body, verdict)) as server, writer(server, pauses) as bulk:
        outcome = bulk.write("i", create(items(len(fates)), "k"))
    assert sorted(outcome.taken) == [one for one, fate in ends.items() if fate == 409]
    assert sorted(outcome.refused) == [one for one, fate in ends.items() if fate == 400]
    assert len(pauses) == (busy if len(fates) > 1 else 0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_whole_request_that_is_too_much_now_is_sent_again_later(status: int) -> None:
    refusals = iter([Reply(status), Reply(status)])
    pauses: list[float] = []

    def script(_method: str, _path: str, body: bytes) -> Reply:
        return next(refusals, answered(body, lambda _: 201))

    with scripted(script) as server, writer(server, pauses) as bulk:
        outcome = bulk.write("i", create(items(3), "k"))
    assert (outcome.taken, outcome.refused) == ([], [])
    assert len(pauses) == 2
    assert 0 < pauses[0] < pauses[1] * 2


@pytest.mark.parametrize(("told", "waited"), [("2", 2.0), ("0", 0.0), ("86400", LONGEST_RETRY_AFTER_S)])
def test_it_comes_back_when_the_cluster_says(told: str, waited: float) -> None:
    refusals = iter([Reply(429, headers={**PRODUCT, "Retry-After": told})])
    pauses: list[float] = []
    with (
        scripted(lambda _m, _p, body: next(refusals, answered(body, lambda _: 201))) as server,
        writer(server, pauses) as bulk,
    ):
        bulk.write("i", create(items(3), "k"))
    assert pauses == [waited]


def test_a_request_that_is_more_than_the_cluster_ever_takes_at_once_is_cut() -> None:
    """As `indexing_pressure.memory.limit` does it: 429 for what is larger than the limit, however idle the cluster."""

    def script(_method: str, _path: str, body: bytes) -> Reply:
        return Reply(429) if len(body) > 400_000 else answered(body, lambda _: 201)

    with scripted(script) as server, writer(server, []) as bulk:
        outcome = bulk.write("i", create(items(100, size=20_000), "k"))
    stored = [one for _, _, body in server.asked if len(body) <= 400_000 for one in ids_of(body)]
    assert sorted(stored) == [item.id for item in items(100)]
    assert (outcome.taken, outcome.refused) == ([], [])


def test_a_lost_connection_is_no_lost_request_and_no_second_document() -> None:
    stored: set[str] = set()
    losses = iter([True, False, True])

    def verdict(one: str) -> int:
        status = 409 if one in stored else 201
        stored.add(one)
        return status

    def script(_method: str, _path: str, body: bytes) -> Reply | None:
        reply = answered(body, verdict)
        return None if next(losses, False) else reply

    pauses: list[float] = []
    with scripted(script) as server, writer(server, pauses) as bulk:
        outcomes = [bulk.write("i", create(items(3 + number), "k")) for number in range(2)]
    assert stored == {item.id for item in items(4)}
    assert sorted(outcomes[0].taken) == [item.id for item in items(3)]  # done, but nobody heard of it
    assert len(pauses) == 2


def test_a_connection_that_is_always_lost_is_unavailable() -> None:
    pauses: list[float] = []
    with (
        scripted(lambda *_: None) as server,
        writer(server, pauses) as bulk,
        pytest.raises(StoreUnavailableError, match=r"reached|failed"),
    ):
        bulk.write("i", create(items(3), "k"))
    assert len(pauses) == RESENDS - 1


def test_several_indices_are_written_side_by_side_each_with_its_own_outcome() -> None:
    def script(_method: str, path: str, body: bytes) -> Reply:
        return answered(body, lambda _: 409 if path.startswith("/taken") else 400)

    with scripted(script) as server, writer(server, []) as bulk:
        one, other = bulk.write_all([("taken", create(items(2), "k")), ("refused", create(items(3), "k"))])
    assert (len(one.taken), len(one.refused)) == (2, 0)
    assert (len(other.taken), len(other.refused)) == (0, 3)


def test_a_cluster_that_stays_busy_is_unavailable_in_the_end() -> None:
    pauses: list[float] = []
    too_busy = pytest.raises(StoreUnavailableError, match="too busy")
    with scripted(lambda *_: Reply(429)) as server, writer(server, pauses) as bulk, too_busy:
        bulk.write("i", create(items(3), "k"))
    assert len(server.asked) == ATTEMPTS


def test_a_request_that_is_too_large_is_halved_until_only_the_giant_is_refused() -> None:
    giant = f"{5:032x}"

    def script(_method: str, _path: str, body: bytes) -> Reply:
        return Reply(413) if giant in ids_of(body) else answered(body, lambda _: 201)

    with scripted(script) as server, writer(server, []) as bulk:
        outcome = bulk.write("i", create(items(9), "k"))
    assert outcome.refused == [giant]


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(401), StoreUnavailableError, "credentials"),
        (Reply(403, {"error": {"type": "security_exception"}}), StoreUnavailableError, "right"),
        (Reply(403, {"error": {"type": "cluster_block_exception"}}), StoreUnavailableError, "read-only or full"),
        (Reply(429, {"error": {"type": "cluster_block_exception"}}), StoreUnavailableError, "read-only or full"),
        (Reply(500, {"error": {"type": "null_pointer_exception"}}), StoreUnavailableError, "not whole"),
        (Reply(400, {"error": {"type": "illegal_argument_exception"}}), StoreError, "illegal_argument_exception"),
        (Reply(200, {"errors": False}, {}), StoreError, "not Elasticsearch"),
        (Reply(200, b"<html>", {**PRODUCT, "Content-Type": "text/html"}), StoreError, "JSON"),
        (Reply(200, b'{"errors": fal', PRODUCT), StoreError, "JSON"),
    ],
)
def test_every_other_answer_is_one_clear_sentence(reply: Reply, kind: type[StoreError], says: str) -> None:
    with scripted(lambda *_: reply) as server, writer(server, []) as bulk, pytest.raises(kind, match=says) as told:
        bulk.write("i", create(items(2), "k"))
    assert server.url in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("status", [403, 429])
def test_an_item_that_meets_a_read_only_index_stops_the_batch(status: int) -> None:
    def script(_method: str, _path: str, body: bytes) -> Reply:
        results = [{"create": {"status": status, "error": {"type": "cluster_block_exception"}}} for _ in ids_of(body)]
        return Reply(200, {"errors": True, "items": results})

    read_only = pytest.raises(StoreUnavailableError, match="read-only or full")
    with scripted(script) as server, writer(server, []) as bulk, read_only:
        bulk.write("i", create(items(2), "k"))


def test_a_server_that_is_not_there_is_one_clear_sentence() -> None:
    with scripted(lambda *_: Reply(200)) as server:
        pass
    with writer(server, []) as bulk, pytest.raises(StoreUnavailableError, match="cannot be reached"):
        bulk.write("i", create(items(1), "k"))


def test_an_old_server_is_refused_by_its_version() -> None:
    def script(_method: str, path: str, _body: bytes) -> Reply:
        return Reply(200, {"nodes": {"n": {"version": "8.18.4"}}}) if path.startswith("/_nodes") else Reply(200)

    with scripted(script) as server:
        gateway = Gateway(server.settings)
        with pytest.raises(StoreError, match=r"8\.18\.4 is too old"):
            gateway.install()
        gateway.close()

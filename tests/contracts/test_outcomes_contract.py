"""EventLog: hits and findings."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import StoreError
from secmon.model.access import Access, Scope
from secmon.model.event import Event
from secmon.model.hit import Hit, Level, Minor
from secmon.model.questions import FindingQuery, HitQuery
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import (
    DAY,
    KEY,
    NOON,
    OTHER_KEY,
    ROOT_ACCESS,
    batch_of,
    event_at,
    finding_in,
    hit_on,
    identity,
    silent_on,
)
from tests.contracts.oracle import ACCESS_UNITS, event_lists

NEXT_DAY = DAY + timedelta(days=1)


def keys_of(hits: list[Hit]) -> list[tuple[datetime, str, str]]:
    return [(hit.at, hit.event_id, hit.rule_id) for hit in hits]


def test_a_hit_comes_back_as_it_went_in(log: EventLog) -> None:
    event = event_at(0, user_name="王\0小明", unit_id="unit-a", asset_id="jwxt")
    hits = [
        hit_on(event, rule=level.value, level=level, keys=("k2", "k1"), captured={"a.b": ["x", "y"], "n": 3, "t": True})
        for level in sorted(Level)
    ]
    bare = hit_on(event, rule="z", alert_id=None, group={}, captured={}, signature="")
    quiet = hit_on(event, rule="zz", suppressed_by="0f1e-exception")
    log.commit(ROOT_ACCESS, batch_of([event], hits=[*hits, bare, quiet]))
    assert list(log.hits(ROOT_ACCESS, HitQuery())) == [*hits, bare, quiet]
    assert log.hits_since(ROOT_ACCESS, "")[0] == [*hits, bare, quiet]
    again = log.contents(ROOT_ACCESS, next(log.batches(ROOT_ACCESS))).hits
    assert sorted(again, key=lambda hit: hit.rule_id) == [*hits, bare, quiet]


def test_a_finding_comes_back_as_it_went_in(log: EventLog) -> None:
    event = event_at(0, unit_id="unit-a", asset_id="jwxt")
    findings = [
        finding_in(event, data_class="bank_card", span=None, minor=Minor.UNKNOWN, trace=(), path=""),
        finding_in(event, level="L4", candidate=True, masked="\U0001f393*", confidence=0.5),
    ]
    log.commit(ROOT_ACCESS, batch_of([event], findings=findings))
    stored = list(log.findings(ROOT_ACCESS, FindingQuery()))
    assert sorted(stored, key=lambda found: found.finding.data_class) == findings


def test_two_equal_values_in_different_places_of_an_event_are_two_findings(log: EventLog) -> None:
    event = event_at(0)
    places = [finding_in(event, path=path) for path in ("message", "url.query")]
    log.commit(ROOT_ACCESS, batch_of([event], findings=places))
    assert log.count_findings(ROOT_ACCESS, FindingQuery()) == {"cn_id18": 2}


@settings(max_examples=40, deadline=None)
@given(events=event_lists(max_size=12), units=ACCESS_UNITS, data=st.data())
def test_hits_are_filtered_and_sorted(
    backend: str, events: list[Event], units: frozenset[str] | None, data: st.DataObject
) -> None:
    rules = st.lists(st.sampled_from(["rule-a", "rule-b", "rule-c"]), unique=True, min_size=1, max_size=3)
    keys = st.lists(st.sampled_from([KEY, OTHER_KEY]), unique=True).map(tuple)
    silent = st.booleans()
    quiet = st.sampled_from([None, None, "exception-a", "exception-b"])
    hits = [
        (silent_on if data.draw(silent) else hit_on)(
            event, rule=rule, keys=data.draw(keys), suppressed_by=data.draw(quiet)
        )
        for event in events
        for rule in data.draw(rules, label="rules of an event")
    ]
    query = HitQuery(
        since=data.draw(st.sampled_from([None, None, NOON])),
        until=data.draw(st.sampled_from([None, None, NOON, NOON + timedelta(seconds=1)])),
        rule_ids=data.draw(st.sampled_from([(), (), ("rule-a",), ("rule-a", "rule-c"), ("nobody",)])),
        alert_id=data.draw(st.sampled_from(["", "", "", "\ud800", *(hit.alert_id or "" for hit in hits[:3])])),
        keys=data.draw(st.sampled_from([(), (), (KEY,), (KEY, OTHER_KEY), ("none",), (OTHER_KEY, "none", "\ud800")])),
        asset_id=data.draw(st.sampled_from(["", "", "", "jwxt", "none"])),
        suppressed=data.draw(st.sampled_from([None, None, True, False])),
        suppressed_by=data.draw(st.sampled_from(["", "", "", "exception-a", "none", "\ud800"])),
        limit=data.draw(st.sampled_from([None, None, None, 0, 2])),
    )
    offset = data.draw(st.sampled_from([0, 28_800, -12_600]))
    expected = [
        hit
        for hit in hits
        if Scope(units).sees(hit.unit_id)
        and (query.since is None or query.since <= hit.at)
        and (query.until is None or hit.at < query.until)
        and (not query.rule_ids or hit.rule_id in query.rule_ids)
        and (not query.alert_id or hit.alert_id == query.alert_id)
        and (not query.keys or set(query.keys) & set(hit.keys))
        and (not query.asset_id or hit.asset_id == query.asset_id)
        and (query.suppressed is None or query.suppressed == (hit.suppressed_by is not None))
        and (not query.suppressed_by or hit.suppressed_by == query.suppressed_by)
    ]
    counts = Counter(
        (hit.suppressed_by, (hit.at + timedelta(seconds=offset)).date()) for hit in expected if hit.suppressed_by
    )
    expected.sort(key=lambda hit: (hit.at, hit.event_id, hit.rule_id))
    with empty_store(backend) as store:
        half = len(events) // 2
        for number, part in enumerate((events[:half], events[half:]), start=1):
            ids = {event["event.id"] for event in part}
            mine = [hit for hit in hits if hit.event_id in ids]
            store.log.commit(ROOT_ACCESS, batch_of(part, number=number, hits=mine, retention=f"r{number}"))
        access = Access(ROOT_ACCESS.principal, Scope(units))
        found = list(store.log.hits(access, query))
        counted = store.log.count_suppressed(access, query, utc_offset_s=offset)
    assert found == expected[: query.limit]
    assert counted == counts


@settings(max_examples=40, deadline=None)
@given(events=event_lists(max_size=12), units=ACCESS_UNITS, data=st.data())
def test_findings_are_filtered_sorted_and_counted(
    backend: str, events: list[Event], units: frozenset[str] | None, data: st.DataObject
) -> None:
    classes = st.lists(st.sampled_from(["cn_id18", "mobile"]), unique=True, min_size=1)
    findings = [
        finding_in(event, data_class=data_class)
        for event in events
        for data_class in data.draw(classes, label="classes")
    ]
    some = data.draw(st.lists(st.sampled_from([identity(0), identity(7), "zz", identity(1)]), max_size=2))
    query = FindingQuery(
        since=data.draw(st.sampled_from([None, None, NOON])),
        until=data.draw(st.sampled_from([None, None, NOON + timedelta(seconds=1)])),
        data_class=data.draw(st.sampled_from(["", "", "mobile", "none"])),
        asset_id=data.draw(st.sampled_from(["", "", "jwxt"])),
        event_ids=tuple(some),
    )
    expected = [
        found
        for found in findings
        if Scope(units).sees(found.unit_id)
        and (query.since is None or query.since <= found.at)
        and (query.until is None or found.at < query.until)
        and (not query.data_class or found.finding.data_class == query.data_class)
        and (not query.asset_id or found.asset_id == query.asset_id)
        and (not query.event_ids or found.event_id in query.event_ids)
    ]
    access = Access(ROOT_ACCESS.principal, Scope(units))
    with empty_store(backend) as store:
        store.log.commit(ROOT_ACCESS, batch_of(events, findings=findings))
        found_ = list(store.log.findings(access, query))
        counts = store.log.count_findings(access, query)
    assert [(found.at, found.event_id) for found in found_] == sorted((found.at, found.event_id) for found in expected)
    assert sorted(found_, key=repr) == sorted(expected, key=repr)
    assert sum(counts.values()) == len(expected)
    assert counts.get("mobile", 0) == sum(found.finding.data_class == "mobile" for found in expected)


def test_the_digest_tells_a_suppressed_hit_from_another(backend: str) -> None:
    digests = []
    for suppressed_by in (None, "exception-a", "exception-b"):
        with empty_store(backend) as store:
            event = event_at(0)
            store.log.commit(ROOT_ACCESS, batch_of([event], hits=[hit_on(event, suppressed_by=suppressed_by)]))
            digests.append(store.log.digest(ROOT_ACCESS)["hits"])
    assert len(set(digests)) == 3
    # What stores held before there were exceptions: the digest of a hit without one never changes.
    assert digests[0] == "bdda5a70cce73988160ccaa78a99f35c99ff011c48e8727eca486f47035f4ebd"


def test_hits_since_a_mark_are_those_of_later_batches(log: EventLog) -> None:
    hits = [hit_on(event_at(number)) for number in range(4)]
    mark, seen = "", list[Hit]()
    for number, hit in enumerate(hits):
        log.commit(ROOT_ACCESS, batch_of([event_at(number)], number=number + 1, hits=[hit]))
        fresh, mark = log.hits_since(ROOT_ACCESS, mark)
        seen += fresh
        assert log.hits_since(ROOT_ACCESS, mark) == ([], mark)
    assert seen == hits
    assert log.hits_since(ROOT_ACCESS, "")[0] == hits


def test_what_is_committed_while_reads_share_a_view_is_passed_over_by_no_mark(log: EventLog) -> None:
    hits = [hit_on(event_at(number)) for number in range(3)]
    seen, marks = list[Hit](), [""]

    def go_on() -> None:
        fresh, mark = log.hits_since(ROOT_ACCESS, marks[-1])
        seen.extend(fresh)
        marks.append(mark)

    with log.together(ROOT_ACCESS):
        for number, hit in enumerate(hits, start=1):
            assert len(list(log.hits(ROOT_ACCESS, HitQuery()))) <= number
            log.commit(ROOT_ACCESS, batch_of([event_at(number - 1)], number=number, hits=[hit]))
            go_on()
    go_on()
    assert seen == hits


def test_a_block_within_a_block_sees_what_was_committed_before_it(log: EventLog) -> None:
    with log.together(ROOT_ACCESS):
        assert log.hits_since(ROOT_ACCESS, "") == ([], "")
        hit = hit_on(event_at(0))
        log.commit(ROOT_ACCESS, batch_of([event_at(0)], hits=[hit]))
        with log.together(ROOT_ACCESS):
            found, mark = log.hits_since(ROOT_ACCESS, "")
            assert found == list(log.hits(ROOT_ACCESS, HitQuery(upto=mark))) == [hit]
        # A mark that another took meanwhile lies ahead of this view, and is none of another store.
        assert log.hits_since(ROOT_ACCESS, mark) == ([], mark)


def test_a_mark_of_an_empty_store_stays_before_everything(log: EventLog) -> None:
    assert log.hits_since(ROOT_ACCESS, "") == ([], "")
    _, mark = log.hits_since(ROOT_ACCESS, "")
    log.commit(ROOT_ACCESS, batch_of([event_at(0)], hits=[hit_on(event_at(0))]))
    assert len(log.hits_since(ROOT_ACCESS, mark)[0]) == 1


def test_a_limit_never_splits_a_batch_and_never_starves(log: EventLog) -> None:
    for number in range(4):
        event = event_at(number)
        hits = [hit_on(event, rule=f"rule-{n}") for n in range(5)]
        log.commit(ROOT_ACCESS, batch_of([event], number=number + 1, hits=hits, day=DAY))
        log.commit(ROOT_ACCESS, batch_of(number=number + 100))
    mark, sizes = "", []
    while True:
        fresh, mark = log.hits_since(ROOT_ACCESS, mark, limit=7)
        if not fresh:
            break
        sizes.append(len(fresh))
    assert sizes == [10, 10]


def test_hits_of_two_partitions_come_in_the_order_of_their_commits(log: EventLog) -> None:
    order = [(DAY, 1), (NEXT_DAY, 1), (DAY, 2), (NEXT_DAY, 2)]
    for day, number in order:
        event = event_at(number, day=day)
        log.commit(ROOT_ACCESS, batch_of([event], day=day, number=number, hits=[hit_on(event)]))
    first, mark = log.hits_since(ROOT_ACCESS, "", limit=3)
    rest, _ = log.hits_since(ROOT_ACCESS, mark)
    assert [hit.event_id for hit in first + rest] == [identity(number, day=day) for day, number in order]
    assert len(first) == 3


def test_hits_up_to_a_mark_are_those_that_were_there_then(log: EventLog) -> None:
    marks, hits = [], list[Hit]()
    for number, day in enumerate((DAY, NEXT_DAY, DAY), start=1):
        event = event_at(number, NOON + timedelta(seconds=number), day=day)
        hits.append(hit_on(event))
        log.commit(ROOT_ACCESS, batch_of([event], number=number, hits=hits[-1:], day=day))
        marks.append(log.hits_since(ROOT_ACCESS, "")[1])
    for number, mark in enumerate(marks, start=1):
        assert list(log.hits(ROOT_ACCESS, HitQuery(upto=mark))) == hits[:number]
    with pytest.raises(StoreError, match="not a mark"):
        list(log.hits(ROOT_ACCESS, HitQuery(upto="x")))


def test_a_mark_outlives_the_drop_of_the_newest_partition(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(0)], hits=[hit_on(event_at(0))]))
    _, mark = log.hits_since(ROOT_ACCESS, "")
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert log.hits_since(ROOT_ACCESS, mark) == ([], mark)
    event = event_at(0, day=NEXT_DAY)
    log.commit(ROOT_ACCESS, batch_of([event], day=NEXT_DAY, hits=[hit_on(event)]))
    fresh, later = log.hits_since(ROOT_ACCESS, mark)
    assert [hit.event_id for hit in fresh] == [event["event.id"]]
    assert later != mark


@pytest.mark.parametrize("mark", ["x", "-1", "99999", "١", "1 OR 1"])
def test_a_foreign_mark_is_refused(log: EventLog, mark: str) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    with pytest.raises(StoreError):
        log.hits_since(ROOT_ACCESS, mark)

"""What engines remember of values from outside is bounded in bytes, ages, and stays while it is used."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.cache import Budget, Cache, Memory, size_of
from secmon.model.event import Dropped, Event
from secmon.model.indicator import Kind
from secmon.parse.native import read_native
from secmon.sigma import index, intel, lines, seen
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import LogSource, RuleSet
from secmon.sigma.seen import FieldWatch
from secmon.sigma.tree import ANY_TEXT, Keyword, Node, Regex, Text
from tests.sigma.fuzzing import SYSMON_CHANNELS, loaded
from tests.sigma.trees import compiled

MEBIBYTE = 1 << 20
FIELDS = ("Image", "user.name", "Channel", "EventID")
WINDOWS = LogSource(product="windows")
RULES: list[tuple[Node, LogSource]] = [
    *((Text(field, (ANY_TEXT, f"needle{number}", ANY_TEXT)), WINDOWS) for field in FIELDS for number in range(12)),
    (Regex("Image", "a+b", ""), WINDOWS),
    (Keyword((ANY_TEXT, "keyword", ANY_TEXT)), WINDOWS),
]


def huge_values() -> Iterator[bytes]:
    for number in range(40):
        yield b'{"Channel":"Security","Image":"%d%s"}' % (number, b"x" * 500_000)


def unique_values() -> Iterator[bytes]:
    for number in range(20_000):
        yield b'{"Channel":"Security","Image":"C:\\\\%d.exe","user.name":"%s%d"}' % (
            number,
            "用户".encode() * 60,
            number,
        )


def unique_keys() -> Iterator[bytes]:
    for number in range(10_000):
        yield b'{"Channel":"Security %d","EventID":%d,"Image":"a"}' % (number, number)


def unique_fields() -> Iterator[bytes]:
    for number in range(3_000):
        yield b'{"Channel":"Security",%s}' % b",".join(b'"f%d_%d":1' % (number, each) for each in range(60))


def arrays() -> Iterator[bytes]:
    for number in range(300):
        yield b'{"Channel":["Security","%d"],"EventID":[%d],"Image":[%s]}' % (
            number, number, b",".join(b'"v%d_%d"' % (number, each) for each in range(500)),
        )  # fmt: skip


def combinations() -> Iterator[bytes]:
    for number in range(4_096):
        words = b" ".join(b"needle%d" % bit for bit in range(12) if number >> bit & 1)
        yield b'{"Channel":"Security","Image":"%s","user.name":"%s","EventID":"%s"}' % (words, words[::-1], words)


def oddities() -> Iterator[bytes]:
    for number in range(4_000):
        for value in (
            b'"\\ud800%d"', b'"\\u0000%d"', b"%d99999999999999999999", b"1e%d", b"-0.%d", b"%d.0",
            b"[null,%d]", b'"%d","Image":"twice"',
        ):  # fmt: skip
            yield b'{"Channel":"Security","Image":' + value % number + b"}"


STREAMS: tuple[Callable[[], Iterator[bytes]], ...] = (
    huge_values, unique_values, unique_keys, unique_fields, arrays, combinations, oddities,
)  # fmt: skip


def events(stream: Callable[[], Iterator[bytes]]) -> Iterator[Event]:
    for line in stream():
        try:
            event = read_native(line)
        except ParseError:
            continue
        if not isinstance(event, Dropped):
            yield event


def growth(work: Callable[[Event], object], stream: Callable[[], Iterator[bytes]]) -> int:
    """Return by how many bytes more than by reading the memory that Python knows of has grown after a stream."""
    return held_after(work, stream) - held_by_reading(stream)


@cache
def held_by_reading(stream: Callable[[], Iterator[bytes]]) -> int:
    return held_after(id, stream)


def held_after(work: Callable[[Event], object], stream: Callable[[], Iterator[bytes]]) -> int:
    tracemalloc.start()
    try:
        for event in events(stream):
            work(event)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("stream", STREAMS)
def test_the_engine_holds_no_more_than_its_budget(stream: Callable[[], Iterator[bytes]]) -> None:
    engine = Engine(compiled(RULES), cache_bytes=2 * MEBIBYTE, router=native_route)
    engine.build()
    assert growth(engine.match, stream) < 2.5 * MEBIBYTE


@pytest.mark.parametrize("stream", STREAMS)
def test_the_engine_of_lines_holds_no_more_than_its_budget(stream: Callable[[], Iterator[bytes]]) -> None:
    engine = LineEngine(compiled(RULES), lane_bytes=2 * MEBIBYTE)
    assert growth(engine.lane, stream) < 3 * MEBIBYTE


@pytest.mark.parametrize("stream", STREAMS)
def test_the_watch_over_fields_holds_no_more_than_its_budget(
    stream: Callable[[], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "CACHE_BYTES", 2 * MEBIBYTE)
    watch = FieldWatch(compiled(RULES), router=native_route)
    assert growth(lambda event: watch.of([event]), stream) < 2.5 * MEBIBYTE


def test_looked_up_indicators_hold_no_more_than_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intel, "CACHE_BYTES", MEBIBYTE)
    indicators = intel.indicators_of([])
    many = [f"host-{number}.{'x' * 40}.example.edu.cn" for number in range(20_000)]

    def look_up(event: Event) -> None:
        indicators.find(Kind.DOMAIN, str(event["Image"]))

    assert growth(look_up, lambda: (b'{"Image":"%s"}' % name.encode() for name in many)) < 1.5 * MEBIBYTE


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=80), st.integers(10, 200))
def test_a_budget_is_never_exceeded_by_more_than_two_entries(puts: list[tuple[int, int]], limit: int) -> None:
    budget = Budget(limit)
    caches: list[Cache[int, int]] = [Cache(budget), Cache(budget)]
    for key, cost in puts:
        cache = caches[key % 2]
        if cache.young.get(key) is None:
            cache.old(key)
            cache.put(key, cost, cost)
        held = sum(cost for cache in caches for cost in (*cache.young.values(), *cache._old.values()))
        assert held <= limit + 2 * 40


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    cache: Cache[str, int] = Cache(Budget(100))
    cache.put("used", 1, 10)
    cache.put("unused", 1, 10)
    for number in range(50):
        if cache.young.get("used") is None:
            assert cache.old("used") == 1, number
            cache.put("used", 1, 10)
        cache.put(f"new {number}", 1, 10)
    assert cache.young.get("unused") is cache.old("unused") is None


def test_a_memory_keeps_what_is_asked_for_and_forgets_the_rest() -> None:
    memory: Memory[str, tuple[int, ...]] = Memory(20_000)
    memory.put("asked", (1,))
    memory.put("changed", (1,))
    memory.put("changed", (2,))
    memory.put("dropped", (1,))
    memory.forget("dropped")
    assert (memory.get("changed"), memory.get("dropped"), memory.get("never")) == ((2,), None, None)
    for number in range(1_000):
        memory.put(f"flood {number}", (number,))
        assert memory.get("asked") == (1,)
    assert memory.get("changed") is memory.get("flood 1") is None
    memory.clear()
    assert memory.get("asked") is None


def test_what_a_memory_holds_is_within_its_bytes() -> None:
    memory: Memory[str, tuple[str, ...]] = Memory(MEBIBYTE)

    def remember(event: Event) -> None:
        memory.put(str(event["Image"]), (str(event["Image"]) * 3,))

    assert growth(remember, unique_values) < 1.5 * MEBIBYTE


def test_sizes_are_those_of_all_that_is_held() -> None:
    assert size_of(("x" * 1_000, ["中" * 1_000, {"a": frozenset({"y" * 500})}])) > 3_500


def texts_asked(service: str) -> frozenset[str]:
    route = native_route(LogSource(product="windows", service=service))
    assert route is not None
    return frozenset().union(*(option.get("Channel", frozenset()) for each in route.requirements for option in each))


def test_events_of_ever_other_kinds_get_few_lanes_and_are_decided_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "FREE_LANES", 4)
    monkeypatch.setattr(lines, "EVENTS_FOR_A_LANE", 10)
    services = ("security", "system", "application", "powershell", "sysmon", "taskscheduler", "bits-client")
    needle = Text("Image", (ANY_TEXT, "needle", ANY_TEXT))
    ruleset = compiled([(needle, LogSource(product="windows", service=service)) for service in services])
    engine, definition = LineEngine(ruleset), Definition(ruleset.rules, router=native_route)
    made: list[object] = []
    make = engine._make_lane

    def counted(*args: Any) -> Any:
        made.append(args)
        return make(*args)

    monkeypatch.setattr(engine, "_make_lane", counted)
    channels = [min(texts_asked(service)) for service in services]
    hostile: list[Event] = [
        {"Channel": [name for bit, name in enumerate(channels) if number >> bit & 1], "Image": "needle"}
        for number in range(128)
    ]
    for event in hostile:
        assert engine.match(event) == definition.match(event)
    assert 2 <= len(made) <= 4 + 128 // 10


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.sampled_from(SYSMON_CHANNELS), max_size=3), min_size=1, max_size=12))
def test_log_sources_beyond_the_plans_are_asked_one_by_one(channels: list[list[str]]) -> None:
    documents: list[dict[str, Any]] = [
        {
            "title": f"Rule {number}",
            "taxonomy": "ecs",
            "level": "low",
            "logsource": source,
            "detection": {"sel": {"a": "x"}, "condition": "sel"},
        }
        for number, source in enumerate(
            [
                {"product": "windows"},
                {"product": "windows", "service": "security"},
                {"product": "windows", "service": "sysmon"},
            ]
        )
    ]
    ruleset: RuleSet = loaded(documents)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(index, "MAX_PLANNED", 1)
        engine, definition = Engine(ruleset), Definition(ruleset.rules)
        for names in [*channels, *channels]:
            event: Event = {"winlog.channel": [*names], "a": "x"}
            assert engine.match(event) == definition.match(event)
        assert len(engine._plans) <= 1 + 1 + 3

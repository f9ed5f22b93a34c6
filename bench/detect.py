"""How fast are events matched, and does the engine agree with its definition?

    SECMON_CORPORA=… SECMON_PUBLIC_RULES=… python bench/detect.py [--rules SUBFOLDER] [--sample N] [--events N]

Real Windows events, never repeated, once through the parser and once through the engine with the public
rules: first pass (nothing remembered, every database built on the way) and second pass, in CPU time of one core,
with a table of µs per event and stage. A sample is matched by the definition too; every difference is printed.
The same lines go through the engine for native fields: JSON, gate, rules, hits, nothing mapped.
"""

import argparse
import gc
import os
import resource
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import zstandard

from secmon.app.detect_lines import SkimStation
from secmon.model.event import Dropped, Event, Frame
from secmon.parse.frame import whole_lines
from secmon.parse.native import NATIVE, read_native
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, parse_frames
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BLOCK = 220


def read_rules(folder: Path, pattern: str, *, native: bool = False) -> RuleSet:
    paths = sorted(folder.glob(pattern))
    return load_rules([RuleFile(str(path), path.read_text("utf-8")) for path in paths], native=native)


def read_frames(path: Path) -> list[Frame]:
    with zstandard.open(path, "rb") as stream:
        data = stream.read()
    lines = data.split(b"\n")
    return [Frame(line, number, number, number) for number, line in enumerate(lines, start=1) if line]


def parse(frames: list[Frame]) -> list[Event]:
    lane = Lane(source="bench", generation="", kind=KINDS["windows.json"], zone=UTC)
    events: list[Event] = []
    for start in range(0, len(frames), BLOCK):
        parsed = parse_frames(frames[start : start + BLOCK], lane, now=NOW)
        events.extend(event for event, _, _ in parsed.events)
    return events


def timed(label: str, count: int, started: float) -> None:
    spent = time.process_time() - started
    print(f"{label:<34} {spent:8.2f} s  {spent / count * 1e6:8.2f} µs/event  {count / spent:10,.0f} events/s")


def one_pass(label: str, engine: Engine, events: Iterable[Event], count: int) -> tuple[int, int]:
    started = time.process_time()
    hits, rules = 0, set()
    for event in events:
        for rule in engine.match(event):
            hits += 1
            rules.add(rule.id)
    timed(label, count, started)
    return hits, len(rules)


def compare(ruleset: RuleSet, engine: Engine, events: list[Event], sample: int) -> int:
    """Match every n-th event by the definition; return the number of differences."""
    definition = Definition(ruleset.rules)
    chosen = list(islice(events, 0, None, max(1, len(events) // sample)))
    started = time.process_time()
    expected = [definition.match(event) for event in chosen]
    timed(f"match.py, every {max(1, len(events) // sample)}th event", len(chosen), started)
    return sum(engine.match(event) != found for event, found in zip(chosen, expected, strict=True))


def native(ruleset: RuleSet, frames: list[Frame], sample: int) -> None:
    """Take lines through the engine for native fields, twice, and a sample through the definition."""
    engine = LineEngine(ruleset)
    station = SkimStation(engine, ruleset)
    blocks = list(
        whole_lines(
            [b"".join(b"%b\n" % frame.raw for frame in frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)]
        )
    )
    lane = Lane(source="bench", generation="", kind=NATIVE, zone=UTC)
    gc.collect()
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for label in ("native, first pass", "native, second pass"):
        started = time.process_time()
        worked = [station.work(block, lane, bytes(8)) for block in blocks]
        timed(label, len(frames), started)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    found = [rule_id for block in worked for each in block.found for rule_id in each.rule_ids]
    print(f"hits: {len(found)} of {len(set(found))} rules; the engine took {grown} MB")
    definition = Definition(ruleset.rules, router=native_route)
    differences = 0
    for frame in frames[:: max(1, len(frames) // sample)]:
        event = read_native(frame.raw)
        if not isinstance(event, Dropped):
            differences += engine.match(event) != definition.match(event)
    print(f"differences from match.py: {differences}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rules", default="rules*/**/*.yml", help="pattern below SECMON_PUBLIC_RULES")
    arguments.add_argument("--sample", type=int, default=100, help="events that the definition decides")
    arguments.add_argument("--events", type=int, default=0, help="only so many events, from all over the file")
    arguments.add_argument("--only-native", action="store_true", help="leave out the way through ECS")
    given = arguments.parse_args()
    frames = read_frames(Path(os.environ["SECMON_CORPORA"]) / "windows" / "otrf-97k.jsonl.zst")
    if given.events:
        frames = frames[:: max(1, len(frames) // given.events)]
    native(read_rules(Path(os.environ["SECMON_PUBLIC_RULES"]), given.rules, native=True), frames, given.sample)
    if given.only_native:
        return
    started = time.process_time()
    ruleset = read_rules(Path(os.environ["SECMON_PUBLIC_RULES"]), given.rules)
    spent = time.process_time() - started
    print(f"rules: {len(ruleset.rules)} run, {len(ruleset.problems)} do not; compiled in {spent:.2f} s of CPU time")
    started = time.process_time()
    events = parse(frames)
    count = len(events)
    timed("decode and parse", count, started)
    engine = Engine(ruleset)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    engine.build()
    spent = time.process_time() - started
    print(f"databases built in {spent:.2f} s of CPU time")
    found = one_pass("engine, first pass", engine, events, count)
    again = one_pass("engine, second pass", engine, events, count)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(f"hits: {found[0]} of {found[1]} rules, second pass {again[0]}; the engine took {grown} MB")
    print(f"differences from match.py: {compare(ruleset, engine, events, given.sample)}")


if __name__ == "__main__":
    main()

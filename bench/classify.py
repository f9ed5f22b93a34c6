"""Classifier: MB/s over JSON lines, µs per event in batches, recall and precision on what it generated itself.

    python bench/classify.py [--megabytes 100]

The corpus is unique data: access-log-like JSON lines full of traps (timestamps in ms, snowflakes, UUIDs, hex ids,
order numbers, decimals), every fiftieth line with personal data (2 %). Numbers are synthetic.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from secmon.classify.area_codes import STILL_IN_FORCE, area_codes
from secmon.classify.bank_bins import bank_bins
from secmon.classify.classifier import Classifier
from secmon.classify.definition import load_definitions
from secmon.classify.scan import Scanner
from secmon.classify.validators import id_check_character, luhn
from secmon.content import classifier_files
from secmon.model.event import Event

BATCH = 1_000
EVERY = 50  # one line in so many has personal data: 2 %
AREAS = sorted(code for code, last in area_codes().items() if last == STILL_IN_FORCE and code[4:] != "00")
PREFIXES = sorted(bank_bins()[19])
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Safari/537.36"


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def resident_id(chance: random.Random) -> str:
    born = date(1950, 1, 1).toordinal() + chance.randrange(27_000)
    body = f"{chance.choice(AREAS)}{date.fromordinal(born):%Y%m%d}{digits(chance, 3)}"
    return body + id_check_character(body)


def mobile(chance: random.Random) -> str:
    return chance.choice(["138", "150", "177", "189", "199"]) + digits(chance, 8)


def card(chance: random.Random) -> str:
    prefix = chance.choice(PREFIXES)
    body = prefix + digits(chance, 18 - len(prefix))
    return next(body + last for last in "0123456789" if luhn(body + last))


def personal(chance: random.Random) -> tuple[dict[str, str], list[str]]:
    """Return fields with personal data and the values that must be found."""
    number, phone = resident_id(chance), mobile(chance)
    match chance.randrange(4):
        case 0:
            return {"query": f"sfzh={number}&sjh={phone}&page=1"}, [number, phone]
        case 1:
            return {"message": f"学生张三（身份证号{number}）登录成功，电话{phone}"}, [number, phone]
        case 2:
            return {"xjh": f"G{number}", "tel": phone}, [f"G{number}", phone]
        case _:
            bank = card(chance)
            return {"body": json.dumps({"yhkh": bank, "sjh": phone})}, [bank, phone]


def lines(count: int) -> Iterator[tuple[dict[str, object], list[str]]]:
    chance = random.Random(7)  # noqa: S311  the same corpus at every run
    for number in range(count):
        row: dict[str, object] = {
            "ts": 1_757_203_269_000 + number,
            "traceId": f"{chance.getrandbits(128):032x}",
            "spanId": f"{chance.getrandbits(64):016x}",
            "requestId": f"{chance.getrandbits(32):08x}-4c1d-4e5f-9a0b-{chance.getrandbits(48):012x}",
            "orderNo": f"20260907{digits(chance, 12)}",
            "snowflake": 1_834_567_890_123_456_789 + chance.getrandbits(40),
            "cost": chance.random() * 100,
            "client": f"203.0.113.{chance.randrange(256)}:{chance.randrange(65_536)}",
            "path": f"/jwgl/xsxx/list/{number}",
            "agent": AGENT,
        }
        values: list[str] = []
        if number % EVERY == 0:
            fields, values = personal(chance)
            row |= fields
        yield row, values


def event(row: dict[str, object]) -> Event:
    """Return the row as an event of the pipeline: its fields, and the record itself."""
    fields: Event = {f"labels.{name}": value for name, value in row.items() if isinstance(value, str | int | float)}
    return {
        "@timestamp": "2026-09-07T00:01:09.424Z",
        "event.id": "0" * 32,
        "event.original": json.dumps(row, ensure_ascii=False),
        **fields,
    }


def scanned(classifier: Classifier, count: int) -> None:
    """Measure the scanner over JSON lines, and compare what it found with what was put in."""
    rows = list(lines(count))
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row, _ in rows).encode()
    wanted = {classifier.token(value) for _, values in rows for value in values}
    scanner = Scanner(classifier)
    found: set[str] = set()
    started = time.process_time()
    for place in range(0, len(data), 1 << 20):
        found.update(one.finding.digest for one in scanner.feed(data[place : place + (1 << 20)]))
    seconds = time.process_time() - started
    print(f"scan, JSON lines      {len(data) / seconds / 1e6:8.0f} MB/s {count / seconds:12,.0f} records/s")
    print(f"  recall {len(found & wanted) / len(wanted):.5f}, precision {len(found & wanted) / len(found):.5f}")


def classified(classifier: Classifier, name: str, events: list[Event]) -> None:
    """Measure masking of whole batches of events."""
    classifier.classify_events(events[:BATCH])
    started = time.process_time()
    findings = 0
    for place in range(0, len(events), BATCH):
        findings += sum(len(found) for _, found in classifier.classify_events(events[place : place + BATCH]))
    micros = (time.process_time() - started) / len(events) * 1e6
    print(f"{name:22}{micros:8.1f} µs/event {findings:9,} findings in {len(events):,} events")


def main() -> None:
    """Print the figures, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    count = parser.parse_args().megabytes * 1_000_000 // 480
    files, _ = classifier_files()
    definitions, _ = load_definitions(files)
    started = time.process_time()
    classifier = Classifier(definitions, token_key=b"bench" * 8, today=date(2026, 11, 21))
    print(f"start                 {(time.process_time() - started) * 1e3:8.0f} ms, one core, CPU time, unique data")
    scanned(classifier, count)
    rows = list(lines(min(count, 50_000)))
    classified(classifier, "events, 2 % personal", [event(row) for row, _ in rows])
    classified(classifier, "events, none", [event(row) for row, values in rows if not values])
    print(f"memory                {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB, corpus included")


if __name__ == "__main__":
    main()

"""`python -m bench.precision [FILE...]`: how often each shipped rule speaks over texts and logs that are no attack.

Two kinds of evidence, out of the folder that SECMON_CORPORA names:

- **texts**: everything that stands in the benign cases of the corpora, each text put in every place where rules read
  free text (an address, a referrer, a command line, a statement, a subject …). A rule over single events that fires has
  taken an ordinary text for an attack. Files named on the command line are read as texts too, a line each.
- **records**: real log lines of tests that expect no alert, as our parsers read them, correlations included.

What fires is printed with the number of texts or hits; `--show` adds the texts. docs/rules-precision.md explains each.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from secmon.app.rule_tests import parse_lines
from secmon.content import rule_files
from secmon.errors import SecmonError
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits, moments
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules

_TIME = "2026-09-07T01:30:00.000Z"
_LONGEST = 2_000
"""Characters of a text: longer ones are documents, which nobody sends in an address."""
_SHORTEST = 3

Found = Counter[tuple[str, str]]
"""(corpus and place, rule) → texts or hits."""


def shipped() -> RuleSet:
    """Return the shipped rules."""
    return load_rules([RuleFile(*each) for each in rule_files()[0]])


def stem(path: str) -> str:
    """Return area and name of a rule, as the catalogue has them."""
    return "/".join(Path(path).with_suffix("").parts[-2:])


# --- texts -----------------------------------------------------------------------------------------------------------


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def _gotestwaf(corpora: Path) -> Iterator[str]:
    rows = _rows(corpora / "gotestwaf" / "payloads.jsonl")
    return (row["payload"] for row in rows if row["label"] == "benign")


def _panther(corpora: Path) -> Iterator[str]:
    for path in sorted((corpora / "panther").glob("*.cases.jsonl")):
        for row in _rows(path):
            if not row["expect_match"] and not row["mocks"]:
                yield from _leaves(row["log"])


def _filebeat(corpora: Path) -> Iterator[str]:
    for path in sorted((corpora / "filebeat-ecs-pairs").glob("*/*-expected.json")):
        yield from _leaves(json.loads(path.read_text(encoding="utf-8")))


def _logstash(corpora: Path) -> Iterator[str]:
    return (row["message"] for row in _rows(corpora / "logstash-patterns-core" / "messages.jsonl"))


_KINDS = {"nginx": "nginx.access", "apache2": "apache.access", "traefik": "apache.access", "syslog": "syslog"}
"""CrowdSec's type of a log → the kind of our parser."""


def _quiet(corpora: Path) -> Iterator[tuple[dict[str, Any], list[Path]]]:
    """Yield CrowdSec's tests that expect no alert, with their logs."""
    for path in sorted((corpora / "crowdsec-hub").glob("*/expected.json")):
        test = json.loads(path.read_text(encoding="utf-8"))
        if not test.get("expected_alerts"):
            yield test, sorted(path.parent.glob("*.log"))


def _crowdsec(corpora: Path) -> Iterator[str]:
    for test, logs in _quiet(corpora):
        if test["log_type"] not in _KINDS:  # those are read by our parsers, as records
            for log in logs:
                yield from log.read_text(encoding="utf-8", errors="replace").splitlines()


TEXTS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "gotestwaf": _gotestwaf,
    "panther": _panther,
    "filebeat": _filebeat,
    "logstash": _logstash,
    "crowdsec-hub": _crowdsec,
}


def texts_of(corpora: Path, name: str) -> list[str]:
    """Return the benign texts of a corpus, each once, in order."""
    return distinct(TEXTS[name](corpora))


def distinct(texts: Iterator[str]) -> list[str]:
    """Return texts of a length that people send, each once, in order."""
    return list(dict.fromkeys(text for text in texts if _SHORTEST <= len(text) <= _LONGEST))


# --- where rules read free text --------------------------------------------------------------------------------------


def _requested(path: str) -> Event:
    line = f'203.0.113.9 - - [07/Sep/2026:09:30:00 +0800] "GET {path} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'
    return parse_lines("nginx.access", [line])[0]


def _visited(field: str) -> Callable[[str], Event]:
    seen: Event = {
        "event.dataset": "nginx.access",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.original": "/",
        "url.path": "/",
        "source.ip": "203.0.113.9",
    }
    return lambda text: {**seen, field: text}


def _with(field: str, **fields: object) -> Callable[[str], Event]:
    known: Event = {name.replace("__", "."): value for name, value in fields.items()}  # type: ignore[misc]  # constants
    return lambda text: {**known, field: text}


PLACES: Mapping[str, Callable[[str], Event]] = {
    "address": lambda text: _requested("/search?q=" + quote(text, safe="")),
    "address, encoded twice": lambda text: _requested("/search?q=" + quote(quote(text, safe=""), safe="")),
    "path": lambda text: _requested("/" + quote(text)),
    "referrer": _visited("http.request.referrer"),
    "browser": _visited("user_agent.original"),
    "sudo": _with(
        "process.command_line",
        event__dataset="sudo",
        process__name="sudo",
        event__action="sudo_command",
        event__outcome="success",
    ),
    "process on Linux": _with(
        "process.command_line", event__category=["process"], event__type=["start"], host__os__type="linux"
    ),
    "process on Windows": _with(
        "winlog.event_data.CommandLine",
        event__code="1",
        event__module="sysmon",
        event__dataset="windows.sysmon",
        winlog__channel="Microsoft-Windows-Sysmon/Operational",
    ),
    "cron": _with("process.command_line", event__dataset="syslog", process__name="cron", event__action="CMD"),
    "statement": _with("db.query.text", event__category=["database"], user__name="root"),
    "subject": _with("email.subject", event__category=["email"], email__direction="inbound"),
    "attachment": _with("email.attachments.file.name", event__category=["email"], email__direction="inbound"),
    "name asked for": _with("dns.question.name", event__module="suricata"),
    "file written": _with(
        "winlog.event_data.TargetFilename",
        event__code="11",
        event__module="sysmon",
        event__dataset="windows.sysmon",
        winlog__channel="Microsoft-Windows-Sysmon/Operational",
    ),
}
"""Place → a text in it, as an event."""


def over_texts(ruleset: RuleSet, texts: Mapping[str, list[str]], told: dict[tuple[str, str], list[str]]) -> Found:
    """Return what fires where; `told` gets the texts."""
    engine, found = Engine(ruleset), Found()
    for corpus, each in texts.items():
        for place, event_of in PLACES.items():
            for text in each:
                event: Event = {"@timestamp": _TIME, "event.id": "0" * 32, **event_of(text)}
                for rule in engine.match(event):
                    if rule.generates:
                        key = (f"{corpus}: {place}", stem(rule.path))
                        found[key] += 1
                        told.setdefault(key, []).append(text)
    return found


# --- records ---------------------------------------------------------------------------------------------------------


def _quiet_tests(corpora: Path) -> Iterator[tuple[str, list[Event]]]:
    """Yield the logs of CrowdSec's tests that expect no alert, of kinds that we parse."""
    for test, logs in _quiet(corpora):
        if kind := _KINDS.get(test["log_type"]):
            for log in logs:
                yield f"crowdsec-hub {kind}", _parsed(kind, log)


def _parsed(kind: str, path: Path) -> list[Event]:
    events: list[Event] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            events += parse_lines(kind, [line])
        except SecmonError:  # a line of another format, which tests of parsers hold on purpose
            continue
    return events


def _eve(corpora: Path) -> Iterator[Event]:
    """Yield what suricata-verify looks for in EVE records, as records: fields and values as Suricata writes them."""
    for number, row in enumerate(_rows(corpora / "suricata-verify" / "eve-checks.jsonl")):
        record: dict[str, Any] = {"timestamp": "2026-09-07T09:30:00.000000+0800", "flow_id": number}
        for name, value in row["match"].items():
            _put(record, name, value)
        try:
            yield from parse_lines("suricata.eve", [json.dumps(record)])
        except SecmonError:
            continue


def _put(record: dict[str, Any], name: str, value: object) -> None:
    *path, last = name.split(".")
    for key in path:
        inner = record.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        record = inner
    record.setdefault(last, value)


def _documents(corpora: Path) -> Iterator[Event]:
    for path in sorted((corpora / "filebeat-ecs-pairs").glob("*/*-expected.json")):
        for document in json.loads(path.read_text(encoding="utf-8")):
            yield from parse_lines("ecs", [json.dumps({"@timestamp": _TIME, **document})])


def records_of(corpora: Path) -> dict[str, list[Event]]:
    """Return events of real logs that hold no attack, by corpus."""
    found: dict[str, list[Event]] = {}
    for name, events in _quiet_tests(corpora):
        found.setdefault(name, []).extend(events)
    found["suricata-verify"] = list(_eve(corpora))
    found["filebeat"] = list(_documents(corpora))
    return found


def over_records(ruleset: RuleSet, records: Mapping[str, list[Event]]) -> Found:
    """Return hits of rules and moments of correlations."""
    engine, found = Engine(ruleset), Found()
    generating = {rule.id: rule for rule in ruleset.rules if rule.generates}
    for corpus, events in records.items():
        hits: list[Hit] = []
        for number, event in enumerate(events):
            named = {**event, "event.id": f"{number:032x}"}
            hits += make_hits(ruleset, named, engine.match(named))
        found.update((corpus, stem(generating[hit.rule_id].path)) for hit in hits if hit.rule_id in generating)
        for correlation in ruleset.correlations:
            count = sum(len(moments(correlation, group)) for _, group in group_hits(correlation, hits))
            if count:
                found[(corpus, stem(correlation.path))] = count
    return found


def rows(found: Found) -> Iterator[str]:
    """Yield the lines of a table, most first."""
    for (where, rule), count in sorted(found.items(), key=lambda each: (-each[1], each[0])):
        yield f"| {where} | `{rule}` | {count} |"


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="files of texts of your own, a line each")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="also print up to N texts of each row")
    asked = parser.parse_args(argv)
    ruleset = shipped()
    texts: dict[str, list[str]] = {
        path.name: distinct(iter(path.read_text(encoding="utf-8").splitlines())) for path in asked.files
    }
    records: dict[str, list[Event]] = {}
    if "SECMON_CORPORA" in os.environ:
        corpora = Path(os.environ["SECMON_CORPORA"])
        texts |= {name: texts_of(corpora, name) for name in TEXTS}
        records = records_of(corpora)
    told: dict[tuple[str, str], list[str]] = {}
    found = over_texts(ruleset, texts, told)
    for name, each in texts.items():
        print(f"{name}: {len(each)} texts in {len(PLACES)} places")
    for name, events in records.items():
        print(f"{name}: {len(events)} records")
    print("| where | rule | texts or hits |\n|---|---|---|")
    print("\n".join(rows(found + over_records(ruleset, records))) or "| – | – | 0 |")
    for (where, rule), examples in sorted(told.items()) if asked.show else ():
        print(f"\n{where}: {rule}")
        print("\n".join(repr(text) for text in examples[: asked.show]))


if __name__ == "__main__":
    main()

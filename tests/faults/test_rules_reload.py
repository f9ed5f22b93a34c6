"""Rules that change while the daemon runs: from one batch on, exactly, and never for the worse by accident."""

import json
import os
import signal
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from secmon.app import checkpoints
from secmon.model.batch import BatchRow
from secmon.model.ids import offset_of_id
from secmon.model.questions import HitQuery
from secmon.model.record import RecordQuery
from tests.faults.clusters import Load, on_cluster, remove_store, site
from tests.faults.running import ACCESS, SOURCE, Daemon, House, daemon, is_balanced, until, until_read, web_line
from tests.sigma.rule_texts import ID, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text
from tests.warm import warm

pytestmark = pytest.mark.slow

EVERY, OTHER = ID.format(71), ID.format(72)
EVERY_LINE = rule_text(
    "selection: {url.query|contains: 'n='}\ncondition: selection", number=71, logsource="category: webserver"
)
EVERY_OTHER = rule_text(
    "selection: {url.query|endswith: ['0', '2', '4', '6', '8']}\ncondition: selection",
    number=72,
    logsource="category: webserver",
)
BROKEN = EVERY_LINE.replace("condition: selection", "condition: nothing_of_that_name")
SILENCE = exception_text(
    rules=f"[{EVERY}]", selection="url.path: /jwxt", logsource="category: webserver", starts="2026-06-01"
)


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """Settings of a store of its own, as TOML."""
    if request.param == "sqlite":
        yield ""
        return
    urls, prefix = (os.environ["SECMON_ES_URL"],), f"reload-{uuid.uuid4().hex[:12]}"
    yield on_cluster(urls, prefix)
    remove_store(urls, prefix)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The operator's folder of rules, with one in it."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "every.yml").write_text(EVERY_LINE, encoding="utf-8")
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def made(tmp_path: Path, *, watch: str = "0s", store: str = "", workers: int = 1) -> House:
    more = f'[content]\nrules = ["{tmp_path}/rules"]\nlists = ["{tmp_path}/rules"]\nwatch = "{watch}"\n{store}'
    warm(tmp_path / "house" / "state")
    return House(tmp_path / "house", [f"{tmp_path}/access.log*"], workers=workers, more=more)


@pytest.fixture
def house(tmp_path: Path, rules: Path) -> House:
    """It reloads when told to."""
    assert rules.is_dir()
    return made(tmp_path)


@pytest.fixture
def watching(tmp_path: Path, rules: Path) -> House:
    """It reloads by itself."""
    assert rules.is_dir()
    return made(tmp_path, watch="1s")


class Flow(threading.Thread):
    """Numbered lines into a log until it is told to stop."""

    def __init__(self, log: Path) -> None:
        super().__init__(daemon=True)
        self._log, self._ended, self.written = log, threading.Event(), 0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.write(20)

    def write(self, count: int) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.writelines(web_line(f"/jwxt?n={number}", number) + "\n" for number in self._more(count))

    def _more(self, count: int) -> range:
        self.written += count
        return range(self.written - count, self.written)

    def finish(self) -> int:
        self._ended.set()
        self.join()
        return self.written


def write(log: Path, first: int, count: int) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(web_line(f"/jwxt?n={number}", number) + "\n" for number in range(first, first + count))


@contextmanager
def begun(house: House, log: Path) -> Iterator[tuple[Daemon, str]]:
    """Run a daemon that has read a thousand lines; give it with the digest of its rules."""
    write(log, 0, 1_000)
    with daemon(house) as running:
        until_read(house, 1_000)
        yield running, in_force(running)["digest"]


def batches(house: House) -> list[BatchRow]:
    with house.reading() as opened:
        return sorted(opened.log.batches(ACCESS), key=lambda row: (row.source, row.generation, row.number))


def hits_by_batch(house: House, rule: str, rows: list[BatchRow]) -> list[int]:
    """Return how many hits of a rule there are in each batch (of one stream)."""
    with house.reading() as opened:
        hits = list(opened.log.hits(ACCESS, HitQuery(rule_ids=(rule,))))
    offsets = [offset_of_id(bytes.fromhex(hit.event_id)) for hit in hits]
    return [sum(row.offset_from <= offset < row.offset_to for offset in offsets) for row in rows]


def suppressed(house: House) -> Counter[str | None]:
    with house.reading() as opened:
        return Counter(hit.suppressed_by for hit in opened.log.hits(ACCESS, HitQuery(rule_ids=(EVERY,))))


def in_force(running: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = running.get("readyz")[1]["ruleset"]
    return found


def reloaded(house: House, *options: str) -> tuple[int, dict[str, Any], str]:
    done = house.done("rules", "reload", "--json", *options)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr.decode()


def check_of_doctor(house: House, name: str) -> dict[str, str]:
    rows = map(json.loads, house.done("doctor", "--json").stdout.splitlines())
    return next(row for row in rows if row["check"] == name)


def audited(house: House) -> list[tuple[str, dict[str, Any]]]:
    with house.reading() as opened:
        found = opened.records.find(ACCESS, RecordQuery(kind="audit", order="number", limit=500)).documents
    return [
        (one.body["by"], one.body["details"]) for one in found if str(one.body["action"]).startswith("rules.reload")
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_rule_added_while_logs_flow_applies_from_one_batch_on(
    tmp_path: Path, rules: Path, log: Path, store: str, workers: int
) -> None:
    house = made(tmp_path, store=store, workers=workers)
    flow = Flow(log)
    flow.write(1_000)  # a stream is known by its head
    with daemon(house) as running:
        flow.start()
        until_read(house, 2_000)
        before = in_force(running)["digest"]
        (rules / "other.yml").write_text(EVERY_OTHER, encoding="utf-8")
        status, told, _ = reloaded(house)
        assert (status, told["state"], told["previous"]) == (0, "changed", before)
        assert [(row["change"], row["id"]) for row in told["changes"]] == [("added", OTHER)]
        until_read(house, flow.written + 1_000)
        assert in_force(running)["digest"] == told["digest"] != before
        written = flow.finish()
        until_read(house, written)
        assert running.terminate() == 0
    assert house.numbers() == Counter(range(written))
    assert is_balanced(house.account())
    rows = batches(house)
    assert [digest for digest, _ in groupby(row.ruleset for row in rows)] == [before, told["digest"]]
    assert hits_by_batch(house, EVERY, rows) == [row.counts.events for row in rows]
    halves = [row.counts.events / 2 if row.ruleset == told["digest"] else 0 for row in rows]
    # Lines are written twenty at a time, but read at any byte: a batch may hold an even line more, or less.
    found = hits_by_batch(house, OTHER, rows)
    assert all(abs(many - half) <= (half > 0) for many, half in zip(found, halves, strict=True))
    ((by, details),) = audited(house)
    assert by.startswith("os:")
    assert (details["from"], details["to"], details["added"]) == (before, told["digest"], 1)


def test_a_broken_file_takes_nothing_away_and_is_named_everywhere(watching: House, rules: Path, log: Path) -> None:
    with begun(watching, log) as (running, before):
        (rules / "every.yml").write_text(BROKEN, encoding="utf-8")
        (rules / "other.yml").write_text(EVERY_OTHER, encoding="utf-8")
        until(lambda: running.check("rules")["state"] == "warn", "the broken file is refused")
        place = f"{rules}/every.yml:"
        assert running.check("rules")["detail"].startswith(place)
        assert running.check("content")["detail"].startswith(place)
        assert check_of_doctor(watching, "rules")["detail"].startswith(place)
        assert "rules.refused" in running.log()
        assert place in running.log()
        assert running.get("readyz")[0] == 200
        assert in_force(running)["digest"] != before  # the sound one beside it is in force
        write(log, 1_000, 1_000)
        until_read(watching, 2_000)
        (rules / "every.yml").write_text(EVERY_LINE, encoding="utf-8")
        until(lambda: running.check("rules")["state"] == "ok", "the file is right again")
        assert running.terminate() == 0
    rows = batches(watching)
    assert sum(hits_by_batch(watching, EVERY, rows)) == 2_000
    assert sum(hits_by_batch(watching, OTHER, rows)) == 500


def test_a_folder_that_vanishes_takes_no_rule_away(watching: House, rules: Path, log: Path) -> None:
    with begun(watching, log) as (running, before):
        rules.rename(rules.with_name("moved"))
        until(lambda: running.check("rules")["state"] == "warn", "the loss is refused")
        assert running.check("rules")["detail"].startswith(f"{rules}: ")
        status, _, said = reloaded(watching)
        assert status == 4
        assert str(rules) in said
        assert in_force(running)["digest"] == before
        write(log, 1_000, 1_000)
        until_read(watching, 2_000)
        rules.with_name("moved").rename(rules)
        until(lambda: running.check("rules")["state"] == "ok", "the folder is back")
        assert in_force(running)["digest"] == before
        assert running.terminate() == 0
    rows = batches(watching)
    assert {row.ruleset for row in rows} == {before}
    assert sum(hits_by_batch(watching, EVERY, rows)) == 2_000


def test_a_folder_that_is_emptied_is_believed_only_when_somebody_says_so(house: House, rules: Path) -> None:
    with daemon(house) as running:
        before = in_force(running)["digest"]
        (rules / "every.yml").unlink()
        assert reloaded(house)[0] == 4
        assert in_force(running)["digest"] == before
        status, told, _ = reloaded(house, "--accept-empty")
        assert (status, [(row["change"], row["id"]) for row in told["changes"]]) == (0, [("removed", EVERY)])
        assert in_force(running)["digest"] == told["digest"] != before
        assert running.terminate() == 0


def test_a_pool_that_is_made_anew_works_by_the_rules_of_its_batches(house: House, rules: Path, log: Path) -> None:
    with begun(house, log) as (running, before):
        (rules / "every.yml").write_text(EVERY_OTHER, encoding="utf-8")
        for worker in running.workers():
            os.kill(worker, signal.SIGKILL)
        write(log, 1_000, 1_000)
        until_read(house, 2_000)
        assert in_force(running)["digest"] == before
        os.kill(running.pid, signal.SIGHUP)
        until(lambda: in_force(running)["digest"] != before, "the new rule is in force")
        after = in_force(running)["digest"]
        write(log, 2_000, 1_000)
        until_read(house, 3_000)
        for worker in running.workers():
            os.kill(worker, signal.SIGKILL)
        write(log, 3_000, 1_000)
        until_read(house, 4_000)
        assert running.terminate() == 0
    rows = batches(house)
    assert [digest for digest, _ in groupby(row.ruleset for row in rows)] == [before, after]
    assert sum(hits_by_batch(house, EVERY, rows)) == 2_000
    assert sum(hits_by_batch(house, OTHER, rows)) == 1_000
    assert house.numbers() == Counter(range(4_000))


def test_an_exception_quiets_hits_as_soon_as_it_lies_there(watching: House, rules: Path, log: Path) -> None:
    with begun(watching, log) as (running, before):
        (rules / "exception.yml").write_text(SILENCE, encoding="utf-8")
        until(lambda: in_force(running)["digest"] != before, "the exception is in force")
        write(log, 1_000, 500)
        until_read(watching, 1_500)
        assert suppressed(watching) == {None: 1_000, EXCEPTION.format(1): 500}
        (rules / "exception.yml").write_text(SILENCE.replace("2026-12-31", "2026-10-01"), encoding="utf-8")
        quiet = in_force(running)["digest"]
        until(lambda: in_force(running)["digest"] != quiet, "the exception ends earlier")
        write(log, 1_500, 500)
        until_read(watching, 2_000)
        assert running.terminate() == 0
    assert suppressed(watching) == {None: 1_500, EXCEPTION.format(1): 500}


def test_a_burst_of_signals_reloads_and_the_last_one_ends_it(house: House, rules: Path, log: Path) -> None:
    flow = Flow(log)
    flow.write(1_000)
    with daemon(house) as running:
        flow.start()
        before = in_force(running)["digest"]
        (rules / "other.yml").write_text(EVERY_OTHER, encoding="utf-8")
        for _ in range(200):
            os.kill(running.pid, signal.SIGHUP)
        until(lambda: in_force(running)["digest"] != before, "the new rule is in force")
        written = flow.finish()
        until_read(house, written)
        for _ in range(200):
            os.kill(running.pid, signal.SIGHUP)
        assert running.terminate() == 0
    assert house.numbers() == Counter(range(written))
    assert [details["cause"] for _, details in audited(house)] == ["signal"] * len(audited(house))


@pytest.mark.parametrize("moment_s", [0.0, 0.5, 2.0, 4.0])
def test_a_daemon_that_ends_while_it_reloads_ends_cleanly(
    house: House, rules: Path, log: Path, moment_s: float
) -> None:
    flow = Flow(log)
    flow.write(1_000)
    with daemon(house) as running:
        flow.start()
        until_read(house, 1_000)
        (rules / "other.yml").write_text(EVERY_OTHER, encoding="utf-8")
        asked = subprocess.Popen(house.command("rules", "reload"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Event().wait(moment_s)
        workers = running.workers()
        assert running.terminate() == 0
        asked.communicate(timeout=60)
        assert asked.returncode in {0, 4}
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the workers end")  # noqa: PTH110
    written = flow.finish()
    with daemon(house) as running:
        until_read(house, written)
        assert running.terminate() == 0
    assert house.numbers() == Counter(range(written))
    rows = batches(house)
    assert len({row.ruleset for row in rows}) <= 2
    assert sum(hits_by_batch(house, EVERY, rows)) == written
    assert SOURCE in {row.source for row in rows}


@pytest.mark.elasticsearch
@pytest.mark.xdist_group("cluster")
def test_a_takeover_by_a_daemon_with_other_rules_is_visible_and_exact(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        prefix = found.prefix()
        first = with_rules(found.house("first", prefix), EVERY_LINE)
        load = Load(found)
        load.write(1_000)
        with daemon(first) as killed:
            until(lambda: received(first) >= load.written, "the first daemon has read everything")
            second = with_rules(found.house("second", prefix, keys=first), EVERY_OTHER)
            with daemon(second) as other:
                ours, theirs = in_force(killed)["digest"], in_force(other)["digest"]
                until(lambda: other.check("daemons")["state"] == "warn", "it tells of the other rules")
                killed.kill()
                load.write(1_000)
                until(lambda: received(second) >= load.written, "the other one took over", within_s=240)
                assert other.terminate() == 0
        assert second.numbers() == Counter(range(load.written))
        rows = batches(second)
        for _, stream in groupby(rows, key=lambda row: (row.source, row.generation)):
            digests = [row.ruleset for row in stream]
            assert digests == sorted(digests, key=[ours, theirs].index)  # one border, in this order
            assert set(digests) == {ours, theirs}
        records = Counter[str]()
        for row in rows:
            records[row.ruleset] += row.counts.received
        with second.reading() as opened:
            hits = Counter(hit.rule_id for hit in opened.log.hits(ACCESS, HitQuery(rule_ids=(EVERY, OTHER))))
        assert hits == {EVERY: records[ours], OTHER: records[theirs] / 2}


def with_rules(house: House, text: str) -> House:
    """Give a house a folder of rules of its own."""
    (house.folder / "rules").mkdir()
    (house.folder / "rules" / "own.yml").write_text(text, encoding="utf-8")
    with house.config.open("a", encoding="utf-8") as file:
        file.write(f'[content]\nrules = ["{house.folder}/rules"]\nwatch = "0s"\n')
    return house


def received(house: House) -> int:
    with house.reading() as opened:
        return sum(one.counts.received for one in checkpoints.load_all(opened, ACCESS))

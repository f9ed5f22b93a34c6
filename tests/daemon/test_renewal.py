"""A reload inside the daemon: what is refused whole, what has to be written first, what goes on untouched."""

import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from secmon.app.work import InlineWork
from secmon.config import load_settings
from secmon.daemon.jobs import Jobs
from secmon.daemon.renewing import OPERATION, REFUSED, Renewal
from secmon.daemon.service import Daemon
from secmon.errors import ContentError, SecmonError, StoreUnavailableError
from secmon.model.access import Access, job_access
from secmon.model.record import Document, RecordQuery
from secmon.store.sqlite.records import SqliteRecords
from secmon.wiring import key_paths, opened, read_texts
from tests.sigma.rule_texts import ID, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text
from tests.warm import warm

ACCESS = job_access("test")
RULE = rule_text(number=71)


class AwayRecords(SqliteRecords):
    """Real records that cannot be written while they are away."""

    is_away = False

    def create(self, access: Access, document: Document) -> Document:
        """Fail while they are away."""
        if self.is_away:
            raise StoreUnavailableError("the disk is full")
        return super().create(access, document)


@dataclass
class Running:
    """A daemon that follows nothing, and what it rests on."""

    daemon: Daemon
    renewal: Renewal
    jobs: Jobs
    records: AwayRecords
    folder: Path

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    @property
    def digest(self) -> str:
        return self.daemon.house.ruleset.digest

    def audited(self) -> list[str]:
        found = self.records.find(ACCESS, RecordQuery(kind="audit", order="number", limit=100)).documents
        return [str(one.body["action"]) for one in found]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    for name in ("rules", "pipelines"):
        (tmp_path / name).mkdir()
    (tmp_path / "rules" / "one.yml").write_text(RULE, encoding="utf-8")
    config = tmp_path / "secmon.toml"
    config.write_text(
        f'[secmon]\nstate = "{tmp_path}/state"\nworkers = 0\n'
        f'[content]\nrules = ["{tmp_path}/rules"]\npipelines = ["{tmp_path}/pipelines"]\nwatch = "1s"\n',
        encoding="utf-8",
    )
    warm(tmp_path / "state")
    settings = load_settings(config, environ={})
    texts = read_texts(settings)
    jobs = Jobs(settings, texts)
    with opened(settings, writable=True, texts=texts) as plain:
        records = AwayRecords(settings.state / "control.db", writable=True)
        house = replace(plain, records=records, aside=jobs.run)
        renewal = Renewal(settings, texts, jobs)
        work = InlineWork(house.stages)
        daemon = Daemon(house, [], work, state=settings.state, key_files=key_paths(settings), renewal=renewal)
        yield Running(daemon, renewal, jobs, records, tmp_path)
        renewal.stop()
        jobs.close()
        records.close()


def test_a_pipeline_that_is_wrong_refuses_everything(running: Running) -> None:
    before = running.digest
    running.write("rules/two.yml", rule_text(number=72))
    running.write("pipelines/one.yml", "transformations: 7\n")
    with pytest.raises(ContentError, match="pipeline"):
        running.renewal.renew(ACCESS, "command")
    assert running.digest == before
    assert running.daemon.ruleset().refused[0].startswith(f"{running.folder}/pipelines/one.yml")
    assert running.audited() == [REFUSED]
    (running.folder / "pipelines" / "one.yml").unlink()
    assert running.renewal.renew(ACCESS, "command")["state"] == "changed"
    assert running.daemon.ruleset().refused == ()


def test_nothing_takes_effect_before_the_audit_chain_says_so(running: Running) -> None:
    before = running.digest
    running.write("rules/two.yml", rule_text(number=72))
    running.records.is_away = True
    with pytest.raises(StoreUnavailableError):
        running.renewal.renew(ACCESS, "command")
    assert running.digest == before
    running.records.is_away = False
    done = running.renewal.renew(ACCESS, "command")
    assert (done["state"], done["digest"]) == ("changed", running.digest)
    assert running.audited() == [OPERATION]


def test_a_trial_that_dies_changes_nothing(running: Running) -> None:
    before, ended = running.digest, threading.Event()
    running.write("rules/two.yml", rule_text(number=72))

    def kill() -> None:
        while not ended.wait(0.01):
            for child in multiprocessing.active_children():
                if child.name == "rules":
                    child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(ContentError, match="died"):
            running.renewal.renew(ACCESS, "command")
    finally:
        ended.set()
        killer.join()
    assert running.digest == before
    assert running.renewal.renew(ACCESS, "command")["state"] == "changed"


def test_files_are_taken_by_themselves_when_two_looks_in_a_row_are_equal(running: Running) -> None:
    look, before = running.renewal._turned, running.digest
    look()
    look()
    for number in range(3):
        running.write("rules/two.yml", rule_text(number=72) + f"# {number}\n")
        look()
        assert running.digest == before
    look()
    assert ID.format(72) in running.daemon.house.ruleset.by_id
    assert running.digest != before
    look()
    look()
    assert running.audited() == [OPERATION]


def test_files_that_were_refused_are_not_tried_again_until_they_change(running: Running) -> None:
    look = running.renewal._turned
    running.write("pipelines/one.yml", "transformations: 7\n")
    for _ in range(4):
        look()
    assert running.audited() == [REFUSED]
    running.write("pipelines/one.yml", "transformations: [7]\n")
    for _ in range(4):
        look()
    assert running.audited() == [REFUSED, REFUSED]


def test_a_title_changes_while_the_work_goes_on(running: Running) -> None:
    before, work = running.digest, running.daemon.desk().work
    running.write("rules/one.yml", RULE.replace("title: Rule 71", "title: Another title"))
    done = running.renewal.renew(ACCESS, "command")
    assert [(row["change"], row["name"]) for row in done["changes"]] == [("changed", "Another title")]
    assert running.daemon.house.ruleset.by_id[ID.format(71)].name == "Another title"
    assert running.digest == before
    assert running.daemon.desk().work is work


def test_a_rule_is_shown_as_it_is_in_force_whatever_its_file_says_by_now(running: Running) -> None:
    path = running.folder / "rules" / "one.yml"
    path.write_text("title: nobody reloaded\n", encoding="utf-8")
    assert running.daemon.house.rule_text(str(path)) == RULE


def test_jobs_work_by_the_rules_in_force(running: Running) -> None:
    aside = running.daemon.house.aside
    assert aside is not None
    assert aside("tuning.list", ACCESS, {}) == []
    running.write("rules/exception.yml", exception_text())
    assert running.renewal.renew(ACCESS, "command")["refused"] == []
    assert [row["suppression.id"] for row in aside("tuning.list", ACCESS, {})] == [EXCEPTION.format(1)]


def test_a_daemon_that_stops_reloads_no_more(running: Running) -> None:
    before = running.digest
    running.write("rules/two.yml", rule_text(number=72))
    running.renewal.stop()
    with pytest.raises(SecmonError, match="stops"):
        running.renewal.renew(ACCESS, "command")
    assert running.digest == before

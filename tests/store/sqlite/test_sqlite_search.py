"""Searching a partition: interrupted in the middle of a question, and a dictionary that grows under a walk."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.errors import SearchStoppedError
from secmon.model.query import Equals, Like
from secmon.model.questions import EventQuery
from secmon.model.search import Budget
from secmon.store.sqlite.eventlog import SqliteEventLog
from tests.contracts.builders import NOON, ROOT_ACCESS, batch_of, event_at


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    found = SqliteEventLog(tmp_path / "events", writable=True)
    yield found
    found.close()


def grown(log: SqliteEventLog, number: int, size: int) -> None:
    first = (number - 1) * size
    events = [event_at(first + n, NOON + timedelta(seconds=first + n), user_name=f"u{first + n}") for n in range(size)]
    log.commit(ROOT_ACCESS, batch_of(events, number=number))


class Falling:
    """Tells that nobody waits, from the second look on."""

    looks = 0

    def __call__(self) -> bool:
        """Return whether nobody waits."""
        self.looks += 1
        return self.looks > 1


def test_sqlite_is_interrupted_in_the_middle_of_a_question_and_answers_the_next_one(log: SqliteEventLog) -> None:
    grown(log, 1, 20_000)
    budget = Budget(lambda: 0.0, seconds=60.0, abandoned=Falling())
    survey = log.survey(ROOT_ACCESS, EventQuery(), fields=["user.name"], budget=budget)
    assert not survey.complete
    assert log.survey(ROOT_ACCESS, EventQuery(), fields=["event.dataset"]).count == 20_000


def test_a_walk_is_interrupted_too(log: SqliteEventLog) -> None:
    grown(log, 1, 20_000)
    budget = Budget(lambda: 0.0, seconds=60.0, abandoned=Falling())
    with pytest.raises(SearchStoppedError):
        list(log.events(ROOT_ACCESS, EventQuery(where=Like("user.name", "*nobody*")), budget=budget))


def test_texts_that_come_under_a_walk_do_not_disturb_it(log: SqliteEventLog) -> None:
    grown(log, 1, 10_000)
    walk = log.events(ROOT_ACCESS, EventQuery(where=Like("user.name", "u*")))
    seen = [str(next(walk)["user.name"])]
    grown(log, 2, 10_000)
    seen += [str(event["user.name"]) for event in walk]
    assert seen[:10_000] == [f"u{n}" for n in range(10_000)]
    assert len(seen) == len(set(seen))
    assert len(list(log.events(ROOT_ACCESS, EventQuery(where=Equals("user.name", "U19999"))))) == 1

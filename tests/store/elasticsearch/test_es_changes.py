"""Answers that get lost: a document is created or replaced once, and who did it is not told that somebody else did."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from secmon.errors import ConflictError, StoreUnavailableError
from secmon.model.record import Document
from secmon.store.elasticsearch.connection import ElasticsearchSettings
from secmon.store.elasticsearch.records import ElasticsearchRecords
from tests.contracts.builders import ROOT_ACCESS
from tests.store.elasticsearch.lossy import lossy_way

pytestmark = pytest.mark.elasticsearch


def document(text: str = "new") -> Document:
    return Document(kind="alert", id="a", body={"text": text})


class Losing:
    """Loses the answers of as many writes of documents as it is told to."""

    def __init__(self) -> None:
        self.left = 0

    def __call__(self, method: str, path: str) -> bool:
        lost = self.left > 0 and method == "PUT" and "/_doc/" in path
        self.left -= lost
        return lost


@contextmanager
def behind(settings: ElasticsearchSettings, losing: Losing) -> Iterator[ElasticsearchRecords]:
    with lossy_way(settings.urls[0], losing) as url:
        records = ElasticsearchRecords(replace(settings, urls=(url,)), writable=True)
        try:
            yield records
        finally:
            records.close()


Change = Callable[[ElasticsearchRecords], Document]
CHANGES: dict[str, Change] = {
    "create": lambda records: records.create(ROOT_ACCESS, document()),
    "replace": lambda records: records.replace(ROOT_ACCESS, replace(document("changed"), version=1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_was_done_and_not_answered_is_done_once_and_is_the_caller_s(
    es_settings: ElasticsearchSettings, es_records: ElasticsearchRecords, change: Change, lost: int
) -> None:
    losing = Losing()
    with behind(es_settings, losing) as records:
        if change is CHANGES["replace"]:
            records.create(ROOT_ACCESS, document())
        losing.left = lost
        for _ in range(lost // 2):  # two attempts a call
            with pytest.raises(StoreUnavailableError):
                change(records)
        done = change(records)
    assert es_records.get(ROOT_ACCESS, "alert", "a") == done
    assert done.version == (1 if change is CHANGES["create"] else 2)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_done_twice_it_is_a_conflict_as_ever(es_records: ElasticsearchRecords, change: Change) -> None:
    if change is CHANGES["replace"]:
        es_records.create(ROOT_ACCESS, document())
    change(es_records)
    with pytest.raises(ConflictError):
        change(es_records)


def test_the_same_document_of_somebody_else_is_a_conflict(
    es_settings: ElasticsearchSettings, es_records: ElasticsearchRecords
) -> None:
    es_records.create(ROOT_ACCESS, document())
    losing = Losing()
    with behind(es_settings, losing) as records:
        losing.left = 1
        with pytest.raises(ConflictError):
            records.create(ROOT_ACCESS, document())
        losing.left = 2
        with pytest.raises(StoreUnavailableError):
            records.create(ROOT_ACCESS, document())
        with pytest.raises(ConflictError):
            records.create(ROOT_ACCESS, document())


def test_another_content_after_a_lost_answer_is_a_conflict(es_settings: ElasticsearchSettings) -> None:
    losing = Losing()
    with behind(es_settings, losing) as records:
        records.create(ROOT_ACCESS, replace(document(), id="b"))
        losing.left = 2
        with pytest.raises(StoreUnavailableError):
            records.create(ROOT_ACCESS, document())
        with pytest.raises(ConflictError):
            records.create(ROOT_ACCESS, document("another"))

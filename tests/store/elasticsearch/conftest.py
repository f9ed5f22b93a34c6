"""A store of its own on the real server, and the requests that it sends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.records import ElasticsearchRecords
from tests.contracts.backends import remove_store, settings_of


@pytest.fixture
def es_settings(tmp_path: Path) -> Iterator[ElasticsearchSettings]:
    yield settings_of(tmp_path)
    remove_store("elasticsearch", tmp_path)


@pytest.fixture
def es_log(es_settings: ElasticsearchSettings) -> Iterator[ElasticsearchEventLog]:
    log = ElasticsearchEventLog(es_settings, writable=True)
    yield log
    log.close()


@pytest.fixture
def es_records(es_settings: ElasticsearchSettings) -> Iterator[ElasticsearchRecords]:
    records = ElasticsearchRecords(es_settings, writable=True)
    yield records
    records.close()


@pytest.fixture
def es_gateway(es_settings: ElasticsearchSettings) -> Iterator[Gateway]:
    gateway = Gateway(es_settings)
    yield gateway
    gateway.close()

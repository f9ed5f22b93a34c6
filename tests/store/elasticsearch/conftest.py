"""A store of its own on the real server, and the requests that it sends."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.records import ElasticsearchRecords
from tests.contracts.backends import remove_store, settings_of
from tests.store.elasticsearch.secured import Secured, secured_cluster


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


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A cluster with TLS, users and the documented roles; one for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    with secured_cluster((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "secured") as cluster:
        yield cluster

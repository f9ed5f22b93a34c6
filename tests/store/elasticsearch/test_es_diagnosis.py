"""What keeps a cluster from taking our writes is one clear sentence, before anything is written."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from secmon.errors import SecmonError, StoreError, StoreUnavailableError
from secmon.store.elasticsearch.diagnosis import require_ready
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from tests.contracts.builders import ROOT_ACCESS, batch_of, event_at
from tests.store.elasticsearch.scripted import Reply, Script, scripted

DAY = date(2026, 11, 21)
NODE = {"nodes": {"n": {"version": "8.19.21"}}}
NO_SUCH_PATH = Reply(400, {"error": "no handler found"})


def answering(**answers: Reply) -> Script:
    """Answer as a sound cluster without security does, except for some paths (by a part of their name)."""

    def script(method: str, path: str, body: bytes) -> Reply:
        del method, body
        for part, reply in answers.items():
            if part in path:
                return reply
        return Reply(200, NODE) if "_nodes" in path else NO_SUCH_PATH if "_security" in path else Reply(200, {})

    return script


def told(script: Script, *, api_key: str = "") -> SecmonError | None:
    with scripted(script) as server:
        gateway = Gateway(replace(server.settings, api_key=api_key))
        try:
            require_ready(gateway, DAY)
        except SecmonError as error:
            return error
        finally:
            gateway.close()
    return None


def test_a_sound_cluster_is_ready() -> None:
    assert told(answering()) is None


def test_an_old_server_is_named_with_its_version() -> None:
    error = told(answering(_nodes=Reply(200, {"nodes": {"n": {"version": "7.17.29"}}})))
    assert isinstance(error, StoreError)
    assert "Elasticsearch 7.17.29 is too old (8.19 or newer is needed)" in str(error)


@pytest.mark.parametrize("body", [b"<html>welcome</html>", {"hello": "world"}])
def test_another_product_is_told(body: Any) -> None:
    error = told(lambda *_: Reply(200, body, {}))
    assert isinstance(error, StoreError)
    assert "is not Elasticsearch" in str(error) or "not answer in JSON" in str(error)


def test_missing_rights_are_named() -> None:
    def script(method: str, path: str, body: bytes) -> Reply | None:
        if "_has_privileges" not in path:
            return answering()(method, path, body)
        asked = json.loads(body)
        (rights,) = [one["privileges"] for one in asked["index"]]
        cluster = {name: name != "monitor" for name in asked["cluster"]}
        held = {name: name != "write" for name in rights}
        return Reply(200, {"has_all_requested": False, "cluster": cluster, "index": {"t-*": held}})

    error = told(script, api_key="a2V5")
    assert isinstance(error, StoreUnavailableError)
    assert "the credentials lack these rights: " in str(error)
    assert "monitor" in str(error)
    assert "write" in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_told(status: int) -> None:
    error = told(lambda *_: Reply(status, {"error": {"type": "security_exception"}}))
    assert isinstance(error, StoreUnavailableError)
    assert "credentials" in str(error)


@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete", "write"])
def test_a_blocked_index_is_read_only_or_full(block: str) -> None:
    found = {"t-records": {"settings": {"index": {"blocks": {block: "true"}}}}}
    error = told(answering(**{"index.blocks": Reply(200, found)}))
    assert isinstance(error, StoreUnavailableError)
    assert "the cluster is read-only or full" in str(error)


def test_a_read_only_cluster_is_told() -> None:
    found = {"persistent": {"cluster": {"blocks": {"read_only": "true"}}}}
    assert "read-only" in str(told(answering(**{"/_cluster/settings": Reply(200, found)})))


def test_a_block_that_was_taken_away_is_none() -> None:
    found = {"t-records": {"settings": {"index": {"blocks": {"write": "false"}}}}}
    assert told(answering(**{"index.blocks": Reply(200, found)})) is None


def test_nobody_there_is_told(tmp_path: Any) -> None:
    del tmp_path
    gateway = Gateway(ElasticsearchSettings(urls=("http://127.0.0.1:9",), prefix="t", timeout_s=1))
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        require_ready(gateway, DAY)
    gateway.close()


@pytest.mark.elasticsearch
def test_a_real_index_that_is_blocked_and_freed_again(es_log: ElasticsearchEventLog, es_gateway: Gateway) -> None:
    require_ready(es_gateway, DAY)  # before there is any index
    batch = batch_of([event_at(1)])
    es_log.commit(ROOT_ACCESS, batch)
    require_ready(es_gateway, batch.day)
    pattern = f"/{es_gateway.names.prefix}-*/_settings"
    es_gateway.write("PUT", pattern, json.loads('{"index.blocks.read_only_allow_delete": true}'))
    with pytest.raises(StoreUnavailableError, match="read-only or full"):
        require_ready(es_gateway, batch.day)
    es_gateway.write("PUT", pattern, json.loads('{"index.blocks.read_only_allow_delete": null}'))
    require_ready(es_gateway, batch.day)

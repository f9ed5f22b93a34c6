"""Values that want to break something, through the commands as a user runs them: nothing crashes, all is accounted."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from tests.cli.program import RULES, secmon

ANY_RULE = """title: Any
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0aa
level: low
logsource: {product: windows}
detection: {a: {message|contains: A}, b: [lone, nothing], condition: 1 of *}
"""
BASE = (
    b'"@timestamp":"2026-11-20T08:00:00Z","event":{"dataset":"nginx.access","category":["web"]},'
    b'"Channel":"Security","EventID":4625'
)
MEMBERS: dict[str, bytes] = {
    "lone surrogates": rb'"message":"\ud800 lone \udfff","user":{"name":"\ud83d"}',
    "lone surrogate as a name": rb'"\ud800":"x"',
    "nul": rb'"message":"a\u0000b","user":{"name":"\u0000"}',
    "nul in a name": rb'"a\u0000b":"x"',
    "nul as it is": b'"message":"a\0b"',
    "value of a megabyte": b'"message":"' + b"A" * 1_000_000 + b'"',
    "value of ten megabytes": b'"message":"' + b"A" * 10_000_000 + b'"',
    "many fields": b",".join(b'"f%d":%d' % (number, number) for number in range(100_000)),
    "fields beyond the bound": b",".join(b'"f%d":1' % number for number in range(1_500)),
    "deep": b'"d":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "deep lists": b'"d":' + b"[" * 5_000 + b"]" * 5_000,
    "huge integers": b'"n":' + b"9" * 5_000 + b',"process":{"pid":' + b"9" * 400 + b"}",
    "integers of 65 bits": b'"n":18446744073709551616,"process":{"pid":-9223372036854775809}',
    "huge exponents": b'"n":1e400,"process":{"pid":1e308}',
    "no number": b'"n":NaN',
    "infinity": b'"process":{"pid":-Infinity}',
    "names twice": b'"user":{"name":"a"},"user":{"name":"b"},"user.name":"c"',
    "invalid utf-8": b'"message":"\xff\xfe\xc0\x80"',
    "invalid utf-8 in a name": b'"\xff":"x"',
    "long name": b'"' + b"k" * 100_000 + b'":"x"',
    "many values": b'"user":{"name":[' + b",".join(b'"%d"' % number for number in range(50_000)) + b"]}",
    "mixed values": b'"user":{"name":[1,"a",null,{"x":[1]},[["y"]],true,1.5]}',
    "empty names": b'"":{"":1},"..":2',
    "names of ours": b'"_id":"x","secmon":{"x":1},"event.id":"AAAA","unit":{"id":"330106"}',
    "control characters": b'"message":"\xe2\x80\xae \\u001b[31m \\u0085"',
}
LINES = [
    *(b"{" + BASE + b"," + members + b"}" for members in MEMBERS.values()),
    b"[1,2,3]", b"{}", b'{"a":', b"\xff" * 100, b"\0" * 1_000,
    b'{"@timestamp":"9999999-99-99"}', b'{"@timestamp":' + b"9" * 400 + b"}",
]  # fmt: skip
ACCESS = [
    b'192.0.2.7 - - [20/Nov/2026:08:00:00 +0800] "GET ' + path + b' HTTP/1.1" 200 12 "-" "curl"'
    for path in (
        b"/\xff\xfe", b"/\0", b"/" + b"a" * 10_000_000, b"/" + b"%27" * 300_000, b"/\xed\xa0\x80", b'/"\\x22',
        b"/?" + b"&".join(b"p%d=1" % number for number in range(100_000)),
    )
]  # fmt: skip


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(b"\n".join([*LINES, *ACCESS]) + b"\n")
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "shell.yml"
    path.parent.mkdir()
    path.write_text(f"{RULES}---\n{ANY_RULE}", encoding="utf-8")
    return path


@pytest.mark.parametrize("source", ["native", "ecs", "windows.json", "nginx.access", "suricata.eve", "syslog"])
def test_detection_accounts_for_every_record_and_agrees_with_its_definition(
    source: str, lines: Path, rules: Path
) -> None:
    fast, slow = (
        secmon("detect", "--rules", rules, "--summary", "--engine", engine, "--source", source, lines)
        for engine in ("fast", "match")
    )
    assert fast == slow
    events = int(fast.err.rpartition('"events":')[2].partition(",")[0])
    malformed = fast.err.count("hostile.jsonl:record ")
    assert events + malformed == len(LINES) + len(ACCESS)
    assert fast.status == (5 if malformed else 0)
    assert events or source == "suricata.eve"


def embedded(_: Path) -> Iterator[str]:
    yield ""


def cluster(_: Path) -> Iterator[str]:
    url, prefix = os.environ["SECMON_ES_URL"], f"test-{uuid.uuid4().hex[:12]}"
    try:
        yield (
            '[store]\nkind = "elasticsearch"\n[store.elasticsearch]\n'
            f'urls = ["{url}"]\nprefix = "{prefix}"\nreplicas = 0\n'
        )
    finally:
        gateway = Gateway(ElasticsearchSettings(urls=(url,), prefix=prefix))
        gateway.remove_everything()
        gateway.close()


@pytest.fixture(params=[embedded, pytest.param(cluster, marks=pytest.mark.elasticsearch)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    make: Callable[[Path], Iterator[str]] = request.param
    yield from make(tmp_path)


def test_an_import_accounts_for_every_record(store: str, lines: Path, tmp_path: Path) -> None:
    config = tmp_path / "secmon.toml"
    config.write_text(f'[secmon]\nstate = "{tmp_path / "state"}"\nworkers = 0\n{store}', encoding="utf-8")
    dead = 0
    for source in ("ecs", "windows.json", "nginx.access", "suricata.eve", "syslog"):
        done = secmon("--config", config, "import", "--no-wait", "--source", source, lines)
        row = done.row
        assert row["received"] == len(LINES) + len(ACCESS)
        assert row["received"] == row["stored"] + row["dead_lettered"] + sum(row["dropped"].values())
        assert (row["duplicate"], row["in_flight"]) == (0, 0)
        assert done.status == (5 if row["dead_lettered"] else 0), done.err
        again = secmon("--config", config, "import", "--no-wait", "--source", source, lines).row
        assert again["stored"] == 0
        dead += row["dead_lettered"]
    assert len(secmon("--config", config, "deadletters", "list", "--json", "--limit", "1000").rows) == dead

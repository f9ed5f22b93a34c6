"""Logs made to break the reader: the daemon stays up, every record has its outcome, memory stays bounded."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from tests.faults.running import House, daemon, is_balanced, until, until_read, web_line

pytestmark = pytest.mark.slow

HUGE_LINE = 100_000_000
MOST_GROWTH_KIB = 64 * 1024
MEGABYTE = 1_000_000


def good(number: int) -> bytes:
    return f"{web_line(f'/jwxt?n={number}', number)}\n".encode()


def test_a_line_of_a_hundred_megabytes_is_cut_and_flagged(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(map(good, range(5_000))))
    house = House(tmp_path / "house", [str(log)])
    with daemon(house) as running:
        until_read(house, 5_000)
        before = running.memory_kib()
        with log.open("ab") as file:
            file.write(b'192.0.2.1 - - [20/Nov/2026:10:00:00 +0800] "GET /?')
            for _ in range(HUGE_LINE // MEGABYTE):
                file.write(b"x" * MEGABYTE)
            file.write(b'&n=5000 HTTP/1.1" 200 1 "-" "-"\n')
            file.write(good(5_001))
        until_read(house, 5_002)
        grown = running.memory_kib() - before
        assert running.get("healthz")[0] == 200
        assert running.terminate() == 0
    assert grown < MOST_GROWTH_KIB
    account = house.account()
    assert (account["received"], account["stored"] + account["dead_lettered"]) == (5_002, 5_002)
    assert house.numbers()[5_001] == 1


def test_binary_rubbish_between_good_lines_costs_no_good_line(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311  repeatable rubbish
    rubbish = [bytes(chance.randrange(256) for _ in range(200)).replace(b"\n", b"") + b"\n" for _ in range(300)]
    rubbish += [b"\0" * 5_000 + b"\n", "好".encode("utf-16") + b"\n", b"\xed\xa0\x80\n", b"\xff\xfe\0\n", b"\x1b[2J\n"]
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(part for n, one in enumerate(rubbish) for part in (one, good(n))))
    house = House(tmp_path / "house", [str(log)])
    with daemon(house) as running:
        until_read(house, 2 * len(rubbish))
        assert running.check("store")["state"] == "ok"
        assert running.terminate() == 0
    account = house.account()
    assert account["received"] == 2 * len(rubbish)
    assert is_balanced(account)
    assert account["stored"] >= len(rubbish)
    assert house.numbers().total() >= len(rubbish)
    assert "Traceback" not in running.log()


def test_monstrous_json_has_an_outcome_for_each_record(tmp_path: Path) -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    lines = [
        json.dumps({f"field{n}": n for n in range(50_000)}),
        deep,
        "[" * 200_000,
        '{"@timestamp":"2026-11-20T00:00:00Z","message":"\\ud800 \\u0000","n":' + "9" * 5_000 + "}",
        '{"@timestamp":"9999-12-31T23:59:59.999999Z","event":{"id":"x"}}',
        '{"@timestamp":"-0001-01-01T00:00:00Z"}',
        '{"@timestamp":1e400,"message":NaN}',
        json.dumps({"@timestamp": "2026-11-20T00:00:00Z", "message": "ok " + "y" * 100_000}),
        json.dumps({"@timestamp": "2026-11-20T00:00:00Z", "tags": [[[["z"]]]] * 10_000}),
        json.dumps({"@timestamp": "2026-11-20T00:00:00Z", "message": "the last good one"}),
    ]
    log = tmp_path / "events.ndjson"
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    house = House(tmp_path / "house", [str(log)], kind="ecs", workers=0)
    with daemon(house) as running:
        until_read(house, len(lines))
        assert running.get("healthz")[0] == 200
        assert running.terminate() == 0
    account = house.account()
    assert account["received"] == len(lines)
    assert account["in_flight"] == 0
    assert is_balanced(account)
    assert any("the last good one" in original for original in house.originals())
    assert "Traceback" not in running.log()


def test_a_gzip_bomb_is_refused_and_the_other_files_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with gzip.open(folder / "access.log.2.gz", "wb", compresslevel=9) as bomb:
        for _ in range(300):
            bomb.write(bytes(MEGABYTE))
    (folder / "access.log.3.gz").write_bytes(b"\x1f\x8b" + os.urandom(5_000))
    (folder / "access.log").write_bytes(b"".join(map(good, range(500))))
    house = House(tmp_path / "house", [f"{folder}/access.log*"], workers=0)
    with daemon(house) as running:
        before = running.memory_kib()
        until(lambda: house.batches() > 0 and house.numbers().total() == 500, "the good file is read")
        until(lambda: "bomb" in running.check("sources")["detail"], "the bomb is told", every_s=0.5)
        assert running.memory_kib() - before < 2 * MOST_GROWTH_KIB
        assert running.terminate() == 0
    assert is_balanced(house.account())


def test_broken_evtx_files_break_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "house", workers=0)
    contents = [b"ElfFile\x00" + bytes(5_000), b"ElfFile\x00" + b"\xff" * 70_000, b"nonsense"]
    paths = [tmp_path / f"Security{number}.evtx" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with daemon(house) as running:
        done = house.done("import", "--source", "windows.evtx", *map(str, paths))
        assert done.returncode in {0, 5}
        assert b"Traceback" not in done.stderr
        assert is_balanced(json.loads(done.stdout))
        assert running.get("readyz")[0] == 200
        assert running.terminate() == 0
    assert "Traceback" not in running.log()

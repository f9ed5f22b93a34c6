"""Databases of expressions from outside: made within limits, or refused; refusals are remembered, and RE2 decides."""

from pathlib import Path
from typing import Any

import hyperscan
import pytest

from secmon.model.cache import Budget
from secmon.model.patterns import Patterns, compiled
from secmon.sigma.scanner import FieldScanner
from secmon.sigma.tree import ANY_TEXT, Regex, Text
from secmon.store import limited
from secmon.store.cache import CacheFolder
from secmon.store.limited import LimitedCompiler
from secmon.store.prepared import Prepared


def patterns(*expressions: bytes) -> Patterns:
    return Patterns(expressions, tuple(range(len(expressions))), (hyperscan.HS_FLAG_SINGLEMATCH,) * len(expressions))


def numbers_in(database: hyperscan.Database, data: bytes) -> list[int]:
    found: list[int] = []
    database.scan(data, match_event_handler=lambda number, *_: found.append(number))
    return sorted(found)


def test_a_database_out_of_the_child_finds_what_it_should(tmp_path: Path) -> None:
    for _ in range(2):  # made, and out of the cache
        database = Prepared(CacheFolder(tmp_path)).compile(patterns(b"a+b", b"\xff\\x00", b"c{3}"))
        assert numbers_in(database, b"xaab ccc") == [0, 2]


def test_what_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "MEMORY_BYTES", 1 << 20)
    assert LimitedCompiler().compile(patterns(b"ab+c")) is None


def test_what_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "CPU_ALONE_S", 1)
    dear = b"|".join(b"(?:.{0,%d}a){20}" % most for most in range(290, 300))
    assert LimitedCompiler().compile(patterns(dear)) is None


def test_a_process_that_cannot_be_run_refuses_nothing_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(limited, "_CHILD", tmp_path / "missing")
        with pytest.raises(hyperscan.HyperscanError, match="ended with"):
            Prepared(CacheFolder(tmp_path)).compile(patterns(b"ab+c"))
    assert numbers_in(Prepared(CacheFolder(tmp_path)).compile(patterns(b"ab+c")), b"abbc") == [0]


def test_a_refusal_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hyperscan.HyperscanError):
        Prepared(CacheFolder(tmp_path)).compile(patterns(b"a", b"(?<=b)c"))
    monkeypatch.setattr(limited, "_CHILD", tmp_path / "nothing is run any more")
    with pytest.raises(hyperscan.HyperscanError, match="earlier"):
        Prepared(CacheFolder(tmp_path)).compile(patterns(b"a", b"(?<=b)c"))


def test_refusals_do_not_go_on_for_ever() -> None:
    compiler = LimitedCompiler(patience_s=1e-9)
    assert compiler.compile(patterns(b"(?<=b)c")) is None
    with pytest.raises(hyperscan.HyperscanError, match="no more"):
        compiler.compile(patterns(b"fine"))


def test_what_the_child_does_not_make_is_decided_by_re2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_CHILD", tmp_path / "missing")
    atoms = {1: Regex("x", "a+b"), 2: Regex("x", "^c")}
    scanner = FieldScanner(atoms, Budget(1 << 20), Prepared(CacheFolder(tmp_path)).compile)
    assert scanner.of_value("xaab") == {1}
    assert scanner.of_value("c") == {2}


def test_what_is_accepted_alone_and_refused_together_is_found_all_the_same() -> None:
    def small(patterns: Patterns) -> Any:
        if len(patterns.ids) > 2 or (5 in patterns.ids and len(patterns.ids) > 1):
            raise hyperscan.HyperscanError("too many")
        return compiled(patterns)

    atoms = {number: Text("x", (ANY_TEXT, f"needle{number}", ANY_TEXT)) for number in range(9)}
    scanner = FieldScanner(atoms, Budget(1 << 20), small)
    assert scanner.of_value(" ".join(f"needle{number}" for number in (1, 5, 8))) == {1, 5, 8}
    assert scanner.of_value("nothing") == frozenset()


@pytest.mark.parametrize("tail", ["", "y"])
def test_of_a_long_literal_all_is_compared(tail: str) -> None:
    scanner = FieldScanner({1: Text("x", (ANY_TEXT, "n" * 30_000 + tail, ANY_TEXT))}, Budget(1 << 20))
    assert scanner.of_value("n" * 29_999 + tail) == frozenset()
    assert scanner.of_value("a" + "n" * 30_000 + tail + "b") == {1}

"""Databases of expressions from outside: made within limits, or refused; refusals are remembered, and RE2 decides."""

from pathlib import Path
from typing import Any

import hyperscan
import pytest

from secmon.model.cache import Budget
from secmon.model.patterns import Patterns, RefusedError, compiled
from secmon.sigma.gate import Tools
from secmon.sigma.literals import Covers
from secmon.sigma.patterns import Needle, PatternSet
from secmon.sigma.scanner import FieldScanner
from secmon.sigma.tree import ANY_TEXT, Regex, Text
from secmon.store import limited
from secmon.store import prepared as prepared_module
from secmon.store.cache import CacheFolder
from secmon.store.limited import LimitedCompiler
from secmon.store.prepared import Prepared

DEAR = b"|".join(b"(?:.{0,%d}a){20}" % most for most in range(290, 300))


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
    with pytest.raises(RefusedError):
        LimitedCompiler().compile(patterns(b"ab+c"))


def test_what_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "LEAST_CPU_S", 0.5)
    with pytest.raises(RefusedError) as alone:
        LimitedCompiler().compile(patterns(DEAR))
    assert alone.value.places == (0,)
    with pytest.raises(RefusedError) as in_company:
        LimitedCompiler().compile(patterns(b"ab+c", DEAR, b"x", DEAR + b"y", b"z+"))
    assert in_company.value.places == (1, 3)


def test_however_many_are_refused_few_processes_tell_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs = limited._run, list[str]()

    def counted(task: dict[str, Any], wall_s: float) -> Any:
        runs.append("sort out" if task["sort_out"] else "make")
        return run(task, wall_s)

    monkeypatch.setattr(limited, "_run", counted)
    atoms = {number: Regex("x", f"a{number}{{40000}}" if number % 2 else f"b{number}+c") for number in range(1, 60)}
    refusing = PatternSet(
        [Needle(number, atom.expression.encode()) for number, atom in atoms.items()],
        literal=False,
        compiler=Prepared(CacheFolder(tmp_path)).compile,
    )
    refusing.build()
    assert refusing.refused == [number for number in atoms if number % 2]
    assert refusing.scan(b"b2c b58c b58") == [2, 58]
    assert runs == ["make", "sort out", "make"]
    again = PatternSet(refusing._needles, literal=False, compiler=Prepared(CacheFolder(tmp_path)).compile)
    again.build()
    assert again.refused == refusing.refused
    assert len(runs) == 3  # what is refused is remembered, and so is the database of the others


def test_when_patience_ends_what_was_not_tried_is_left_to_re2_and_tried_again_next_time(tmp_path: Path) -> None:
    needles = [Needle(1, b"a+b"), Needle(2, b"^c")]
    hasty = Prepared(CacheFolder(tmp_path))
    hasty._limited = LimitedCompiler(patience_s=0)
    for prepared, refused in ((hasty, [1, 2]), (Prepared(CacheFolder(tmp_path)), [])):
        tried = PatternSet(needles, literal=False, compiler=prepared.compile)
        tried.build()
        assert tried.refused == refused


def literals(count: int) -> Patterns:
    texts = tuple(b"needle%06d" % number for number in range(count))
    return Patterns(texts, tuple(range(count)), (hyperscan.HS_FLAG_SINGLEMATCH,) * count, literal=True)


def test_many_literals_are_made_in_a_process_of_their_own_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_module, "MAX_UNGUARDED", 1_000)
    monkeypatch.setattr(prepared_module, "compiled", None)  # nothing is made in this process
    database = Prepared(CacheFolder(tmp_path)).compile(literals(3_000))
    assert numbers_in(database, b"needle000007 needle002999 needle003000") == [7, 2_999]
    monkeypatch.setattr(limited, "_CHILD", tmp_path / "nothing is run any more")
    kept = Prepared(CacheFolder(tmp_path)).compile(literals(3_000))
    assert numbers_in(kept, b"needle000007") == [7]


@pytest.mark.parametrize("limit", ["MEMORY_BYTES", "LITERALS_CPU_S", "_CHILD"])
def test_literals_beyond_the_limits_are_found_all_the_same_by_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(prepared_module, "MAX_UNGUARDED", 1_000)
    tight = {"MEMORY_BYTES": 1 << 20, "LITERALS_CPU_S": 1e-6, "_CHILD": tmp_path / "missing"}
    monkeypatch.setattr(limited, limit, tight[limit])
    atoms = {number: Text("x", (ANY_TEXT, f"needle{number:06}", ANY_TEXT)) for number in range(3_000)}
    for _ in range(2):  # made, and out of the cache
        scanner = FieldScanner(atoms, Budget(1 << 20), Prepared(CacheFolder(tmp_path)).compile)
        assert scanner.of_value("Needle000007 needle002999 needle003000") == {7, 2_999}


def test_a_gate_of_very_many_texts_is_scanned_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_module, "MAX_UNGUARDED", 1_000)
    monkeypatch.setattr(limited, "LITERALS_CPU_S", 1e-6)
    found: list[int] = []
    scan = Tools(Covers(()), Prepared(CacheFolder(tmp_path)).compile).scan(literals(3_000))
    scan(b"needle000007 needle002999", lambda number, *_: found.append(number), 0, None)
    assert sorted(found) == [7, 2_999]


def test_a_process_that_cannot_be_run_refuses_nothing_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(limited, "_CHILD", tmp_path / "missing")
        with pytest.raises(RefusedError):
            Prepared(CacheFolder(tmp_path)).compile(patterns(b"ab+c"))
        assert list(tmp_path.iterdir()) == []
    assert numbers_in(Prepared(CacheFolder(tmp_path)).compile(patterns(b"ab+c")), b"abbc") == [0]


def test_a_refusal_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            Prepared(CacheFolder(tmp_path)).compile(patterns(b"a", b"(?<=b)c"))
        assert refused.value.places == (1,)
        monkeypatch.setattr(limited, "_CHILD", tmp_path / "nothing is run any more")


@pytest.mark.parametrize("kept", [b"", b"7", b"{}", b"[99]", b'["x"]', b"\xff"])
def test_a_damaged_note_of_refusals_costs_time_only(tmp_path: Path, kept: bytes) -> None:
    with pytest.raises(RefusedError):
        Prepared(CacheFolder(tmp_path)).compile(patterns(b"a+b", b"(?<=b)c"))
    (note,) = (path.name for path in tmp_path.iterdir() if path.name.startswith("refused-"))
    CacheFolder(tmp_path).put(note, kept)
    needles = [Needle(number, expression) for number, expression in enumerate((b"a+b", b"(?<=b)c"))]
    tried = PatternSet(needles, literal=False, compiler=lambda each: Prepared(CacheFolder(tmp_path)).compile(each))
    tried.build()
    assert tried.refused == [1]


def test_refusals_do_not_go_on_for_ever() -> None:
    compiler = LimitedCompiler(patience_s=1e-9)
    with pytest.raises(RefusedError):
        compiler.compile(patterns(b"(?<=b)c"))
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

"""What was prepared before is used, gives the same, and whatever is wrong with it costs time only."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import hyperscan
import pytest

from secmon.content import rule_files
from secmon.errors import ContentError
from secmon.model.event import Event
from secmon.model.patterns import Patterns, compiled
from secmon.sigma.index import Engine
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.store import prepared as store_prepared
from secmon.store.cache import CacheFolder
from secmon.store.prepared import Prepared

FILES = [RuleFile(path, text) for path, text in rule_files()[0]]
PIPELINE = "name: p\npriority: 1\ntransformations: []\n"
WORDS = Patterns((b"shell", b"passwd"), (7, 9), (hyperscan.HS_FLAG_SINGLEMATCH,) * 2, literal=True)
EVENTS: Sequence[Event] = [
    {"event.dataset": "nginx.access", "url.path": f"/{path}", "url.query": query, "http.response.status_code": 200}
    for path in ("index", "../../etc/passwd", "upload/x.php", "%c0%ae")
    for query in ("", "id=1 union select 1", "cmd=whoami", "中文")
]


def prepared(folder: Path) -> Prepared:
    return Prepared(CacheFolder(folder, b"k" * 32))


def found(database: object, data: bytes) -> list[int]:
    numbers: list[int] = []
    database.scan(data, match_event_handler=lambda number, *_: numbers.append(number))  # type: ignore[attr-defined]
    return sorted(numbers)


def test_rules_are_the_same_the_second_time_and_after_a_change(tmp_path: Path) -> None:
    expected = load_rules(FILES)
    assert prepared(tmp_path).rule_set(FILES) == expected
    assert prepared(tmp_path).rule_set(FILES) == expected
    assert prepared(tmp_path).rule_set(FILES[:3]) == load_rules(FILES[:3])
    moved = [RuleFile("elsewhere.yml", FILES[0].text)]
    assert prepared(tmp_path).rule_set(moved).rules[0].path == "elsewhere.yml"
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("rules-")]) == 3


def test_a_warm_start_needs_no_sigma_parser(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from secmon.content import rule_files
from secmon.sigma.rule import RuleFile
from secmon.store.cache import CacheFolder
from secmon.store.prepared import Prepared
files = [RuleFile(path, text) for path, text in rule_files()[0]]
ruleset = Prepared(CacheFolder(Path({str(tmp_path)!r}), b"k" * 32)).rule_set(files)
print(len(ruleset.by_id), "sigma" in sys.modules)
"""
    expected = prepared(tmp_path).rule_set(FILES)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(len(expected.by_id)), "False"]


def test_pipelines_are_part_of_what_rules_mean(tmp_path: Path) -> None:
    prepared(tmp_path).rule_set(FILES[:2], pipelines=[RuleFile("p.yml", PIPELINE)])
    prepared(tmp_path).rule_set(FILES[:2])
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ContentError):
        prepared(tmp_path).rule_set(FILES[:2], pipelines=[RuleFile("p.yml", "priority: [")])


def test_a_database_finds_the_same_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_prepared, "_WORTH_KEEPING", 1)
    for _ in range(2):
        assert found(prepared(tmp_path).compile(WORDS), b"a shell and /etc/passwd") == [7, 9]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_hyperscan_refuses_is_refused_as_ever(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(hyperscan.HyperscanError):
            prepared(tmp_path).compile(Patterns((b"(",), (1,), (0,)))
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("refused-")


@pytest.mark.parametrize("content", [b"", b"x" * 500, hyperscan.dumpb(compiled(WORDS))[:-8]])
def test_what_is_no_database_or_no_rule_set_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(store_prepared, "_WORTH_KEEPING", 1)
    prepared(tmp_path).compile(WORDS)
    prepared(tmp_path).rule_set(FILES[:2])
    for path in list(tmp_path.iterdir()):
        CacheFolder(tmp_path, b"k" * 32).put(path.name, content)  # signed with the right key, and yet wrong
    assert found(prepared(tmp_path).compile(WORDS), b"shell") == [7]
    assert prepared(tmp_path).rule_set(FILES[:2]) == load_rules(FILES[:2])


def test_an_engine_of_kept_databases_finds_what_a_fresh_one_finds(tmp_path: Path) -> None:
    ruleset = load_rules(FILES)
    fresh = Engine(ruleset)
    expected = [[rule.id for rule in fresh.match(event)] for event in EVENTS]
    assert any(expected)
    for _ in range(2):
        engine = Engine(ruleset, compiler=prepared(tmp_path).compile)
        assert [[rule.id for rule in engine.match(event)] for event in EVENTS] == expected


def test_patterns_that_differ_anywhere_have_another_digest() -> None:
    variants = [
        WORDS,
        Patterns(WORDS.expressions, WORDS.ids, WORDS.flags),
        Patterns(WORDS.expressions, (7, 10), WORDS.flags, literal=True),
        Patterns(WORDS.expressions, WORDS.ids, (0, 0), literal=True),
        Patterns((b"shel", b"lpasswd"), WORDS.ids, WORDS.flags, literal=True),
        Patterns((), (), (), literal=True),
    ]
    assert len({one.digest for one in variants}) == len(variants)

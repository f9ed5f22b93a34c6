"""The engine for lines against the definition: any rules, any lines, however their JSON is written."""

import json
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.detect_lines import LineStation, SkimStation
from secmon.errors import ParseError
from secmon.model.event import Dropped, Event
from secmon.parse import skim, windows_logs, windows_security
from secmon.parse.frame import whole_lines
from secmon.parse.native import NATIVE, read_native
from secmon.pipeline import Lane as LogLane
from secmon.sigma import gate, lines
from secmon.sigma.decide import reduced
from secmon.sigma.direct import View, condition
from secmon.sigma.fields import field_map
from secmon.sigma.lines import LineEngine
from secmon.sigma.literals import Covers, literals_of, written
from secmon.sigma.match import Definition, holds
from secmon.sigma.native import AUTHENTICATION, native_fields, native_route
from secmon.sigma.regexes import finds
from secmon.sigma.routing import known_sources
from secmon.sigma.rule import LogSource
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Cidr,
    Compare,
    Exists,
    FieldReference,
    FieldRelation,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Pattern,
    Regex,
    Text,
    atoms_of,
)
from tests.sigma.raw_lines import scan_once
from tests.sigma.trees import compiled

FIELDS = st.sampled_from(["Image", "x.y", "EventID", "Channel", "Provider_Name"])
# Whole words too, so that texts are long enough to be looked for; the awkward characters of every kind.
WORDS = st.lists(
    st.sampled_from(
        [
            "ski",
            "KISS",
            "power",
            "shell",
            "\\",
            '"',
            "/",
            ".exe",
            "4688",
            "1",
            "Security",
            "İ",
            "K",
            "ſ",
            "ß",
            "Σ",
            "ς",
            "中",
            "\n",
            "\x00",
            "\x7f",
            "😀",
            "*",
            "e+20",
            "1e400",
            "true",
            "0.5",
            "\\u",
            "-",
        ]
    ),
    max_size=4,
).map("".join)
EXPRESSIONS = st.sampled_from(
    [
        "power",
        "(?i)kiss",
        "ski+ss",
        "powe?rshell",
        "a|power",
        "(power)?shell",
        "power{2}",
        "power{0,1}",
        r"\.exe$",
        r"[power]shell",
        r"^ski\\",
        "(?:ski|kiss)",
        r"\x70ower",
        "sh[ell]",
        "p.wer",
        "power*",
        r"\w+shell",
        "(po(we)r|x)y",
    ]
)


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    parts = draw(st.lists(st.one_of(WORDS.filter(bool), st.just(ANY_TEXT), st.just(ANY_CHARACTER)), max_size=4))
    merged: list[object] = []
    for part in parts:
        if merged and isinstance(part, str) and isinstance(merged[-1], str):
            merged[-1] += part
        elif not (merged and part == ANY_TEXT and merged[-1] == ANY_TEXT):
            merged.append(part)
    return tuple(merged)  # type: ignore[arg-type]  # parts by construction


ATOMS = st.one_of(
    st.builds(Text, FIELDS, patterns(), st.booleans()),
    st.builds(Text, FIELDS, WORDS.map(lambda word: (ANY_TEXT, word, ANY_TEXT) if word else (ANY_TEXT,)), st.booleans()),
    st.builds(Text, st.just("EventID"), st.sampled_from([("4688",), ("1",), ("true",)])),
    st.builds(Regex, FIELDS, EXPRESSIONS, st.sampled_from(["", "i", "s", "is"])),
    st.builds(Compare, FIELDS, st.sampled_from(list(Operator)), st.integers(-3, 3)),
    st.builds(Cidr, FIELDS, st.just("192.0.2.0/24")),
    st.builds(Null, FIELDS),
    st.builds(Exists, FIELDS),
    st.builds(FieldReference, FIELDS, FIELDS, st.sampled_from(list(FieldRelation))),
    st.builds(Keyword, patterns(), st.booleans()),
    st.builds(KeywordRegex, EXPRESSIONS, st.sampled_from(["", "i"])),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=4).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, children)


TREES: st.SearchStrategy[Node] = st.recursive(ATOMS, _branches, max_leaves=8)
NUMBERS = st.sampled_from(
    [
        "1",
        "1.0",
        "4688",
        "4688.0",
        "46.88e2",
        "-0",
        "0.50",
        "5e-1",
        "1e20",
        "1e400",
        "100000000000000000000",
        "1e-7",
        "9007199254740993",
        "9007199254740993.0",
        "1152921504606846976",
        "1152921504606846976.0",
        "true",
        "false",
        "null",
    ]
)
TEXTS = st.one_of(WORDS, st.sampled_from(["192.0.2.7", "Security", "security", "4688", "1"]), st.text(max_size=4))


def _escaped(text: str, odd: bool) -> str:  # noqa: FBT001  drawn
    """Write a text as JSON, in the usual way or in the longest."""
    if not odd:
        return json.dumps(text, ensure_ascii=False)
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2)) + '"'


JSON_TEXTS = st.builds(_escaped, TEXTS, st.booleans()) | TEXTS.map(
    lambda text: json.dumps(text, ensure_ascii=False).replace("/", "\\/")
)
SCALARS = JSON_TEXTS | NUMBERS
VALUES = st.one_of(
    SCALARS,
    SCALARS,
    st.lists(SCALARS, max_size=3).map(lambda items: f"[{','.join(items)}]"),
    st.builds(lambda name, value: f'{{"{name}" : {value}}}', st.sampled_from(["y", "Image", "", "z."]), SCALARS),
    st.lists(SCALARS.map(lambda item: f'{{"y":{item}}},{item}'), max_size=3).map(lambda items: f"[{','.join(items)}]"),
    SCALARS.map(lambda item: f'{{"y":[[{item}],null,true,{item}]}}'),
)
MEMBERS = st.tuples(
    st.sampled_from(["Image", "x.y", "x", "EventID", "EventID", "Channel", "Channel", "Provider_Name"]), VALUES
)
LINES = st.lists(MEMBERS, max_size=6).map(
    lambda members: ("{" + ", ".join(f'"{name}":{value}' for name, value in members) + "}").encode(
        "utf-8", "surrogatepass"
    )
)
SOURCES = st.sampled_from(
    [
        LogSource(product="windows"),
        LogSource(product="windows", service="security"),
        LogSource(product="windows", category="process_creation"),
        LogSource(category="authentication"),
    ]
)


def read(line: bytes) -> Event | None:
    try:
        event = read_native(line)
    except ParseError:
        return None
    return None if isinstance(event, Dropped) else event


@settings(deadline=None, max_examples=300)
@given(
    trees=st.lists(st.tuples(TREES, SOURCES), min_size=1, max_size=6),
    drawn=st.lists(LINES, min_size=1, max_size=8),
    bounds=st.sampled_from([(0, 256), (1 << 20, 256), (0, 1)]),
)
def test_the_line_engine_agrees_with_the_definition(
    trees: list[tuple[Node, LogSource]], drawn: list[bytes], bounds: tuple[int, int]
) -> None:
    ruleset = compiled(trees)
    definition = Definition(ruleset.rules, router=native_route)
    expected = [definition.match(event) for event in map(read, drawn) if event is not None]
    with pytest.MonkeyPatch.context() as patched:  # gates that are made again and again, and lanes that are forgotten
        patched.setattr(gate, "_AGAIN_AT", (4, 9))
        patched.setattr(gate, "_LINES_FOR_A_TEXT", 1)
        patched.setattr(lines, "FREE_LANES", bounds[1])
        patched.setattr(lines, "EVENTS_FOR_A_LANE", 4)
        patched.setattr(lines, "_LARGE", 0)
        for work in (gate.MAX_WORK, 0):  # one by one, by the full engine
            patched.setattr(lines, "MAX_WORK", work)
            engine = LineEngine(ruleset, lane_bytes=bounds[0])
            for _ in range(3):
                assert [engine.match(event) for event in map(read, drawn) if event is not None] == expected


@settings(deadline=None, max_examples=300)
@given(
    trees=st.lists(st.tuples(TREES, SOURCES), min_size=1, max_size=6),
    drawn=st.lists(
        LINES | st.sampled_from([b"", b"{}", b"[1]", b'{"Channel":true}', b"\xd6\xd0", b"{}\r"]), max_size=8
    ),
)
def test_lines_that_are_skimmed_give_what_the_definition_gives(
    trees: list[tuple[Node, LogSource]], drawn: list[bytes]
) -> None:
    ruleset = compiled(trees)
    lane = LogLane(source="native", generation="", kind=NATIVE, zone=UTC, place="a.jsonl")
    data = b"".join(b"%b\n" % line.replace(b"\n", b" ") for line in [*drawn, *drawn, *drawn])
    slow = LineStation(Definition(ruleset.rules, router=native_route), ruleset)
    expected = [slow.work(block, lane, bytes(8)) for block in whole_lines([data])]
    for many in (0, 256):  # all taken for nested, some nested
        quick, notes = LineEngine(ruleset), Kept()
        for engine in (quick, quick, LineEngine(ruleset, notes=notes), LineEngine(ruleset, notes=notes)):
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(gate, "_WORTH_KEEPING", 1)
                patched.setattr(skim, "_MANY_NESTED", many)
                patched.setattr(skim, "_scan", scan_once)
                station = SkimStation(engine, ruleset)
                assert [station.work(block, lane, bytes(8)) for block in whole_lines([data])] == expected


def in_no_line(_text: bytes) -> int:
    return 0


class Kept(dict[str, bytes]):
    """Notes in memory."""

    def put(self, name: str, content: bytes) -> None:
        self[name] = content


EVENTS = LINES.map(read).filter(lambda found: found is not None).map(lambda found: found or {})


@settings(deadline=None, max_examples=500)
@given(tree=TREES, event=EVENTS)
def test_a_condition_tried_directly_agrees_with_the_definition(tree: Node, event: Event) -> None:
    assert condition(tree)(View(event)) == holds(tree, event)


@settings(deadline=None, max_examples=500)
@given(tree=TREES, event=EVENTS)
def test_what_a_condition_needs_stands_in_the_line_of_an_event(tree: Node, event: Event) -> None:
    line, needed = written(event), Covers([tree]).of(tree, in_no_line)
    if line is None or needed is None or not holds(tree, event):
        return
    assert any(text in line.lower() for text in needed.texts if text.isascii()) or not line.isascii()


@settings(deadline=None, max_examples=300)
@given(tree=TREES, event=EVENTS, chosen=st.sets(st.integers(0, 8)))
def test_a_reduced_condition_says_the_same(tree: Node, event: Event, chosen: set[int]) -> None:
    known = {id(atom): holds(atom, event) for place, atom in enumerate(atoms_of(tree)) if place in chosen}
    left = reduced(tree, lambda atom: known.get(id(atom)))
    assert (left if isinstance(left, bool) else holds(left, event)) == holds(tree, event)


@settings(deadline=None)
@given(expression=EXPRESSIONS, text=WORDS)
def test_literals_of_an_expression_stand_in_what_it_finds(expression: str, text: str) -> None:
    if finds(expression, "", text):
        assert all(literal.lower() in text.lower() for literal in literals_of(expression))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"cmd.{0,5}(?:/c|/r).+clip", ["cmd", "clip"]),
        ("(?i)invoke-expression", ["invoke-expression"]),
        ("ab?c", ["a", "c"]),
        ("ab{0,2}c", ["a", "c"]),
        ("ab{x", ["a", "x"]),
        (r"a\.b\\c\d", ["a.b\\c"]),
        ("abc|def", []),
        (r"\x41bc[d\]e]f", ["Abc", "f"]),
    ],
)
def test_literals_of_an_expression(expression: str, expected: list[str]) -> None:
    assert literals_of(expression) == expected


def test_what_is_authentication_is_the_same_as_in_the_parsers() -> None:
    tables = {"security": windows_security.SECURITY} | {
        provider.lower(): meanings for provider, meanings in windows_logs.BY_PROVIDER.items()
    }
    ours = {value: frozenset(map(str, codes)) for _, value, codes in AUTHENTICATION}
    theirs = {
        name: frozenset(code for code, meaning in meanings.items() if "authentication" in meaning.category)
        for name, meanings in tables.items()
    }
    assert ours == {name: codes for name, codes in theirs.items() if codes}


def test_native_names_of_windows_are_those_of_the_rules() -> None:
    source = LogSource(product="windows", category="process_creation")
    named = native_fields(source, "sigma")
    assert named("EventID") == ("EventID",)
    assert named("Channel") == ("Channel",)
    assert named("CommandLine") == ("CommandLine",)
    assert named("Image") == ("Image", "NewProcessName")
    assert named("ProviderName") == ("Provider_Name", "ProviderName")
    assert named("winlog.channel") == ("winlog.channel",)
    assert field_map(source, "sigma")("Image") == (
        "winlog.event_data.Image",
        "winlog.event_data.NewProcessName",
    )


def test_every_log_source_has_a_native_route() -> None:
    assert all(native_route(source) is not None for source in known_sources())


IN_ANY_CASE = Or(
    (
        Text("Image", (ANY_TEXT, "kiss/me", ANY_TEXT)),
        Text("Image", (ANY_TEXT, "100000", ANY_TEXT)),
        Text("Image", ("1e-07",)),
        Text("Image", (ANY_TEXT, 'a"b\\c', ANY_TEXT)),
        Text("Image", (ANY_TEXT, "学校", ANY_TEXT)),
        Regex("Image", "mess", "i"),
    )
)


@pytest.mark.parametrize(
    "value",
    [
        '"KISS/me"', r'"kiss\/me"', r'"\u006biss/me"', '"\u212aiss/me"', '"kİss/me"', '"MESſ"', '"me\u017fs"',
        r'"A\"b\\c"', r'"a\u0022b\\c"', '"学校"', r'"\u5b66\u6821"', "1e5", "100000.0", "1e-7", "0.0000001",
        '["x", "kiss/me"]',
    ],
    ids=ascii,
)  # fmt: skip
def test_a_gate_lets_every_way_of_writing_a_value_through(value: str) -> None:
    ruleset = compiled([(IN_ANY_CASE, LogSource(product="windows"))])
    engine, definition = LineEngine(ruleset), Definition(ruleset.rules, router=native_route)
    for number in range(100):
        assert engine.match({"Channel": "Security", "Image": f"C:\\Users\\{number}"}) == []
    event = read(f'{{"Channel":"Security","Image":{value}}}'.encode())
    assert event is not None
    assert engine.match(event) == definition.match(event)

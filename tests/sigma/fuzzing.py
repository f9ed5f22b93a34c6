"""Strategies: whole Sigma rules as their authors write them, and events that come close to them.

Few fields, few words and few numbers, so that rules and events meet; among them whatever engines get wrong: texts
with NULs, lone surrogates and letters that fold in odd ways, numbers that Python takes for equal and Sigma does not.
"""

import json
from typing import Any

from hypothesis import strategies as st

from secmon.model.event import Event
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.tree import Keyword, Text, atoms_of
from tests.sigma.rule_texts import ID

FIELDS = ("a", "winlog.event_data.B", "event.code", "Threat Name", "process.pid")
PLACEHOLDERS = {"admins": ("root", "ad*n"), "nets": ("192.0.2.7",)}

# Values that are equal to Python, or as text, and not to both.
NUMBERS: tuple[Any, ...] = (
    True, False, 0, 1, -1, 0.0, 1.0, -0.0, 0.5, 4688, 4688.0, 2**53, 2.0**53, 2**60, 2.0**60, 10**25, 1e25, 1e-7,
)  # fmt: skip
WORDS = (
    "", "a", "A", "root", "admin", "ADMIN", " -enc x", " /enc x", "\u2013enc", "cmd.exe", "\\cmd.exe", "ski",
    "S\u212aI", "\u0130x", "\u03a3\u03c2", "中文", "1", "1.0", "true", "True", "4688", "4688.0", "1e25", "a\x00b",
    "\ud800", "a\x1fb", "a\n", "192.0.2.7", "192.0.2.999", "2001:db8::7",
    "::ffff:192.0.2.7", "2026-09-07T23:59:00+08:00",
    "2026-09-07T15:59:00Z", "*", "?", "a*b", "x" * 600, "cm9vdA==", "r\x00o\x00o\x00t\x00", "%admins%",
)  # fmt: skip
CHARACTERS = st.sampled_from([*"abKkiS01-/\\*? .\x00", "\u212a", "\u0130", "ß", "\ud800", "😀"])
TEXTS = st.sampled_from(WORDS) | st.text(CHARACTERS, max_size=5)
SCALARS = TEXTS | st.sampled_from(NUMBERS) | st.integers(-2, 5000)

_PATTERNS = TEXTS | st.sampled_from(["*", "?", "a?b", "*oo?", "\\*", "\\\\", "r*t", "%admins%", "c:\\\\*", "?*?"])
_EXPRESSIONS = st.sampled_from(
    ["^r.*t$", "roo?t", "[a-c]+", r"\d{1,4}", "(?i)SKI", "k", "^$", "a|b", r"\\cmd", "中", r"\s", "."]
)
_TEXT_CHAINS = st.sampled_from(
    [
        "", "contains", "startswith", "endswith", "cased", "contains|cased", "contains|windash", "windash",
        "endswith|windash", "base64", "base64|contains", "base64offset|contains", "wide|base64offset|contains",
        "utf16le", "utf16be|contains", "utf16|base64", "expand", "contains|expand", "neq", "contains|neq",
        "startswith|cased", "cased|endswith", "windash|cased|contains", "utf16be|base64offset|contains", "cased|neq",
    ]
)  # fmt: skip
_REFERENCES = st.sampled_from(
    [
        "fieldref",
        "fieldref|neq",
        "fieldref|startswith",
        "fieldref|endswith",
        "fieldref|contains",
        "fieldref|contains|neq",
    ]
)
_LIMITS = st.sampled_from([0, 1, 1.0, 0.5, 2**60, 1e25, 4688, "1.0", "1e3"])
_TIMES = st.builds(
    "{}{}".format,
    st.sampled_from(["minute", "hour", "day", "week", "month", "year"]),
    st.sampled_from(["", "", "|gt", "|gte", "|lt", "|lte", "|neq"]),
)
_LISTED = st.sampled_from(["", "|all"])


def _several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


def _entries(chains: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.sampled_from(FIELDS), chains, values).map(
        lambda drawn: (f"{drawn[0]}|{drawn[1]}".rstrip("|"), drawn[2])
    )


_ENTRIES: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    _entries(_TEXT_CHAINS, _several(_PATTERNS)),
    _entries(st.sampled_from(["contains|all", "contains|windash|all"]), st.lists(_PATTERNS, min_size=2, max_size=3)),
    _entries(st.just(""), _several(st.sampled_from(NUMBERS) | TEXTS)),
    _entries(st.just(""), st.none()),
    _entries(st.just("exists"), st.booleans()),
    _entries(_REFERENCES, st.sampled_from(FIELDS)),
    _entries(st.sampled_from(["re", "re|i", "re|s", "re|m", "re|i|s", "re|all", "re|neq"]), _several(_EXPRESSIONS)),
    _entries(st.sampled_from(["gt", "gte", "lt", "lte", "neq"]), _LIMITS),
    _entries(
        st.sampled_from(["cidr", "cidr", "cidr|neq", "cidr|all"]),
        _several(st.sampled_from(["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0", "192.0.2.7/32"])),
    ),
    _entries(_TIMES, st.sampled_from([7, 9, 15, 36, 59, "08", 2026])),
)
_MAPS = st.lists(_ENTRIES, min_size=1, max_size=3).map(dict)
_KEYWORDS = st.one_of(
    st.lists(_PATTERNS.filter(bool) | st.sampled_from([1, 4688]), min_size=1, max_size=3),
    st.lists(_PATTERNS.filter(bool), min_size=1, max_size=2).map(lambda words: {"|all": words}),
    _EXPRESSIONS.map(lambda expression: {"|re": expression}),
    st.tuples(
        st.sampled_from(["|cased", "|windash", "|base64offset|contains", "|startswith"]), _PATTERNS.filter(bool)
    ).map(lambda drawn: dict([drawn])),
)
_SELECTIONS = st.one_of(_MAPS, _MAPS, _MAPS, st.lists(_MAPS, min_size=1, max_size=2), _KEYWORDS)
_NAMES = ("sel_a", "sel_b", "filter_a")
_CONDITIONS = st.recursive(
    st.sampled_from(
        [*_NAMES, "1 of sel_*", "all of sel_*", "1 of them", "all of them", "1 of *_a", "not 1 of filter*"]
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or", "and not"]), inner).map(lambda all_: "({} {} {})".format(*all_)),
    ),
    max_leaves=4,
)
SOURCES: tuple[dict[str, str], ...] = (
    {"category": "authentication"},
    {"product": "windows"},
    {"product": "windows", "category": "process_creation"},
    {"product": "windows", "service": "security"},
)


@st.composite
def rule_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the document of one rule; some are refused, as some of real authors are."""
    conditions = draw(_CONDITIONS | st.lists(_CONDITIONS, min_size=1, max_size=2))
    return {
        "title": "A rule",
        "taxonomy": "ecs",
        "level": "low",
        "logsource": draw(st.sampled_from(SOURCES)),
        "detection": {**{name: draw(_SELECTIONS) for name in _NAMES}, "condition": conditions},
    }


def rule_sets(*, native: bool = False, max_rules: int = 5) -> st.SearchStrategy[RuleSet]:
    """Draw rule sets of which at least one rule can run."""
    documents = st.lists(rule_documents(), min_size=1, max_size=max_rules)
    return documents.map(lambda drawn: loaded(drawn, native=native)).filter(lambda ruleset: bool(ruleset.rules))


def loaded(documents: list[dict[str, Any]], *, native: bool = False) -> RuleSet:
    """Compile rules; JSON is YAML, and can write any character."""
    files = [
        RuleFile(f"{number}.yml", json.dumps({**document, "id": ID.format(number)}))
        for number, document in enumerate(documents)
    ]
    return load_rules(files, placeholders=PLACEHOLDERS, native=native)


_SYSMON = "Microsoft-Windows-Sysmon/Operational"
SYSMON_CHANNELS = (_SYSMON, "Security", "System")
_CHANNELS = st.sampled_from(SYSMON_CHANNELS[:2])
_CODES = st.sampled_from([1, True, 1.0, "1", 4688, 4688.0, "4688", [1], [True], [1.0, "x"], 2**60, 2.0**60])
_ROUTED: st.SearchStrategy[Event] = st.one_of(
    st.just({"event.category": ["authentication"]}),
    st.sampled_from([True, 1, ["authentication", True]]).map(lambda value: {"event.category": value}),
    st.builds(lambda channel, code: {"winlog.channel": channel, "event.code": code}, _CHANNELS, _CODES),
    st.just({}),
)  # fmt: skip
_FIELDS = st.dictionaries(
    st.sampled_from([*FIELDS, "message"]), SCALARS | st.lists(SCALARS, max_size=3), min_size=1, max_size=4
)
EVENTS: st.SearchStrategy[Event] = st.builds(lambda routed, fields: {**fields, **routed}, _ROUTED, _FIELDS)
"""Events as the pipeline hands them to the engine."""

_NATIVE_ROUTED = st.one_of(
    st.builds(lambda channel, code: {"Channel": channel, "EventID": code}, _CHANNELS, _CODES),
    st.just({"event.category": ["authentication"]}),
    st.just({}),
)  # fmt: skip


def _nested(event: Event) -> dict[str, Any]:
    """Write dotted names as nested objects, as documents of ECS have them."""
    written: dict[str, Any] = {}
    for name, value in event.items():
        outer, _, inner = name.partition(".")
        if inner:
            written.setdefault(outer, {})[inner] = value
        else:
            written[name] = value
    return written


LINES = st.builds(
    lambda routed, fields, nested, plain: line_of({**fields, **routed}, nested=nested, plain=plain),
    _NATIVE_ROUTED,
    _FIELDS,
    st.booleans(),
    st.booleans(),
)
"""Lines of JSON whose fields are called as rules call them, however they are written."""


_CHANGES = st.sampled_from(
    [
        lambda text: text,
        str.upper,
        lambda text: text.replace("k", "\u212a").replace("K", "\u212a"),
        lambda text: text.replace("i", "\u0130"),
        lambda text: text[:-1],
        lambda text: f"x{text}",
        lambda text: f"{text}é",
        lambda text: ["x", text],
        lambda text: [text, "x"],
        lambda text: int(text) if text.isdecimal() else text,
    ]
)


_PLAIN_CHAINS = st.sampled_from(["", "contains", "contains", "startswith", "endswith", "contains|cased"])


@st.composite
def plain_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the document of a rule that looks for one text: whatever goes wrong with it goes wrong with the rule."""
    key, value = draw(_entries(_PLAIN_CHAINS, TEXTS.filter(bool)))
    return {
        "title": "A plain rule",
        "taxonomy": "ecs",
        "level": "low",
        "logsource": {"product": "windows", "service": "security"},
        "detection": {"s": {key: value}, "condition": "s"},
    }


def plain_rule_sets(*, native: bool = False) -> st.SearchStrategy[RuleSet]:
    """Draw sets of such rules."""
    documents = st.lists(plain_documents(), min_size=1, max_size=6)
    return documents.map(lambda drawn: loaded(drawn, native=native)).filter(lambda ruleset: bool(ruleset.rules))


@st.composite
def near(draw: st.DrawFn, ruleset: RuleSet) -> Event:
    """Draw an event made of what the rules look for, or nearly: most rules then meet events that they match."""
    event: dict[str, Any] = dict(draw(_ROUTED | st.just({"winlog.channel": "Security", "event.code": "4688"})))
    for rule in ruleset.rules:
        for atom in atoms_of(rule.tree):
            if isinstance(atom, Text | Keyword) and draw(st.booleans()):
                text = "".join(part if isinstance(part, str) else draw(_FILLERS) for part in atom.pattern)
                event[atom.field if isinstance(atom, Text) else "message"] = draw(_CHANGES)(text)
    return event


_FILLERS = st.sampled_from(["", "x", "é", "\x00"])


def line_of(event: Event, *, nested: bool, plain: bool) -> bytes:
    """Return an event as a line of JSON, with dotted names or objects, with or without escapes."""
    return json.dumps(_nested(event) if nested else event, ensure_ascii=plain).encode("utf-8", "surrogatepass")

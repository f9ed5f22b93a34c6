"""The table of indexed fields: what parsers write and rules ask for is in it; the template is made from it."""

import hashlib
import json
from typing import Any

import pytest

from secmon.compliance.framework import load_framework
from secmon.content import framework_files, rule_files
from secmon.model.batch import INDEXED_FIELDS
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.store.elasticsearch.fields import (
    ADDED,
    ADDRESSES,
    INDEXED,
    KNOWN,
    LATER,
    LONG_TEXTS,
    NUMBERS,
    OPEN_FAMILIES,
    STORE,
    WORDS,
    earlier_place,
    indexed_as,
)
from secmon.store.elasticsearch.mapping import VERSION, IndexSettings, event_mapping, mapping_of, template
from secmon.store.elasticsearch.naming import KINDS, names_of
from tests.parse.test_golden import CASES, OF_THE_PIPELINE, read_case

# What the pipeline adds to events of all parsers: version, encoding, results of the classifier.
OTHERWISE_USED = frozenset(("ecs.version", "secmon.encoding", "data.level"))
# Elasticsearch's default for index.mapping.total_fields.limit is 1,000; objects and subfields count.
MOST_FIELDS = 500


def written_fields(kind: str) -> set[str]:
    """Return the fields that the parser of a kind writes for the golden logs, and those the pipeline adds."""
    cases = [read_case(path) for path in CASES if path.parent.name == kind]
    outcomes = [case.outcome(frame) for case in cases for frame in case.frames]
    events = [event for outcome in outcomes if not isinstance(outcome, str) for event in outcome]
    assert events, kind
    return {name for event in events for name in event} | OF_THE_PIPELINE


def told(missing: set[str], why: str) -> str:
    """Return what to do about fields that are not in the table."""
    names = " ".join(sorted(missing))
    return f"{why}; add to _WORDS, _ADDRESSES or _NUMBERS of secmon/store/elasticsearch/fields.py: {names}"


# A sender of ready-made ECS names its fields itself.
@pytest.mark.parametrize("kind", sorted({path.parent.name for path in CASES} - {"ecs"}))
def test_what_a_parser_writes_is_in_the_table_or_of_an_open_family(kind: str) -> None:
    missing = {name for name in written_fields(kind) - KNOWN if not name.startswith(OPEN_FAMILIES)}
    assert not missing, told(missing, f"the parser of {kind} writes them")


def test_nothing_is_in_the_table_that_no_parser_or_sender_writes_and_nobody_asks_for(ruleset: RuleSet) -> None:
    written = {name for kind in {path.parent.name for path in CASES} for name in written_fields(kind)}
    asked = {name for rule in ruleset.rules for name in (*rule.fields, *rule.group_by)}
    used = written | asked | set(INDEXED_FIELDS) | OTHERWISE_USED
    assert not KNOWN - used, f"no parser writes and no rule asks for: {' '.join(sorted(KNOWN - used))}"


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    files, errors = rule_files()
    assert errors == []
    return load_rules([RuleFile(*each) for each in files])


def test_what_our_rules_look_at_is_in_the_table(ruleset: RuleSet) -> None:
    missing = {name for rule in ruleset.rules for name in rule.fields} - KNOWN
    assert not missing, told(missing, "rules look at them")


def test_what_our_rules_group_by_can_be_asked_and_counted(ruleset: RuleSet) -> None:
    missing = {name for rule in ruleset.rules for name in rule.group_by} - INDEXED
    assert not missing, told(missing, "rules group by them")


def test_what_reports_ask_for_is_in_the_table_and_counts_by_what_can_be_counted() -> None:
    asked, counted = set[str](), set[str]()
    for path, text in framework_files()[0]:
        framework, errors = load_framework(path, text)
        assert errors == []
        controls = framework.controls if framework else ()  # the folder holds incident criteria too
        facts = [fact for control in controls for check in control.checks for fact in check.facts.values()]
        counted |= {fact.by for fact in facts if fact.by}
        for selection in (one for fact in facts for one in fact.any_of):
            asked |= {*selection.equals, *selection.present}
    assert asked
    assert not asked - KNOWN, told(asked - KNOWN, "reports ask for them")
    assert not counted - INDEXED, told(counted - INDEXED, "reports count by them")


def test_the_columns_of_the_embedded_store_are_fields_of_their_own() -> None:
    assert set(INDEXED_FIELDS) <= INDEXED


def test_a_field_has_one_kind() -> None:
    kinds = [WORDS, ADDRESSES, NUMBERS, LONG_TEXTS]
    assert sum(map(len, kinds)) == len(KNOWN)


def test_no_field_is_an_object_too() -> None:
    parents = {name.rsplit(".", cut)[0] for name in KNOWN for cut in range(1, name.count(".") + 1)}
    assert parents & KNOWN == set()
    assert STORE not in {name.split(".")[0] for name in KNOWN}


def _leaves(properties: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, field in properties.items():
        if "properties" in field:
            found |= _leaves(field["properties"], f"{path}{name}.")
        else:
            found[path + name] = field
    return found


def test_the_mapping_holds_exactly_the_table() -> None:
    leaves = _leaves(event_mapping()["properties"])
    assert {name for name in leaves if not name.startswith("store.")} == KNOWN
    assert {name for name, field in leaves.items() if "ip" in field.get("fields", {})} == ADDRESSES
    assert {name for name, field in leaves.items() if "number" in field.get("fields", {})} == NUMBERS
    assert "index" in leaves["event.original"]


def test_the_mapping_stays_far_below_the_limit_of_fields() -> None:
    assert json.dumps(event_mapping()).count('"type"') + len(event_mapping()["properties"]) < MOST_FIELDS


@pytest.mark.parametrize("kind", KINDS)
def test_no_document_can_add_a_field(kind: str) -> None:
    names = names_of("secmon")
    made = template(names, "events" if kind == "events" else "hits" if kind == "hits" else "findings", IndexSettings())
    assert made["template"]["mappings"]["dynamic"] is False
    assert made["index_patterns"] == [f"secmon-{kind}-*"]
    assert made["template"]["aliases"] == {f"secmon-{kind}": {}}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("user.name", "user.name"),
        ("winlog.event_data.Detection User", "store.rest.winlog.event_data.Detection User"),
        ("message", None),
        ("a*", None),
        ("", None),
        (".a", None),
        ("a..b", None),
        ("a\0b", None),
        ("x" * 300, None),
    ],
)
def test_a_name_says_where_its_values_can_be_asked(name: str, place: str | None) -> None:
    assert indexed_as(name) == place


# What each version has; written down when it came, and never changed. Version 3 is all that was before `ADDED`.
TABLES = {3: "59fea916bb87fc32", 4: "70592b223f9ae784"}
OTHER_MAPPINGS = {4: "5be2f7ee1c82b594"}


def digest_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def table_of(version: int) -> list[tuple[str, object]]:
    """Return the fields of the table as it was in a version, with what kind they are of now."""
    later = frozenset[str]().union(*(names for came, names in ADDED.items() if came > version))
    return sorted((name, kind) for name, kind in _leaves(event_mapping()["properties"]).items() if name not in later)


@pytest.mark.parametrize("version", TABLES)
def test_the_table_of_a_version_stays_as_it_was(version: int) -> None:
    """A field that came needs a new version: add it to ADDED under it, raise VERSION, write its digest down here.

    A field that left, or that changed its kind, would not be found any more in the documents that are there.
    """
    assert digest_of(table_of(version)) == TABLES[version], version


def test_the_newest_version_is_the_one_in_force_and_later_ones_have_come_with_fields_of_the_table() -> None:
    assert max(TABLES) == max(OTHER_MAPPINGS) == VERSION
    assert set(ADDED) <= set(TABLES)
    assert LATER <= INDEXED
    assert sum(map(len, ADDED.values())) == len(LATER)


def test_what_else_is_indexed_changes_with_a_version_only() -> None:
    others = {kind: mapping_of(kind)["properties"] for kind in ("hits", "findings", "batches", "records")}
    assert digest_of(others) == OTHER_MAPPINGS[VERSION]


def test_a_question_for_a_field_that_came_later_knows_where_older_documents_have_it() -> None:
    assert earlier_place("secmon.url.path") == "store.rest.secmon.url.path"
    assert earlier_place("user.name") is None

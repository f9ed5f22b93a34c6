"""The check language of a framework file: facts, coverage, conditions, results. docs/compliance.md describes it.

Two of its rules are laws of the product, so the reader enforces them: 符合 can only stand in a check that says what
coverage it needs, and every bound of that coverage is 1 or more. Nothing can be 符合 without data.
"""

import re
from collections.abc import Mapping

from secmon.model.assessment import (
    TWO_FACT_MEASURES,
    Check,
    CheckKind,
    Condition,
    Coverage,
    FactSource,
    FactSpec,
    Measure,
    Outcome,
    Result,
    Selection,
)
from secmon.model.yaml_node import Node

SEVERITY = (Result.FAILED, Result.PARTLY, Result.MET)
"""The order in which results are tried."""

PLACE = re.compile(r"\{([a-z_]+)(?:\.([a-z_]+)|/([a-z_]+))?\}")
"""A place in a sentence: {fact} or {fact.measure} or {fact/fact}, the last one as a
percentage: of counts, or of the register's values that were seen."""

CONFIRMED = ("true_positive_with_impact", "true_positive_without_impact")
"""Close reasons that say a hit was real."""

_READS_BY = frozenset({Measure.KEYS, Measure.PEAK, Measure.COVERED})

# What a check of each kind names, and the facts it gets from that.
_SUBJECT = {
    CheckKind.QUERY: "query",
    CheckKind.RULE_HITS: "rules",
    CheckKind.REGISTER: "field",
    CheckKind.DOCUMENT: "document",
    CheckKind.QUESTIONNAIRE: "question",
    CheckKind.IMPORT: "import",
}


def read_fact(node: Node) -> FactSpec:
    """Read one entry of `facts`."""
    table = node.table(
        required=("title",), optional=("source", "any", "by", "period", "classes", "name", "controls", "outcomes")
    )
    source = FactSource(table["source"].choice(*FactSource)) if "source" in table else FactSource.EVENTS
    any_of = tuple(_selection(item) for item in table["any"].items()) if "any" in table else ()
    if source is FactSource.EVENTS and not any_of:
        node.fail("a fact about events needs `any`", hint="any: [{where: {field: [value]}}]")
    if source in {FactSource.REGISTER, FactSource.SETTING, FactSource.ANSWER} and "name" not in table:
        node.fail("a fact of this source needs `name`")
    return FactSpec(
        source=source,
        title=table["title"].text(),
        any_of=any_of,
        by=table["by"].text() if "by" in table else "",
        whole_store="period" in table and table["period"].choice("report", "store") == "store",
        controls=table["controls"].words() if "controls" in table else (),
        outcomes=table["outcomes"].words() if "outcomes" in table else (),
        classes=table["classes"].words() if "classes" in table else (),
        name=table["name"].text() if "name" in table else "",
    )


def _selection(node: Node) -> Selection:
    table = node.table(optional=("where", "present", "text"))
    where = table["where"].table(optional=None) if "where" in table else {}
    return Selection(
        equals={name: values.words() for name, values in where.items()},
        present=table["present"].words() if "present" in table else (),
        text=table["text"].text() if "text" in table else "",
    )


def read_check(node: Node, facts: Mapping[str, FactSpec]) -> Check:
    """Read one check; `facts` are those of the file."""
    table = node.table(required=("id", "kind"), optional=None)
    kind = CheckKind(table["kind"].choice(*CheckKind))
    table = node.table(
        required=("id", "kind", "title", _SUBJECT[kind], "valid_days", "result_if"),
        optional=("query", "coverage", "threshold", "required"),
    )
    asked = {**_named_facts(table.get("query"), facts), **_own_facts(kind, table[_SUBJECT[kind]])}
    bounds = _bounds(table.get("threshold"))
    coverage = _coverage(table.get("coverage"), asked)
    results = table["result_if"].table(required=("otherwise",), optional=tuple(SEVERITY))
    if Result.MET in results and not coverage:
        results[Result.MET].fail("符合 needs `coverage`", hint="say how many records on how many days it takes")
    otherwise = results["otherwise"].text()
    _check_places(results["otherwise"], asked)
    return Check(
        id=table["id"].text(),
        kind=kind,
        title=table["title"].text(),
        facts=asked,
        coverage=coverage,
        valid_days=table["valid_days"].count(minimum=1),
        outcomes=tuple(
            outcome
            for result in SEVERITY
            if result in results
            for outcome in _outcomes(results[result], result, asked, bounds)
        ),
        otherwise=otherwise,
        required=table["required"].flag() if "required" in table else True,
    )


def _named_facts(node: Node | None, facts: Mapping[str, FactSpec]) -> dict[str, FactSpec]:
    asked = {}
    for item in node.items() if node else ():
        name = item.text()
        if name not in facts:
            item.fail("no fact of this name stands under facts")
        asked[name] = facts[name]
    return asked


def _own_facts(kind: CheckKind, subject: Node) -> dict[str, FactSpec]:
    """Return the facts that a check of this kind always has, by the names its conditions use."""
    if kind is CheckKind.QUERY:
        return {}
    if kind is CheckKind.RULE_HITS:
        controls = subject.words()
        return {
            "hits": FactSpec(source=FactSource.HITS, title="规则命中", controls=controls),
            "open": FactSpec(
                source=FactSource.ALERTS,
                title="未关闭或无法判定的告警",
                controls=controls,
                outcomes=("open", "unknown"),
            ),
            "confirmed": FactSpec(
                source=FactSource.ALERTS, title="已研判属实的告警", controls=controls, outcomes=CONFIRMED
            ),
        }
    if kind is CheckKind.REGISTER:
        return {"field": FactSpec(source=FactSource.REGISTER, title="资产台账登记", name=subject.text())}
    return {"answer": FactSpec(source=FactSource.ANSWER, title="人工核查记录", name=subject.text())}


def _bounds(node: Node | None) -> dict[str, float]:
    return {name: value.number() for name, value in (node.table(optional=None) if node else {}).items()}


def _coverage(node: Node | None, asked: Mapping[str, FactSpec]) -> tuple[Coverage, ...]:
    rows = []
    for name, value in (node.table(optional=None) if node else {}).items():
        if name not in asked:
            value.fail("the check does not ask for this fact")
        row = value.table(required=("count",), optional=("days",))
        days = row["days"].count(minimum=1) if "days" in row else 0
        rows.append(Coverage(name, row["count"].count(minimum=1), days))
    return tuple(rows)


def _outcomes(node: Node, result: Result, asked: Mapping[str, FactSpec], bounds: Mapping[str, float]) -> list[Outcome]:
    alternatives = node.items() if isinstance(node.value, tuple) else (node,)
    outcomes = []
    for item in alternatives:
        table = item.table(required=("when", "reason"))
        when = tuple(_condition(condition, asked, bounds) for condition in table["when"].items())
        if not when:
            table["when"].fail("a result needs at least one condition")
        _check_places(table["reason"], asked)
        outcomes.append(Outcome(result, when, table["reason"].text()))
    return outcomes


def _condition(node: Node, asked: Mapping[str, FactSpec], bounds: Mapping[str, float]) -> Condition:
    table = node.table(optional=(*Measure, "at_least", "below"))
    measures = [Measure(name) for name in table if name in set(Measure)]
    limits = [name for name in ("at_least", "below") if name in table]
    if len(measures) != 1 or len(limits) != 1:
        node.fail("a condition is one measure and one of at_least, below", hint="{count: logins, at_least: 1}")
    measure, limit = measures[0], limits[0]
    names = _names(table[measure], measure, asked)
    bound = _bound(table[limit], bounds)
    return Condition(measure, names, **{limit: bound})


def _names(node: Node, measure: Measure, asked: Mapping[str, FactSpec]) -> tuple[str, ...]:
    names = node.words() if isinstance(node.value, tuple) else (node.text(),)
    if len(names) != (2 if measure in TWO_FACT_MEASURES else 1):
        node.fail("share and covered take two facts, every other measure one")
    for name in names:
        if name not in asked:
            node.fail("the check does not ask for the fact {name}", hint="add it to query", name=name)
    counted = asked[names[-1]]
    if measure in _READS_BY and counted.source is FactSource.EVENTS and not counted.by:
        node.fail("{measure} needs a fact with `by`", measure=measure.value)
    return names


def _bound(node: Node, bounds: Mapping[str, float]) -> float:
    if isinstance(node.value, str):
        if node.value not in bounds:
            node.fail("no bound of this name stands under threshold")
        return bounds[node.value]
    return node.number()


def _check_places(node: Node, asked: Mapping[str, FactSpec]) -> None:
    text = node.text()
    single = set(Measure) - TWO_FACT_MEASURES
    for name, measure, divisor in PLACE.findall(text):
        if measure in _READS_BY and name in asked and asked[name].source is FactSource.EVENTS and not asked[name].by:
            node.fail("{measure} needs a fact with `by`", measure=measure)
        if name not in asked or (divisor and divisor not in asked) or (measure and measure not in single):
            node.fail("the sentence names a fact or measure that the check does not have")
    if "{" in PLACE.sub("", text):
        node.fail("a place in a sentence is {fact}, {fact.measure} or {fact/fact}")

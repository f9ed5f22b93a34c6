"""Step one of an assessment: which facts the checks of a framework need for one asset and period.

The core asks, a use case answers from the stores: nothing here knows how an event is found.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from secmon.compliance.check_file import PLACE
from secmon.model.assessment import Check, FactSource, FactSpec, Framework, Measure
from secmon.model.canonical import Plain, canonical_bytes

_BY_DAY = frozenset({Measure.DAYS, Measure.DAY_SHARE})


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRequest:
    """One question to the stores.

    Args:
        id: the same question has the same id, so that it is asked once.
        spec: what is asked (source, selection, `by` …).
        asset_id: of this asset only.
        since: earliest `@timestamp`, inclusive; None: everything stored before `until`.
        until: latest `@timestamp`, exclusive.
        wants_days: whether anybody reads `Fact.days`; counting days costs a query a day.
    """

    id: str
    spec: FactSpec
    asset_id: str
    since: datetime | None
    until: datetime
    wants_days: bool = False

    def query(self) -> str:
        """Return the question in words that a person can repeat; it stands in the evidence."""
        return f"{self.spec.title}（{self.spec.source.value}: {_words(self.spec)}; asset.id={self.asset_id}）"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """The answer.

    Args:
        available: False where nobody could look: no such source, rule, register or answer. Zero found is an
            answer, and available.
        count: how many; for register, setting and answer: how many values.
        by: value of the `by` field → count; for hits: every active rule, 0 included; "" = without that field.
        days: calendar days (in the installation's zone) with at least one.
        first: earliest `@timestamp`.
        last: latest `@timestamp`.
        event_ids: the earliest ones, at most 20.
        masked_sample: one of them as it is stored: masked.
        values: of the register, setting or answer.
    """

    available: bool = True
    count: int = 0
    by: Mapping[str, int] = field(default_factory=dict)
    days: int = 0
    first: datetime | None = None
    last: datetime | None = None
    event_ids: tuple[str, ...] = ()
    masked_sample: str = ""
    values: tuple[str, ...] = ()


NO_FACT = Fact(available=False)


def request(spec: FactSpec, asset_id: str, since: datetime, until: datetime) -> FactRequest:
    """Return the question that a fact's specification becomes for one asset and period."""
    start = None if spec.whole_store else since
    key: Plain = [_words(spec), asset_id, start.isoformat() if start else "", until.isoformat()]
    return FactRequest(
        id=f"F-{hashlib.sha256(canonical_bytes(key)).hexdigest()[:24]}",
        spec=spec,
        asset_id=asset_id,
        since=start,
        until=until,
    )


def queries(framework: Framework, asset_id: str, since: datetime, until: datetime) -> tuple[FactRequest, ...]:
    """Return every question that the framework's checks ask, each once, in order of the controls."""
    asked: dict[str, FactRequest] = {}
    for control in framework.controls:
        for check in control.checks:
            by_day = _read_by_day(check)
            for name, spec in check.facts.items():
                question = request(spec, asset_id, since, until)
                known = asked.setdefault(question.id, question)
                if name in by_day and not known.wants_days:
                    asked[question.id] = replace(known, wants_days=True)
    return tuple(asked.values())


def _read_by_day(check: Check) -> set[str]:
    """Return the facts of a check whose number of days it reads: in coverage, conditions or sentences."""
    names = {coverage.fact for coverage in check.coverage if coverage.days}
    for outcome in check.outcomes:
        names |= {name for condition in outcome.when if condition.measure in _BY_DAY for name in condition.of}
    for text in (check.otherwise, *(outcome.reason for outcome in check.outcomes)):
        names |= {name for name, kind, _ in PLACE.findall(text) if kind in _BY_DAY}
    return names


def _words(spec: FactSpec) -> str:
    """Return a specification as text, without its title: two specifications are the same if this is."""
    match spec.source:
        case FactSource.EVENTS:
            parts = [" OR ".join(sorted(_selection_words(one.equals, one.present, one.text) for one in spec.any_of))]
            if spec.by:
                parts.append(f"by {spec.by}")
            if spec.whole_store:
                parts.append("whole store")
            return " | ".join(parts)
        case FactSource.HITS:
            return f"rules of {', '.join(sorted(spec.controls))}"
        case FactSource.ALERTS:
            return f"rules of {', '.join(sorted(spec.controls))} with {', '.join(sorted(spec.outcomes))}"
        case FactSource.FINDINGS:
            return f"data.class in {', '.join(sorted(spec.classes)) or '*'}"
        case _:
            return f"{spec.source.value} {spec.name}"


def _selection_words(equals: Mapping[str, tuple[str, ...]], present: tuple[str, ...], text: str) -> str:
    parts = [f"{name}={'|'.join(sorted(values))}" for name, values in sorted(equals.items())]
    parts += [f"{name} present" for name in sorted(present)]
    if text:
        parts.append(f'"{text}"')
    return f"({' AND '.join(parts) or '*'})"

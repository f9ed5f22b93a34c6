"""Step two of an assessment: from facts to draft results. The same facts give the same bytes.

The rules, in this order:

1. Something bad that was found counts, however little data there is.
2. The absence of something counts only where the check's coverage is met and its evidence is not stale.
3. A fact that nobody could look at decides nothing.
4. A control is 符合 only if every required check is; one 不符合 or 部分符合 decides it; anything else is 未核查.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from secmon.compliance.measure import holds, is_covered, sentence
from secmon.compliance.needs import NO_FACT, Fact, FactRequest, request
from secmon.model.assessment import (
    MODE_OF_KIND,
    Assessment,
    Check,
    CheckResult,
    Control,
    Framework,
    ItemResult,
    Outcome,
    Result,
)
from secmon.model.asset import Asset
from secmon.model.evidence import Evidence, make_evidence
from secmon.model.printable import shield

KIND = "mlps"
_LOG = "log"


def assess(
    framework: Framework,
    asset: Asset,
    facts: Mapping[str, Fact],
    *,
    since: datetime,
    until: datetime,
    at: datetime,
) -> Assessment:
    """Return the draft assessment of one asset.

    Args:
        framework: the catalogue.
        asset: the information system.
        facts: `FactRequest.id` of `needs.queries` → answer; a missing one counts as not available.
        since: start of the period, inclusive.
        until: end of the period, exclusive; the same as was given to `needs.queries`.
        at: when the facts were taken.
    """
    evidence: dict[str, Evidence] = {}
    asker = _Asker(asset, facts, since, until, evidence)
    items = tuple(_item(control, asker) for control in framework.controls)
    return Assessment(
        kind=KIND,
        title=f"{asset.name}网络安全等级保护自查报告",
        asset_id=asset.id,
        unit_id=asset.unit,
        framework=framework,
        since=since,
        until=until,
        at=at,
        items=items,
        evidence=tuple(evidence.values()),
    )


class _Asker:
    """The facts of one assessment; it remembers the evidence for every fact that a check was given."""

    def __init__(
        self,
        asset: Asset,
        facts: Mapping[str, Fact],
        since: datetime,
        until: datetime,
        evidence: dict[str, Evidence],
    ) -> None:
        self.asset, self.facts, self.since, self.until, self.evidence = asset, facts, since, until, evidence
        self.cited: dict[str, str] = {}

    def of(self, check: Check) -> tuple[dict[str, Fact], tuple[str, ...]]:
        """Return a check's facts by local name, and the ids of their evidence."""
        answers: dict[str, Fact] = {}
        ids: list[str] = []
        for name, spec in check.facts.items():
            question = request(spec, self.asset.id, self.since, self.until)
            answers[name] = fact = self.facts.get(question.id, NO_FACT)
            if fact.available:
                ids.append(self._cite(question, fact))
        return answers, tuple(dict.fromkeys(ids))

    def _cite(self, question: FactRequest, fact: Fact) -> str:
        """Return the id of a fact's evidence; many checks ask the same question, it is written down once."""
        if question.id not in self.cited:
            one = _evidence(question, fact)
            self.evidence.setdefault(one.id, one)
            self.cited[question.id] = one.id
        return self.cited[question.id]


def _evidence(question: FactRequest, fact: Fact) -> Evidence:
    since = question.since or fact.first or question.until
    return make_evidence(
        kind=question.spec.source.value,
        query=question.query(),
        since=min(since, question.until),
        until=question.until,
        count=fact.count,
        event_ids=tuple(sorted(fact.event_ids)),
        masked_sample=shield(fact.masked_sample, max_chars=500),
        # Values of `by` may be account names: only their counts go in, a digest of few names could be guessed.
        detail={
            "days": fact.days,
            "counts": sorted(fact.by.values()),
            "values": sorted(fact.values),
            "first": fact.first.isoformat() if fact.first else "",
            "last": fact.last.isoformat() if fact.last else "",
        },
    )


def _item(control: Control, asker: _Asker) -> ItemResult:
    checks = tuple(_check(check, asker) for check in control.checks)
    result = _combined(checks)
    deciding = [check for check in checks if check.result is result]
    return ItemResult(
        control=control,
        result=result,
        mode=deciding[0].mode,
        reason=_item_reason(result, checks),
        checks=checks,
        evidence_ids=tuple(dict.fromkeys(one for check in checks for one in check.evidence_ids)),
    )


def _combined(checks: tuple[CheckResult, ...]) -> Result:
    results = {check.result for check in checks}
    for worst in (Result.FAILED, Result.PARTLY):
        if worst in results:
            return worst
    required = [check.result for check in checks if check.required]
    if required and all(result is Result.MET for result in required):
        return Result.MET
    return Result.NOT_CHECKED


def _item_reason(result: Result, checks: tuple[CheckResult, ...]) -> str:
    """Say what decided first, then what else was seen or is still open."""
    ordered = [check for check in checks if check.result is result]
    ordered += [check for check in checks if check.result is not result]
    return "".join(f"【{check.title}】{check.result.value}：{check.reason}" for check in ordered)


def _check(check: Check, asker: _Asker) -> CheckResult:
    facts, evidence_ids = asker.of(check)
    gap = _gap(check, facts, asker.until)
    may_rest_on_absence = bool(check.coverage) and not gap
    for outcome in check.outcomes:
        if _rests_on_absence(outcome) and not may_rest_on_absence:
            continue
        if all(holds(condition, facts, asker.since, asker.until) for condition in outcome.when):
            result, reason = outcome.result, sentence(outcome.reason, facts, asker.since, asker.until)
            break
    else:
        # Of what people fill in, "no source" would say nothing: the check's own sentence names what is missing.
        blank = gap if MODE_OF_KIND[check.kind] == _LOG else ""
        result, reason = Result.NOT_CHECKED, blank or sentence(check.otherwise, facts, asker.since, asker.until)
    return CheckResult(
        check_id=check.id,
        title=check.title,
        mode=MODE_OF_KIND[check.kind],
        result=result,
        reason=reason,
        evidence_ids=evidence_ids,
        required=check.required,
    )


def _rests_on_absence(outcome: Outcome) -> bool:
    return outcome.result is Result.MET or any(condition.below is not None for condition in outcome.when)


def _gap(check: Check, facts: Mapping[str, Fact], until: datetime) -> str:
    """Say why the absence of anything means nothing here; empty if its coverage is met."""
    for coverage in check.coverage:
        title, fact = check.facts[coverage.fact].title, facts[coverage.fact]
        if not fact.available:
            return f"“{title}”没有数据来源，不能据此下结论。"
        if not is_covered(coverage, facts):
            needed = f"{coverage.count}条" + (f"、覆盖{coverage.days}天" if coverage.days else "")
            there = f"{fact.count}条" + (f"、覆盖{fact.days}天" if coverage.days else "")
            return f"“{title}”仅{there}，少于核查所需的{needed}。"
        if fact.last is not None and fact.last < until - timedelta(days=check.valid_days):
            return f"“{title}”最近一条距报告期末已超过{check.valid_days}天，证据过期。"
    return ""

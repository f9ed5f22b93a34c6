"""Lays the clauses of the grading guide beside the facts of an alert. The machine compares; people conclude.

There are four states and none of them is "not reached": what the logs show is a part of what happened, and the
guide has a clause without any number. Whoever reads less as "nothing to report" reports late.
"""

from dataclasses import dataclass
from enum import StrEnum

from secmon.bulletin.facts import AlertFacts
from secmon.bulletin.guide import Category, Criterion, IncidentGuide, ReportClock

_NEAR = 0.5


class CriterionState(StrEnum):
    """How a clause stands to the facts."""

    REACHED = "达到"
    NEAR = "接近"
    UNKNOWN = "无法判定"
    NOT_APPLICABLE = "不适用"


@dataclass(frozen=True, slots=True)
class Judged:
    """A clause beside the facts: state, and what the state rests on."""

    criterion: Criterion
    state: CriterionState
    basis: str


def propose_category(guide: IncidentGuide, facts: AlertFacts) -> Category:
    """Return the category an alert most likely belongs to: a proposal for people.

    The longest ATT&CK technique that both name decides, then the first control, then the last category (其他).
    """
    best: tuple[int, Category] | None = None
    for category in guide.categories:
        for own in category.techniques:
            fits = any(one == own or one.startswith(f"{own}.") for one in facts.techniques)
            if fits and (best is None or len(own) > best[0]):
                best = (len(own), category)
    if best is not None:
        return best[1]
    for category in guide.categories:
        if not set(category.controls).isdisjoint(facts.controls):
            return category
    return guide.categories[-1]


def judge(guide: IncidentGuide, facts: AlertFacts, category: Category) -> tuple[Judged, ...]:
    """Lay every clause beside the facts of one alert."""
    return tuple(_judged(one, facts, category) for one in guide.criteria)


def _judged(criterion: Criterion, facts: AlertFacts, category: Category) -> Judged:
    if criterion.groups and category.group_code not in criterion.groups:
        return Judged(
            criterion, CriterionState.NOT_APPLICABLE, "本告警的建议类别不涉及此条；类别或情况变化时须重新对照"
        )
    if not criterion.persons:
        return Judged(criterion, CriterionState.UNKNOWN, f"须人工研判：{criterion.human}")
    seen = (
        f"日志中去重后涉及人数不超过{facts.persons_at_most}人" if facts.has_personal_data else "日志中未识别出个人信息"
    )
    if facts.persons_at_least >= criterion.persons:
        return Judged(criterion, CriterionState.REACHED, f"{seen}，已不低于条款数值")
    if facts.persons_at_most >= criterion.persons * _NEAR:
        return Judged(criterion, CriterionState.NEAR, f"{seen}，已不低于条款数值的一半")
    return Judged(criterion, CriterionState.UNKNOWN, f"{seen}；日志只反映一部分情况，实际人数须人工核实")


def clocks_of(guide: IncidentGuide, facts: AlertFacts) -> tuple[ReportClock, ...]:
    """Return the deadlines that may run; which of them do is for people to say."""
    applies = {"always": True, "personal_data": facts.has_personal_data, "minors": facts.has_minors}
    return tuple(one for one in guide.clocks if applies[one.when])

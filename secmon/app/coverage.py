"""What was evaluated, and what was not: rules × sources × windows, as a view over the ledger (contracts: `coverage`).

The ledger has rows for sources and windows; the manifest of a rule set says which rules were in force; routing says
which of them a source can reach. Nothing of the product is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from secmon.app.coverage_proof import verify
from secmon.app.coverage_quiet import Quiet, disabled_reason, for_rule
from secmon.app.coverage_sheets import latest_rows, load_head, not_run_list
from secmon.app.coverage_writing import GRACE
from secmon.app.folding import overflowed
from secmon.app.installation import Installation
from secmon.app.rulebook import RULESET
from secmon.app.search import ALL_TIME, time_from
from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.coverage import EVERY, CoverageState, NotRun
from secmon.model.event import format_time, parse_time
from secmon.model.record import Body
from secmon.sigma.reach import can_reach
from secmon.sigma.rule import LogSource

__all__ = ["CoverageFilter", "by_hour", "closed_until", "rows", "suppressions", "verify", "windows"]

DEFAULT_SPAN = timedelta(days=1)
MAX_ROWS = 500_000
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageFilter:
    """Which rows are wanted; empty fields do not filter.

    Args:
        rule: id of a rule.
        source: a source's id.
        since: windows that end after it; by default a day before `until`.
        until: windows that begin before it; by default what is closed.
        sources: the sources in sight; None for all.
    """

    rule: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None
    sources: frozenset[str] | None = None

    def takes(self, source: str) -> bool:
        """Tell whether a source is wanted."""
        return (not self.source or source == self.source) and (self.sources is None or source in self.sources)


def closed_until(house: Installation, access: Access) -> datetime | None:
    """Return the moment before which every window is closed; None if nothing was ever entered."""
    head = load_head(house, access)
    return head.closed if head else None


def windows(house: Installation, access: Access, wanted: CoverageFilter) -> list[Body]:
    """Return the ledger's rows themselves, by window and source."""
    return [found for found, _ in _once(_rows(house, access, wanted))]


def by_hour(house: Installation, access: Access, wanted: CoverageFilter) -> Iterator[tuple[str, Body]]:
    """Yield (start of the hour, row) by hour and source: a row of several hours once for each."""
    for hour, row, _ in _rows(house, access, wanted):
        yield hour, row


def _rows(house: Installation, access: Access, wanted: CoverageFilter) -> Iterator[tuple[str, Body, Body]]:
    until = wanted.until or closed_until(house, access)
    if until is None:
        return
    since = wanted.since or until - DEFAULT_SPAN
    for (hour, source), (row, sheet) in sorted(latest_rows(house, access, since, until).items(), key=lambda e: e[0]):
        if wanted.takes(source):
            yield hour, row, sheet


def _once(found: Iterable[tuple[str, Body, Body]]) -> Iterator[tuple[Body, Body]]:
    """Yield (row, sheet): a row of several hours, in which nobody was looking, once and not for each of them."""
    told: set[tuple[str, str]] = set()
    for _, row, sheet in found:
        if (key := (row["source"], row["from"])) not in told:
            told.add(key)
            yield row, sheet


def rows(house: Installation, access: Access, wanted: CoverageFilter) -> Iterator[Body]:
    """Yield what became of each rule at each source in each window, by window, source and rule.

    A rule that a source can never reach is left out; one that does not run stands in each window once, for every
    source (`*`). A correlation rests on the hits of its rules: it has no `hits` of its own at a source.
    """
    view = _View(house, access)
    told: set[str] = set()
    for row, sheet in _once(_rows(house, access, wanted)):
        if row["from"] not in told:
            told.add(row["from"])
            yield from _idle(view.manifests, sheet, {"from": row["from"], "to": row["to"]}, wanted)
        for digest in row["rulesets"] or [sheet["ruleset"]]:
            yield from view.of_rules(row, digest, wanted.rule)


def _quieted(row: Body, found: list[Body]) -> Body:
    """Return what suppressions say of a rule's row; a disabled rule was not run, whatever else it was."""
    if not found:
        return {}
    ids: Body = {"suppressions": [one["suppression.id"] for one in found]}
    reason = "" if row["state"] == CoverageState.NOT_RUN.value else disabled_reason(found, row)
    return ids | ({"state": CoverageState.NOT_RUN.value, "reason": reason} if reason else {})


def suppressions(house: Installation, access: Access, row: Body) -> list[Body]:
    """Return what could suppress hits in a row's time, as the rule book keeps it (`rulebook.said`), by id."""
    view = _View(house, access)
    found = {one["suppression.id"]: one for digest in row["rulesets"] for one in view.quiet_beside(row, digest)}
    return [found[identity] for identity in sorted(found)]


def _of_rule(row: Body, window: Body, rule_id: str, digest: str, *, is_correlation: bool) -> Body:
    found: Body = {
        "rule.id": rule_id,
        "rule.digest": digest,
        "source": row["source"],
        "window": window,
        "state": row["state"],
        "events": row["counts"]["events"],
    }
    if not is_correlation:
        found["hits"] = row["by_rule"].get(rule_id, 0)
    return found | {name: row[name] for name in ("reason", "previous", "digest") if row[name]}


def _idle(manifests: "_Manifests", sheet: Body, window: Body, wanted: CoverageFilter) -> Iterator[Body]:
    if wanted.source or wanted.sources is not None:
        return
    for one in manifests.idle(sheet["not_run"]):
        if not wanted.rule or wanted.rule == one["rule.id"]:
            yield {
                "rule.id": one["rule.id"],
                "rule.name": one["rule.name"],
                "source": EVERY,
                "window": window,
                "state": CoverageState.NOT_RUN.value,
                "events": 0,
                "hits": 0,
                "reason": f"{one['state']}: {one['reason']}",
            }


def kind_of(house: Installation, source: str) -> str:
    """Return the kind of a source, as far as it is known: an import may be called by its kind."""
    configured = house.sources.get(source)
    return configured.kind if configured else source


@dataclass(slots=True)
class _Manifests:
    """Looks rule sets up, each once."""

    house: Installation
    access: Access
    _found: dict[str, Body] = field(default_factory=dict)
    _reaching: dict[tuple[str, str], list[tuple[str, str, bool]]] = field(default_factory=dict)
    _idle: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)

    def reaching(self, digest: str, kind: str) -> list[tuple[str, str, bool]]:
        """Return (rule id, digest, whether it is a correlation) of the rules that events of a kind can reach."""
        key = (digest, kind)
        if key not in self._reaching:
            self._reaching[key] = sorted(self._reached(self.manifest(digest), kind))
        return self._reaching[key]

    def _reached(self, manifest: Body, kind: str) -> Iterator[tuple[str, str, bool]]:
        rules = manifest.get("rules", {})
        reached = set()
        for source, ids in manifest.get("logsources", {}).items():
            if _reaches(kind, source):
                reached.update(ids)
                yield from ((rule_id, rules[rule_id], False) for rule_id in ids)
        for rule_id, base in manifest.get("correlations", {}).items():
            if reached.intersection(base):
                yield rule_id, rules[rule_id], True

    def manifest(self, digest: str) -> Body:
        """Return a rule set as it is kept; an empty object if nobody kept it."""
        if digest not in self._found:
            document = self.house.records.get(self.access, RULESET, digest)
            self._found[digest] = document.body if document else {}
        return self._found[digest]

    def name(self, digest: str, rule_id: str) -> str:
        """Return what a rule of a rule set is called."""
        return str(self.manifest(digest).get("names", {}).get(rule_id, rule_id))

    def idle(self, identity: str) -> list[Mapping[str, str]]:
        """Return the rules that did not run."""
        if identity not in self._idle:
            self._idle[identity] = not_run_list(self.house, self.access, identity)
        return self._idle[identity]


@dataclass(slots=True)
class _View:
    """Joins ledger rows with the rule sets that their events met, and with what quieted or cut these."""

    house: Installation
    access: Access
    manifests: _Manifests = field(init=False)
    _quiet: Quiet = field(init=False)
    _cut: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.manifests, self._quiet = _Manifests(self.house, self.access), Quiet(self.house, self.access)

    def quiet_beside(self, row: Body, digest: str) -> list[Body]:
        """Return what could suppress hits of a row's source under a rule set, in the row's time."""
        return self._quiet.during(digest, self.manifests.manifest(digest), row)

    def of_rules(self, row: Body, digest: str, only: str) -> Iterator[Body]:
        """Yield what became of each rule of a rule set in a row; of one alone where `only` names it."""
        beside = self.quiet_beside(row, digest)
        window = {"from": row["from"], "to": row["to"]}
        kind = kind_of(self.house, row["source"])
        for rule_id, rule_digest, is_correlation in self.manifests.reaching(digest, kind):
            if only and rule_id != only:
                continue
            found = _of_rule(row, window, rule_id, rule_digest, is_correlation=is_correlation)
            found |= {"rule.name": self.manifests.name(digest, rule_id)} | _quieted(row, for_rule(beside, rule_id))
            if is_correlation and "reason" not in found and self._is_cut(row, digest, rule_id):
                found["reason"] = NotRun.OVERFLOW.value
            yield found

    def _is_cut(self, row: Body, digest: str, rule_id: str) -> bool:
        """Tell whether a correlation was found to count too little while hits of a row's hour were worked."""
        base = self.manifests.manifest(digest).get("correlations", {}).get(rule_id, ())
        if not any(row["by_rule"].get(one) for one in base):
            return False
        hour = str(row["from"])
        if hour not in self._cut:
            told = (parse_time(hour), parse_time(row["to"]) + GRACE)
            found = overflowed(self.house, self.access, told=told)
            self._cut[hour] = frozenset(str(body["rule.id"]) for body in found)
        return rule_id in self._cut[hour]


@lru_cache(maxsize=4096)
def _reaches(kind: str, source: str) -> bool:
    return can_reach(kind, LogSource(*source.split("|")))


def _filter(house: Installation, args: Mapping[str, Any]) -> CoverageFilter:
    now, since = house.clock.now(), str(args.get("since") or "")
    return CoverageFilter(
        rule=args.get("rule") or "",
        source=args.get("source") or "",
        since=_EARLIEST if since == ALL_TIME else time_from(since, now, house.zone),
        until=time_from(str(args.get("until") or ""), now, house.zone, is_end=True),
    )


def run_rows(house: Installation, access: Access, args: Mapping[str, Any]) -> list[Body]:
    """Do `coverage --json`.

    Raises:
        SecmonError: that are more rows than anybody reads.
    """
    found = []
    for row in rows(house, access, _filter(house, args)):
        found.append(row)
        if len(found) > MAX_ROWS:
            hint = "ask for a rule, a source or a shorter time"
            raise SecmonError("that are more than {most} rows", hint=hint, values={"most": MAX_ROWS})
    return found


def run_windows(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `coverage` for people: the ledger's rows, and up to when it is complete."""
    until = closed_until(house, access)
    return {
        "until": format_time(until) if until else "",
        "rows": [
            {name: value for name, value in row.items() if name != "parts"}
            for row in windows(house, access, _filter(house, args))
        ],
    }

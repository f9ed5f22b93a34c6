"""What is different between two rule sets: for the people who changed the files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from secmon.sigma.rule import CorrelationRule, Rule, RuleSet
from secmon.sigma.suppression import Adjustment, Suppression

_Part = Rule | CorrelationRule | Suppression | Adjustment
Kind = Literal["rule", "correlation", "exception", "disabled", "maintenance", "override"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One rule, or one document that tunes rules, that is not as it was.

    Args:
        change: what became of it.
        kind: what it is.
        id: its id.
        name: its title; the Chinese one where it has one.
        path: its file.
    """

    change: Literal["added", "changed", "removed"]
    kind: Kind
    id: str
    name: str
    path: str

    def row(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"change": self.change, "kind": self.kind, "id": self.id, "name": self.name, "path": self.path}


def changes(before: RuleSet, after: RuleSet) -> tuple[Change, ...]:
    """Return what was added, changed or removed, by path and id; that a file was moved is no change."""
    old, new = _parts(before), _parts(after)
    return tuple(sorted(_found(old, new), key=lambda one: (one.path, one.id, one.kind)))


def _found(old: Mapping[tuple[Kind, str], _Part], new: Mapping[tuple[Kind, str], _Part]) -> Iterator[Change]:
    for (kind, identity), part in new.items():
        known = old.get((kind, identity))
        if known is None:
            yield Change(change="added", kind=kind, id=identity, name=_name(part), path=part.path)
        elif replace(known, path="", line=0) != replace(part, path="", line=0):
            yield Change(change="changed", kind=kind, id=identity, name=_name(part), path=part.path)
    for (kind, identity), part in old.items():
        if (kind, identity) not in new:
            yield Change(change="removed", kind=kind, id=identity, name=_name(part), path=part.path)


def _parts(ruleset: RuleSet) -> dict[tuple[Kind, str], _Part]:
    found: dict[tuple[Kind, str], _Part] = {}
    for rule in ruleset.by_id.values():
        found["correlation" if isinstance(rule, CorrelationRule) else "rule", rule.id] = rule
    _put(found, ((one.kind, one) for one in ruleset.suppressions))
    _put(found, (("override", one) for one in ruleset.adjustments))
    return found


def _put(found: dict[tuple[Kind, str], _Part], parts: Iterable[tuple[Kind, Suppression | Adjustment]]) -> None:
    found.update({(kind, one.id): one for kind, one in parts})


def _name(part: _Part) -> str:
    title = part.title_zh if isinstance(part, Rule | CorrelationRule) else ""
    return title or part.name

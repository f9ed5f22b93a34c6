"""Why rules cannot fire here: one answer for the coverage alerts, the scorecard and the ATT&CK map.

`sigma.reach` says what a kind of source can send and what a condition needs; the coverage ledger knows which sources
there are, the imported ones too, and `app.fields_seen` what they sent.
"""

from secmon.app import checkpoints
from secmon.app.coverage_sheets import Head, load_head
from secmon.app.fields_seen import blind_rules
from secmon.app.installation import Installation
from secmon.model.access import Access
from secmon.parse.registry import KINDS
from secmon.sigma.omitted import omitted
from secmon.sigma.reach import can_reach, firing


def kinds_here(house: Installation, access: Access, head: Head | None = None) -> frozenset[str]:
    """Return the kinds of all sources: those that are configured, and those of which something was imported.

    Args:
        house: the installation.
        access: whose job it is; sources belong to no unit.
        head: of the coverage ledger, if it is at hand.
    """
    return _imported(house, access, head) | {source.kind for source in house.sources.values()}


def _imported(house: Installation, access: Access, head: Head | None = None) -> frozenset[str]:
    """Return the kinds of the sources that the ledger knows and nobody configured here."""
    known = head or load_head(house, access)
    names = set(known.sources).difference(house.sources) if known else set()
    kinds = {checkpoints.kind_of(house, access, name) or (name if name in KINDS else "") for name in names}
    return frozenset(kinds - {""})


def without_source(house: Installation, kinds: frozenset[str]) -> frozenset[str]:
    """Return the ids of the rules that no source here can make fire; none if nothing is known of any source."""
    if not kinds:
        return frozenset()
    ruleset = house.ruleset
    waiting = omitted(ruleset, is_installed=True, classifies=True)  # for intelligence, not for a source
    return frozenset(ruleset.by_id.keys() - firing(ruleset, kinds) - waiting.keys())


def never_sent(house: Installation, access: Access) -> dict[str, tuple[str, ...]]:
    """Return id of a rule → fields that it needs and that none of the sources that can reach it ever sent.

    Of what was imported nobody knows whether it is all that there is: rules that it reaches are left out.
    """
    blind: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for source, found in blind_rules(house, access).items():
        for rule, missing in found:
            blind.setdefault(rule.id, []).append((source, missing))
    imported = _imported(house, access)
    told: dict[str, tuple[str, ...]] = {}
    for rule in house.ruleset.rules:
        at = dict(blind.get(rule.id, ()))
        reaching = (name for name, one in house.sources.items() if can_reach(one.kind, rule.logsource))
        if at and all(name in at for name in reaching) and not any(can_reach(one, rule.logsource) for one in imported):
            told[rule.id] = tuple(sorted({name for missing in at.values() for name in missing}))
    return told

"""行文方向: which way each kind goes, and who may be addressed (主送).

上行 goes to the unit's own 主管单位 (隶属) or its 属地 authority, never over their heads; 下行 only to units below the
issuer by 隶属. A new kind is one line in `DIRECTIONS`.
"""

from collections.abc import Iterable

from secmon.errors import SecmonError
from secmon.model.bulletin import BulletinKind, Direction, Recipient
from secmon.model.unit import Unit, UnitTree

DIRECTIONS = {
    BulletinKind.WARNING: Direction.DOWN,
    BulletinKind.INCIDENT_REPORT: Direction.UP,
}


def allowed_recipients(kind: BulletinKind, issuer: Unit, tree: UnitTree) -> tuple[str, ...]:
    """Return the ids of the units that a document of this kind may be addressed to, sorted (上行: 主管单位 first)."""
    below = tree.subtree(issuer.id) - {issuer.id}
    if DIRECTIONS[kind] is Direction.DOWN:
        return tuple(sorted(below))
    above = (issuer.parent, issuer.region)
    return tuple(
        dict.fromkeys(one for one in above if one and one in tree.units and one != issuer.id and one not in below)
    )


def recipients(kind: BulletinKind, issuer: Unit, tree: UnitTree, asked: Iterable[str]) -> tuple[Recipient, ...]:
    """Return the recipients, in the order asked for.

    Raises:
        SecmonError: one of them does not fit the direction.
    """
    allowed = frozenset(allowed_recipients(kind, issuer, tree))
    found = []
    for unit_id in dict.fromkeys(asked):
        if unit_id not in allowed:
            down = DIRECTIONS[kind] is Direction.DOWN
            raise SecmonError(
                "unit {unit} cannot be a recipient (主送) of a {kind} by {issuer}: it goes {direction}",
                hint="address units below the issuer by 隶属" if down else "address the issuer's 主管 or 属地 unit",
                values={
                    "unit": unit_id,
                    "kind": kind.value,
                    "issuer": issuer.id,
                    "direction": DIRECTIONS[kind].value,
                },
            )
        found.append(Recipient(unit_id, tree.name(unit_id)))
    return tuple(found)


def default_recipients(
    kind: BulletinKind, issuer: Unit, tree: UnitTree, affected: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return whom a draft is addressed to if nobody said: up, the 主管单位 (else 属地); down, the units right below.

    A warning looks ahead, so it goes to all units right below the issuer; where the issuer has none, to the affected
    ones. Empty: a person fills it in.
    """
    allowed = allowed_recipients(kind, issuer, tree)
    if DIRECTIONS[kind] is Direction.UP:
        return allowed[:1]
    below = tuple(one for one in tree.children.get(issuer.id, ()) if one in allowed)
    return below or tuple(one for one in affected if one in allowed)

"""Who reads what when several daemons share one store: a plan that each of them makes for itself.

Every daemon sees the same documents and follows the same rule, so that their plans agree as soon as they see the same;
until then a compare-and-swap decides. Pure: what is there goes in, what to take and to give away comes out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from secmon.model.ids import text_digest


@dataclass(frozen=True, slots=True)
class Plan:
    """What a daemon does now: leases to take, and leases to let go for others."""

    take: tuple[str, ...] = ()
    give: tuple[str, ...] = ()


def plan(
    me: str, readers: Mapping[str, Collection[str]], holders: Mapping[str, str], *, overdue: Collection[str] = ()
) -> Plan:
    """Return what a daemon takes and gives, so that each reads its share of what it can read.

    What nobody else can read is taken at once. Nothing is given away unless somebody else has room for it.

    Args:
        me: the daemon.
        readers: live daemon, this one among them → sources that it can read.
        holders: source → live daemon that has it.
        overdue: free sources that nobody has taken for too long: whoever sees that takes them, share or not.
    """
    mine = _in_turn(me, (name for name in readers[me] if holders.get(name) == me))
    free = _in_turn(me, (name for name in readers[me] if name not in holders))
    others = {name: [one for one in readers if one != me and name in readers[one]] for name in readers[me]}
    at_once = [name for name in free if not others[name] or name in overdue]
    room = share(me, readers) - len(mine) - len(at_once)
    rest = [name for name in free if name not in at_once]
    loads = {one: sum(holder == one for holder in holders.values()) for one in readers}
    with_room = {one for one in readers if loads[one] < share(one, readers)}
    wanted = [name for name in mine if with_room.intersection(others[name])]
    surplus = len(mine) - share(me, readers)
    return Plan(take=(*at_once, *rest[: max(room, 0)]), give=tuple(wanted[: max(surplus, 0)]))


def share(one: str, readers: Mapping[str, Collection[str]]) -> int:
    """Return how many sources a daemon may have: each counts for one, divided by those who can read it."""
    parts = (Fraction(1, sum(name in sources for sources in readers.values())) for name in readers[one])
    return ceil(sum(parts, Fraction(0)))


def _in_turn(me: str, names: Iterable[str]) -> list[str]:
    """Return names in an order that is each daemon's own, so that two of them do not reach for the same."""
    return sorted(names, key=lambda name: text_digest([me, name]))

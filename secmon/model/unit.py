"""Units (单位): organisations with three relations.

隶属 (`parent`) is the tree of rights: 省 → 市 → 县 → 校, but a 省属高校 sits under the province.
属地 (`region`) decides the reporting clocks. 业务指导 (`guided_by`) is neither.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from secmon.errors import ContentError


class UnitKind(StrEnum):
    """What a unit is."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    SCHOOL = "school"
    DEPARTMENT = "department"
    SUPPLIER = "supplier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A liaison (联络员) of a unit; each unit should have an A and a B."""

    name: str
    phone: str = ""
    duty: bool = False
    post: str = ""
    checked_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One organisation."""

    id: str
    name: str
    kind: UnitKind
    parent: str | None = None
    region: str = ""
    guided_by: str | None = None
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitTree:
    """All units, with the tree of 隶属.

    Build it with `unit_tree`, which refuses unknown parents and cycles.
    """

    units: Mapping[str, Unit] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def subtree(self, unit_id: str) -> frozenset[str]:
        """Return the ids of a unit and of all units below it by 隶属; empty if it is unknown."""
        if unit_id not in self.units:
            return frozenset()
        found, queue = {unit_id}, [unit_id]
        while queue:
            for child in self.children.get(queue.pop(), ()):
                if child not in found:
                    found.add(child)
                    queue.append(child)
        return frozenset(found)

    def name(self, unit_id: str | None) -> str:
        """Return a unit's name, or its id where the register does not know it."""
        unit = self.units.get(unit_id or "")
        return unit.name if unit else (unit_id or "")


def unit_tree(units: Iterable[Unit], *, where: str = "units") -> UnitTree:
    """Build the tree.

    Raises:
        ContentError: an id stands twice, a parent is unknown, or 隶属 runs in a circle.
    """
    by_id: dict[str, Unit] = {}
    for unit in units:
        if unit.id in by_id:
            raise ContentError("the unit id {id} stands twice", where=where, values={"id": unit.id})
        by_id[unit.id] = unit
    children: dict[str, list[str]] = {}
    for unit in by_id.values():
        if unit.parent is None:
            continue
        if unit.parent not in by_id:
            raise ContentError(
                "unit {id} has the unknown parent {parent}",
                where=where,
                hint="add the parent (隶属) or leave it empty",
                values={"id": unit.id, "parent": unit.parent},
            )
        children.setdefault(unit.parent, []).append(unit.id)
    for unit in by_id.values():
        _refuse_circle(unit, by_id, where)
    return UnitTree(by_id, {parent: tuple(sorted(ids)) for parent, ids in children.items()})


def _refuse_circle(unit: Unit, by_id: Mapping[str, Unit], where: str) -> None:
    seen, current = {unit.id}, unit
    while current.parent is not None:
        if current.parent in seen:
            raise ContentError("隶属 of unit {id} runs in a circle", where=where, values={"id": unit.id})
        seen.add(current.parent)
        current = by_id[current.parent]

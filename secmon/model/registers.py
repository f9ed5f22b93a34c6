"""The registers an operator writes: units.yaml and assets.csv, read into `UnitTree` and `AssetRegister`.

A wrong line is reported as path:line and never stops the others.
"""

import csv
import io
import ipaddress
from collections.abc import Mapping
from typing import Any

import yaml

from secmon.errors import ContentError
from secmon.model.asset import Asset, AssetRegister, Network, asset_register
from secmon.model.unit import Contact, Unit, UnitKind, UnitTree, unit_tree

_UNIT_KEYS = {"id", "name", "parent", "region", "guided_by", "kind", "contacts"}
_CONTACT_KEYS = {"name", "phone", "duty", "post", "checked_on"}
_ASSET_TEXTS = (
    "id", "name", "unit", "run_by", "used_by", "supplier", "filing_number", "filed_on", "assessed_on",
    "data_level", "criticality", "responsible", "contact_a", "contact_b",
)  # fmt: skip
_ASSET_LISTS = ("hosts", "domains", "addresses")
_MAX_LEVEL = 5


def parse_units(path: str, text: str) -> tuple[UnitTree, list[ContentError]]:
    """Read units.yaml: `units: [{id, name, parent (隶属), region (属地), guided_by (业务指导), kind, contacts}]`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        return UnitTree(), [ContentError("not YAML", where=f"{path}:{line}", hint="check indentation and colons")]
    rows = data.get("units") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        return UnitTree(), [ContentError("a list called units is missing", where=f"{path}:1")]
    lines = _row_lines(root)
    units: list[Unit] = []
    errors: list[ContentError] = []
    for number, row in enumerate(rows):
        where = f"{path}:{lines[number] if number < len(lines) else 1}"
        try:
            units.append(_unit(row, where))
        except ContentError as error:
            errors.append(error)
    try:
        return unit_tree(units, where=path), errors
    except ContentError as error:
        return UnitTree(), [*errors, error]


def _row_lines(root: Any) -> list[int]:
    for key, value in root.value:
        if key.value == "units":
            return [node.start_mark.line + 1 for node in value.value]
    return []


def _unit(row: object, where: str) -> Unit:
    if not isinstance(row, dict):
        raise ContentError("a unit must be a mapping", where=where)
    unknown = sorted(set(row) - _UNIT_KEYS)
    if unknown:
        raise ContentError("unknown key {key} of a unit", where=where, values={"key": unknown[0]})
    missing = [key for key in ("id", "name", "kind") if not row.get(key)]
    if missing:
        raise ContentError("a unit needs {keys}", where=where, values={"keys": ", ".join(missing)})
    kinds = [kind.value for kind in UnitKind]
    if row["kind"] not in kinds:
        raise ContentError("kind of a unit must be one of {kinds}", where=where, values={"kinds": ", ".join(kinds)})
    return Unit(
        id=str(row["id"]),
        name=str(row["name"]),
        kind=UnitKind(row["kind"]),
        parent=_optional(row.get("parent")),
        region=str(row.get("region") or ""),
        guided_by=_optional(row.get("guided_by")),
        contacts=tuple(_contact(contact, where) for contact in row.get("contacts") or ()),
    )


def _optional(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _contact(row: object, where: str) -> Contact:
    if not isinstance(row, dict) or not row.get("name") or set(row) - _CONTACT_KEYS:
        raise ContentError(
            "a contact needs a name and may have {keys}",
            where=where,
            values={"keys": ", ".join(sorted(_CONTACT_KEYS - {"name"}))},
        )
    return Contact(
        name=str(row["name"]),
        phone=str(row.get("phone") or ""),
        duty=bool(row.get("duty")),
        post=str(row.get("post") or ""),
        checked_on=str(row.get("checked_on") or ""),
    )


def parse_assets(path: str, text: str, tree: UnitTree) -> tuple[AssetRegister, list[ContentError]]:
    """Read assets.csv; several values in one cell are separated by `;`, addresses are CIDR, v4 or v6."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    known = {*_ASSET_TEXTS, *_ASSET_LISTS, "level"}
    errors: list[ContentError] = []
    assets: list[Asset] = []
    try:
        unknown = [name for name in reader.fieldnames or () if name not in known]
        if unknown or "id" not in (reader.fieldnames or ()):
            problem = "the head must be columns of the asset register, id among them"
            return AssetRegister(), [ContentError(problem, where=f"{path}:1", hint="see docs/operations.md")]
        for row in reader:
            where = f"{path}:{reader.line_num}"
            try:
                assets.append(_asset(row, where, tree))
            except ContentError as error:
                errors.append(error)
    except csv.Error:
        errors.append(ContentError("not CSV", where=f"{path}:{reader.line_num}", hint="check the quotes"))
    return asset_register(assets), errors


def _asset(row: Mapping[str, str | None], where: str, tree: UnitTree) -> Asset:
    cells = {name: (row.get(name) or "").strip() for name in (*_ASSET_TEXTS, *_ASSET_LISTS, "level")}
    if not cells["id"] or not cells["name"] or not cells["unit"]:
        raise ContentError("an asset needs id, name and unit", where=where)
    if tree.units and cells["unit"] not in tree.units:
        raise ContentError("the unit {unit} is not in the unit register", where=where, values={"unit": cells["unit"]})
    level = cells["level"] or "0"
    if not level.isdigit() or int(level) > _MAX_LEVEL:
        raise ContentError("level must be 1 to 5, or empty", where=where)
    return Asset(
        level=int(level),
        hosts=_split(cells["hosts"]),
        domains=_split(cells["domains"]),
        addresses=tuple(_network(part, where) for part in _split(cells["addresses"])),
        **{name: cells[name] for name in _ASSET_TEXTS},
    )


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())


def _network(text: str, where: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ContentError("an address must be CIDR, such as 192.0.2.0/24", where=where) from None

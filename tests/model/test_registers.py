"""Registers: units and assets, and how an event finds its own."""

import pytest

from secmon.model.event import Event
from secmon.model.registers import parse_assets, parse_units
from secmon.model.unit import UnitTree

UNITS = """
units:
  - {id: "37", name: 某省教育厅, kind: province}
  - {id: "3702", name: 某市教育局, kind: city, parent: "37", region: "370200"}
  - {id: "370202", name: 某区教体局, kind: county, parent: "3702"}
  - {id: U-10, name: 某省属大学, kind: school, parent: "37", region: "370200", guided_by: "3702"}
"""
HEAD = "id,name,unit,level,hosts,domains,addresses\n"


def tree() -> UnitTree:
    found, errors = parse_units("units.yaml", UNITS)
    assert errors == []
    return found


def found(assets: str, event: Event) -> str | None:
    register, errors = parse_assets("assets.csv", HEAD + assets, tree())
    assert errors == []
    asset = register.find(event)
    return asset.id if asset else None


def test_rights_follow_the_tree_of_subordination() -> None:
    assert tree().subtree("3702") == {"3702", "370202"}  # 省属高校 lies in the city but belongs to the province


def test_an_unknown_unit_has_no_subtree() -> None:
    assert tree().subtree("99") == frozenset()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("units:\n  - {id: a, name: A, kind: castle}\n", "units.yaml:2: kind of a unit must be one of"),
        ("units:\n  - {id: a, kind: city}\n", "units.yaml:2: a unit needs name"),
        ("units:\n  - {id: a, name: A, kind: city, boss: b}\n", "units.yaml:2: unknown key boss"),
        ("units: [\n", "units.yaml:2: not YAML"),
        ("unit: []\n", "units.yaml:1: a list called units is missing"),
        (
            "units:\n  - {id: a, name: A, kind: city, parent: b}\n  - {id: b, name: B, kind: city, parent: a}\n",
            "units.yaml: 隶属 of unit a runs in a circle",
        ),
        ("units:\n  - {id: a, name: A, kind: city, parent: z}\n", "units.yaml: unit a has the unknown parent z"),
    ],
)
def test_a_wrong_unit_is_named(text: str, place: str) -> None:
    _, errors = parse_units("units.yaml", text)
    assert str(errors[0]).startswith(place)


def test_host_comes_before_domain_comes_before_address() -> None:
    rows = "A,一,3702,3,web1,,\nB,二,3702,3,,edu.example.cn,\nC,三,3702,3,,,192.0.2.0/24\n"
    event: Event = {"host.name": "WEB1", "url.domain": "x.edu.example.cn", "destination.ip": "192.0.2.1"}
    assert found(rows, event) == "A"
    assert found(rows, {k: v for k, v in event.items() if k != "host.name"}) == "B"
    assert found(rows, {"destination.ip": "192.0.2.1"}) == "C"


@pytest.mark.parametrize(("address", "asset"), [("2001:db8:1::5", "B"), ("2001:db8:2::5", "A"), ("not one", None)])
def test_the_longest_prefix_wins(address: str, asset: str | None) -> None:
    rows = "A,一,3702,3,,,2001:db8::/32\nB,二,3702,3,,,2001:db8:1::/48\n"
    assert found(rows, {"destination.ip": address}) == asset


def test_a_domain_owns_its_subdomains_only() -> None:
    rows = "A,一,3702,3,,edu.example.cn,\n"
    assert found(rows, {"url.domain": "a.b.edu.example.cn"}) == "A"
    assert found(rows, {"url.domain": "notedu.example.cn"}) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A,一,99,3,,,", "assets.csv:2: the unit 99 is not in the unit register"),
        ("A,一,3702,6,,,", "assets.csv:2: level must be 1 to 5"),
        ("A,一,3702,3,,,192.0.2.300", "assets.csv:2: an address must be CIDR"),
        ("A,,3702,3,,,", "assets.csv:2: an asset needs id, name and unit"),
    ],
)
def test_a_wrong_asset_is_named_and_the_others_stay(row: str, problem: str) -> None:
    register, errors = parse_assets("assets.csv", f"{HEAD}{row}\nZ,末,3702,2,,,\n", tree())
    assert str(errors[0]).startswith(problem)
    assert list(register.assets) == ["Z"]

"""Saved objects for Kibana: complete, stable, and asking only for what is indexed."""

import re
from typing import Any

import orjson
import pytest

from secmon.store.elasticsearch.fields import NUMBERS, indexed_as
from secmon.store.elasticsearch.kibana import SEARCHES, saved_objects
from secmon.store.elasticsearch.mapping import mapping_of
from secmon.store.elasticsearch.naming import names_of

KQL_FIELD = re.compile(r"([a-z_.]+) *(?::|>=)")


def objects(prefix: str = "secmon") -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in saved_objects(names_of(prefix)).splitlines()]


def test_the_same_prefix_gives_the_same_bytes_and_another_one_other_ids() -> None:
    assert saved_objects(names_of("secmon")) == saved_objects(names_of("secmon"))
    assert {one["id"] for one in objects()}.isdisjoint(one["id"] for one in objects("other"))


def test_each_object_has_what_an_import_wants() -> None:
    for one in objects():
        assert set(one) == {
            "type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion", "managed",
        }  # fmt: skip
        assert one["attributes"]["title"]
    assert [one["type"] for one in objects()] == ["index-pattern"] * 4 + ["search"] * len(SEARCHES) + ["dashboard"]


def test_every_reference_leads_to_an_object_of_the_file() -> None:
    known = {(one["type"], one["id"]) for one in objects()}
    assert len(known) == len(objects())
    assert {(ref["type"], ref["id"]) for one in objects() for ref in one["references"]} <= known


def test_each_panel_names_its_reference() -> None:
    (dashboard,) = (one for one in objects() if one["type"] == "dashboard")
    panels = orjson.loads(dashboard["attributes"]["panelsJSON"])
    assert [f"{one['panelIndex']}:{one['panelRefName']}" for one in panels] == [
        one["name"] for one in dashboard["references"]
    ]


def test_texts_of_json_are_json() -> None:
    for one in objects():
        attributes = one["attributes"]
        texts = [value for name, value in attributes.items() if name.endswith(("JSON", "Map", "Attrs", "Filters"))]
        texts += (
            [attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]] if "kibanaSavedObjectMeta" in attributes else []
        )
        assert len([orjson.loads(text) for text in texts]) > 0


@pytest.mark.parametrize("search", SEARCHES, ids=lambda one: one[0])
def test_a_search_asks_and_shows_only_what_is_there(search: tuple[str, str, str, tuple[str, ...], str]) -> None:
    _, _, kind, columns, query = search
    asked = [*columns, *KQL_FIELD.findall(query)]
    if kind == "events":
        known = [name.removesuffix(".number") for name in asked if not name.endswith(".number") or name[:-7] in NUMBERS]
        assert len(known) == len(asked)
        assert all(indexed_as(name) == name for name in known)
    else:
        assert set(asked) - {"time"} <= set(mapping_of(kind)["properties"])

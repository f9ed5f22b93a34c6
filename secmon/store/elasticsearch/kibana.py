"""Saved objects for Kibana: data views, searches and a dashboard, as the NDJSON that Kibana exports and imports.

Format: saved objects export of Kibana 8.x, one object a line with `type`, `id`, `attributes`, `references` and the
versions up to which it was migrated; an older one is migrated when it is imported. Ids follow from the prefix alone, so
that a second import with "overwrite" replaces the objects of the first. Fields are those of our table.

Hits and findings keep their time in microseconds; the data view makes a date of it (`time`, a runtime field of Kibana).
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from secmon.store.elasticsearch.fields import INDEXED, TIMESTAMP
from secmon.store.elasticsearch.naming import Names

_SPACE: Final = UUID("6f1d1a52-7c0e-4f43-9a4e-0f6f8f6f2b11")
_CORE: Final = "8.8.0"
_VERSIONS: Final = {"index-pattern": "8.0.0", "search": "8.0.0", "dashboard": "8.7.0"}
_SOURCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
_PANEL_HEIGHT: Final = 15
_GRID_WIDTH: Final = 48

Json = dict[str, Any]

VIEWS: Final = ("events", "hits", "findings", "records")
SEARCHES: Final[Sequence[tuple[str, str, str, tuple[str, ...], str]]] = (
    ("all-events", "全部事件", "events", ("event.dataset", "event.action", "user.name", "source.ip", "host.name"), ""),
    ("failed-logins", "登录失败", "events", ("user.name", "source.ip", "host.name", "event.reason"),
     'event.category : "authentication" and event.outcome : "failure"'),
    ("web-errors", "Web 服务端错误", "events", ("url.path", "http.response.status_code", "source.ip", "asset.id"),
     "http.response.status_code.number >= 500"),
    ("personal-data", "含个人信息的事件", "events", ("data.classes", "data.level", "asset.id", "unit.id"),
     "data.classes : *"),
    ("hits", "规则命中", "hits", ("time", "rule", "unit", "asset", "event"), "not count : *"),
    ("findings", "敏感数据发现", "findings", ("time", "class", "unit", "asset", "event"), ""),
    ("alerts", "告警文档", "records", ("id", "version", "units"), 'kind : "alert"'),
)  # fmt: skip
"""Id, title, data view, columns and query (KQL) of each saved search."""
DASHBOARD: Final = ("overview", "secmon 数据总览", ("all-events", "failed-logins", "hits", "findings"))


def saved_objects(names: Names) -> bytes:
    """Return the NDJSON for the indices of a prefix: the same bytes each time."""
    made = [_view(names, kind) for kind in VIEWS]
    made += [_search(names, search) for search in SEARCHES]
    made.append(_dashboard(names))
    return b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS) for one in made)


def _id(names: Names, type_: str, name: str) -> str:
    return str(uuid5(_SPACE, f"{names.prefix}/{type_}/{name}"))


def _object(names: Names, type_: str, name: str, attributes: Json, references: Sequence[Json] = ()) -> Json:
    return {
        "type": type_, "id": _id(names, type_, name), "attributes": attributes, "references": list(references),
        "coreMigrationVersion": _CORE, "typeMigrationVersion": _VERSIONS[type_], "managed": False,
    }  # fmt: skip


def _view(names: Names, kind: str) -> Json:
    attributes: Json = {
        "title": f"{names.prefix}-{kind}",
        "name": f"secmon {kind} ({names.prefix})",
        "fieldAttrs": "{}", "fieldFormatMap": "{}", "fields": "[]", "runtimeFieldMap": "{}", "sourceFilters": "[]",
    }  # fmt: skip
    if kind == "events":
        # The words are for searching only; showing them would double every event.
        attributes |= {"timeFieldName": TIMESTAMP, "sourceFilters": _text([{"value": "store.words"}])}
    elif kind in {"hits", "findings"}:
        script = {"source": "emit(doc['at'].value / 1000)"}
        attributes["runtimeFieldMap"] = _text({"time": {"type": "date", "script": script}})
    return _object(names, "index-pattern", kind, attributes)


def _search(names: Names, search: tuple[str, str, str, tuple[str, ...], str]) -> Json:
    name, title, kind, columns, query = search
    sort = {"events": TIMESTAMP, "records": "id"}.get(kind, "at")
    source = {"query": {"query": query, "language": "kuery"}, "filter": [], "indexRefName": _SOURCE}
    attributes: Json = {
        "title": f"secmon {title} ({names.prefix})", "description": "", "columns": list(columns), "grid": {},
        "hideChart": False, "sort": [[sort, "desc"]], "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }  # fmt: skip
    view = {"type": "index-pattern", "name": _SOURCE, "id": _id(names, "index-pattern", kind)}
    return _object(names, "search", name, attributes, [view])


def _dashboard(names: Names) -> Json:
    name, title, searches = DASHBOARD
    panels, references = [], []
    for number, search in enumerate(searches):
        index = str(number)
        grid = {"x": 0, "y": number * _PANEL_HEIGHT, "w": _GRID_WIDTH, "h": _PANEL_HEIGHT, "i": index}
        panels.append(
            {
                "type": "search",
                "gridData": grid,
                "panelIndex": index,
                "embeddableConfig": {},
                "panelRefName": f"panel_{index}",
            }
        )
        references.append({"type": "search", "name": f"{index}:panel_{index}", "id": _id(names, "search", search)})
    source = {"query": {"query": "", "language": "kuery"}, "filter": []}
    attributes: Json = {
        "title": f"{title} ({names.prefix})", "description": "", "panelsJSON": _text(panels),
        "optionsJSON": _text({"useMargins": True, "hidePanelTitles": False}), "version": 1, "timeRestore": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }  # fmt: skip
    return _object(names, "dashboard", name, attributes, references)


def _text(value: object) -> str:
    return orjson.dumps(value).decode()


assert {column for _, _, kind, columns, _ in SEARCHES if kind == "events" for column in columns} <= INDEXED  # noqa: S101  the one table

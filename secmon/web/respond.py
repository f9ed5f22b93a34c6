"""Answers: a page as HTML or, asked for with `Accept: application/json`, as its data."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from secmon.errors import SecmonError
from secmon.i18n import translator
from secmon.model.alert import ALERT_STATE_ZH, CLOSE_REASON_ZH, AlertState, CloseReason
from secmon.model.event import parse_time
from secmon.web.auth import Visitor

LEVEL_ZH = {"informational": "提示", "low": "低", "medium": "中", "high": "高", "critical": "严重"}
SOURCE_STATE_ZH = {"ok": "正常", "silent": "静默", "paused": "停用", "failing": "异常"}
CHECK_STATE_ZH = {"ok": "正常", "warn": "注意", "fail": "故障", "not_run": "未检查"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def wants_json(request: Request) -> bool:
    """Tell whether the asker wants data: JSON stands in Accept before any HTML."""
    accept = request.headers.get("accept", "")
    at = accept.find("application/json")
    return at >= 0 and not 0 <= accept.find("text/html") < at


def json_response(data: Any, status: int = 200) -> Response:
    """Return data as JSON."""
    return Response(orjson.dumps(data), status_code=status, media_type="application/json")


def respond(request: Request, visitor: Visitor, template: str, data: Mapping[str, Any], *, title: str) -> Response:
    """Return a page, or its data as JSON."""
    if wants_json(request):
        return json_response(data)
    return html(request, template, {"data": data, "title": title, "visitor": visitor})


def html(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return a rendered template."""
    page = _templates().get_template(template)
    return HTMLResponse(page.render(path=request.url.path, query=request.url.query, **values), status_code=status)


def error_page(request: Request, status: int, error: SecmonError) -> Response:
    """Return an error as a page or as JSON."""
    if wants_json(request):
        return json_response({"problem": error.problem, "remedy": error.hint, "text": str(error)}, status)
    text = error.text(translator("zh-CN"))
    return html(request, "error.html.j2", {"title": "出错了", "status": status, "text": text, "visitor": None}, status)


@cache
def _templates() -> jinja2.Environment:
    source = resources.files("secmon.web") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (source / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"local": local_time, "visible": visible, "number": lambda value: f"{value:,}"}
    environment.globals |= {
        "LEVEL_ZH": LEVEL_ZH,
        "STATE_ZH": {state.value: text for state, text in ALERT_STATE_ZH.items()},
        "REASON_ZH": {reason.value: text for reason, text in CLOSE_REASON_ZH.items()},
        "SOURCE_STATE_ZH": SOURCE_STATE_ZH,
        "CHECK_STATE_ZH": CHECK_STATE_ZH,
        "STATES": [state.value for state in AlertState],
        "REASONS": [reason.value for reason in CloseReason],
    }
    return environment


_ZONE = ZoneInfo("Asia/Shanghai")


def local_time(text: str | None) -> str:
    """Return an RFC 3339 time as Beijing time to the second; "—" if there is none."""
    return parse_time(text).astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S") if text else "—"


def visible(value: object) -> str:
    """Return text in which control and bidirectional characters can be seen instead of obeyed."""
    text = "、".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

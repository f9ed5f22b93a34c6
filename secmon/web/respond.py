"""Answers: a page as HTML or, asked for with `Accept: application/json`, as its data."""

import re
from collections.abc import Mapping
from functools import cache, partial
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import jinja2
import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from secmon.errors import SecmonError
from secmon.i18n import translated, translator
from secmon.model.alert import AlertState, CloseReason
from secmon.model.event import Event, parse_time
from secmon.web import words
from secmon.web.auth import NotLoggedIn, Visitor, visitor_of

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_ZONE = ZoneInfo("Asia/Shanghai")
# Fields of an event that stand first in its table; the others follow by name.
_FIRST = ("@timestamp", "event.dataset", "event.action", "event.outcome", "host.name", "user.name", "source.ip")
_LAST = ("event.original", "event.hash", "event.id", "event.ingested", "ecs.version")


def wants_json(request: Request) -> bool:
    """Tell whether the asker wants data: JSON stands in Accept before any HTML."""
    accept = request.headers.get("accept", "")
    at = accept.find("application/json")
    return at >= 0 and not 0 <= accept.find("text/html") < at


def json_response(data: Any, status: int = 200) -> Response:
    """Return data as JSON."""
    return Response(orjson.dumps(data), status_code=status, media_type="application/json")


def respond(
    request: Request,
    visitor: Visitor,
    template: str,
    data: Mapping[str, Any],
    *,
    title: str,
    **shown: Any,
) -> Response:
    """Return a page, or its data as JSON; `shown` is what only the page needs, such as names."""
    if wants_json(request):
        return json_response(data)
    return html(request, template, {"data": data, "title": title, "visitor": visitor, **shown})


def html(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return a rendered template."""
    page = _templates().get_template(template)
    found = {"path": request.url.path, "query": request.url.query, "here": partial(_here, request), **values}
    return HTMLResponse(page.render(found), status_code=status)


def error_page(request: Request, status: int, error: SecmonError) -> Response:
    """Return an error as a page or as JSON."""
    if wants_json(request):
        return json_response({"problem": error.problem, "remedy": error.hint, "text": str(error)}, status)
    values = {"title": "出错了", "status": status, "text": told(error), "visitor": _who(request, status)}
    return html(request, "error.html.j2", values, status)


def told(error: SecmonError) -> str:
    """Return an error in Chinese: what is wrong and, in parentheses, what to do about it."""
    say = translator("zh-CN")
    advice = error.advice(say)
    return error.statement(say) + (f"（{advice}）" if advice else "")


def _who(request: Request, status: int) -> Visitor | None:
    """Return who asks, so that an error page keeps its menu; after a failure nobody foresaw nothing is asked again."""
    if status >= 500:  # noqa: PLR2004  HTTP's own number
        return None
    try:
        return visitor_of(request)
    except (NotLoggedIn, SecmonError):
        return None


def _here(request: Request, **changes: str | None) -> str:
    """Return the address of this page with other parameters; None takes one away. Paging starts anew."""
    left_out = {"cursor", "done", "skipped", "action", *changes}
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name not in left_out]
    query = urlencode(kept + [(name, value) for name, value in changes.items() if value is not None])
    return f"{request.url.path}?{query}" if query else request.url.path


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
    environment.filters |= {
        "local": local_time,
        "visible": visible,
        "number": lambda value: f"{value:,}",
        "chinese": translated,
        "actor": words.actor,
        "field": words.field_name,
        "moments": words.moments,
        "place": words.place,
    }
    environment.globals |= {name: getattr(words, name) for name in dir(words) if name.isupper()}
    environment.globals |= {
        "STATES": [state.value for state in AlertState],
        "REASONS": [reason.value for reason in CloseReason],
    }
    return environment


def local_time(text: str | None) -> str:
    """Return an RFC 3339 time as Beijing time to the second; "—" if there is none."""
    return parse_time(text).astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S") if text else "—"


def visible(value: object) -> str:
    """Return text in which control and bidirectional characters can be seen instead of obeyed."""
    text = "、".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def ordered_event(event: Event | Mapping[str, object]) -> dict[str, object]:
    """Return an event with the fields first that tell most, and its paperwork last."""
    names = [name for name in _FIRST if name in event]
    names += sorted(name for name in event if name not in _FIRST and name not in _LAST)
    names += [name for name in _LAST if name in event]
    return {name: event[name] for name in names}

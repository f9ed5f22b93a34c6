r"""Access logs of nginx and Apache httpd to ECS web events.

Formats: Common and Combined Log Format (Apache httpd, mod_log_config; nginx, ngx_http_log_module, `combined`),
optionally with the virtual host in front (`vhost_combined`) and more fields behind (nginx's packaged `main`).
Both servers escape what a client sent: nginx writes \xNN, Apache also \" \\ \n; so a bare quote ends a field
and nothing a client sends can forge one. Samples: test_corpora/nginx.access, test_corpora/apache.access.
"""

import re
from functools import partial

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.address import host_port, is_ip, source_of, url_of
from secmon.parse.encoding import decode
from secmon.parse.frame import frame_lines
from secmon.parse.kind import Kind
from secmon.parse.times import clf_time
from secmon.parse.url_text import add_meaning

_STAMP = len("07/Sep/2026:08:01:09 +0800")
# Possessive: a quoted text is read once, and never tried again in another way.
_QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
_REST = re.compile(rf"{_QUOTED} (\d{{3}}|-) (\d{{1,18}}|-)(?: {_QUOTED}(?: {_QUOTED})?)?+(.*)", re.DOTALL | re.ASCII)
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}", re.ASCII)  # token, RFC 9110, section 5.6.2
_VERSION = re.compile(r"HTTP/(\d(?:\.\d)?)", re.ASCII)
_ESCAPED = re.compile(r'(?:\\x[0-9A-Fa-f]{2})+|\\["\\]')
_DURATION = re.compile(r" (\d{1,9})\.(\d{3})(?= |$)", re.ASCII)
_TRAILING_QUOTED = re.compile(rf" {_QUOTED}")

_FIRST_FAILURE = 400


def parse(record: Record, context: ParseContext, *, kind: str, module: str) -> list[Event] | Dropped:
    """Return one web event a line.

    A request that is no HTTP (a TLS handshake on a plain port, a port scan) is an event without method and URL;
    its text, as the server escaped it, is `message`.

    Raises:
        ParseError: it is no access line, or at a time that does not exist.
    """
    del context  # the stamps carry their zone
    text = record.text
    front, rest = _split(text)
    if rest is None:
        if not text.strip():
            return Dropped("blank")
        raise ParseError("no access log line", where=record.where)
    try:
        timestamp = clf_time(front[-_STAMP:])
    except ValueError as error:
        raise ParseError("no such time", where=record.where) from error
    request, status, size, referrer, agent, trailing = rest.groups()
    event: Event = {
        "@timestamp": timestamp,
        "event.kind": "event",
        "event.category": ["web"],
        "event.type": ["access"],
        "event.dataset": kind,
        "event.module": module,
    }
    _add_client(event, front[: -_STAMP - 2])
    _add_request(event, request)
    add_meaning(event)
    if status != "-":
        event["http.response.status_code"] = code = int(status)
        if code:
            event["event.outcome"] = "failure" if code >= _FIRST_FAILURE else "success"
    if size != "-":
        event["http.response.body.bytes"] = int(size)
    if referrer and referrer != "-":
        event["http.request.referrer"] = _plain(referrer)
    if agent and agent != "-":
        event["user_agent.original"] = _plain(agent)
    if trailing:
        _add_trailing(event, trailing)
    return [event]


def _split(text: str) -> tuple[str, re.Match[str] | None]:
    """Return what stands before the request, ending with the stamp, and the match of the rest."""
    at = text.find('] "')
    while at >= 0:
        stamp = at - _STAMP
        if stamp > 0 and text[stamp - 1] == "[" and (rest := _REST.match(text, at + 2)):
            return text[:at], rest
        at = text.find('] "', at + 1)
    return "", None


def _add_client(event: Event, front: str) -> None:
    """Add who asked whom: `[vhost[:port] ]address ident user`; a user name may hold blanks."""
    if front.endswith(" - -") and is_ip(front[:-4]):  # nearly every line
        event["source.ip"] = event["source.address"] = front[:-4]
        return
    words = front.rstrip(" ").split(" ")
    if len(words) > 1 and not is_ip(words[0]) and (is_ip(words[1]) or len(words) > 3):  # noqa: PLR2004
        event |= host_port(words.pop(0))
    event |= source_of(words[0])
    user = words[2] if len(words) == 3 else " ".join(words[2:])  # noqa: PLR2004
    if user and user not in {"-", '""'}:
        event["user.name"] = _plain(user)


def _add_request(event: Event, request: str) -> None:
    """Add method, URL and version; HTTP/0.9 has no version."""
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    version = _VERSION.fullmatch(protocol)
    if version is None and protocol[:5] != "HTTP/":
        target = rest
    if not (target and (version or target.startswith("/") or protocol[:5] == "HTTP/") and _METHOD.fullmatch(method)):
        if request not in {"", "-"}:
            event["message"] = request
        return
    event["http.request.method"] = method
    if version:
        event["http.version"] = version[1]
    target = _plain(target)
    if method == "CONNECT" and not target.startswith("/"):
        event["url.original"] = target
        event |= host_port(target)
    elif target.startswith("/"):
        # The case of nearly every line; a virtual host in front has set `url.domain`.
        event["url.original"] = target
        path, has_query, query = target.partition("?")
        event["url.path"] = path
        if has_query:
            event["url.query"] = query
    else:
        event |= url_of(target)


def _add_trailing(event: Event, trailing: str) -> None:
    """Add what can be told without knowing the operator's format: X-Forwarded-For and $request_time."""
    for found in _TRAILING_QUOTED.finditer(trailing):
        client = found[1].partition(",")[0].strip()
        if is_ip(client):
            event["network.forwarded_ip"] = client
            break
    if duration := _DURATION.search(trailing):
        event["event.duration"] = (int(duration[1]) * 1_000 + int(duration[2])) * 1_000_000


def _plain(text: str) -> str:
    """Return what the client sent: escapes undone, except those of control characters and undecodable bytes."""
    return _ESCAPED.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    escape = found[0]
    if escape[1] != "x":
        return escape[1]
    plain, encoding = decode(bytes.fromhex(escape.replace("\\x", "")))
    return plain if encoding != "escaped" and plain.isprintable() else escape


def recognise(sample: list[str], *, hint: re.Pattern[str]) -> float:
    """Return the share of access lines; the two servers' lines differ only in escapes and optional fields."""
    lines = [text for text in sample if text.strip()]
    if not lines:
        return 0.0
    share = sum(_split(text)[1] is not None for text in lines) / len(lines)
    hinted = any(hint.search(text) for text in lines)
    return share * (0.98 if hinted else 0.95)


# nginx escapes in capitals and its packaged format ends with X-Forwarded-For.
_NGINX_HINT = re.compile(r'\\x(?:[0-9A-F][A-F]|[A-F][0-9A-F])|" "[^"]*" "(?:-|[0-9a-f.:, ]+)"(?: [\d.]+)*$')
# Apache escapes in lower case and with a bare backslash, writes "-" for no bytes, and names the virtual host's port.
_APACHE_HINT = re.compile(r'\\x(?:[0-9a-f][a-f]|[a-f][0-9a-f])|\\["\\]|" \d{3} -|^[^ "]+:\d+ [0-9a-f.:]+ ')


def _kind(name: str, module: str, hint: re.Pattern[str]) -> Kind:
    return Kind(
        name=name,
        dataset=name,
        module=module,
        frame=frame_lines,
        parse=partial(parse, kind=name, module=module),
        recognise=partial(recognise, hint=hint),
    )


NGINX = _kind("nginx.access", "nginx", _NGINX_HINT)
APACHE = _kind("apache.access", "apache", _APACHE_HINT)

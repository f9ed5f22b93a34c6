"""Which EVE fields have an ECS name, and how their values become ECS values.

Names follow ECS and filebeat's Suricata module. A converter returns None where the value is not what the name
promises; it then stays under `suricata.eve.<path>`, like everything that has no ECS name.
"""

from collections.abc import Callable
from datetime import UTC

from secmon.model.event import Scalar, Value
from secmon.parse.address import MAX_PORT, canonical_ip
from secmon.parse.json_text import scalars, text_of
from secmon.parse.json_time import json_time

Convert = Callable[[Value], Value | None]

_MAX_ADDRESS = 60


def _text(value: Value) -> Value | None:
    return None if isinstance(value, list) else text_of(value)


def _word(value: Value) -> Value | None:
    return value.lower() if isinstance(value, str) and value else None


def _protocol(value: Value) -> Value | None:
    return _word(value) if value not in ("failed", "unknown") else None


def _texts(value: Value) -> Value | None:
    return [text_of(item) for item in scalars(value)]


def _first(value: Value) -> Value | None:
    return text_of(scalars(value)[0])


def _count(value: Value) -> Value | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _port(value: Value) -> Value | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_PORT else None


def _ip(value: Value) -> Value | None:
    return canonical_ip(value) if isinstance(value, str) and len(value) <= _MAX_ADDRESS else None


def _ips(value: Value) -> Value | None:
    found: list[Scalar] = []
    for item in scalars(value):
        ip = _ip(item)
        if not isinstance(ip, str):
            return None
        found.append(ip)
    return found


def _numbers(value: Value) -> Value | None:
    counts = [item for item in scalars(value) if _count(item) is not None]
    return counts if len(counts) == len(scalars(value)) else None


def _http_version(value: Value) -> Value | None:
    return value.removeprefix("HTTP/") if isinstance(value, str) else None


def _tls_version(value: Value) -> Value | None:
    """Return the version as ECS writes it; Suricata calls 1.0 "TLSv1" (util-ssl, SSLVersionToString)."""
    if value == "TLSv1":
        return "1.0"
    return value.removeprefix("TLS ") if isinstance(value, str) and value.startswith("TLS ") else None


def _digest(value: Value) -> Value | None:
    return value.replace(":", "").upper() if isinstance(value, str) else None


_DNS_TYPES = {"query": "query", "request": "query", "answer": "answer", "response": "answer"}


def _dns_type(value: Value) -> Value | None:
    return _DNS_TYPES.get(value) if isinstance(value, str) else None


def _moment(value: Value) -> Value | None:
    # Suricata always writes its offset: a text without one is not Suricata's, and its zone is unknown.
    return json_time(value, UTC) if isinstance(value, str) and _has_offset(value) else None


def _has_offset(stamp: str) -> bool:
    return stamp.endswith("Z") or "+" in stamp[19:] or "-" in stamp[19:]


def _nanoseconds(value: Value) -> Value | None:
    seconds = _count(value)
    return seconds * 1_000_000_000 if isinstance(seconds, int) and seconds < _MAX_AGE_S else None


_MAX_AGE_S = 9_000_000_000  # what a long holds, in nanoseconds

# EVE path → ECS field and converter.
FIELDS: dict[str, tuple[str, Convert]] = {
    "src_ip": ("source.ip", _ip),
    "src_port": ("source.port", _port),
    "dest_ip": ("destination.ip", _ip),
    "dest_port": ("destination.port", _port),
    "proto": ("network.transport", _word),
    "app_proto": ("network.protocol", _protocol),
    "community_id": ("network.community_id", _text),
    # An id, so text: JavaScript and Elasticsearch's dashboards round integers of this size.
    "flow_id": ("suricata.eve.flow_id", _text),
    "in_iface": ("observer.ingress.interface.name", _text),
    "host": ("observer.name", _text),
    "alert.signature_id": ("rule.id", _text),
    "alert.signature": ("rule.name", _text),
    "alert.category": ("rule.category", _text),
    "alert.rev": ("rule.version", _text),
    "alert.severity": ("event.severity", _count),
    "alert.metadata.mitre_tactic_id": ("threat.tactic.id", _texts),
    "alert.metadata.mitre_tactic_name": ("threat.tactic.name", _texts),
    "alert.metadata.mitre_technique_id": ("threat.technique.id", _texts),
    "alert.metadata.mitre_technique_name": ("threat.technique.name", _texts),
    "http.hostname": ("url.domain", _text),
    "http.http_port": ("url.port", _port),
    "http.http_method": ("http.request.method", _text),
    "http.http_user_agent": ("user_agent.original", _text),
    "http.http_refer": ("http.request.referrer", _text),
    "http.status": ("http.response.status_code", _count),
    "http.length": ("http.response.body.bytes", _count),
    "http.http_content_type": ("http.response.mime_type", _text),
    "http.protocol": ("http.version", _http_version),
    "dns.type": ("dns.type", _dns_type),
    "dns.id": ("dns.id", _text),
    "dns.rcode": ("dns.response_code", _text),
    "dns.rrname": ("dns.question.name", _text),
    "dns.rrtype": ("dns.question.type", _text),
    "dns.queries.rrname": ("dns.question.name", _first),
    "dns.queries.rrtype": ("dns.question.type", _first),
    "dns.answers.rrname": ("dns.answers.name", _texts),
    "dns.answers.rrtype": ("dns.answers.type", _texts),
    "dns.answers.rdata": ("dns.answers.data", _texts),
    "dns.answers.ttl": ("dns.answers.ttl", _numbers),
    "dns.grouped.A": ("dns.resolved_ip", _ips),
    "dns.grouped.AAAA": ("dns.resolved_ip", _ips),
    "tls.sni": ("tls.client.server_name", _text),
    "tls.version": ("tls.version", _tls_version),
    "tls.subject": ("tls.server.subject", _text),
    "tls.issuerdn": ("tls.server.issuer", _text),
    "tls.serial": ("tls.server.x509.serial_number", _digest),
    "tls.fingerprint": ("tls.server.hash.sha1", _digest),
    "tls.ja3.hash": ("tls.client.ja3", _text),
    "tls.ja3s.hash": ("tls.server.ja3s", _text),
    "fileinfo.size": ("file.size", _count),
    "fileinfo.md5": ("file.hash.md5", _text),
    "fileinfo.sha1": ("file.hash.sha1", _text),
    "fileinfo.sha256": ("file.hash.sha256", _text),
    "fileinfo.mimetype": ("file.mime_type", _text),
    "flow.bytes_toserver": ("source.bytes", _count),
    "flow.pkts_toserver": ("source.packets", _count),
    "flow.bytes_toclient": ("destination.bytes", _count),
    "flow.pkts_toclient": ("destination.packets", _count),
    "flow.start": ("event.start", _moment),
    "flow.end": ("event.end", _moment),
    "flow.age": ("event.duration", _nanoseconds),
    "netflow.bytes": ("network.bytes", _count),
    "netflow.pkts": ("network.packets", _count),
    "netflow.start": ("event.start", _moment),
    "netflow.end": ("event.end", _moment),
    "smtp.mail_from": ("email.from.address", _texts),
    "smtp.rcpt_to": ("email.to.address", _texts),
    "krb5.cname": ("user.name", _text),
}

# event_type → event.kind, event.category, event.type; all others are one protocol or another.
TYPES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "alert": ("alert", ("intrusion_detection", "network"), ("info",)),
    "anomaly": ("event", ("network",), ("info",)),
    "arp": ("event", ("network",), ("info",)),
    "drop": ("event", ("network",), ("denied",)),
    "engine": ("event", ("host",), ("info",)),
    "fileinfo": ("event", ("network", "file"), ("info",)),
    "flow": ("event", ("network",), ("connection", "end")),
    "frame": ("event", ("network",), ("info",)),
    "http": ("event", ("network", "web"), ("access", "protocol")),
    "http2": ("event", ("network", "web"), ("access", "protocol")),
    "netflow": ("event", ("network",), ("connection", "end")),
    "packet": ("event", ("network",), ("info",)),
    "smtp": ("event", ("network", "email"), ("info", "protocol")),
    "stats": ("metric", ("host",), ("info",)),
}
PROTOCOL = ("event", ("network",), ("protocol",))

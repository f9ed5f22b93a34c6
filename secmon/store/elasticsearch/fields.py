"""The fields of events that have an index of their own: those our parsers write and our rules and reports ask for.

The full ECS list would exceed Elasticsearch's default limit of 1,000 fields and cost memory on every node. Any other
field lies in one `flattened` field, where it can be asked by its exact value too; nothing is ever silently unfound.
A test compares this table with the expected events of test_corpora/ and with the fields of rules/.
"""

from collections.abc import Mapping
from typing import Final

# Exact text.
_WORDS = """
agent.type agent.version asset.id data.classes data.level data.minor data.token.student_no_national db.namespace
db.operation.name db.query.text destination.domain destination.geo.country_iso_code dll.hash.md5 dll.name dll.path
dns.answers.data dns.answers.name dns.answers.type dns.id dns.question.name dns.question.type dns.response_code
dns.type ecs.version edu.object edu.records email.attachments.file.extension email.attachments.file.name
email.direction email.from.address email.reply_to.address email.subject email.to.address event.action event.category
event.code event.dataset event.hash event.id event.kind event.module event.outcome event.provider event.reason
event.type file.directory file.hash.md5 file.hash.sha256 file.name file.path gen_ai.request.model group.domain
group.id group.name host.name host.os.family http.request.method http.request.referrer http.response.mime_type
http.version log.file.path log.level log.syslog.appname log.syslog.facility.name log.syslog.hostname log.syslog.msgid
log.syslog.procid log.syslog.severity.name log.syslog.version network.community_id network.direction network.protocol
network.transport observer.ingress.interface.name process.command_line process.entity_id process.executable
process.hash.md5 process.hash.sha1 process.hash.sha256 process.name process.parent.command_line
process.parent.entity_id process.parent.executable process.parent.name process.pe.imphash
process.pe.original_file_name process.working_directory registry.data.strings registry.hive registry.key registry.path
rule.category rule.id rule.name rule.version secmon.encoding secmon.url.decoded secmon.url.path server.address
service.name source.address source.domain source.geo.country_iso_code suricata.eve.event_type suricata.eve.flow.state
suricata.eve.ftp.command suricata.eve.ftp.command_data suricata.eve.ftp.completion_code system.auth.ssh.method
system.auth.ssh.signature system.auth.su.tty system.auth.sudo.tty tags threat.indicator.name threat.tactic.id
threat.technique.id tls.client.ja3 tls.client.server_name tls.server.hash.sha1 tls.server.issuer tls.server.ja3s
tls.server.subject tls.server.x509.serial_number tls.version tls.version_protocol unit.id url.domain url.original
url.path url.query url.scheme url.username user.domain user.effective.group.name user.effective.name user.email
user.id user.name user.roles user.target.domain user.target.id user.target.name user_agent.original winlog.api
winlog.channel winlog.computer_name winlog.event_data.AuditPolicyChanges winlog.event_data.AuthenticationPackageName
winlog.event_data.CommandLine winlog.event_data.GrantedAccess winlog.event_data.Image winlog.event_data.ImagePath
winlog.event_data.IpAddress winlog.event_data.LogonType winlog.event_data.NewProcessName
winlog.event_data.ParentCommandLine winlog.event_data.ParentImage winlog.event_data.ParentProcessName
winlog.event_data.Properties winlog.event_data.SourceImage winlog.event_data.SubStatus
winlog.event_data.SubjectUserName winlog.event_data.SubjectUserSid winlog.event_data.TargetFilename
winlog.event_data.TargetImage winlog.event_data.TargetSid winlog.event_data.TargetUserName winlog.keywords
winlog.level winlog.opcode winlog.provider_guid winlog.provider_name winlog.record_id winlog.task
winlog.user.identifier winlog.version
"""
# Exact text, and as an address too: ranges and networks (subfield `ip`).
_ADDRESSES = "destination.ip dns.resolved_ip host.ip network.forwarded_ip server.ip source.ip"
# Exact text, and as a whole number too: ranges and sums (subfield `number`).
_NUMBERS = """
db.response.returned_rows destination.bytes destination.packets destination.port dns.answers.ttl event.duration
event.severity file.size gen_ai.usage.output_tokens http.response.body.bytes http.response.status_code
log.syslog.facility.code log.syslog.priority log.syslog.severity.code network.bytes network.packets process.parent.pid
process.pid source.bytes source.packets source.port url.port winlog.process.pid winlog.process.thread.id
"""
# Moments beside `@timestamp`: exact text only, because events of 1601 and 9999 occur.
_MOMENTS = "event.created event.end event.ingested event.start"
# Kept and not indexed by value: too long and too different. Their words can be searched; a question for the exact value
# is answered by reading.
_LONG_TEXTS = "message event.original"

WORDS: Final = frozenset((*_WORDS.split(), *_MOMENTS.split()))
ADDRESSES: Final = frozenset(_ADDRESSES.split())
NUMBERS: Final = frozenset(_NUMBERS.split())
TIMESTAMP: Final = "@timestamp"
LONG_TEXTS: Final = frozenset((*_LONG_TEXTS.split(), TIMESTAMP))
INDEXED: Final = WORDS | ADDRESSES | NUMBERS
"""Fields whose values can be asked and counted by themselves."""
KNOWN: Final = INDEXED | LONG_TEXTS
"""Fields that stand at the top of a document; all others are below `store.rest`."""
ADDED: Final[Mapping[int, frozenset[str]]] = {
    4: frozenset(
        (
            "db.namespace", "db.operation.name", "db.query.text", "db.response.returned_rows",
            "destination.geo.country_iso_code", "edu.object", "email.attachments.file.extension",
            "email.attachments.file.name", "email.direction", "email.reply_to.address", "email.subject",
            "gen_ai.request.model", "gen_ai.usage.output_tokens", "secmon.url.decoded", "secmon.url.path",
            "source.geo.country_iso_code", "winlog.event_data.AuthenticationPackageName",
            "winlog.event_data.Properties", "winlog.event_data.SubjectUserName", "winlog.event_data.SubjectUserSid",
            "winlog.event_data.TargetFilename",
        )
    ),
}  # fmt: skip
"""`mapping.VERSION` → fields that came to the table with it; all others were in it from the beginning. A field never
leaves the table and never changes its kind: documents that are there would be found no more."""
LATER: frozenset[str] = frozenset().union(*ADDED.values())
"""Fields that documents of an earlier version have below `store.rest`: a question looks for them there too."""

# Fields whose names their sources make up; they are never in the table as a whole.
OPEN_FAMILIES: Final = (
    "winlog.event_data.", "suricata.eve.", "log.syslog.structured_data.", "secmon.sent.", "labels.", "data.token.",
)  # fmt: skip

STORE: Final = "store"
"""The object of our own beside the event's fields: no event has a field of this name at the top."""
REST: Final = "store.rest"
MAX_TEXT: Final = 4_000
"""Longest text, in characters, that an index holds: of any script it stays below `ignore_above` (8,191 UTF-16 units),
which would leave it out in silence, and below Lucene's 32,766 bytes, which would refuse the document."""


def indexed_as(name: str) -> str | None:
    """Return the field of the index that holds a field's value texts; None if only reading tells."""
    if name in INDEXED:
        return name
    if name in LONG_TEXTS or not is_plain(name):
        return None
    return f"{REST}.{name}"


def earlier_place(name: str) -> str | None:
    """Return where documents of earlier versions have a field of the table; None if at its place now."""
    return f"{REST}.{name}" if name in LATER else None


_MAX_NAME = 256


def is_plain(name: str) -> bool:
    """Tell whether a name that a source made up can be a key of the flattened field, and be asked for there."""
    return (
        0 < len(name) <= _MAX_NAME
        and name.isprintable()
        and not set(name) & set("*?\\")
        and not name.startswith(".")
        and not name.endswith(".")
        and ".." not in name
    )

"""Log sources that others send as ECS documents: which events are of them, and what their fields are called.

Sources: Sigma taxonomy 2.1 (appendix of the specification) for log sources and names; the exported fields of Elastic's
integrations for `event.dataset`, `event.module` and where their values stand in ECS. A name that a table does not have
stands verbatim in the event, or below the prefix of its data set (`azure.auditlogs.properties.message`): these logs
have no closed list of names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from secmon.sigma.rule import LogSource

# Field → accepted values in lower case; an empty set accepts any value, but one must be there.
Alternative = Mapping[str, frozenset[str]]
Table = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """A log source.

    Args:
        options: an event is of it if one of these alternatives fits.
        fields: Sigma's names → fields in events.
        prefixes: below which names stand that `fields` does not have, besides as they are.
        is_open: there are such names; otherwise an unknown name is an error on the rule.
    """

    options: tuple[Alternative, ...]
    fields: Table = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    is_open: bool = True

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return the event fields of one of Sigma's names, None if it is unknown."""
        known = self.fields.get(name, ())
        if not self.is_open:
            return known or None
        return tuple(dict.fromkeys((*known, name, *(f"{prefix}.{name}" for prefix in self.prefixes))))


def fits(**fields: str | tuple[str, ...]) -> Alternative:
    """Return events whose fields (`__` for the dot) have one of these values; of "" any value."""
    return {
        name.replace("__", "."): frozenset((values,) if isinstance(values, str) else values) - {""}
        for name, values in fields.items()
    }


def _sent(dataset: str, /, *more: str, prefixes: tuple[str, ...] = (), **names: str | tuple[str, ...]) -> Source:
    """Return the source of a data set; `names` are fields by Sigma's name, `__` for the dot."""
    table = {name.replace("__", "."): (to,) if isinstance(to, str) else to for name, to in names.items()}
    return Source((fits(event__dataset=(dataset, *more)),), table, prefixes or (dataset,))


def _of(*modules: str, vendor: str = "", fields: Table | None = None, prefixes: tuple[str, ...] = ()) -> Source:
    """Return the source of everything that some modules send, or devices of a vendor."""
    options = [fits(event__module=modules), fits(service__type=modules)]
    if vendor:
        options.append(fits(observer__vendor=vendor))
    return Source(tuple(options), fields or {}, prefixes or modules)


# What a web address means, with its escapes undone, and the address itself where the two are the same.
_ADDRESS = ("secmon.url.decoded", "url.original")
_PATH = ("secmon.url.path", "url.path")
MEANT: Table = {names[0]: names for names in (_ADDRESS, _PATH)}

WEB: Table = {
    "c-ip": ("source.ip",),
    "c-uri": _ADDRESS,
    "cs-uri": _ADDRESS,
    "c-uri-extension": ("url.extension",),
    "c-uri-query": ("url.query",),
    "c-uri-stem": _PATH,
    "c-useragent": ("user_agent.original",),
    "cs-bytes": ("http.request.bytes",),
    "cs-content-type": ("http.request.mime_type",),
    "cs-cookie": ("http.request.headers.cookie",),
    "cs-host": ("url.domain",),
    "cs-method": ("http.request.method",),
    "cs-referer": ("http.request.referrer",),
    "cs-referrer": ("http.request.referrer",),
    "cs-uri-query": ("url.query",),
    "cs-uri-stem": _PATH,
    "cs-user-agent": ("user_agent.original",),
    "cs-username": ("user.name",),
    "cs-version": ("http.version",),
    "r-dns": ("url.domain",),
    "s-computername": ("host.name",),
    "s-ip": ("destination.ip",),
    "s-port": ("destination.port", "url.port"),
    "s-sitename": ("service.name",),
    "sc-bytes": ("http.response.body.bytes", "http.response.bytes"),
    "sc-status": ("http.response.status_code",),
    "src_ip": ("source.ip",),
    "dst_ip": ("destination.ip",),
}

DNS: Table = {
    "query": ("dns.question.name",),
    "QueryName": ("dns.question.name",),
    "record_type": ("dns.question.type",),
    "answer": ("dns.answers.data", "dns.resolved_ip"),
    "src_ip": ("source.ip",),
    "dst_ip": ("destination.ip",),
}

_NETWORK: Table = {
    "src_ip": ("source.ip",),
    "src_port": ("source.port",),
    "dst_ip": ("destination.ip",),
    "dst_port": ("destination.port",),
    "proto": ("network.transport",),
}
IDS: Table = {**_NETWORK, "signature": ("rule.name",), "signature_id": ("rule.id",)}
_FIREWALL: Table = {**_NETWORK, "username": ("user.name",), "action": ("event.action",), "blocked": ("event.outcome",)}

LINUX: Table = {
    "USER": ("user.effective.name",),
    "TTY": ("system.auth.sudo.tty", "system.auth.su.tty"),
    "PWD": ("process.working_directory",),
    "COMMAND": ("process.command_line",),
    "src_ip": ("source.ip",),
}

# Names of Sysmon, which Sigma uses for endpoints of every system.
_ENDPOINT: Table = {
    "CommandLine": ("process.command_line",),
    "Image": ("process.executable",),
    "OriginalFileName": ("process.pe.original_file_name",),
    "ProcessId": ("process.pid",),
    "ProcessGuid": ("process.entity_id",),
    "ParentCommandLine": ("process.parent.command_line",),
    "ParentImage": ("process.parent.executable",),
    "ParentProcessId": ("process.parent.pid",),
    "CurrentDirectory": ("process.working_directory",),
    "User": ("user.name",),
    "md5": ("process.hash.md5",),
    "sha1": ("process.hash.sha1",),
    "sha256": ("process.hash.sha256",),
    "TargetFilename": ("file.path",),
    "DestinationHostname": ("destination.domain",),
    "DestinationIp": ("destination.ip",),
    "DestinationPort": ("destination.port",),
    "SourceIp": ("source.ip",),
    "SourcePort": ("source.port",),
    "Protocol": ("network.transport",),
}


def _endpoint(system: str, category: str, code: str, *types: str) -> Source:
    """Return the source of one kind of endpoint event: of an agent that speaks ECS, or of Sysmon for Linux."""
    shape = fits(event__category=category, host__os__type=system)
    options = [{**shape, "event.type": frozenset(types)} if types else shape]
    if system == "linux":
        options += [
            fits(event__dataset="sysmon_linux.log", event__code=code),
            fits(winlog__channel="linux-sysmon/operational", event__code=code),
        ]
    return Source(tuple(options), _ENDPOINT, ("winlog.event_data",))


_AUDITD: Table = {
    "type": ("auditd.log.record_type", "auditd.message_type", "event.action"),
    "exe": ("process.executable",),
    "comm": ("process.name",),
    "name": ("file.path",),
    "euid": ("user.effective.id",),
    "key": ("auditd.log.key", "tags"),
    "SYSCALL": ("auditd.log.syscall", "auditd.data.syscall"),
}

_ZEEK: Table = {
    "id.orig_h": ("source.ip",),
    "id.orig_p": ("source.port",),
    "id.resp_h": ("destination.ip",),
    "id.resp_p": ("destination.port",),
}
_ZEEK_MORE: Mapping[str, Table] = {
    "conn": {},
    "dce_rpc": {},
    "dns": {"query": ("dns.question.name",), "qtype_name": ("dns.question.type",), "answers": ("dns.answers.data",)},
    "files": {},
    "http": {
        "uri": ("url.original",),
        "c-uri": ("url.original",),
        "method": ("http.request.method",),
        "host": ("url.domain",),
        "user_agent": ("user_agent.original",),
        "c-useragent": ("user_agent.original",),
        "status_code": ("http.response.status_code",),
        "request_body_len": ("http.request.body.bytes",),
    },
    "kerberos": {},
    "ntlm": {},
    "rdp": {},
    "smb_files": {"name": ("file.name",), "path": ("file.path",)},
    "smb_mapping": {},
    "smtp": {},
    "ssh": {},
    "ssl": {},
    "x509": {"certificate.serial": ("x509.serial_number", "file.x509.serial_number")},
}

_O365: Table = {
    "Operation": ("event.action",),
    "eventName": ("event.action", "rule.name"),
    "status": ("event.outcome",),
}
_PROXIES = ("squid", "bluecoat", "zscaler", "zscaler_zia", "cisco_umbrella", "forcepoint_web", "mcafee_web", "proxy")
_RESOLVERS = ("suricata", "zeek", "bind", "coredns", "unbound", "dnsmasq", "network_traffic", "infoblox_nios")
_FIREWALLS = (
    "cisco_asa", "cisco_ftd", "checkpoint", "fortinet", "fortinet_fortigate", "hillstone", "huawei_usg", "iptables",
    "juniper_srx", "netfilter", "panw", "pfsense", "sangfor_af", "sonicwall_firewall", "sophos", "topsec", "venustech",
)  # fmt: skip
_APPLICATIONS = ("django", "jvm", "nodejs", "opencanary", "python", "ruby_on_rails", "spring", "sql", "velocity")

_FORTINET = _of(
    "fortinet",
    "fortinet_fortigate",
    vendor="fortinet",
    fields={"action": ("event.action",)},
    prefixes=("fortinet.firewall",),
)
_PALO_ALTO = _of("panw", "paloalto", vendor="palo alto networks", fields=_ENDPOINT)
_CISCO = _of("cisco", "cisco_ios", "cisco_nexus", "cisco_asa", vendor="cisco")

SENT: Mapping[LogSource, Source] = {
    # endpoints
    **{
        LogSource(product=system, category=name): _endpoint(system, *shape)
        for system in ("linux", "macos")
        for name, shape in {
            "process_creation": ("process", "1", "start"),
            "process_termination": ("process", "5", "end"),
            "file_event": ("file", "11", "creation", "change"),
            "file_delete": ("file", "23", "deletion"),
            "network_connection": ("network", "3", "start", "connection"),
        }.items()
    },
    LogSource("linux", service="auditd"): Source(
        (
            fits(event__module=("auditd", "auditd_manager")),
            fits(event__dataset=("auditd.log", "auditd_manager.auditd")),
        ),
        _AUDITD,
        ("auditd.log", "auditd.data"),
    ),
    LogSource("windows", "file_access"): Source((fits(winlog__provider_name="microsoft-windows-kernel-file"),)),
    LogSource("windows", "file_rename"): Source((fits(winlog__provider_name="microsoft-windows-kernel-file"),)),
    # networks
    LogSource(category="proxy"): Source(
        (fits(event__module=_PROXIES), fits(observer__type="proxy"), fits(event__dataset=("proxy", "zeek.http"))), WEB
    ),
    LogSource(category="dns"): Source(
        ({**fits(event__module=_RESOLVERS), "dns.question.name": frozenset()},), DNS, is_open=False
    ),
    LogSource(category="firewall"): Source(
        (fits(event__module=_FIREWALLS), fits(observer__type="firewall")), _FIREWALL
    ),
    LogSource(category="network", service="connection"): Source((fits(event__category="network"),), _NETWORK),
    LogSource(category="network", service="dns"): Source(
        ({**fits(event__category="network"), "dns.question.name": frozenset()},), DNS
    ),
    LogSource(service="netflow"): _of("netflow", fields=_NETWORK, prefixes=("netflow",)),
    **{
        LogSource("zeek", service=name): Source(
            (fits(event__dataset=f"zeek.{name}"),), {**_ZEEK, **more}, (f"zeek.{name}",)
        )
        for name, more in _ZEEK_MORE.items()
    },
    **{LogSource("cisco", service=name): _CISCO for name in ("aaa", "bgp", "ldp", "syslog")},
    **{
        LogSource(product, service=name): _of(product, f"{product}_vrp", f"{product}_junos", vendor=product)
        for product in ("huawei", "juniper")
        for name in ("bgp", "ldp")
    },
    LogSource("fortigate", service="event"): _FORTINET,
    LogSource("fortios", service="sslvpnd"): _FORTINET,
    LogSource("paloalto", "appliance", "globalprotect"): _PALO_ALTO,
    LogSource("paloalto", "file_event", "globalprotect"): _PALO_ALTO,
    # clouds
    LogSource("aws", service="cloudtrail"): _sent(
        "aws.cloudtrail",
        eventName="event.action",
        eventSource="event.provider",
        eventType="aws.cloudtrail.event_type",
        errorCode="aws.cloudtrail.error_code",
        errorMessage="aws.cloudtrail.error_message",
        userAgent="user_agent.original",
        sourceIPAddress="source.ip",
        src_ip="source.ip",
        src_country=("source.geo.country_name", "source.geo.country_iso_code"),
        userIdentity__type="aws.cloudtrail.user_identity.type",
        userIdentity__arn="aws.cloudtrail.user_identity.arn",
        requestParameters="aws.cloudtrail.request_parameters",
        responseElements="aws.cloudtrail.response_elements",
    ),
    LogSource("azure", service="activitylogs"): _sent(
        "azure.activitylogs", operationName=("azure.activitylogs.operation_name", "event.action")
    ),
    LogSource("azure", service="auditlogs"): _sent(
        "azure.auditlogs",
        operationName=("azure.auditlogs.operation_name", "event.action"),
        OperationName=("azure.auditlogs.operation_name", "event.action"),
        Category="azure.auditlogs.category",
    ),
    LogSource("azure", service="signinlogs"): _sent(
        "azure.signinlogs",
        ResultType=("azure.signinlogs.result_type", "azure.signinlogs.properties.status.error_code"),
        resultType=("azure.signinlogs.result_type", "azure.signinlogs.properties.status.error_code"),
        ResultDescription="azure.signinlogs.result_description",
        callerIpAddress="source.ip",
        userAgent="user_agent.original",
        Username="user.name",
    ),
    **{
        LogSource("azure", service=name): _sent(
            "azure.identity_protection",
            "azure.riskdetection",
            "azure.pim",
            prefixes=("azure.identityprotection", "azure.identityprotection.properties"),
            riskEventType="azure.identityprotection.properties.risk_event_type",
        )
        for name in ("riskdetection", "pim")
    },
    LogSource("gcp", service="gcp.audit"): _sent("gcp.audit", prefixes=("gcp.audit",)),
    **{
        LogSource("gcp", service=f"google_workspace.{name}"): _sent(
            f"google_workspace.{name}", eventName="event.action", eventService="event.provider"
        )
        for name in ("admin", "login")
    },
    LogSource("github", service="audit"): _sent("github.audit", action="event.action"),
    LogSource("bitbucket", service="audit"): _sent("bitbucket.audit"),
    LogSource("okta", service="okta"): _sent(
        "okta.system",
        prefixes=("okta",),
        eventType=("event.action", "okta.event_type"),
        displayMessage="okta.display_message",
        actor__alternateId="okta.actor.alternate_id",
        outcome__reason="okta.outcome.reason",
        outcome__result="okta.outcome.result",
    ),
    LogSource("onelogin", service="onelogin.events"): _sent("onelogin.events"),
    LogSource("cisco", service="duo"): Source(
        (fits(event__module=("cisco_duo", "duo")),),
        {"event_type": ("event.action",)},
        ("cisco_duo.auth", "cisco_duo.admin"),
    ),
    **{
        LogSource("m365", service=name): Source((fits(event__dataset="o365.audit"),), _O365, ("o365.audit",))
        for name in ("audit", "exchange", "threat_detection", "threat_management")
    },
    **{
        LogSource("kubernetes", category, "audit"): _sent(
            "kubernetes.audit_logs",
            prefixes=("kubernetes.audit",),
            userAgent="user_agent.original",
            apiGroup="kubernetes.audit.objectRef.apiGroup",
        )
        for category in ("", "application")
    },
    # programs
    **{LogSource(name, "application"): _of(name) for name in _APPLICATIONS},
    LogSource("rpc_firewall", "application"): Source(
        (fits(winlog__channel="rpcfw"), fits(event__module="rpc_firewall")),
        {"EventLog": ("winlog.channel",), "EventID": ("event.code",)},
        ("winlog.event_data",),
    ),
    LogSource(category="antivirus"): Source(
        (fits(event__category="malware"), fits(observer__type="antivirus")),
        {
            "Signature": ("threat.software.name", "rule.name"),
            "Filename": ("file.path", "file.name"),
            "Action": ("event.action",),
        },
    ),
    LogSource(category="database"): Source((fits(event__category="database"),)),
    # services of an education network that speak ECS and that Sigma has no name for
    LogSource(category="ai_gateway"): Source((fits(service__type="ai_gateway"), fits(event__module="ai_gateway"))),
    LogSource(category="backup"): Source((fits(service__type="backup"), fits(event__module="backup"))),
    LogSource(category="email"): Source((fits(event__category="email"),)),
    LogSource(category="vpn"): Source((fits(observer__type="vpn"), fits(event__module="vpn"))),
    LogSource("lms", service="audit"): Source((fits(event__dataset="lms.audit"),)),
    LogSource(service="apache"): _sent("apache.error", "apache.access"),
    LogSource(service="nginx"): _sent("nginx.error", "nginx.access"),
    LogSource("modsecurity"): _of("modsecurity"),
    LogSource("qualys"): _of("qualys", "qualys_vmdr"),
}

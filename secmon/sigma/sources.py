"""Log sources that others send as ECS documents: which events are of them, and what their fields are called.

Sources: Sigma taxonomy 2.1 (appendix of the specification) for log sources and names; the exported fields of Elastic's
integrations for `event.dataset`, `event.module` and where their values stand in ECS. A name that a table does not have
stands verbatim in the event, or below the prefix of its data set (`azure.auditlogs.properties.message`): these logs
have no closed list of names.
"""

from collections.abc import Mapping

from secmon.sigma.clouds import CLOUDS
from secmon.sigma.rule import LogSource
from secmon.sigma.source_shapes import Source, Table, fits, of, sent

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

_PROXIES = ("squid", "bluecoat", "zscaler", "zscaler_zia", "cisco_umbrella", "forcepoint_web", "mcafee_web", "proxy")
_RESOLVERS = ("suricata", "zeek", "bind", "coredns", "unbound", "dnsmasq", "network_traffic", "infoblox_nios")
_FIREWALLS = (
    "cisco_asa", "cisco_ftd", "checkpoint", "fortinet", "fortinet_fortigate", "hillstone", "huawei_usg", "iptables",
    "juniper_srx", "netfilter", "panw", "pfsense", "sangfor_af", "sonicwall_firewall", "sophos", "topsec", "venustech",
)  # fmt: skip
_APPLICATIONS = ("django", "jvm", "nodejs", "opencanary", "python", "ruby_on_rails", "spring", "sql", "velocity")

_FORTINET = of(
    "fortinet",
    "fortinet_fortigate",
    vendor="fortinet",
    fields={"action": ("event.action",)},
    prefixes=("fortinet.firewall",),
)
_PALO_ALTO = of("panw", "paloalto", vendor="palo alto networks", fields=_ENDPOINT)
_CISCO = of("cisco", "cisco_ios", "cisco_nexus", "cisco_asa", vendor="cisco")

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
    LogSource(service="netflow"): of("netflow", fields=_NETWORK, prefixes=("netflow",)),
    **{
        LogSource("zeek", service=name): Source(
            (fits(event__dataset=f"zeek.{name}"),), {**_ZEEK, **more}, (f"zeek.{name}",)
        )
        for name, more in _ZEEK_MORE.items()
    },
    **{LogSource("cisco", service=name): _CISCO for name in ("aaa", "bgp", "ldp", "syslog")},
    **{
        LogSource(product, service=name): of(product, f"{product}_vrp", f"{product}_junos", vendor=product)
        for product in ("huawei", "juniper")
        for name in ("bgp", "ldp")
    },
    LogSource("fortigate", service="event"): _FORTINET,
    LogSource("fortios", service="sslvpnd"): _FORTINET,
    LogSource("paloalto", "appliance", "globalprotect"): _PALO_ALTO,
    LogSource("paloalto", "file_event", "globalprotect"): _PALO_ALTO,
    **CLOUDS,
    # programs
    **{LogSource(name, "application"): of(name) for name in _APPLICATIONS},
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
    LogSource(service="apache"): sent("apache.error", "apache.access"),
    LogSource(service="nginx"): sent("nginx.error", "nginx.access"),
    LogSource("modsecurity"): of("modsecurity"),
    LogSource("qualys"): of("qualys", "qualys_vmdr"),
}

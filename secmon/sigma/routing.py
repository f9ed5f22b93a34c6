"""Which events a rule's log source means.

A route is a list of requirements that all must hold; each offers alternatives, and an alternative is a set of
fields with accepted values. It is computed once per log source, and asked once per distinct combination of the
fields in it. A log source without a route is "unroutable": its rules are listed, never silently dead.

Sources: Sigma's log source guides (Sysmon event ids, Windows audit event ids, channels of Windows services) and,
for our own, the fields that `secmon.parse` sets; what others send as ECS stands in `sources.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from secmon.model.event import Event
from secmon.sigma.rule import LogSource
from secmon.sigma.source_shapes import Alternative, fits
from secmon.sigma.sources import SENT
from secmon.sigma.values import texts_of


@dataclass(frozen=True, slots=True)
class Route:
    """Every requirement must hold, each by at least one of its alternatives."""

    requirements: tuple[tuple[Alternative, ...], ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields it looks at."""
        return frozenset(name for options in self.requirements for option in options for name in option)

    def accepts(self, event: Event) -> bool:
        """Tell whether an event is of this log source."""
        return all(any(_fits(option, event) for option in options) for options in self.requirements)


Router = Callable[[LogSource], Route | None]
"""Finds the route of a log source: `route` over our own events, `native.native_route` over native ones."""


def _fits(option: Alternative, event: Event) -> bool:
    for name, accepted in option.items():
        texts = list(texts_of(event.get(name)))
        if not texts or (accepted and not any(text.lower() in accepted for text in texts)):
            return False
    return True


def _on(channels: str | tuple[str, ...], *codes: int) -> Alternative:
    """Return events of these channels, with these event ids if any are given."""
    names = (channels,) if isinstance(channels, str) else channels
    option = {"winlog.channel": frozenset(name.lower() for name in names)}
    return option | {"event.code": frozenset(map(str, codes))} if codes else option


def _by_dataset(options: tuple[Alternative, ...]) -> tuple[Alternative, ...]:
    """Return the alternatives, and those that know a channel by its data set: some exports name only the provider."""
    more = []
    for option in options:
        for channel, dataset in _DATASETS.items():
            if option.get("winlog.channel") == frozenset({channel.lower()}):
                codes = {name: accepted for name, accepted in option.items() if name != "winlog.channel"}
                more.append({"event.dataset": frozenset({dataset})} | codes)
    return (*options, *more)


_SYSMON = "Microsoft-Windows-Sysmon/Operational"
_SECURITY = "Security"
_POWERSHELL = ("Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational")
_POWERSHELL_CLASSIC = "Windows PowerShell"

_WINDOWS_CATEGORIES: Mapping[str, tuple[Alternative, ...]] = {
    "process_creation": (_on(_SYSMON, 1), _on(_SECURITY, 4688)),
    "file_change": (_on(_SYSMON, 2),),
    "network_connection": (_on(_SYSMON, 3), _on(_SECURITY, 5156)),
    "sysmon_status": (_on(_SYSMON, 4, 16),),
    "process_termination": (_on(_SYSMON, 5), _on(_SECURITY, 4689)),
    "driver_load": (_on(_SYSMON, 6),),
    "image_load": (_on(_SYSMON, 7),),
    "create_remote_thread": (_on(_SYSMON, 8),),
    "raw_access_thread": (_on(_SYSMON, 9),),
    "process_access": (_on(_SYSMON, 10),),
    "file_event": (_on(_SYSMON, 11),),
    "registry_event": (_on(_SYSMON, 12, 13, 14), _on(_SECURITY, 4657)),
    "registry_add": (_on(_SYSMON, 12),),
    "registry_delete": (_on(_SYSMON, 12),),
    "registry_set": (_on(_SYSMON, 13), _on(_SECURITY, 4657)),
    "registry_rename": (_on(_SYSMON, 14),),
    "create_stream_hash": (_on(_SYSMON, 15),),
    "pipe_created": (_on(_SYSMON, 17, 18),),
    "wmi_event": (_on(_SYSMON, 19, 20, 21),),
    "dns_query": (_on(_SYSMON, 22),),
    "file_delete": (_on(_SYSMON, 23, 26),),
    "file_delete_detected": (_on(_SYSMON, 26),),
    "clipboard_change": (_on(_SYSMON, 24),),
    "clipboard_capture": (_on(_SYSMON, 24),),
    "process_tampering": (_on(_SYSMON, 25),),
    "file_block_executable": (_on(_SYSMON, 27),),
    "file_block_shredding": (_on(_SYSMON, 28),),
    "file_executable_detected": (_on(_SYSMON, 29),),
    "sysmon_error": (_on(_SYSMON, 255),),
    "ps_module": (_on(_POWERSHELL, 4103),),
    "ps_script": (_on(_POWERSHELL, 4104),),
    "ps_classic_start": (_on(_POWERSHELL_CLASSIC, 400),),
    "ps_classic_provider_start": (_on(_POWERSHELL_CLASSIC, 600),),
    "ps_classic_script": (_on(_POWERSHELL_CLASSIC, 800),),
    "authentication": (fits(event__category="authentication"),),
}

_WINDOWS_SERVICES: Mapping[str, tuple[str, ...]] = {
    "application": ("Application",),
    "application-experience": (
        "Microsoft-Windows-Application-Experience/Program-Telemetry",
        "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
    ),
    "applocker": (
        "Microsoft-Windows-AppLocker/MSI and Script",
        "Microsoft-Windows-AppLocker/EXE and DLL",
        "Microsoft-Windows-AppLocker/Packaged app-Deployment",
        "Microsoft-Windows-AppLocker/Packaged app-Execution",
    ),
    "appmodel-runtime": ("Microsoft-Windows-AppModel-Runtime/Admin",),
    "appxdeployment-server": ("Microsoft-Windows-AppXDeploymentServer/Operational",),
    "appxpackaging-om": ("Microsoft-Windows-AppxPackaging/Operational",),
    "bits-client": ("Microsoft-Windows-Bits-Client/Operational",),
    "bitlocker": ("Microsoft-Windows-BitLocker/BitLocker Management",),
    "capi2": ("Microsoft-Windows-CAPI2/Operational",),
    "certificateservicesclient-lifecycle-system": (
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
    ),
    "codeintegrity-operational": ("Microsoft-Windows-CodeIntegrity/Operational",),
    "dhcp": ("Microsoft-Windows-DHCP-Server/Operational",),
    "diagnosis-scripted": ("Microsoft-Windows-Diagnosis-Scripted/Operational",),
    "dns-client": ("Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational"),
    "dns-server": ("DNS Server",),
    "dns-server-analytic": ("Microsoft-Windows-DNS-Server/Analytical",),
    "dns-server-audit": ("Microsoft-Windows-DNS-Server/Audit",),
    "driver-framework": ("Microsoft-Windows-DriverFrameworks-UserMode/Operational",),
    "firewall-as": ("Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",),
    "hyper-v-worker": ("Microsoft-Windows-Hyper-V-Worker-Admin", "Microsoft-Windows-Hyper-V-Worker"),
    "iis-configuration": ("Microsoft-IIS-Configuration/Operational",),
    "kernel-event-tracing": ("Microsoft-Windows-Kernel-EventTracing",),
    "kernel-shimengine": (
        "Microsoft-Windows-Kernel-ShimEngine/Operational",
        "Microsoft-Windows-Kernel-ShimEngine/Diagnostic",
    ),
    "ldap": ("Microsoft-Windows-LDAP-Client/Debug",),
    "ldap_debug": ("Microsoft-Windows-LDAP-Client/Debug",),
    "lsa-server": ("Microsoft-Windows-LSA/Operational",),
    "microsoft-servicebus-client": ("Microsoft-ServiceBus-Client",),
    "msexchange-management": ("MSExchange Management",),
    "ntfs": ("Microsoft-Windows-Ntfs/Operational",),
    "ntlm": ("Microsoft-Windows-NTLM/Operational",),
    "openssh": ("OpenSSH/Operational",),
    "powershell": _POWERSHELL,
    "powershell-classic": (_POWERSHELL_CLASSIC,),
    "printservice-admin": ("Microsoft-Windows-PrintService/Admin",),
    "printservice-operational": ("Microsoft-Windows-PrintService/Operational",),
    "security": (_SECURITY,),
    "security-mitigations": (
        "Microsoft-Windows-Security-Mitigations/Kernel Mode",
        "Microsoft-Windows-Security-Mitigations/User Mode",
    ),
    "sense": ("Microsoft-Windows-SENSE/Operational",),
    "servicebus-client": ("Microsoft-ServiceBus-Client/Admin", "Microsoft-ServiceBus-Client/Operational"),
    "shell-core": ("Microsoft-Windows-Shell-Core/Operational",),
    "smbclient-connectivity": ("Microsoft-Windows-SmbClient/Connectivity",),
    "smbclient-security": ("Microsoft-Windows-SmbClient/Security",),
    "smbserver-connectivity": ("Microsoft-Windows-SMBServer/Connectivity",),
    "sysmon": (_SYSMON,),
    "system": ("System",),
    "taskscheduler": ("Microsoft-Windows-TaskScheduler/Operational",),
    "terminalservices-localsessionmanager": ("Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",),
    "vhdmp": ("Microsoft-Windows-VHDMP/Operational",),
    "windefend": ("Microsoft-Windows-Windows Defender/Operational",),
    "wmi": ("Microsoft-Windows-WMI-Activity/Operational",),
}

_WINDOWS: tuple[Alternative, ...] = ({"winlog.channel": frozenset()}, fits(event__module=("windows", "sysmon")))

# What our parsers call the logs of these channels even where an export names only the provider.
_DATASETS = {_SYSMON: "windows.sysmon", _SECURITY: "windows.security", "System": "windows.system"}

# Programs that write to syslog, by Sigma's service name; compared in lower case.
_SSHD = ("sshd", "sshd-session", "sshd-auth")
_SU = ("su", "su-l")
_ACCOUNTS = ("useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd", "passwd", "chpasswd")
_AUTH = (*_SSHD, "sudo", *_SU, *_ACCOUNTS, "chage", "login", "systemd-logind", "polkitd")
_LINUX_SERVICES: Mapping[str, tuple[str, ...]] = {
    "auth": _AUTH,
    "sshd": _SSHD,
    "sudo": ("sudo",),
    "su": _SU,
    "cron": ("cron", "crond"),
    "vsftpd": ("vsftpd",),
    "guacamole": ("guacd",),
    "clamav": ("clamd", "freshclam", "clamav"),
}
_SYSLOG = (fits(event__dataset=("syslog", "sshd", "sudo", "su")),)

_WEBSERVER = (fits(event__dataset=("nginx.access", "apache.access")),)

# (product, category, service) of everything else that we read.
_OWN: Mapping[LogSource, tuple[Alternative, ...]] = {
    LogSource(product="cas", service="audit"): (fits(event__dataset="cas.audit"),),
    LogSource(product="cas"): (fits(event__dataset="cas.audit"),),
    LogSource(product="education", service="audit"): (fits(event__dataset="education.audit"),),
    LogSource(category="webserver"): _WEBSERVER,
    LogSource(product="nginx", category="webserver"): (fits(event__dataset="nginx.access"),),
    LogSource(product="apache", category="webserver"): (fits(event__dataset="apache.access"),),
    LogSource(category="ids"): (fits(event__module="suricata"),),
    LogSource(product="suricata", category="ids"): (fits(event__module="suricata"),),
    LogSource(category="authentication"): (fits(event__category="authentication"),),
}


@lru_cache(maxsize=1024)
def route(source: LogSource) -> Route | None:
    """Return the route of a log source, None if nobody has such a log."""
    if source in SENT:
        return Route((SENT[source].options,))
    if source.product == "windows":
        return _windows(source)
    if source.product == "linux":
        return _linux(source)
    options = _OWN.get(source)
    return Route((options,)) if options else None


def _windows(source: LogSource) -> Route | None:
    requirements = [_WINDOWS]
    if source.category:
        if source.category not in _WINDOWS_CATEGORIES:
            return None
        requirements.append(_by_dataset(_WINDOWS_CATEGORIES[source.category]))
    if source.service:
        if source.service not in _WINDOWS_SERVICES:
            return None
        requirements.append(_by_dataset((_on(_WINDOWS_SERVICES[source.service]),)))
    return Route(tuple(requirements))


def _linux(source: LogSource) -> Route | None:
    if source.category == "authentication":
        return Route((_SYSLOG, (fits(event__category="authentication"),)))
    if source.category:
        return None
    if source.service in {"", "syslog"}:
        return Route((_SYSLOG,))
    if source.service in _LINUX_SERVICES:
        return Route((_SYSLOG, (fits(process__name=_LINUX_SERVICES[source.service]),)))
    return None


def known_sources() -> Iterable[LogSource]:
    """Yield every log source that has a route, for documentation and for hints."""
    yield from _OWN
    yield from SENT
    yield from (LogSource("linux", service=service) for service in _LINUX_SERVICES)
    yield LogSource("linux")
    yield LogSource("windows")
    yield from (LogSource("windows", category=category) for category in _WINDOWS_CATEGORIES)
    yield from (LogSource("windows", service=service) for service in _WINDOWS_SERVICES)

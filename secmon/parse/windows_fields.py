"""From verbatim Windows fields to what they mean: module, data set, category, action, outcome and ECS copies.

Works on an event that already holds every value verbatim: `winlog.event_data.<Name>` and the System values
(`winlog.channel`, `winlog.provider_name`, `winlog.computer_name`, `event.code`, …). It only adds. A log that is
not known is stored all the same: category "host", type "info".
"""

from secmon.model.event import Event, Value
from secmon.parse.windows_logs import BY_PROVIDER, POWERSHELL
from secmon.parse.windows_meaning import Meaning
from secmon.parse.windows_security import SECURITY
from secmon.parse.windows_sysmon import SYSMON

_SYSMON_CHANNEL = "microsoft-windows-sysmon/operational"

# Channel, in lower case → event.dataset. Windows itself does not tell "Security" from "security".
_DATASETS = {
    _SYSMON_CHANNEL: "windows.sysmon",
    "security": "windows.security",
    "system": "windows.system",
    "application": "windows.application",
    "windows powershell": "windows.powershell",
    "microsoft-windows-powershell/operational": "windows.powershell",
    "powershellcore/operational": "windows.powershell",
    "microsoft-windows-windows defender/operational": "windows.defender",
    "microsoft-windows-taskscheduler/operational": "windows.task_scheduler",
    "microsoft-windows-wmi-activity/operational": "windows.wmi",
    "microsoft-windows-dns-client/operational": "windows.dns_client",
    "dns server": "windows.dns_server",
    "microsoft-windows-dns-server/audit": "windows.dns_server",
    "microsoft-windows-windows firewall with advanced security/firewall": "windows.firewall",
    "microsoft-windows-terminalservices-localsessionmanager/operational": "windows.terminal_services",
    "microsoft-windows-terminalservices-remoteconnectionmanager/operational": "windows.terminal_services",
    "microsoft-windows-bits-client/operational": "windows.bits_client",
    "microsoft-windows-ntlm/operational": "windows.ntlm",
    "microsoft-windows-codeintegrity/operational": "windows.code_integrity",
    "microsoft-windows-applocker/exe and dll": "windows.applocker",
    "microsoft-windows-applocker/msi and script": "windows.applocker",
    "microsoft-windows-printservice/admin": "windows.print_service",
    "microsoft-windows-printservice/operational": "windows.print_service",
    "openssh/operational": "windows.openssh",
}
_OTHER = "windows.other"

# Data set → what its ids mean, where the log and not the provider decides.
_BY_DATASET: dict[str, dict[str, Meaning]] = {
    "windows.sysmon": SYSMON,
    "windows.security": SECURITY,
    "windows.powershell": POWERSHELL,
}
# Provider → data set, where no channel is given.
_PROVIDER_DATASETS = {
    "Microsoft-Windows-Sysmon": "windows.sysmon",
    "Microsoft-Windows-Security-Auditing": "windows.security",
    "Microsoft-Windows-PowerShell": "windows.powershell",
    "PowerShell": "windows.powershell",
    "Service Control Manager": "windows.system",
}
_NO_MEANINGS: dict[str, Meaning] = {}
# What says that there is no value.
_ABSENT = frozenset(("", "-"))

# Audit events carry their outcome as a bit of Keywords: winmeta.h, WINEVENT_KEYWORD_AUDIT_SUCCESS and _FAILURE.
_SUCCESS_BIT = 0x0020_0000_0000_0000
_FAILURE_BIT = 0x0010_0000_0000_0000
_KEYWORDS = {
    "0x8020000000000000": "success",
    "0x8010000000000000": "failure",
    "Audit Success": "success",
    "Audit Failure": "failure",
    "审核成功": "success",
    "审核失败": "failure",
}


def describe(event: Event) -> None:
    """Add to a verbatim Windows event what it means."""
    dataset = _dataset(event.get("winlog.channel"), event.get("winlog.provider_name"))
    event["event.kind"] = "event"
    event["event.module"] = "sysmon" if dataset == "windows.sysmon" else "windows"
    event["event.dataset"] = dataset
    computer = event.get("winlog.computer_name")
    if computer is not None:
        event["host.name"] = computer
    meaning = _meaning(event, dataset)
    if meaning is None:
        event["event.category"] = ["host"]
        event["event.type"] = ["info"]
    else:
        event["event.action"] = meaning.action
        event["event.category"] = list(meaning.category)
        event["event.type"] = list(meaning.type)
        for name, write in meaning.copies:
            value = event.get(name)
            if value.__class__ is str and value not in _ABSENT:
                write(event, value)
        if meaning.outcome is not None:
            event["event.outcome"] = meaning.outcome
    if dataset == "windows.security" and "event.outcome" not in event:
        outcome = _audit_outcome(event.get("winlog.keywords"))
        if outcome is not None:
            event["event.outcome"] = outcome


def _dataset(channel: Value | None, provider: Value | None) -> str:
    if channel.__class__ is str:
        return _DATASETS.get(channel) or _DATASETS.get(str(channel).lower(), _OTHER)
    return _PROVIDER_DATASETS.get(provider, _OTHER) if isinstance(provider, str) else _OTHER


def _meaning(event: Event, dataset: str) -> Meaning | None:
    code = event.get("event.code")
    meanings = _BY_DATASET.get(dataset)
    if meanings is None:
        provider = event.get("winlog.provider_name")
        meanings = BY_PROVIDER.get(provider, _NO_MEANINGS) if isinstance(provider, str) else _NO_MEANINGS
    return meanings.get(code) if isinstance(code, str) else None


def _audit_outcome(keywords: Value | None) -> str | None:
    for keyword in keywords if isinstance(keywords, list) else (keywords,):
        if not isinstance(keyword, str):
            continue
        if known := _KEYWORDS.get(keyword):
            return known
        bits = _bits(keyword)
        if bits & _SUCCESS_BIT:
            return "success"
        if bits & _FAILURE_BIT:
            return "failure"
    return None


_MAX_KEYWORD_DIGITS = 20


def _bits(keyword: str) -> int:
    if len(keyword) > _MAX_KEYWORD_DIGITS:
        return 0
    try:
        return int(keyword, 0)
    except ValueError:
        return 0

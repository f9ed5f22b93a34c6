"""What events of the other Windows logs mean in ECS, by provider.

Source: the providers' manifests. Only what education systems' operators and public rules ask for.
"""

from secmon.parse.windows_convert import account, address, file, pid, text
from secmon.parse.windows_meaning import Copies, Meaning, meaning

_CLEARED: Copies = (("SubjectUserName", text("user.name")), ("SubjectDomainName", text("user.domain")))
_SERVICE: Copies = (("ServiceName", text("service.name")), ("AccountName", text("user.name")))
_STATE: Copies = (("param1", text("service.name")),)
_TASK: Copies = (("TaskName", text("service.name")), ("UserContext", account("user")), ("UserName", account("user")))
_SESSION: Copies = (("User", account("user")), ("Address", address("source.ip")))
_REMOTE: Copies = (
    ("Param1", text("user.name")),
    ("Param2", text("user.domain")),
    ("Param3", address("source.ip")),
)
_SCRIPT: Copies = (("Path", file("file")),)
_THREAT: Copies = (
    ("Threat Name", text("threat.indicator.name")),
    ("Process Name", text("process.executable")),
    ("Detection User", account("user")),
)
_FIREWALL_RULE: Copies = (("RuleName", text("rule.name")), ("RuleId", text("rule.id")))
_WMI: Copies = (("User", account("user")), ("ClientProcessId", pid("process.pid")))

POWERSHELL: dict[str, Meaning] = {
    "400": meaning("engine-started", "process", "start"),
    "403": meaning("engine-stopped", "process", "end"),
    "600": meaning("provider-started", "process", "info"),
    "800": meaning("pipeline-executed", "process", "info"),
    "4103": meaning("module-logged", "process", "info"),
    "4104": meaning("script-block-logged", "process", "info", _SCRIPT),
    "4105": meaning("script-block-started", "process", "start"),
    "4106": meaning("script-block-stopped", "process", "end"),
    "40961": meaning("console-starting", "process", "start"),
    "40962": meaning("console-ready", "process", "info"),
    "53504": meaning("ipc-listening", "process", "info"),
}

# provider → event id → meaning
BY_PROVIDER: dict[str, dict[str, Meaning]] = {
    "Microsoft-Windows-Eventlog": {
        "104": meaning("log-cleared", "configuration", "deletion", _CLEARED, outcome="success"),
        "1102": meaning("audit-log-cleared", "iam configuration", "admin deletion", _CLEARED, outcome="success"),
    },
    "Service Control Manager": {
        "7023": meaning("service-failed", "host", "end", _STATE, outcome="failure"),
        "7034": meaning("service-crashed", "host", "end", _STATE, outcome="failure"),
        "7036": meaning("service-state-changed", "host", "change", _STATE),
        "7040": meaning("service-start-type-changed", "configuration", "change", _STATE),
        "7045": meaning("service-installed", "configuration", "creation", _SERVICE),
    },
    "Microsoft-Windows-TaskScheduler": {
        "106": meaning("scheduled-task-created", "configuration", "creation", _TASK),
        "129": meaning("scheduled-task-process-created", "process", "start", _TASK),
        "140": meaning("scheduled-task-updated", "configuration", "change", _TASK),
        "141": meaning("scheduled-task-deleted", "configuration", "deletion", _TASK),
        "200": meaning("scheduled-task-started", "process", "start", _TASK),
        "201": meaning("scheduled-task-completed", "process", "end", _TASK),
    },
    "Microsoft-Windows-TerminalServices-LocalSessionManager": {
        "21": meaning("session-logged-in", "authentication session", "start", _SESSION, outcome="success"),
        "23": meaning("session-logged-out", "authentication session", "end", _SESSION, outcome="success"),
        "24": meaning("session-disconnected", "authentication session", "end", _SESSION, outcome="success"),
        "25": meaning("session-reconnected", "authentication session", "start", _SESSION, outcome="success"),
    },
    "Microsoft-Windows-TerminalServices-RemoteConnectionManager": {
        "1149": meaning("remote-desktop-authenticated", "authentication", "start", _REMOTE, outcome="success"),
    },
    "Microsoft-Windows-Windows Defender": {
        "1006": meaning("malware-detected", "malware", "info", _THREAT),
        "1007": meaning("malware-action-taken", "malware", "info", _THREAT),
        "1116": meaning("malware-detected", "malware", "info", _THREAT),
        "1117": meaning("malware-action-taken", "malware", "info", _THREAT),
        "5001": meaning("real-time-protection-disabled", "configuration", "change"),
        "5007": meaning("antivirus-configuration-changed", "configuration", "change"),
        "5010": meaning("malware-scan-disabled", "configuration", "change"),
        "5012": meaning("virus-scan-disabled", "configuration", "change"),
    },
    "Microsoft-Windows-Windows Firewall With Advanced Security": {
        "2004": meaning("firewall-rule-added", "configuration", "creation", _FIREWALL_RULE),
        "2005": meaning("firewall-rule-changed", "configuration", "change", _FIREWALL_RULE),
        "2006": meaning("firewall-rule-deleted", "configuration", "deletion", _FIREWALL_RULE),
    },
    "Microsoft-Windows-WMI-Activity": {
        "5857": meaning("wmi-provider-started", "process", "start"),
        "5858": meaning("wmi-query-failed", "process", "info", _WMI, outcome="failure"),
        "5860": meaning("wmi-subscription-registered", "configuration", "creation"),
        "5861": meaning("wmi-subscription-registered", "configuration", "creation"),
    },
    "Microsoft-Windows-DNS-Client": {
        "3008": meaning("dns-query-completed", "network", "protocol info", (("QueryName", text("dns.question.name")),)),
        "3020": meaning("dns-query-answered", "network", "protocol info", (("QueryName", text("dns.question.name")),)),
    },
}

"""What Sysmon's events mean in ECS. Source: Sysmon's manifest, schema 4.90; actions are its own event names."""

from secmon.parse.windows_convert import (
    account,
    address,
    direction,
    executable,
    file,
    hashes,
    pid,
    port,
    registry,
    registry_type,
    text,
    texts,
    transport,
)
from secmon.parse.windows_meaning import Copies, Meaning, meaning

_PROCESS: Copies = (
    ("Image", executable("process")),
    ("ProcessId", pid("process.pid")),
    ("ProcessGuid", text("process.entity_id")),
    ("User", account("user")),
)
_CREATED: Copies = (
    ("CommandLine", text("process.command_line")),
    ("CurrentDirectory", text("process.working_directory")),
    ("OriginalFileName", text("process.pe.original_file_name")),
    ("Hashes", hashes("process")),
    ("ParentImage", executable("process.parent")),
    ("ParentProcessId", pid("process.parent.pid")),
    ("ParentProcessGuid", text("process.parent.entity_id")),
    ("ParentCommandLine", text("process.parent.command_line")),
)
# The process that acts on another one.
_SOURCE: Copies = (
    ("SourceImage", executable("process")),
    ("SourceProcessId", pid("process.pid")),
    ("SourceProcessGuid", text("process.entity_id")),
    ("SourceProcessGUID", text("process.entity_id")),  # event 10 writes it so, event 8 does not
    ("SourceUser", account("user")),
)
_CONNECTION: Copies = (
    ("Protocol", transport),
    ("Initiated", direction),
    ("SourceIp", address("source.ip")),
    ("SourcePort", port("source.port")),
    ("SourceHostname", text("source.domain")),
    ("DestinationIp", address("destination.ip")),
    ("DestinationPort", port("destination.port")),
    ("DestinationHostname", text("destination.domain")),
)
_USER: Copies = (("User", account("user")),)
_FILE: Copies = (("TargetFilename", file("file")),)
_FILE_HASHES: Copies = (*_FILE, ("Hashes", hashes("file")))
_STREAM: Copies = (*_FILE, ("Hash", hashes("file")))
_DRIVER: Copies = (("ImageLoaded", file("file")), ("Hashes", hashes("file")))
_LIBRARY: Copies = (("ImageLoaded", file("dll")), ("Hashes", hashes("dll")))
_REGISTRY: Copies = (("TargetObject", registry),)
_REGISTRY_OBJECT: Copies = (*_REGISTRY, ("EventType", registry_type))
_REGISTRY_VALUE: Copies = (*_REGISTRY, ("Details", texts("registry.data.strings")))
_PIPE: Copies = (("PipeName", text("file.name")),)
_QUERY: Copies = (("QueryName", text("dns.question.name")),)

SYSMON: dict[str, Meaning] = {
    "1": meaning("ProcessCreate", "process", "start", _PROCESS, _CREATED),
    "2": meaning("FileCreateTime", "file", "change", _PROCESS, _FILE),
    "3": meaning("NetworkConnect", "network", "connection start", _PROCESS, _CONNECTION),
    "4": meaning("ServiceStateChange", "host", "change"),
    "5": meaning("ProcessTerminate", "process", "end", _PROCESS),
    "6": meaning("DriverLoad", "driver", "start", _DRIVER),
    "7": meaning("ImageLoad", "library", "start", _PROCESS, _LIBRARY),
    "8": meaning("CreateRemoteThread", "process", "change", _SOURCE),
    "9": meaning("RawAccessRead", "process", "access", _PROCESS),
    "10": meaning("ProcessAccess", "process", "access", _SOURCE),
    "11": meaning("FileCreate", "file", "creation", _PROCESS, _FILE),
    "12": meaning("RegistryEvent", "registry", "change", _PROCESS, _REGISTRY_OBJECT),
    "13": meaning("RegistryEvent", "registry", "change", _PROCESS, _REGISTRY_VALUE),
    "14": meaning("RegistryEvent", "registry", "change", _PROCESS, _REGISTRY),
    "15": meaning("FileCreateStreamHash", "file", "creation", _PROCESS, _STREAM),
    "16": meaning("ServiceConfigurationChange", "configuration", "change"),
    "17": meaning("PipeEvent", "file", "creation", _PROCESS, _PIPE),
    "18": meaning("PipeEvent", "file", "access", _PROCESS, _PIPE),
    "19": meaning("WmiEvent", "configuration", "change", _USER),
    "20": meaning("WmiEvent", "configuration", "change", _USER),
    "21": meaning("WmiEvent", "configuration", "change", _USER),
    "22": meaning("DnsQuery", "network", "protocol info", _PROCESS, _QUERY),
    "23": meaning("FileDelete", "file", "deletion", _PROCESS, _FILE_HASHES),
    "24": meaning("ClipboardChange", "host", "change", _PROCESS),
    "25": meaning("ProcessTampering", "process", "change", _PROCESS),
    "26": meaning("FileDeleteDetected", "file", "deletion", _PROCESS, _FILE_HASHES),
    "27": meaning("FileBlockExecutable", "file", "creation", _PROCESS, _FILE_HASHES, outcome="failure"),
    "28": meaning("FileBlockShredding", "file", "deletion", _PROCESS, _FILE_HASHES, outcome="failure"),
    "29": meaning("FileExecutableDetected", "file", "creation", _PROCESS, _FILE_HASHES),
    "255": meaning("Error", "host", "info"),
}

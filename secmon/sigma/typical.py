r"""Ordinary Windows events, as a sample of lines before any line was seen.

A gate looks for texts that stand in few lines (`gate.py`). Which are rare is known beforehand, roughly: `\system32\`
stands in most lines, `mimikatz` in none. These events are what an idle office computer writes: made up, after the
field lists of the sources, with reserved names and addresses, of the kinds that are frequent or that many rules ask
for. What is wrong here costs time until a gate is learnt anew, and never a hit.

Sources: Sysmon's event schema (sysmon.exe -s, 4.90); Microsoft, "Advanced security audit policy settings" (4624, 4688
and others); about_Logging_Windows and about_Eventlogs of PowerShell.
"""

from collections.abc import Iterator

from secmon.model.event import Event

_COMPUTER = "PC-0117.example.edu.cn"
_TIME = "2026-03-02 01:17:42.118"
_GUID = "{3f2b6c1a-5a07-69a4-2b01-000000001700}"
_USER = "EXAMPLE\\zhang.san"
_SYSTEM = "NT AUTHORITY\\SYSTEM"
_SID = "S-1-5-21-1004336348-1177238915-682003330-1104"
_WINDOWS = "C:\\Windows\\"
_SYSTEM32 = "C:\\Windows\\System32\\"
_FILES = "C:\\Program Files\\"
_FILES_86 = "C:\\Program Files (x86)\\"
_LOCAL = "C:\\Users\\zhang.san\\AppData\\Local\\"
_ROAMING = "C:\\Users\\zhang.san\\AppData\\Roaming\\"
_EDGE = f"{_FILES_86}Microsoft\\Edge\\Application\\msedge.exe"
_POWERSHELL = f"{_SYSTEM32}WindowsPowerShell\\v1.0\\powershell.exe"
_DEFENDER = "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.24010.12-0\\MsMpEng.exe"
_SVCHOST, _EXPLORER = f"{_SYSTEM32}svchost.exe", f"{_WINDOWS}explorer.exe"
_HASHES = (
    "SHA1=8DCA9749CD48D286950E7A9FA1088C937CBCCAD4,MD5=D9E4A3F2B1C06E5D7A8B9C0D1E2F3A4B,"
    "SHA256=6C5F3B1E0D9A8B7C6D5E4F3A2B1C0D9E8F7A6B5C4D3E2F1A0B9C8D7E6F5A4B3C,IMPHASH=272245E2988E1E430500B852C4FB5E18"
)
_MICROSOFT = "Microsoft® Windows® Operating System"

# Image, command line, parent, description.
_PROCESSES = (
    (_SVCHOST, f"{_SYSTEM32}svchost.exe -k netsvcs -p -s Schedule", f"{_SYSTEM32}services.exe", "Host Process"),
    (f"{_SYSTEM32}conhost.exe", "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1", _POWERSHELL, "Console"),
    (_POWERSHELL, "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\Scripts\\inventory.ps1", _SVCHOST, "-"),
    (f"{_SYSTEM32}cmd.exe", '"C:\\Windows\\system32\\cmd.exe" /c ver', _EXPLORER, "Windows Command Processor"),
    (f"{_SYSTEM32}rundll32.exe", f"rundll32.exe {_SYSTEM32}shell32.dll,Control_RunDLL", _SVCHOST, "Windows host"),
    (_EDGE, f'"{_EDGE}" --type=renderer --lang=zh-CN --field-trial-handle=1720,i,123 /prefetch:1', _EDGE, "Edge"),
    (f"{_SYSTEM32}taskhostw.exe", "taskhostw.exe SYSTEM", _SVCHOST, "Host Process for Windows Tasks"),
    (f"{_SYSTEM32}wbem\\WmiPrvSE.exe", f"{_SYSTEM32}wbem\\wmiprvse.exe -secured -Embedding", _SVCHOST, "WMI Provider"),
    (f"{_SYSTEM32}SearchIndexer.exe", f"{_SYSTEM32}SearchIndexer.exe /Embedding", f"{_SYSTEM32}services.exe", "Search"),
    (f"{_LOCAL}Programs\\Update\\update.exe", f'"{_LOCAL}Temp\\update.exe" --check', _EXPLORER, "Updater"),
    (f"{_FILES}Microsoft Office\\root\\Office16\\WINWORD.EXE", '"WINWORD.EXE" /n "D:\\计划.docx"', _EXPLORER, "Word"),
)
_TARGETS = (
    f"{_LOCAL}Temp\\__PSScriptPolicyTest_q2vhw0zt.1xk.ps1",
    f"{_LOCAL}Microsoft\\Windows\\INetCache\\IE\\A1B2C3D4\\logo[1].png",
    f"{_ROAMING}Microsoft\\Windows\\Recent\\report.lnk",
    f"{_SYSTEM32}config\\systemprofile\\AppData\\Local\\cache.dat",
    f"{_WINDOWS}Temp\\tmp4F2A.tmp",
    f"{_WINDOWS}Prefetch\\SVCHOST.EXE-0C867EC1.pf",
    "C:\\ProgramData\\Microsoft\\Windows\\WER\\Temp\\report.xml",
    f"{_FILES}Common Files\\component.dll",
)
_KEYS = (
    ("HKLM\\System\\CurrentControlSet\\Services\\W32Time\\Config\\LastKnownGoodTime", "DWORD (0x00000001)"),
    ("HKLM\\System\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces\\{6f1}\\DhcpIPAddress", "192.0.2.17"),
    ("HKU\\S-1-5-21-1004336348\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\FileExts\\.txt", "Binary Data"),
    ("HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tasks\\{2b}\\DynamicInfo", "(Empty)"),
    ("HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Group Policy\\State\\Machine", "QWORD (0x01da-0x6c5f)"),
    ("HKLM\\SOFTWARE\\Microsoft\\SystemCertificates\\Root\\Certificates", f"{_SYSTEM32}drivers\\etc.sys"),
    ("HKLM\\SOFTWARE\\WOW6432Node\\Classes\\CLSID\\{4590f811}\\InprocServer32\\(Default)", f"{_SYSTEM32}combase.dll"),
    ("HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows Defender\\Signature Updates", "DWORD (0x00000000)"),
)
_MODULES = (
    (_SVCHOST, f"{_SYSTEM32}ntdll.dll", "NT Layer DLL"),
    (f"{_SYSTEM32}wbem\\WmiPrvSE.exe", f"{_SYSTEM32}wbem\\wbemprox.dll", "WMI"),
    (_POWERSHELL, f"{_WINDOWS}assembly\\NativeImages_v4.0.30319_64\\System\\1a2b\\System.ni.dll", ".NET Framework"),
    (_POWERSHELL, f"{_WINDOWS}Microsoft.NET\\Framework64\\v4.0.30319\\clr.dll", "Microsoft .NET Runtime"),
    (_EXPLORER, f"{_SYSTEM32}amsi.dll", "Anti-Malware Scan Interface"),
    (_EDGE, f"{_SYSTEM32}dbghelp.dll", "Windows Image Helper"),
    (f"{_SYSTEM32}taskhostw.exe", f"{_SYSTEM32}taskschd.dll", "Task Scheduler COM API"),
    (f"{_WINDOWS}SysWOW64\\rundll32.exe", f"{_WINDOWS}SysWOW64\\samlib.dll", "SAM Library DLL"),
)
_CALLS = f"{_SYSTEM32}ntdll.dll+9d4c4|{_SYSTEM32}KERNELBASE.dll+2bcbe|{_SYSTEM32}kernel32.dll+17614"
_ACCESSES = (
    (_SVCHOST, f"{_SYSTEM32}lsass.exe", "0x1000"),
    (_DEFENDER, _SVCHOST, "0x1400"),
    (f"{_SYSTEM32}csrss.exe", _POWERSHELL, "0x1fffff"),
    (f"{_SYSTEM32}wbem\\WmiPrvSE.exe", _EXPLORER, "0x1410"),
)
_SCRIPTS = (
    "prompt",
    "{ Set-StrictMode -Version 1; $_.PSMessageDetails }",
    "function Get-Inventory { param([string]$Path) Get-ChildItem -Path $Path | Select-Object Name, Length }",
    "Import-Module Microsoft.PowerShell.Utility; New-Object System.Object | Add-Member -Type NoteProperty",
    "Get-WmiObject -Class Win32_OperatingSystem | Out-File $env:TEMP\\os.txt; Get-Process | Where-Object { $_.Id }",
)
_HOST = (
    "        Severity = Informational\r\n        Host Name = ConsoleHost\r\n        Host Version = 5.1.19041.1\r\n"
    f"        Host Application = {_POWERSHELL}\r\n        Engine Version = 5.1.19041.1\r\n"
    f"        User = {_USER}\r\n        Connected User = \r\n        Shell ID = Microsoft.PowerShell\r\n"
)


def typical_events() -> Iterator[Event]:
    """Yield the events, with native names of fields (`Channel`, `EventID`, `Image` …)."""
    yield from _processes()
    yield from _files_and_registry()
    yield from _other_sysmon()
    yield from _powershell()
    yield from _audited()
    yield from _system()


def _event(channel: str, provider: str, code: int, **fields: str) -> Event:
    return {
        "EventID": code,
        "Channel": channel,
        "Provider_Name": provider,
        "Computer": _COMPUTER,
        "SystemTime": "2026-03-02T01:17:42.118Z",
        "Level": "4",
        "Keywords": "0x8000000000000000",
        **fields,
    }


def _sysmon(code: int, **fields: str) -> Event:
    shared = {"RuleName": "-", "UtcTime": _TIME, "ProcessGuid": _GUID, "ProcessId": "4312"}
    return _event(
        "Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", code, **shared, User=_SYSTEM, **fields
    )


def _security(code: int, **fields: str) -> Event:
    shared = {"SubjectUserSid": _SID, "SubjectUserName": "zhang.san", "SubjectDomainName": "EXAMPLE"}
    provider = "Microsoft-Windows-Security-Auditing"
    return _event("Security", provider, code, **shared, SubjectLogonId="0x3e7", **fields)


def _processes() -> Iterator[Event]:
    for image, command, parent, description in _PROCESSES:
        yield _sysmon(
            1,
            Image=image,
            CommandLine=command,
            ParentImage=parent,
            ParentCommandLine=parent,
            Description=description,
            Product=_MICROSOFT,
            Company="Microsoft Corporation",
            OriginalFileName=image.rpartition("\\")[2],
            FileVersion="10.0.19041.1 (WinBuild.160101.0800)",
            CurrentDirectory=_SYSTEM32,
            LogonId="0x3e7",
            IntegrityLevel="System",
            Hashes=_HASHES,
        )
        yield _security(
            4688,
            NewProcessId="0x10d8",
            NewProcessName=image,
            CommandLine=command,
            ParentProcessName=parent,
            TokenElevationType="%%1936",
            MandatoryLabel="S-1-16-16384",
            TargetUserName="-",
        )
    yield _sysmon(5, Image=_SVCHOST)
    yield _security(4689, ProcessId="0x10d8", ProcessName=_SVCHOST, Status="0x0")


def _files_and_registry() -> Iterator[Event]:
    for target in _TARGETS:
        yield _sysmon(11, Image=_EXPLORER, TargetFilename=target, CreationUtcTime=_TIME)
        yield _sysmon(11, Image=_POWERSHELL, TargetFilename=target, CreationUtcTime=_TIME)
        yield _sysmon(23, Image=_SVCHOST, TargetFilename=target, Hashes=_HASHES, IsExecutable="false", Archived="true")
    yield _sysmon(26, Image=_POWERSHELL, TargetFilename=_TARGETS[0], Hashes=_HASHES, IsExecutable="false")
    yield _sysmon(2, Image=_EDGE, TargetFilename=_TARGETS[0], CreationUtcTime=_TIME, PreviousCreationUtcTime=_TIME)
    yield _sysmon(15, Image=_EDGE, TargetFilename="C:\\Users\\zhang.san\\Downloads\\a.pdf:Zone.Identifier")
    for key, details in _KEYS:
        yield _sysmon(12, EventType="CreateKey", Image=_SVCHOST, TargetObject=key)
        yield _sysmon(13, EventType="SetValue", Image=_SVCHOST, TargetObject=key, Details=details)
    yield _sysmon(14, EventType="RenameKey", Image=_SVCHOST, TargetObject=_KEYS[0][0], NewName=_KEYS[1][0])
    key = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\W32Time\\Config"
    yield _security(4657, ObjectName=key, ObjectValueName="LastKnownGoodTime", NewValue="1", ProcessName=_SVCHOST)
    yield _security(4663, ObjectType="Key", ObjectName=key, AccessList="%%4432\n", ProcessName=_SVCHOST)
    yield _security(4656, ObjectType="Key", ObjectName=key, AccessMask="0x20019", ProcessName=_SVCHOST)
    yield _security(4656, ObjectType="File", ObjectName=_TARGETS[3], AccessMask="0x120089", ProcessName=_DEFENDER)
    yield _security(4658, ObjectServer="Security", HandleId="0x1a4", ProcessName=_SVCHOST)


def _other_sysmon() -> Iterator[Event]:
    for image, port in ((_SVCHOST, "443"), (_EDGE, "443"), (f"{_SYSTEM32}lsass.exe", "389"), (_POWERSHELL, "80")):
        yield _sysmon(
            3,
            Image=image,
            Protocol="tcp",
            Initiated="true",
            SourceIp="192.0.2.17",
            SourceHostname=_COMPUTER,
            SourcePort="49732",
            DestinationIp="198.51.100.8",
            DestinationHostname="www.example.com",
            DestinationPort=port,
            DestinationPortName="https",
        )
    for image, loaded, description in _MODULES:
        yield _sysmon(
            7,
            Image=image,
            ImageLoaded=loaded,
            Description=description,
            Product=_MICROSOFT,
            Company="Microsoft Corporation",
            OriginalFileName=loaded.rpartition("\\")[2],
            Hashes=_HASHES,
            Signed="true",
            Signature="Microsoft Windows",
            SignatureStatus="Valid",
        )
    for source, target, access in _ACCESSES:
        yield _sysmon(10, SourceImage=source, TargetImage=target, GrantedAccess=access, CallTrace=_CALLS)
    yield _sysmon(6, ImageLoaded=f"{_SYSTEM32}drivers\\WdFilter.sys", Hashes=_HASHES, Signed="true")
    yield _sysmon(8, SourceImage=f"{_SYSTEM32}csrss.exe", TargetImage=_POWERSHELL, StartModule=f"{_SYSTEM32}kernel32")
    yield _sysmon(9, Image=_DEFENDER, Device="\\Device\\HarddiskVolume2")
    for code in (17, 18):
        yield _sysmon(code, EventType="CreatePipe", PipeName="\\wkssvc", Image="System")
        yield _sysmon(code, EventType="CreatePipe", PipeName="\\PSHost.1234.DefaultAppDomain", Image=_POWERSHELL)
        yield _sysmon(code, EventType="CreatePipe", PipeName="\\mojo.4312.88.1234567", Image=_EDGE)
    for name in ("www.example.com", "PC-0117", "dc01.example.edu.cn", "_ldap._tcp.dc._msdcs.example.edu.cn"):
        yield _sysmon(22, QueryName=name, QueryStatus="0", QueryResults="::ffff:198.51.100.8;", Image=_SVCHOST)
    yield _sysmon(25, Image=_EDGE, Type="Image is replaced")


def _powershell() -> Iterator[Event]:
    channel, provider = "Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell"
    for text in _SCRIPTS:
        yield _event(channel, provider, 4104, MessageNumber="1", ScriptBlockText=text, ScriptBlockId="3f2b", Path="")
        payload = (
            f'CommandInvocation(Out-Default): "Out-Default"\r\nParameterBinding: name="InputObject"; value="{text}"'
        )
        yield _event(channel, provider, 4103, ContextInfo=_HOST, UserData="", Payload=payload)
    yield _event(channel, provider, 4105, ScriptBlockId="3f2b", RunspaceId="5a07")
    yield _event(channel, provider, 4106, ScriptBlockId="3f2b", RunspaceId="5a07")
    channel, provider = "Windows PowerShell", "PowerShell"
    yield _event(channel, provider, 400, Data=f"Available None {_HOST}")
    yield _event(channel, provider, 600, Data=f"Registry Started ProviderName=Registry {_HOST}")
    yield _event(channel, provider, 800, Data=f"{_SCRIPTS[2]} {_HOST}")


def _audited() -> Iterator[Event]:
    logon = {"TargetUserName": "PC-0117$", "TargetDomainName": "EXAMPLE", "LogonProcessName": "Kerberos"}
    yield _security(4624, **logon, LogonType="3", AuthenticationPackageName="Kerberos", IpAddress="192.0.2.17")
    yield _security(4624, **logon, LogonType="5", AuthenticationPackageName="Negotiate", ProcessName=_SVCHOST)
    yield _security(4625, **logon, LogonType="3", Status="0xc000006d", SubStatus="0xc000006a", WorkstationName="-")
    yield _security(4634, TargetUserName="zhang.san", LogonType="3")
    yield _security(4648, **logon, TargetServerName="localhost", ProcessName=f"{_SYSTEM32}lsass.exe")
    yield _security(4662, ObjectServer="DS", ObjectType="%{19195a5b}", AccessMask="0x100", Properties="%%7688")
    yield _security(4672, PrivilegeList="SeSecurityPrivilege\n\t\tSeBackupPrivilege\n\t\tSeDebugPrivilege")
    yield _security(4673, Service="-", PrivilegeList="SeTcbPrivilege", ProcessName=_EDGE)
    yield _security(4768, TargetUserName="zhang.san", ServiceName="krbtgt", TicketEncryptionType="0x12", Status="0x0")
    yield _security(4769, TargetUserName=_USER, ServiceName="DC01$", TicketEncryptionType="0x12", Status="0x0")
    yield _security(4776, TargetUserName="zhang.san", Workstation="PC-0117", Status="0x0")
    yield _security(5140, ObjectType="File", IpAddress="192.0.2.17", ShareName="\\\\*\\SYSVOL", AccessMask="0x1")
    yield _security(5145, ObjectType="File", ShareName="\\\\*\\IPC$", RelativeTargetName="srvsvc", AccessMask="0x1")
    yield _security(5145, ObjectType="File", ShareName="\\\\*\\SYSVOL", RelativeTargetName="example.edu.cn\\Policies")
    for application in ("svchost.exe", "lsass.exe"):
        path = f"\\device\\harddiskvolume2\\windows\\system32\\{application}"
        route = {"Direction": "%%14593", "SourceAddress": "192.0.2.17", "DestAddress": "198.51.100.8"}
        yield _security(5156, Application=path, **route, SourcePort="49732", DestPort="443", Protocol="6")
        yield _security(5158, Application=path, SourceAddress="0.0.0.0", SourcePort="49732", Protocol="6")  # noqa: S104  a value of an event


def _system() -> Iterator[Event]:
    services = "Service Control Manager"
    path = f'"{_FILES}Update\\service.exe" --service'
    yield _event("System", services, 7045, ServiceName="Updater", ImagePath=path, AccountName="LocalSystem")
    yield _event("System", services, 7036, param1="Windows Update", param2="running")
    yield _event("Application", "MsiInstaller", 1033, Data=f"Updater 1.0 1033 0 {_FILES}")

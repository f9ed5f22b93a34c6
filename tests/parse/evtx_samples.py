"""The file test_corpora/windows.evtx/logons.evtx, so that it can be written again: two chunks, invented people."""

from tests.parse.evtx_writer import Logged, chunk, file

# Where the template of the first record of a chunk is defined.
_DEFINED = 512 + 24 + 14
_SYSMON = {"provider": "Microsoft-Windows-Sysmon", "channel": "Microsoft-Windows-Sysmon/Operational"}


def sample_file() -> bytes:
    """Return the file."""
    logons = [
        Logged("4624", _logon("linxy", "192.0.2.9", status="0x0"), record_id="1"),
        Logged(
            "4625", _logon("王老师", "198.51.100.7", status="0xc000006d"), keywords="0x8010000000000000", record_id="2"
        ),
        Logged(
            "4625", _logon("王老师", "2001:db8::7", status="0xc000006d"), keywords="0x8010000000000000", record_id="3"
        ),
    ]
    others = [
        Logged(
            "1",
            {
                "UtcTime": "2026-09-07 00:02:00.120",
                "ProcessId": "4460",
                "Image": "C:\\Windows\\System32\\whoami.exe",
                "CommandLine": "whoami /all",
                "User": "EDU\\linxy",
            },
            keywords="0x8000000000000000",
            time="2026-09-07T00:02:00.1234567Z",
            record_id="4",
            computer="PC-07.edu.example",
            **_SYSMON,
        ),
        Logged(
            "4096",
            {"": "只有一个值"},
            provider="示例教务系统",
            channel="Application",
            keywords="0x80000000000000",
            record_id="5",
        ),
        Logged(
            "1116",
            {"Threat Name": "Virus:DOS/EICAR_Test_File", "Detection User": "EDU\\linxy"},
            provider="Microsoft-Windows-Windows Defender",
            channel="Microsoft-Windows-Windows Defender/Operational",
            keywords="0x8000000000000000",
            record_id="6",
        ),
    ]
    first = chunk([logons[0].body(), *(event.body(_DEFINED) for event in logons[1:])])
    return file([first, chunk([event.body() for event in others], first_id=4)])


def _logon(user: str, address: str, *, status: str) -> dict[str, str]:
    return {
        "TargetUserName": user,
        "TargetDomainName": "EDU",
        "LogonType": "3",
        "IpAddress": address,
        "IpPort": "50123",
        "Status": status,
        "WorkstationName": "-",
    }

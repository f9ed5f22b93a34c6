"""What Windows events mean: action, category, outcome and the ECS copies beside the verbatim values."""

import json
from typing import Any

import pytest

from secmon.parse.windows_logs import BY_PROVIDER, POWERSHELL
from secmon.parse.windows_meaning import EVENT_DATA
from secmon.parse.windows_security import SECURITY
from secmon.parse.windows_sysmon import SYSMON
from tests.parse.windows_builders import TIME, flat, parse, sysmon


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
        ("fe80::1%12", "fe80::1"),
        ("::1", "::1"),
        ("-", None),
        ("", None),
        ("LOCAL", None),
        ("192.0.2.999", None),
        ("1" * 400, None),
    ],
)
def test_an_address_is_copied_only_if_it_is_one(address: str, ip: str | None) -> None:
    event = flat(IpAddress=address)
    assert event.get("source.ip") == ip
    assert event["winlog.event_data.IpAddress"] == address


@pytest.mark.parametrize(
    ("port", "number"), [("50000", 50000), ("0", None), ("-", None), ("70000", None), ("٣", None), ("9" * 30, None)]
)
def test_a_port_is_copied_only_if_it_is_one(port: str, number: int | None) -> None:
    assert flat(IpPort=port).get("source.port") == number


@pytest.mark.parametrize(("pid", "number"), [("0x1fe8", 8168), ("44", 44), ("0x0", None), ("0xzz", None), ("x", None)])
def test_process_ids_are_read_in_both_notations(pid: str, number: int | None) -> None:
    assert flat(EventID=4688, NewProcessId=pid).get("process.pid") == number


@pytest.mark.parametrize(
    ("code", "keywords", "status", "outcome"),
    [
        (4624, "0x8020000000000000", None, "success"),
        (4625, "0x8010000000000000", None, "failure"),
        (4688, -9214364837600034816, None, "success"),
        (4720, ["Audit Failure"], None, "failure"),
        (4720, "审核成功", None, "success"),
        (4720, "0x4020000000000000", None, "success"),
        (4720, "0x80", None, None),
        (4720, "x" * 100, None, None),
        (4769, "0x8020000000000000", "0x20", "failure"),
        (4776, None, "0x0", "success"),
        (4771, None, "0x18", "failure"),
    ],
)
def test_the_outcome_is_only_what_the_record_tells(
    code: int, keywords: Any, status: str | None, outcome: str | None
) -> None:
    assert flat(EventID=code, Keywords=keywords, Status=status).get("event.outcome") == outcome


def test_an_unknown_log_is_kept_as_it_is() -> None:
    event = flat(EventID=7, Channel="某系统/Operational", A="x")
    assert (event["event.dataset"], event["event.module"]) == ("windows.other", "windows")
    assert (event["event.category"], event["event.type"]) == (["host"], ["info"])
    assert event["winlog.event_data.A"] == "x"


def test_an_id_means_what_its_own_log_says() -> None:
    assert sysmon(1, Image="C:\\a.exe")["event.action"] == "ProcessCreate"
    assert "event.action" not in flat(EventID=1, Channel="System", Provider_Name="Microsoft-Windows-Kernel-General")
    assert (
        flat(EventID=104, Channel="System", Provider_Name="Microsoft-Windows-Eventlog")["event.action"] == "log-cleared"
    )


def test_without_a_channel_the_provider_tells_the_log() -> None:
    event = parse(json.dumps({"EventID": 1, "SystemTime": TIME, "Provider_Name": "Microsoft-Windows-Sysmon"}))
    assert event["event.dataset"] == "windows.sysmon"


def test_lists_of_one_event_are_not_shared_with_the_next() -> None:
    first = flat()
    category = first["event.category"]
    assert isinstance(category, list)
    category.clear()
    assert flat()["event.category"] == ["authentication"]


@pytest.mark.parametrize(
    ("kind", "types"),
    [("CreateKey", ["creation"]), ("DeleteValue", ["deletion"]), ("CreateValue", ["change"]), (None, ["change"])],
)
def test_sysmon_s_registry_event_says_what_it_did(kind: str | None, types: list[str]) -> None:
    assert sysmon(12, EventType=kind, TargetObject="HKLM\\A\\B")["event.type"] == types


def test_sysmon_s_hashes_are_told_apart() -> None:
    event = sysmon(7, ImageLoaded="C:\\x.dll", Hashes="MD5=AB,SHA1=,FOO=1,junk,SHA256=CD,IMPHASH=EF")
    found = {name: value for name, value in event.items() if name.startswith("dll.")}
    assert found == {
        "dll.path": "C:\\x.dll",
        "dll.name": "x.dll",
        "dll.hash.md5": "ab",
        "dll.hash.sha256": "cd",
        "dll.pe.imphash": "ef",
    }


TABLES = {"sysmon": SYSMON, "security": SECURITY, "powershell": POWERSHELL, **BY_PROVIDER}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_copies_from_event_data_and_says_what_it_is(table: dict[str, Any]) -> None:
    for code, meaning in table.items():
        assert code.isdigit()
        assert meaning.action
        assert meaning.category
        assert meaning.type
        assert all(name.startswith(EVENT_DATA) for name, _ in meaning.copies)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("value", ["x", "0x1", "7", "\\\\", "=,=", "A\\B", "\x00", "'" * 5000])
def test_no_value_breaks_a_copy(table: dict[str, Any], value: str) -> None:
    for meaning in table.values():
        event: dict[str, Any] = {}
        for _, write in meaning.copies:
            write(event, value)
        assert None not in event.values()

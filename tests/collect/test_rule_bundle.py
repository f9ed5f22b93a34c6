"""Bundles of rules: what is read out of folders and archives, and what hostile archives cannot do."""

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.collect import rule_bundle
from secmon.collect.rule_bundle import BundleFile, is_archive, read_archive, write_files
from secmon.errors import ContentError


def archive(tmp_path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    path = tmp_path / "rules.zip"
    with zipfile.ZipFile(path, "w", packing) as written:
        for name, data in entries:
            written.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


def test_an_archive_gives_its_rules_and_licences_without_the_one_folder_around_them(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        ("sigma-main/rules/a.yml", "title: ä".encode()),
        ("sigma-main/LICENSE.md", b"DRL 1.1"),
        ("sigma-main/rules/b.txt", b"no rule"),
        ("sigma-main/x.exe", bytes(5000)),
    )
    bundle = read_archive(path)
    assert bundle.rules == (BundleFile("rules/a.yml", "title: ä"),)
    assert bundle.licences == (BundleFile("LICENSE.md", "DRL 1.1"),)


def test_what_is_only_called_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.ZIP"
    path.write_text("title: a", "utf-8")
    assert is_archive(path)
    with pytest.raises(ContentError, match="no ZIP"):
        read_archive(path)
    assert not is_archive(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../a.yml", "x/../../a.yml", "/etc/a.yml", "x//a.yml", "./a.yml", "C:a.yml", "x\\..\\a.yml", "a\u202e.yml",
     "a\n.yml", "d/" * 120 + "a.yml"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentError, match="name"):
        read_archive(archive(tmp_path, (name, b"title: a"), ("b.yml", b"title: b")))


def test_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="plain file"):
        read_archive(archive(tmp_path, (link("a.yml"), b"/etc/passwd")))


def test_two_entries_of_one_name_are_refused_whatever_their_case(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="one name"):
        read_archive(archive(tmp_path, ("a.yml", b"title: a"), ("A.yml", b"title: b")))


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="far more"):
        read_archive(archive(tmp_path, ("a.yml", bytes(1 << 20))))


def test_an_entry_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    path = archive(tmp_path, ("a.yml", bytes(range(256)) * 8192))
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    with pytest.raises(ContentError, match=r"cannot be read|far more"):
        read_archive(path)


def test_a_rule_file_that_is_too_large_or_no_text_is_an_error_beside_the_others(tmp_path: Path) -> None:
    big = bytes(range(32, 127)) * 12_000
    bundle = read_archive(
        archive(tmp_path, ("a.yml", b"title: a"), ("b.yml", b"\xff"), ("c.yml", big), packing=zipfile.ZIP_STORED)
    )
    assert [file.name for file in bundle.rules] == ["a.yml"]
    assert sorted(error.where.rpartition("/")[2] for error in bundle.errors) == ["b.yml", "c.yml"]


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, *((f"{number}.yml", b"") for number in range(30)))
    monkeypatch.setattr(rule_bundle, "MAX_ENTRIES", 20)
    with pytest.raises(ContentError, match="too many entries"):
        read_archive(path)


def test_too_much_in_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, *((f"{number}.yml", b"title: a") for number in range(30)))
    monkeypatch.setattr(rule_bundle, "MAX_TOTAL_BYTES", 100)
    with pytest.raises(ContentError, match="too much"):
        read_archive(path)


def _sample() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a/a.yml", "title: a\n" * 20)
        written.writestr("a/LICENSE", "free")
    return stream.getvalue()


SAMPLE = _sample()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=6))
def test_no_damage_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLE)
    for at, value in damage:
        data[at] = value
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(data)
    try:
        assert len(read_archive(path).rules) <= 1
    except ContentError as error:
        assert error.where == str(path)  # noqa: PT017  either outcome is right


def test_files_are_written_whole_and_what_they_replace_is_kept(tmp_path: Path) -> None:
    assert write_files(tmp_path, [BundleFile("in/a.yml", "one\r\n")]) == 1
    assert write_files(tmp_path, [BundleFile("in/a.yml", "two")]) == 1
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["a.yml", "a.yml.old"]
    assert (tmp_path / "in" / "a.yml.old").read_bytes() == b"one\r\n"


def test_a_link_in_the_target_does_not_lead_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "in").symlink_to(tmp_path)
    with pytest.raises(ContentError, match="leads out"):
        write_files(tmp_path / "into", [BundleFile("in/a.yml", "x")])

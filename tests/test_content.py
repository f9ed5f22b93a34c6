"""Content folders: shipped first, overlays after, the same id replaces; what cannot be read is named, never hidden."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from secmon.classify.definition import load_definitions
from secmon.compliance.framework import load_framework
from secmon.content import (
    MAX_FILE_BYTES,
    classifier_files,
    framework_files,
    playbook_files,
    read_files,
    rule_files,
    rule_test_files,
    shipped,
)
from secmon.errors import ContentError
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.triage.playbook import load_playbook

Read = tuple[list[tuple[str, str]], list[ContentError]]


def overlay(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def told(errors: list[ContentError]) -> list[str]:
    return [str(error) for error in errors]


@pytest.mark.parametrize("read", [rule_files, rule_test_files, classifier_files, playbook_files, framework_files])
def test_what_is_shipped_is_there_and_can_be_read(read: Callable[[], Read]) -> None:
    files, errors = read()
    assert files
    assert errors == []


def test_shipped_folders_come_first_and_overlays_in_their_order(tmp_path: Path) -> None:
    first, second = overlay(tmp_path / "1", "b.yml", "x"), overlay(tmp_path / "2", "a.yml", "y")
    paths = [path for path, _ in rule_files([first, second])[0]]
    assert paths[-2:] == [str(first / "b.yml"), str(second / "a.yml")]
    assert all(path.startswith(str(shipped("rules"))) for path in paths[:-2])


def test_a_rule_of_an_overlay_replaces_the_shipped_one(tmp_path: Path) -> None:
    files = rule_files()[0]
    path, text = next(one for one in files if "correlation:" not in one[1])
    title = yaml.safe_load(text)["title"]
    changed = overlay(tmp_path, "mine/rule.yml", text.replace(f"title: {title}", "title: Mine"))
    before = load_rules([RuleFile(*one) for one in files])
    after = load_rules([RuleFile(*one) for one in rule_files([changed])[0]])
    identity = yaml.safe_load(text)["id"]
    assert (after.by_id[identity].name, len(after.by_id)) == ("Mine", len(before.by_id))
    assert Path(path).read_text(encoding="utf-8") == text


def test_a_classifier_of_an_overlay_replaces_the_shipped_one(tmp_path: Path) -> None:
    path, text = next(one for one in classifier_files()[0] if one[0].endswith("mobile.yaml"))
    assert path
    changed = overlay(tmp_path, "other-name.yaml", text.replace("zh: ", "zh: 本地", 1))
    definitions, errors = load_definitions(classifier_files([changed])[0])
    assert errors == []
    assert next(one for one in definitions if one.id == "mobile").name_zh.startswith("本地")
    assert len(definitions) == len(load_definitions(classifier_files()[0])[0])


def test_a_framework_of_an_overlay_replaces_the_shipped_one(tmp_path: Path) -> None:
    _, text = next(one for one in framework_files()[0] if one[0].endswith("mlps-l3-ces.yaml"))
    changed = overlay(tmp_path, "mine.yaml", text.replace("\nversion: ", "\nversion: 9", 1))
    found = {one.id: one for path, text in framework_files([changed])[0] if (one := load_framework(path, text)[0])}
    assert found["mlps-l3-ces"].version.startswith("9")


def test_a_playbook_of_an_overlay_replaces_the_shipped_one(tmp_path: Path) -> None:
    _, text = playbook_files()[0][0]
    changed = overlay(tmp_path, "mine.yaml", text.replace("zh: ", "zh: 本地", 1))
    books = [book for path, text in playbook_files([changed])[0] if (book := load_playbook(path, text)[0])]
    assert {book.id: book for book in books}[books[0].id].name_zh.startswith("本地")


def test_a_file_may_stand_for_a_folder(tmp_path: Path) -> None:
    path = overlay(tmp_path, "one.yml", "x") / "one.yml"
    assert read_files([path], "*.yml") == ([(str(path), "x")], [])


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    overlay(tmp_path, "a.test.yaml", "tests")
    overlay(tmp_path, "a.yml.bak", "old")
    overlay(tmp_path, "sub/a.yml", "x")
    assert [path for path, _ in read_files([tmp_path], "*.yml")[0]] == [str(tmp_path / "sub" / "a.yml")]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbftitle: x")
    assert read_files([tmp_path], "*.yml")[0] == [(str(tmp_path / "a.yml"), "title: x")]


def test_what_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    overlay(tmp_path, "good.yml", "x")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "dangling.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "endless.yml").symlink_to("/dev/zero")
    (tmp_path / "huge.yml").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    (tmp_path / "folder.yml").mkdir()
    files, errors = read_files([tmp_path, tmp_path / "missing"], "*.yml")
    assert files == [(str(tmp_path / "good.yml"), "x")]
    assert [text.partition(": ")[0].rpartition("/")[2] for text in told(errors)] == [
        "binary.yml",
        "dangling.yml",
        "endless.yml",
        "huge.yml",
        "loop.yml",
        "missing",
    ]


def test_a_file_that_grows_while_it_is_read_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / "pipe.yml").write_bytes(b"x" * MAX_FILE_BYTES)
    files, errors = read_files([tmp_path], "*.yml")
    assert (len(files[0][1]), errors) == (MAX_FILE_BYTES, [])

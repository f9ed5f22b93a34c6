"""Reads rules, classifiers, playbooks and frameworks: shipped folders first, then the operator's overlays.

Only reading happens here; what a file means is decided by the core (`sigma`, `classify`, `triage`, `compliance`).
An overlay is never written to, and an update of the product never touches it.
"""

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from secmon.errors import ContentError

MAX_FILE_BYTES = 1 << 20

_PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """Return a shipped content folder: inside the installed package, or beside it in a source tree."""
    inside = _PACKAGE / "shipped" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def read_files(folders: Sequence[Path], pattern: str) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return (path, text) of every file that matches below the folders (or is one of them), sorted per folder.

    A file that cannot be read is an error beside the others, never instead of them.
    """
    found: list[tuple[str, str]] = []
    errors: list[ContentError] = []
    for folder in folders:
        for path in _paths(folder, pattern, errors):
            try:
                found.append((str(path), _text(path)))
            except ContentError as error:
                errors.append(error)
    return found, errors


def _paths(folder: Path, pattern: str, errors: list[ContentError]) -> list[Path]:
    """Return the files below a folder, sorted; a folder that cannot be looked into is an error, not empty."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        hint = "create it or take it out of the settings"
        errors.append(ContentError("the folder is not there", where=str(folder), hint=hint))
        return []

    def unreadable(error: OSError) -> None:
        errors.append(ContentError("cannot be read: " + type(error).__name__, where=str(error.filename or folder)))

    walk = os.walk(folder, onerror=unreadable)
    return sorted(Path(place, name) for place, _, names in walk for name in names if fnmatchcase(name, pattern))


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a dangling link, a pipe, a device that never ends
            raise ContentError("this is no file that can be read", where=str(path))
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ContentError("the file is larger than 1 MiB", where=str(path))
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError("cannot be read: " + type(error).__name__, where=str(path)) from error


def rule_files(overlays: Sequence[Path] = ()) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return the Sigma rules (`*.yml`)."""
    return read_files([shipped("rules"), *overlays], "*.yml")


def rule_test_files(overlays: Sequence[Path] = ()) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return the tests that stand beside the rules (`*.test.yaml`)."""
    return read_files([shipped("rules"), *overlays], "*.test.yaml")


def classifier_files(overlays: Sequence[Path] = ()) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return the classifiers."""
    return read_files([shipped("classifiers"), *overlays], "*.yaml")


def playbook_files(overlays: Sequence[Path] = ()) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return the playbooks (处置预案卡)."""
    return read_files([shipped("playbooks"), *overlays], "*.yaml")


def framework_files(overlays: Sequence[Path] = ()) -> tuple[list[tuple[str, str]], list[ContentError]]:
    """Return the control catalogues."""
    return read_files([shipped("frameworks"), *overlays], "*.yaml")

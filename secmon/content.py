"""Reads rules, classifiers, playbooks and frameworks: shipped folders first, then the operator's overlays.

Only reading happens here; what a file means is decided by the core (`sigma`, `classify`, `triage`, `compliance`).
An overlay is never written to, and an update of the product never touches it.
"""

from collections.abc import Sequence
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
        if not folder.exists():
            hint = "create it or take it out of the settings"
            errors.append(ContentError("the folder is not there", where=str(folder), hint=hint))
            continue
        paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob(pattern) if path.is_file())
        for path in paths:
            try:
                if path.stat().st_size > MAX_FILE_BYTES:
                    errors.append(ContentError("the file is larger than 1 MiB", where=str(path)))
                    continue
                found.append((str(path), path.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError) as error:
                errors.append(ContentError("cannot be read: " + type(error).__name__, where=str(path)))
    return found, errors


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

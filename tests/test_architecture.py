"""The shape of the code: every package is documented, and modules stay small enough to know one thing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "secmon").rglob("*.py"))
MAX_LINES = 500


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_knows(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_knows_one_thing(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_an_init_is_a_docstring_and_at_most_the_names_it_offers() -> None:
    for path in MODULES:
        if path.name == "__init__.py":
            package = ".".join(path.relative_to(ROOT).parent.parts)
            _, *rest = ast.parse(path.read_text(encoding="utf-8")).body
            for statement in rest:
                is_own = isinstance(statement, ast.ImportFrom) and str(statement.module).startswith(f"{package}.")
                is_all = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
                assert is_own or is_all, path

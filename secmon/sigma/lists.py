r"""Shared lists of values: what the placeholder `%name%` stands for in rules and exceptions (modifier `expand`).

A list is a text file, `name.txt`, one value a line; lines that are empty or begin with `#` say nothing. A value means
what it means in a rule: `*` and `?` are wildcards, `\` takes that from them.
"""

from collections.abc import Sequence

from secmon.errors import ContentError
from secmon.sigma.limits import MAX_EXPANDED
from secmon.sigma.rule import RuleFile

MAX_VALUE = 1_000
_COMMENT = "#"


def read_lists(files: Sequence[RuleFile]) -> tuple[dict[str, tuple[str, ...]], list[ContentError]]:
    """Return name → values; a list of a later file replaces one of the same name.

    A list that is wrong is an error beside the others: what needs it is broken then, and says so.
    """
    lists: dict[str, tuple[str, ...]] = {}
    errors: list[ContentError] = []
    for file in files:
        try:
            lists[name_of(file.path)] = _values(file)
        except ContentError as error:
            errors.append(error)
    return lists, errors


def name_of(path: str) -> str:
    """Return the name of the list that a file holds: its own, without folder and ending."""
    return path.rpartition("/")[2].rpartition(".")[0]


def _values(file: RuleFile) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for number, line in enumerate(file.text.splitlines(), start=1):
        value = line.strip()
        if not value or value.startswith(_COMMENT):
            continue
        if len(value) > MAX_VALUE:
            raise ContentError("a value of a list is longer than 1,000 characters", where=f"{file.path}:{number}")
        found[value] = None
    if not found:
        hint = "take the file away, or write one value a line"
        raise ContentError("a list without values", where=f"{file.path}:1", hint=hint)
    if len(found) > MAX_EXPANDED:
        hint = "a rule can compare with so many at most"
        raise ContentError("a list of more than 10,000 values", where=f"{file.path}:1", hint=hint)
    return tuple(found)

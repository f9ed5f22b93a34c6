"""What a rule weighs against its bounds (`limits.py`), told before anything of that weight is made."""

from collections.abc import Iterable

from secmon.sigma import regexes
from secmon.sigma.limits import EXPRESSION_STEPS, MAX_MODIFIED_CHARS, MAX_MODIFIERS, ExcessError, Weight
from secmon.sigma.modifiers import MAX_DASHES, dashes_in
from secmon.sigma.tree import Keyword, KeywordRegex, Node, Regex, Text, atoms_of

# How many times as long values become; each value that is made counts a character more.
_GROWTH = {"wide": 2, "utf16": 2, "utf16le": 2, "utf16be": 2, "base64": 2, "base64offset": 4}
_WAYS = 5
"""How many ways there are to write a dash."""


def check_modifiers(names: list[str], values: Iterable[object]) -> None:
    """Refuse what modifiers of a field would make too much of its values.

    Raises:
        ExcessError: they would.
    """
    if len(names) > MAX_MODIFIERS:
        raise ExcessError(f"more than {MAX_MODIFIERS} modifiers")
    factor, is_written = 1, True
    dashes: list[bool] = []
    for name in names:
        factor *= _GROWTH.get(name, 1)
        if name == "windash":
            dashes.append(is_written)
        is_written = is_written and name not in _GROWTH and name != "windash"
    if factor == 1 and not dashes:
        return
    total = 0
    for value in values:
        if isinstance(value, str):
            grown = (len(value) + 1) * factor
            for known in dashes:
                grown *= _WAYS ** (min(MAX_DASHES, dashes_in(value)) if known else MAX_DASHES)
            total += grown
            if total > MAX_MODIFIED_CHARS:
                raise ExcessError("its modifiers make too much of its values")


def weight_of(tree: Node) -> Weight:
    """Return what a condition weighs."""
    comparisons = chars = steps = 0
    for atom in atoms_of(tree):
        comparisons += 1
        if isinstance(atom, Text | Keyword):
            chars += sum(len(part) for part in atom.pattern if isinstance(part, str))
        elif isinstance(atom, Regex | KeywordRegex):
            chars += len(atom.expression)
            steps += EXPRESSION_STEPS + regexes.steps_of(atom.expression, atom.flags)
    return Weight(comparisons, chars, steps)

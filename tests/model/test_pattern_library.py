"""The library that looks for many patterns at once finds what RE2 finds, on the processor at hand.

It decides which rules and classes are looked at more closely: what it misses is missed by all that follows.
"""

import random
import re
from collections.abc import Callable

import hyperscan
import pytest
import re2

from secmon.model.patterns import Patterns, compiled

_LETTERS = 'abcdefgh.:/ =_%{[|"'
_SEEDS = range(12)
_ONCE = hyperscan.HS_FLAG_SINGLEMATCH
_FLAGS = (
    (_ONCE | hyperscan.HS_FLAG_ALLOWEMPTY, ""),
    (_ONCE | hyperscan.HS_FLAG_ALLOWEMPTY | hyperscan.HS_FLAG_DOTALL, "s"),
    (_ONCE | hyperscan.HS_FLAG_ALLOWEMPTY | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_CASELESS, "is"),
)

Draw = tuple[str, Callable[[], str]]
"""An expression, and what draws a text that it matches."""


def some(dice: random.Random, least: int, most: int, letters: str = _LETTERS) -> str:
    return "".join(dice.choices(letters, k=dice.randint(least, most)))


def piece(dice: random.Random, depth: int) -> Draw:
    literal = some(dice, 1, dice.choice([1, 2, 4, 9]))
    kinds: list[Draw] = [
        (re.escape(literal), lambda: literal),
        (re.escape(literal), lambda: literal),
        (r"\s*", lambda: " " * dice.choice([0, 0, 1, 2, 20])),
        (r"\s+", lambda: " " * dice.choice([1, 2, 40])),
        (r".*", lambda: some(dice, 0, dice.choice([2, 20, 70]))),
        (r".{0,30}", lambda: some(dice, 0, 30)),
        (r"[^:|]*", lambda: some(dice, 0, 40, "abc .")),
        (r"[abc]{1,4}", lambda: some(dice, 1, 4, "abc")),
        (r"\w+", lambda: some(dice, 1, 30, "abcdefgh_")),
    ]
    if depth < 2 and dice.random() < 0.15:
        either = [sequence(dice, depth + 1) for _ in range(2)]
        return f"(?:{either[0][0]}|{either[1][0]})", dice.choice(either)[1]
    return dice.choice(kinds)


def sequence(dice: random.Random, depth: int = 0) -> Draw:
    parts = [piece(dice, depth) for _ in range(dice.choice([2, 3, 4, 6]) if depth == 0 else dice.choice([1, 2]))]
    return "".join(part[0] for part in parts), lambda: "".join(part[1]() for part in parts)


def found_in(patterns: Patterns, text: str) -> set[int]:
    numbers: set[int] = set()
    compiled(patterns).scan(text.encode(), lambda number, *_: numbers.add(number), 0, None)
    return numbers


@pytest.mark.parametrize("seed", _SEEDS)
def test_expressions_are_found_wherever_re2_finds_them(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  a reproducible choice
    for _ in range(40):
        drawn = [sequence(dice) for _ in range(dice.choice([1, 1, 2, 4, 12]))]
        bits, flags = dice.choice(_FLAGS)
        patterns = Patterns(
            expressions=tuple(expression.encode() for expression, _ in drawn),
            ids=tuple(range(len(drawn))),
            flags=(bits,) * len(drawn),
        )
        truth = [re2.compile(f"(?{flags}:{expression})" if flags else expression) for expression, _ in drawn]
        database = compiled(patterns)
        for _ in range(25):
            text = some(dice, 0, dice.choice([2, 40, 140])) + dice.choice(drawn)[1]() + some(dice, 0, 80)
            numbers: set[int] = set()
            database.scan(text.encode(), lambda number, *_, to=numbers: to.add(number), 0, None)
            missed = {number for number, one in enumerate(truth) if one.search(text)} - numbers
            assert [(drawn[number][0], text) for number in missed] == []


@pytest.mark.parametrize("seed", _SEEDS)
def test_literals_are_found_wherever_they_are(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  a reproducible choice
    for _ in range(60):
        literals = sorted({some(dice, 1, dice.choice([1, 2, 4, 9, 40])) for _ in range(dice.choice([1, 3, 5, 40]))})
        is_caseless = dice.random() < 0.5
        flags = _ONCE | hyperscan.HS_FLAG_CASELESS if is_caseless else _ONCE
        for patterns in _both_forms(literals, flags):
            database = compiled(patterns)
            for _ in range(25):
                parts = [some(dice, 0, dice.choice([5, 60, 140])), dice.choice(literals), some(dice, 0, 60)]
                text = "".join(parts).swapcase() if dice.random() < 0.3 else "".join(parts)
                numbers: set[int] = set()
                database.scan(text.encode(), lambda number, *_, to=numbers: to.add(number), 0, None)
                seen, wanted = (text.lower(), [one.lower() for one in literals]) if is_caseless else (text, literals)
                assert numbers == {number for number, one in enumerate(wanted) if one in seen}, (literals, text)


def _both_forms(literals: list[str], flags: int) -> list[Patterns]:
    """Return the same literals for the compiler of literals and for that of expressions."""
    numbers, bits = tuple(range(len(literals))), (flags,) * len(literals)
    return [
        Patterns(tuple(one.encode() for one in literals), numbers, bits, literal=True),
        Patterns(tuple(re.escape(one).encode() for one in literals), numbers, bits),
    ]


@pytest.mark.parametrize("room", range(0, 130, 13))
def test_what_later_versions_missed_is_found(room: int) -> None:
    for expression, text in ((rb":\s*\{", ":{"), (rb"a\s*b", "a  b"), (rb"\s+/", "   /")):
        assert found_in(Patterns((expression,), (1,), (_ONCE,)), ("::a:h [:ae" * 13)[:room] + text) == {1}

"""What rules may cost at most: bounds on what is written in them, on what is made of it, and on all rules together.

Rules come from outside: out of a ZIP, or out of a folder that others fill. Beyond one of these bounds a rule is broken,
says so with its line, and the others go on. Each bound is several times what the largest rule of SigmaHQ's public
collection needs (September 2026: 4,432 comparisons, 220,000 characters, a program of 8,005 steps; all of it
with our own rules 217,000 steps), and so small that what it allows loads and matches a megabyte in seconds.
"""

from dataclasses import dataclass


class ExcessError(Exception):
    """Something is beyond a bound; its text says what."""


MAX_CHARS = 1 << 20
"""Of a rule file; and of a document, what its aliases stand for included."""
MAX_DEPTH = 32
"""Of nested lists and mappings in a document."""
MAX_NODES = 50_000
"""Values and keys of a document, what its aliases stand for included."""
MAX_DOCUMENTS = 2_000
"""Documents of a file."""
MAX_REPEATED_NODES, MAX_REPEATED_CHARS = MAX_NODES, MAX_CHARS
"""What all rules of a file together may hold that are made of several documents (`action: global`, `repeat`)."""

MAX_DETECTIONS = 1_000
"""Named detections of a rule."""
MAX_CONDITION_CHARS = 10_000
"""Of all conditions of a rule together."""
MAX_CONDITION_DEPTH = 64
MAX_MODIFIERS = 8
"""Modifiers of one field."""
MAX_MODIFIED_CHARS = 4 << 20
"""What the values of one field grow to by modifiers that multiply them (`windash`, `base64offset`, `wide` …)."""
MAX_EXPANDED = 10_000
"""Values that one value may stand for (`expand`, and modifiers that multiply)."""
MAX_TEXT = 32_767
"""Characters of one value: no command line of Windows is longer (CreateProcessW)."""
MAX_WILDCARDS, MAX_WILD_TEXT = 64, 256
"""Wildcards of one value; its other characters if one is `?`: at worst each is compared at each place of a text."""
MAX_COMPARISONS, MAX_RULE_CHARS = 50_000, 4 << 20
"""Comparisons of a rule, those that a condition repeats included, and characters of their texts."""

MAX_EXPRESSION = 4_096
"""Characters of one regular expression."""
MAX_PROGRAM = 10_000
"""Steps of the program that RE2 makes of one expression: at worst each is tried at each byte of a value."""
EXPRESSION_STEPS = 100
"""What an expression counts for besides its own steps: RE2 keeps memory for each."""
MAX_PROGRAMS = 20_000
"""Steps of all expressions of one rule."""

MAX_SET_RULES = 50_000
MAX_SET_COMPARISONS, MAX_SET_CHARS = 300_000, 16 << 20
"""Of all rules together."""
MAX_SET_PROGRAMS = 500_000
"""Steps of all expressions of all rules together."""
MAX_FILTERS, MAX_CORRELATIONS, MAX_TUNING = 2_000, 2_000, 10_000
"""Filters; correlations; exceptions, overrides and maintenance windows together."""
MAX_NARROWINGS = 100_000
"""How often filters are applied: filters times the rules of each."""
MAX_COUNTED = 256
"""Correlations that the hits of one rule count towards."""
MAX_NAME = 300
"""Characters of a rule's id and title in a message about it."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a rule takes of the bounds.

    Args:
        comparisons: number of comparisons, each as often as it stands in the condition.
        chars: characters of their texts and expressions.
        steps: steps of the programs of its regular expressions.
    """

    comparisons: int = 0
    chars: int = 0
    steps: int = 0

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(self.comparisons + other.comparisons, self.chars + other.chars, self.steps + other.steps)

    def __sub__(self, other: "Weight") -> "Weight":
        return Weight(self.comparisons - other.comparisons, self.chars - other.chars, self.steps - other.steps)

    def check(self, most: "Weight") -> None:
        """Refuse what is more than allowed.

        Raises:
            ExcessError: it is.
        """
        if self.comparisons > most.comparisons:
            raise ExcessError(f"more than {most.comparisons:,} comparisons")
        if self.chars > most.chars:
            raise ExcessError(f"more than {most.chars:,} characters to compare with")
        if self.steps > most.steps:
            raise ExcessError(f"regular expressions of more than {most.steps:,} steps in all")


RULE = Weight(MAX_COMPARISONS, MAX_RULE_CHARS, MAX_PROGRAMS)
RULE_SET = Weight(MAX_SET_COMPARISONS, MAX_SET_CHARS, MAX_SET_PROGRAMS)

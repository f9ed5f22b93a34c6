"""Names that stand beside a value: field names, column headers, JSON keys, words in a text."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# A name, perhaps in quotes (with any number of backslashes: JSON in JSON), and the sign behind it. A name starts
# where its word starts and is taken whole (possessive): no text makes this slower than its length.
_SIGN = r"[\"'\\]{0,8}+\s{0,2}+[:=：]\s?+[\"'\\\[]{0,8}+"
_HAN_CLASS = r"\u3400-\u9fff"
PAIR = re.compile(
    r"(?:(?<![A-Za-z_.\-])(?P<latin>[A-Za-z_][0-9A-Za-z_.\-]{0,63}+)"
    rf"|(?<![{_HAN_CLASS}])(?P<han>[{_HAN_CLASS}]{{1,100}}+)(?:[(（][^)）\n]{{1,10}}+[)）])?+){_SIGN}"
)
# The same right before a value; searched in the last characters before it only.
BEFORE = re.compile(PAIR.pattern + r"\+?\Z")
BEFORE_CHARACTERS = 100
# Of a clause of Han characters only its end is the name.
_HAN_NAME = 12


def paired_name(found: re.Match[str]) -> str:
    """Return the name of a match of `PAIR` or `BEFORE`."""
    return found["latin"] or found["han"][-_HAN_NAME:]


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at case changes, digits and punctuation: "stuSfzh" → ("stu", "sfzh"). Lower case."""
    return tuple(word.lower() for word in _WORDS.findall(name))


class Names(NamedTuple):
    """A list of names, ready to be compared.

    `words` holds names as tuples of words, a listed idCardNo also as written id_cardno or idcard_no; `suffixes`
    those that may stand at the end of a longer name; `joined` names without case, for names written in one piece;
    `han` names with Han characters, which may stand anywhere in one.
    """

    words: frozenset[tuple[str, ...]]
    suffixes: frozenset[tuple[str, ...]]
    joined: frozenset[str]
    han: tuple[str, ...]

    def match(self, name: str) -> str:
        """Return the listed name that this name is or ends in, or ""."""
        for listed in self.han:
            if listed in name:
                return listed
        words = words_of(name)
        joined = "".join(words)
        if words in self.words or (joined in self.joined and name.isalnum()):
            return joined
        for start in range(1, len(words)):
            if words[start:] in self.suffixes:
                return "".join(words[start:])
        return ""


def names(listed: Iterable[str], *, negative: bool = False) -> Names:
    """Prepare a list of names.

    A positive name of one word also counts at the end of a longer one (sfzh in stuSfzh). A negative name must have
    two words for that: traceId is a parentTraceId, but the negative `id` is not a userId.
    """
    listed = tuple(listed)
    latin = [words_of(name) for name in listed if _HAN.search(name) is None]
    return Names(
        words=frozenset(form for words in latin for form in _spellings(words)),
        suffixes=frozenset(form for words in latin if not negative or len(words) > 1 for form in _spellings(words)),
        joined=frozenset("".join(words) for words in latin),
        han=tuple(name for name in listed if _HAN.search(name)),
    )


def _spellings(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the words with neighbours joined in every possible way: people write id_card_no and idcard_no."""
    forms = [words[:1]]
    for word in words[1:]:
        forms = [*((*form, word) for form in forms), *((*form[:-1], form[-1] + word) for form in forms)]
    return forms


def last_name(field: str) -> str:
    """Return the last part of a dotted field name."""
    return field.rpartition(".")[2]


class KeyTable:
    """Names of several classes, with a bounded memory of what was asked before.

    Args:
        keys: class id → its names.
    """

    _MEMORY = 4_096
    _MAX_NAME = 256

    def __init__(self, keys: Mapping[str, Names]) -> None:
        self._keys = dict(keys)
        self._memory: dict[str, tuple[tuple[str, str], ...]] = {}

    def classes_of(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return (class id, listed name) of every class for which `name` is a key."""
        known = self._memory.get(name)
        if known is None:
            if len(self._memory) >= self._MEMORY:
                self._memory.clear()
            known = tuple((id_, found) for id_, listed in self._keys.items() if (found := listed.match(name)))
            if len(name) <= self._MAX_NAME:
                self._memory[name] = known
        return known

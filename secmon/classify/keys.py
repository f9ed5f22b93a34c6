"""Names that stand beside a value: field names, column headers, JSON keys, words in a text."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# A name, perhaps in quotes (with any number of backslashes: JSON in JSON), and the sign behind it.
PAIR = re.compile(
    r"(?P<key>[A-Za-z_][0-9A-Za-z_.\-]{0,63}|[\u3400-\u9fff]{1,12}(?:[(（][^)）\n]{1,10}[)）])?)"
    r"[\"'\\]{0,8}\s{0,2}[:=：]\s?[\"'\\\[]{0,8}"
)
# The same right before a value; searched in the last characters before it only.
BEFORE = re.compile(PAIR.pattern + r"\+?\Z")
BEFORE_CHARACTERS = 100


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at case changes, digits and punctuation: "stuSfzh" → ("stu", "sfzh"). Lower case."""
    return tuple(word.lower() for word in _WORDS.findall(name))


class Names(NamedTuple):
    """A list of names, ready to be compared.

    `joined` holds names of Latin letters without case and punctuation; `words` those that may stand at the end
    of a longer name; `han` names with Han characters, which may stand anywhere in one.
    """

    joined: frozenset[str]
    suffixes: frozenset[str]
    han: tuple[str, ...]

    def match(self, name: str) -> str:
        """Return the listed name that this name is or ends in, or ""."""
        for listed in self.han:
            if listed in name:
                return listed
        words = words_of(name)
        joined = "".join(words)
        if joined in self.joined:
            return joined
        for start in range(1, len(words)):
            suffix = "".join(words[start:])
            if suffix in self.suffixes:
                return suffix
        return ""


def names(listed: Iterable[str], *, negative: bool = False) -> Names:
    """Prepare a list of names.

    A positive name of one word also counts at the end of a longer one (sfzh in stuSfzh). A negative name must have
    two words for that: traceId is a parentTraceId, but the negative `id` is not a userId.
    """
    latin = [name for name in listed if _HAN.search(name) is None]
    joined = {"".join(words_of(name)) for name in latin}
    suffixes = {"".join(words_of(name)) for name in latin if not negative or len(words_of(name)) > 1}
    return Names(frozenset(joined), frozenset(suffixes), tuple(name for name in listed if _HAN.search(name)))


def last_name(field: str) -> str:
    """Return the last part of a dotted field name."""
    return field.rpartition(".")[2]


class KeyTable:
    """Names of several classes, with a bounded memory of what was asked before.

    Args:
        keys: class id → its names.
    """

    _MEMORY = 4_096

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
            self._memory[name] = known
        return known

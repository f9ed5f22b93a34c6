"""Which atoms are true: for a value of a field, and for the keywords of an event; exact, and cached where it pays."""

from collections.abc import Iterable, Mapping
from sys import getsizeof

from secmon.model.cache import ENTRY_BYTES, Budget, Cache
from secmon.model.event import Event, Value
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.match import keyword_holds, searched_texts, value_holds
from secmon.sigma.patterns import Needle, PatternSet, is_plain, literal_of, needle_of, regex_needle
from secmon.sigma.tree import ANY_TEXT, Keyword, KeywordRegex, Regex, Text, ValueAtom
from secmon.sigma.values import fold, text_of, texts_of, utf8

# A longer value is scanned every time: it hardly ever comes back, and would crowd out those that do.
MAX_CACHED_CHARS = 512
NONE: frozenset[int] = frozenset()


class FieldScanner:
    """Decides all value atoms of one field in one pass over a value.

    Args:
        atoms: number → atom, all of the same field.
        budget: shared budget of the caches.
        compiler: makes the databases.
    """

    __slots__ = (
        "_any",
        "_atoms",
        "_cache",
        "_cased",
        "_direct",
        "_equal",
        "_equal_cased",
        "_expressions",
        "_folded",
        "_regexes",
        "known",
    )

    def __init__(self, atoms: Mapping[int, ValueAtom], budget: Budget, compiler: Compiler = compiled) -> None:
        self._atoms = dict(atoms)
        self._any: list[int] = []
        self._equal: dict[str, list[int]] = {}
        self._equal_cased: dict[str, list[int]] = {}
        self._direct: list[int] = []
        folded: list[Needle] = []
        cased: list[Needle] = []
        expressions: list[Needle] = []
        for number, atom in atoms.items():
            if isinstance(atom, Text):
                self._add_text(number, atom, cased if atom.cased else folded)
            elif isinstance(atom, Regex) and (needle := regex_needle(number, atom.expression, atom.flags)):
                expressions.append(needle)
            else:
                self._direct.append(number)
        self._folded = PatternSet(folded, literal=True, compiler=compiler) if folded else None
        self._cased = PatternSet(cased, literal=True, compiler=compiler) if cased else None
        self._expressions = PatternSet(expressions, literal=False, compiler=compiler) if expressions else None
        self._regexes = [needle.number for needle in expressions]
        self._cache: Cache[str, frozenset[int]] = Cache(budget)
        self.known = self._cache.young
        """What the cache holds now: text of a value → numbers of its true atoms; for hot loops to look into first."""

    def _add_text(self, number: int, atom: Text, needles: list[Needle]) -> None:
        literal = literal_of(atom.pattern)
        if atom.pattern == (ANY_TEXT,):
            self._any.append(number)
        elif literal is not None and atom.cased:
            self._equal_cased.setdefault(literal, []).append(number)
        elif literal is not None:
            self._equal.setdefault(fold(literal), []).append(number)
        elif needle := needle_of(number, atom.pattern, cased=atom.cased):
            needles.append(needle)
        else:  # nothing but wildcards
            self._direct.append(number)

    def build(self) -> None:
        """Build the databases now, not at the first value."""
        for patterns in (self._folded, self._cased, self._expressions):
            if patterns is not None:
                patterns.build()

    @property
    def refused(self) -> frozenset[int]:
        """Atoms whose expression hyperscan refused: RE2 decides them always. Known once databases are built."""
        return frozenset(self._expressions.refused) if self._expressions is not None else NONE

    def of_value(self, value: Value) -> frozenset[int]:
        """Return the atoms that are true for a value; for several values, those that are true for any of them."""
        if not isinstance(value, list):
            return self.of_text(text_of(value))
        found: set[int] = set()
        for text in texts_of(value):
            found |= self.of_text(text)
        return frozenset(found)

    def of_text(self, text: str) -> frozenset[int]:
        """Return the atoms that are true for one value in text form."""
        found = self.known.get(text)
        if found is not None:
            return found
        if len(text) > MAX_CACHED_CHARS:
            return self._scan(text)
        found = self._cache.old(text)
        if found is None:
            found = self._scan(text)
        self._cache.put(text, found, ENTRY_BYTES + getsizeof(text) + (getsizeof(found) if found else 0))
        return found

    def _scan(self, text: str) -> frozenset[int]:
        if not text:  # expressions over nothing are where engines differ: ask the definition
            return frozenset(self._confirmed(self._atoms, text))
        found = list(self._any)
        folded = fold(text)
        found += self._equal.get(folded, ())
        found += self._equal_cased.get(text, ())
        if self._folded is not None:
            found += self._literals(self._folded, folded, text)
        if self._cased is not None:
            found += self._literals(self._cased, text, text)
        if self._expressions is not None:
            suspects = self._expressions.scan(utf8(text)) + self._expressions.refused
            found += self._confirmed(suspects if is_plain(text) else self._regexes, text)
        if self._direct:
            found += self._confirmed(self._direct, text)
        return frozenset(found) if found else NONE

    def _literals(self, patterns: PatternSet, scanned: str, text: str) -> list[int]:
        found = patterns.scan_text(scanned)
        doubtful = patterns.doubtful
        if doubtful and not doubtful.isdisjoint(found):
            sure = [number for number in found if number not in doubtful]
            found = sure + self._confirmed([number for number in found if number in doubtful], text)
        if patterns.refused:
            found = found + self._confirmed(patterns.refused, text)
        return found

    def _confirmed(self, numbers: Iterable[int], text: str) -> list[int]:
        """Return those of some atoms that the definition says are true."""
        return [number for number in numbers if value_holds(self._atoms[number], text)]


class KeywordScanner:
    """Decides which keywords may stand in an event: all of its values in one scan; nothing is cached.

    Args:
        atoms: number → keyword.
        compiler: makes the databases.
    """

    __slots__ = ("_cased", "_direct", "_folded")

    def __init__(self, atoms: Mapping[int, Keyword | KeywordRegex], compiler: Compiler = compiled) -> None:
        folded: list[Needle] = []
        cased: list[Needle] = []
        self._direct: list[tuple[int, Keyword | KeywordRegex]] = []
        for number, atom in atoms.items():
            pattern = (ANY_TEXT, *atom.pattern, ANY_TEXT) if isinstance(atom, Keyword) else ()
            if isinstance(atom, Keyword) and (needle := needle_of(number, pattern, cased=atom.cased)):
                (cased if atom.cased else folded).append(needle)
            else:
                self._direct.append((number, atom))
        self._folded = PatternSet(folded, literal=True, compiler=compiler) if folded else None
        self._cased = PatternSet(cased, literal=True, compiler=compiler) if cased else None

    def may_stand_in(self, event: Event) -> frozenset[int]:
        """Return the keywords that some value of an event may contain; no other keyword stands in it."""
        # More than the definition looks at (other bookkeeping, text across the joints): it has the last word.
        joined = "\0".join(
            [v if v.__class__ is str else _as_text(v) for name, v in event.items() if name != "event.original"]
        )
        found: list[int] = []
        if self._folded is not None:
            found += self._folded.scan_text(fold(joined)) + self._folded.refused
        if self._cased is not None:
            found += self._cased.scan_text(joined) + self._cased.refused
        if self._direct:
            texts = searched_texts(event)
            found += [number for number, atom in self._direct if any(keyword_holds(atom, text) for text in texts)]
        return frozenset(found) if found else NONE


def _as_text(value: Value) -> str:
    return "\0".join(map(text_of, value)) if isinstance(value, list) else text_of(value)

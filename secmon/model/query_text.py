"""The query language people type (docs/search.md), read into `model.query` by hand, each character once or twice.

    query  = or ;  or = and { "OR" and } ;  and = not { [ "AND" ] not } ;  not = { "NOT" } primary ;
    primary = "(" or ")" | field ":" value | "phrase" | word ;
    value  = "(" or ")" | "text" | range | comparison | word ;
    range  = ( "[" | "{" ) bound "TO" bound ( "]" | "}" ) ;  comparison = ( ">" | ">=" | "<" | "<=" ) bound

What an input method for Chinese writes for quotes, parentheses and the colon counts too.
"""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from secmon.model.query import (
    ANY_TEXT,
    EVERYTHING,
    TEXT_FIELDS,
    TIMESTAMP,
    Addresses,
    AllOf,
    AnyOf,
    During,
    Equals,
    Exists,
    Holds,
    Like,
    Not,
    Query,
    Says,
    literal,
)
from secmon.model.query_range import End, between, moment, network, query_failure
from secmon.model.text import words

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 20
MAX_CONDITIONS: Final = 100

_OPEN, _CLOSE = "(（", ")）"
_QUOTES: Final = {'"': '"', "“": "”", "”": "”"}
_COLONS = ":："
_SPECIAL: Final = frozenset('\\*?"():[]{}<> （）：“”')
_EXISTS: Final = "_exists_"
_TIME_FIELDS: Final = frozenset({TIMESTAMP, "event.created", "event.end", "event.ingested", "event.start"})


@dataclass(frozen=True, slots=True)
class _Word:
    """A run of characters without spaces; as a text, and as a pattern if it has wildcards."""

    text: str
    pattern: str
    wild: bool
    column: int


def parse_query(text: str, *, zone: tzinfo = UTC) -> Query:
    """Return what a text asks for; nothing but spaces asks for everything.

    Args:
        text: the query.
        zone: of times that name none.

    Raises:
        QueryError: it cannot be read; `where` names the column, from 1.
    """
    if len(text) > MAX_LENGTH:
        raise query_failure(MAX_LENGTH, "the query is too long", "at most {most} characters", most=MAX_LENGTH)
    return _Parser(text, zone).query()


class _Parser:
    def __init__(self, text: str, zone: tzinfo) -> None:
        self._text, self._zone = text, zone
        self._at = 0
        self._conditions = 0

    def query(self) -> Query:
        self._skip()
        if self._at == len(self._text):
            return EVERYTHING
        found = self._or(ANY_TEXT, 0)
        if self._at < len(self._text):
            raise query_failure(self._at, "this parenthesis was not opened", "remove it, or put it in quotes")
        return found

    def _or(self, field: str, depth: int) -> Query:
        parts = [self._and(field, depth)]
        while self._accept("or"):
            parts.append(self._and(field, depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _and(self, field: str, depth: int) -> Query:
        parts = [self._not(field, depth)]
        while self._accept("and") or not (self._ends() or self._operator() == "or"):
            parts.append(self._not(field, depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _not(self, field: str, depth: int) -> Query:
        negated = False
        while self._accept("not"):
            negated = not negated
        found = self._primary(field, depth)
        return Not(found) if negated else found

    def _primary(self, field: str, depth: int) -> Query:
        self._skip()
        start = self._at
        if self._ends() or self._operator() in {"and", "or"}:
            raise query_failure(
                start, "a condition is missing here", "write a condition, or put and, or, not in quotes"
            )
        if self._text[start] in _OPEN:
            return self._group(field, depth)
        if field:
            return self._value(field)
        if self._text[start] in _QUOTES:
            return self._says(ANY_TEXT, self._quoted(), start)
        name = self._word(stop_at_colon=True)
        self._skip()
        if self._at < len(self._text) and self._text[self._at] in _COLONS:
            return self._field(name, depth)
        return self._bare(ANY_TEXT, name)

    def _group(self, field: str, depth: int) -> Query:
        start = self._at
        if depth == MAX_DEPTH:
            raise query_failure(start, "too many parentheses inside each other", "at most {most}", most=MAX_DEPTH)
        self._at += 1
        found = self._or(field, depth + 1)
        if self._at == len(self._text):
            raise query_failure(start, "this parenthesis is not closed", "close it, or put it in quotes")
        self._at += 1
        return found

    def _field(self, name: _Word, depth: int) -> Query:
        if not name.text or name.wild:
            raise query_failure(
                name.column,
                "a field must be named before the colon",
                "without wildcards; or put the text in quotes",
            )
        self._at += 1
        self._skip()
        if self._ends():
            raise query_failure(
                self._at,
                "a value is missing behind the colon",
                "write field:value, or field:* for any",
            )
        return self._group(name.text, depth) if self._text[self._at] in _OPEN else self._value(name.text)

    def _value(self, field: str) -> Query:
        start = self._at
        char = self._text[start]
        if field == _EXISTS:
            return self._count(Exists(self._quoted() if char in _QUOTES else self._word().text))
        if char in _QUOTES:
            return self._exact(field, self._quoted(), start)
        if char in "[{":
            return self._range(field)
        if char in "<>":
            return self._comparison(field)
        word = self._word()
        if word.pattern.strip("*") == "" and word.wild:
            return self._count(Exists(field))
        return self._bare(field, word) if field in TEXT_FIELDS else self._plain(field, word)

    def _bare(self, field: str, word: _Word) -> Query:
        """Return the condition of words in a text."""
        if not word.wild:
            return self._says(field, word.text, word.column)
        if word.pattern.strip("*") == "":
            return EVERYTHING
        return self._count(Holds(field, word.pattern))

    def _says(self, field: str, text: str, column: int) -> Query:
        phrase = words(text)
        if not phrase:
            raise query_failure(column, "there is no letter or digit to look for", "to look for signs write field:*…*")
        return self._count(Says(field, tuple(phrase)))

    def _exact(self, field: str, text: str, column: int) -> Query:
        if field in TEXT_FIELDS:
            return self._says(field, text, column)
        if field in _TIME_FIELDS and (span := moment(text, column, self._zone)):
            return self._count(During(field=field, since=span[0], until=span[1]))
        return self._count(Equals(self._not_a_time(field, column), text))

    def _plain(self, field: str, word: _Word) -> Query:
        """Return the condition of one value of a field."""
        if word.wild:
            return self._count(Like(self._not_a_time(field, word.column), word.pattern))
        if (span := network(word.text)) is not None:
            named = Equals(self._not_a_time(field, word.column), word.text)
            return self._count(AnyOf((Addresses(field=field, low=span[0], high=span[1]), named)))
        return self._exact(field, word.text, word.column)

    def _not_a_time(self, field: str, column: int) -> str:
        if field == TIMESTAMP:
            raise query_failure(column, "this is not a time", "write 2026-09-07, 2026-09-07T08:00 or a range of them")
        return field

    def _range(self, field: str) -> Query:
        start = self._at
        above = self._text[start] == "{"
        self._at += 1
        low, low_at = self._bound("]}")
        self._skip()
        if self._operator() != "to":
            raise query_failure(self._at, "TO is missing in the range", "write [low TO high]; * leaves an end open")
        self._at += 2
        high, high_at = self._bound("]}")
        self._skip()
        if self._at == len(self._text) or self._text[self._at] not in "]}":
            raise query_failure(start, "this range is not closed", "write [low TO high]; * leaves an end open")
        below = self._text[self._at] == "}"
        self._at += 1
        return self._between(field, End(low, low_at, above), End(high, high_at, below))

    def _comparison(self, field: str) -> Query:
        sign = self._text[self._at]
        self._at += 1
        strict = self._text[self._at : self._at + 1] != "="
        self._at += not strict
        bound, column = self._bound("")
        edge, opened = End(bound, column, strict), End("", column, excluded=False)
        return self._between(field, edge, opened) if sign == ">" else self._between(field, opened, edge)

    def _bound(self, stops: str) -> tuple[str, int]:
        """Return one end of a range, "" if it is open, and its column."""
        self._skip()
        column = self._at
        if self._at < len(self._text) and self._text[self._at] in _QUOTES:
            text = self._quoted()
        else:
            word = self._word(stops=stops)
            text = "" if word.pattern == "*" else word.text
            if not word.pattern:
                raise query_failure(column, "an end of the range is missing", "write a number, a time or an address")
        return text, column

    def _between(self, field: str, low: End, high: End) -> Query:
        if not low.text and not high.text:
            return self._count(Exists(field))
        return self._count(between(field, low, high, self._zone))

    def _word(self, *, stops: str = "", stop_at_colon: bool = False) -> _Word:
        """Return the run of characters that starts here."""
        start, text, pattern, wild = self._at, "", "", False
        stops += _OPEN + _CLOSE + (_COLONS if stop_at_colon else "")
        while self._at < len(self._text):
            char = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            if char == "\\" and following and following in _SPECIAL:
                self._at += 2
                text, pattern = text + following, pattern + literal(following)
                continue
            if (
                char.isspace()
                or char in _OPEN + _CLOSE + stops
                or char in _QUOTES
                or (stop_at_colon and char in _COLONS)
            ):
                break
            self._at += 1
            text += char
            wild = wild or char in "*?"
            pattern += char if char in "*?" else literal(char)
        return _Word(text, pattern, wild, start)

    def _quoted(self) -> str:
        r"""Return the text between the quotes that start here; `\"` and `\\` stand for themselves."""
        start, end, text = self._at, _QUOTES[self._text[self._at]], ""
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in {"\\", end}:
                text += self._text[self._at + 1]
                self._at += 2
                continue
            self._at += 1
            if char == end:
                return text
            text += char
        raise query_failure(
            start, "this quotation mark is not closed", "close it with a quotation mark of the same kind"
        )

    def _operator(self) -> str:
        """Return the operator that stands here as a word of its own, in lower case; "" if there is none."""
        for word in ("and", "or", "not", "to"):
            end = self._at + len(word)
            if self._text[self._at : end].lower() == word:
                behind = self._text[end : end + 1]
                if not behind or behind.isspace() or behind in _OPEN + _CLOSE or behind in _QUOTES:
                    return word
        return ""

    def _accept(self, word: str) -> bool:
        self._skip()
        if self._operator() != word:
            return False
        self._at += len(word)
        return True

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _ends(self) -> bool:
        """Tell whether the text or the parenthesis ends here."""
        self._skip()
        return self._at == len(self._text) or self._text[self._at] in _CLOSE

    def _count(self, query: Query) -> Query:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise query_failure(self._at, "the query has too many conditions", "at most {most}", most=MAX_CONDITIONS)
        return query

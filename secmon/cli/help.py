"""Help in Chinese: what docstrings and options say in English is looked up when help is laid out, never before.

click hands everything to a formatter, paragraph by paragraph and row by row; that is the place where it is translated
(help.po). Lines are counted in columns of a terminal: a Chinese character takes two.
"""

import inspect
import re
import unicodedata
from collections.abc import Callable, Iterable

import click

from secmon.i18n import HELP, translator

EXAMPLE = "Example: "

# What a reader has to put in (`FILE...`, `--days INTEGER RANGE`), click's and our own names.
_METAVAR = re.compile(r"(?<![\w%-])[A-Z]{2,}(?: RANGE)?(?!\w)")
# What click adds to the help of an option: `[default: 30; 1<=x<=3660; required]`.
_EXTRA = re.compile(r"(?P<text>.*?)(?:  )?(?:\[(?P<extra>[^\[\]]+)\])?", re.DOTALL)
_DEFAULT = "default: "

_OPENING, _CLOSING, _WIDE = "（《「“", "，。；：、？！）》」”…", "\u2e80-\uffef"
# What stands together on a line: a Chinese character or a run of others, with the marks that belong to it.
_PIECE = re.compile(
    rf"\s+|[{_OPENING}]*(?:[^\s{_OPENING}{_CLOSING}{_WIDE}]+|(?![{_OPENING}{_CLOSING}])[{_WIDE}])?[{_CLOSING}]*"
)


def formatter(ctx: click.Context, language: str | None) -> click.HelpFormatter:
    """Return what lays out the help of a command: click's own in English, else ours."""
    say = translator(language, HELP)
    if say is str:
        return click.HelpFormatter(width=ctx.terminal_width, max_width=ctx.max_content_width)
    return ChineseFormatter(ctx, say)


def in_chinese(usage: str, say: Callable[[str], str] | None = None) -> str:
    """Return names of values in Chinese: `FILE...` is `文件...`; names that nobody translated stay."""
    known = say or translator("zh-CN", HELP)
    return _METAVAR.sub(lambda found: known(found[0]), usage)


def paragraphs(command: click.Command) -> list[str]:
    """Return the paragraphs of a command's docstring, each on one line, as the catalogue has them."""
    return _paragraphs(inspect.cleandoc(command.help or ""))


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes (UAX #11: wide and full-width characters take two)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, at most `width` columns wide unless a word is wider.

    A line begins with no closing mark and ends with no opening one; what has no space or Chinese in it stays whole.
    """
    lines = [""]
    for piece in filter(None, _PIECE.findall(text.strip())):
        if lines[-1] and columns(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]


class ChineseFormatter(click.HelpFormatter):
    """Lays out the help of one command in Chinese.

    Args:
        ctx: the command's context; a group's list of commands is made from their docstrings.
        say: translation of a paragraph, of an option's help, of a word.
    """

    def __init__(self, ctx: click.Context, say: Callable[[str], str]) -> None:
        super().__init__(width=ctx.terminal_width, max_width=ctx.max_content_width)
        self._ctx, self._say = ctx, say

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how the command is used; the arguments stand below each other."""
        first = f"{self._say('Usage:') + ' ' if prefix is None else prefix}{prog} "
        lines = wrapped(in_chinese(args, self._say), max(self.width - columns(first), 20))
        self.write(first + f"\n{'':{columns(first)}}".join(lines) + "\n")

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        super().write_heading(self._say(heading))

    def write_text(self, text: str) -> None:
        """Write paragraphs; an example stays as it is, on one line, to be copied."""
        indent = " " * self.current_indent
        told = []
        for paragraph in _paragraphs(text):
            if paragraph.startswith(EXAMPLE):
                lines = [f"{self._say(EXAMPLE.strip())} {paragraph.removeprefix(EXAMPLE)}"]
            else:
                lines = wrapped(self._say(paragraph), self.width - self.current_indent)
            told.append("".join(f"{indent}{line}\n" for line in lines))
        self.write("\n".join(told))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands and what they are for, in two columns."""
        told = [(in_chinese(term, self._say), self._meaning(term, text)) for term, text in rows]
        left = min(max((columns(term) for term, _ in told), default=0), col_max) + col_spacing
        indent, margin = " " * self.current_indent, " " * (self.current_indent + left)
        for term, meaning in told:
            lines = wrapped(meaning, max(self.width - len(margin), 10))
            gap = left - columns(term)
            between = " " * gap if gap >= col_spacing else f"\n{margin}"
            self.write(f"{indent}{term}{between}".rstrip(" ") if not meaning else f"{indent}{term}{between}{lines[0]}")
            self.write("".join(f"\n{margin}{line}" for line in lines[1:]) + "\n")

    def _meaning(self, term: str, text: str) -> str:
        group = self._ctx.command
        below = group.get_command(self._ctx, term) if isinstance(group, click.Group) else None
        if below is not None:
            # click cuts the English to one line; the Chinese says the main thing before its first stop.
            return re.split("[。；：]", self._say(next(iter(paragraphs(below)), "")), maxsplit=1)[0]
        found = _EXTRA.fullmatch(text)
        if found is None or found["extra"] is None:
            return self._say(text)
        extra = "；".join(self._extra(one) for one in found["extra"].split("; "))
        return f"{self._say(found['text'])}  [{extra}]" if found["text"] else f"[{extra}]"

    def _extra(self, text: str) -> str:
        if text.startswith(_DEFAULT):
            return self._say("default: {value}").format(value=text.removeprefix(_DEFAULT))
        return self._say(text) if text.isalpha() else text


def _paragraphs(text: str) -> list[str]:
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n", text) if one.strip()]

"""Which fonts the PDF is set in: the office's own first, then the bundled Noto fonts (SIL OFL), never the system's.

GB/T 9704-2012 wants 仿宋, 黑体, 楷体, 小标宋 and 宋体. Those of Windows and 方正 belong to their makers and cannot come
with secmon; an office that has them names their folder in the setting `documents.fonts`. What stands in for them is
printed at the end of the document, and a character that no font has is spelt out, never a silent empty box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from secmon.errors import ConfigError
from secmon.render.cmap import characters
from secmon.render.text import code_point, printable

if TYPE_CHECKING:
    import typst

_SERIF, _SANS = "Noto Serif SC", "Noto Sans SC"
_VARIATION_SELECTORS = frozenset((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_NAMED_MISSING = 30
_NEVER_DRAWN = frozenset({0x0A, 0x20, 0x200C, 0x200D}) | _VARIATION_SELECTORS


class Role(StrEnum):
    """What a typeface is for; the value is its name in the standard."""

    BODY = "仿宋"
    HEADING = "黑体"
    SUBHEADING = "楷体"
    TITLE = "小标宋"
    FOLIO = "宋体"


# Best first. Fandol (Debian: texlive-lang-chinese) is the free simplified 仿宋, 楷体 and 黑体.
_FAMILIES: dict[Role, tuple[str, ...]] = {
    Role.BODY: ("FangSong_GB2312", "仿宋_GB2312", "FangSong", "仿宋", "STFangsong", "华文仿宋", "FandolFang R", _SERIF),
    Role.HEADING: ("SimHei", "黑体", "STHeiti", "FZHei-B01S", "方正黑体_GBK", "FandolHei", _SANS),
    Role.SUBHEADING: ("KaiTi_GB2312", "楷体_GB2312", "KaiTi", "楷体", "STKaiti", "华文楷体", "FandolKai", _SERIF),
    Role.TITLE: ("FZXiaoBiaoSong-B05S", "方正小标宋简体", "FZXiaoBiaoSong-B05", "方正小标宋_GBK", _SERIF),
    Role.FOLIO: ("SimSun", "宋体", "NSimSun", "STSong", "华文宋体", "FandolSong", _SERIF),
}
_BUNDLED = frozenset({_SERIF, _SANS})
_SUBSTITUTES = _BUNDLED | {"FandolFang R", "FandolHei", "FandolKai", "FandolSong"}
# 黑体 asks for a plain sans serif and 宋体 for a plain serif of the Song kind: Noto's are such.
_PLAIN = {Role.HEADING: _SANS, Role.FOLIO: _SERIF}


@dataclass(frozen=True, slots=True)
class FontChoice:
    """What is used for one role.

    Args:
        role: the typeface of the standard.
        family: the family used, as the font names itself.
        path: its file.
        substituted: it only stands in for the typeface.
        remedy: what to do about that; empty if there is nothing to do.
    """

    role: Role
    family: str
    path: str
    substituted: bool
    remedy: str


class FontLibrary:
    """The fonts of some folders and the bundled ones, read once.

    Args:
        folders: the office's own font folders (setting `documents.fonts`).

    Raises:
        ConfigError: from every method, if a folder is not there or a font cannot be read.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)

    @cached_property
    def handle(self) -> "typst.Fonts":
        """Typst's own view of the fonts."""
        import pylopdf_fonts_zh_cn  # noqa: PLC0415 - half of what a command's start-up would cost
        import typst  # noqa: PLC0415 - the same

        for folder in self._folders:
            if not folder.is_dir():
                raise ConfigError("the fonts folder is not there", where=str(folder), hint="see documents.fonts")
        bundled = pylopdf_fonts_zh_cn.serif_path().parent
        return typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=False,
            font_paths=[str(folder) for folder in (*self._folders, bundled)],
        )

    def choice(self, role: Role) -> FontChoice:
        """Return the best family there is for `role`."""
        family = self._best(role)
        substituted = family in _SUBSTITUTES and _PLAIN.get(role) != family
        wanted = _FAMILIES[role][0]
        return FontChoice(
            role=role,
            family=family,
            path=self._faces[family][0],
            substituted=substituted,
            remedy=f"documents.fonts: {wanted}" if substituted else "",
        )

    def families(self, role: Role) -> tuple[str, ...]:
        """Return the families for `role` in the order in which they are asked for a character."""
        rest = sorted(self._faces.keys() - _BUNDLED)
        ordered = (self._best(role), _SERIF, _SANS, *rest)
        return tuple(dict.fromkeys(family for family in ordered if family in self._faces))

    def missing(self, text: str) -> frozenset[str]:
        """Return the characters of `text` that no font has."""
        return frozenset(character for character in set(text) if ord(character) not in self._covered)

    def spelt(self, text: str) -> str:
        """Return `text` printable, with "[U+20BB7]" in the place of each character that no font has."""
        clean = printable(text)
        absent = self.missing(clean)
        return clean.translate({ord(character): code_point(character) for character in absent}) if absent else clean

    def substitution_note(self) -> str:
        """Return the line for the end of the document, "" if every typeface is there."""
        replaced = [choice for choice in map(self.choice, Role) if choice.substituted]
        pairs = "，".join(f"{choice.role}→{choice.family}" for choice in replaced)
        return f"字体已替代：{pairs}。" if pairs else ""

    @cached_property
    def _faces(self) -> dict[str, tuple[str, int]]:
        """The upright face of ordinary weight of every family: its file and its number in it."""
        faces: dict[str, tuple[str, int]] = {}
        for face in sorted(self.handle.fonts(), key=lambda face: (face.style != "normal", abs(face.weight - 400))):
            if face.path is not None:
                faces.setdefault(face.family, (face.path, face.index))
        return faces

    @cached_property
    def _covered(self) -> frozenset[int]:
        return _NEVER_DRAWN.union(*(_characters_of(path, index) for path, index in self._faces.values()))

    def _best(self, role: Role) -> str:
        by_name = {family.casefold(): family for family in self._faces}
        found = (by_name.get(family.casefold()) for family in _FAMILIES[role])
        best = next((family for family in found if family), None)
        if best is None:
            raise ConfigError("no font for Chinese was found", hint="install the package pylopdf-fonts-zh-cn")
        return best


def font_report(folders: Sequence[Path] = ()) -> list[FontChoice]:
    """Return what will be used for each typeface of the standard: for `secmon doctor`.

    Raises:
        ConfigError: a folder is not there, or there is no font at all.
    """
    library = FontLibrary(folders)
    return [library.choice(role) for role in Role]


def missing_note(absent: frozenset[str]) -> str:
    """Return the line that says which characters are spelt out, "" if none is."""
    codes = "、".join(f"U+{ord(character):04X}" for character in sorted(absent)[:_NAMED_MISSING])
    more = f"等{len(absent)}个" if len(absent) > _NAMED_MISSING else ""
    return f"字体缺字，正文以编码写出：{codes}{more}。" if codes else ""


def _characters_of(path: str, index: int) -> frozenset[int]:
    try:
        return characters(Path(path).read_bytes(), index)
    except (OSError, ConfigError) as error:
        raise ConfigError(
            "a font cannot be read", where=path, hint="take it out of the fonts folder, or give it whole"
        ) from error

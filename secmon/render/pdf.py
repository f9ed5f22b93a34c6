"""Official documents as PDF/A-2b, tagged, set by typst from the template beside this file."""

import json
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING

from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.document import Heading, OfficialDocument, Paragraph
from secmon.render.fonts import FontLibrary, Role, missing_note
from secmon.render.parts import Form, Grid, Parts, Piece, fit_one_line, parts_of
from secmon.render.text import file_date, printable

if TYPE_CHECKING:
    import typst

STANDARD: "typst.PDFStandard" = "a-2b"
"""For keeping: all fonts embedded, nothing fetched, and no glyph may be missing. Tags are written as well."""

_EMBOLDENED = (Role.TITLE, Role.SUBHEADING)


class PdfRenderer:
    """Writes PDF.

    Args:
        fonts: the fonts to use; the bundled ones if not given. Share one library: reading it takes 0.15 s.
    """

    format = "pdf"

    def __init__(self, fonts: FontLibrary | None = None) -> None:
        self._fonts = fonts or FontLibrary()

    def render(self, access: Access, document: OfficialDocument) -> bytes:  # noqa: ARG002 - the port names who asks
        """Return the PDF; the same document and fonts give the same bytes.

        Raises:
            ConfigError: a font folder or font cannot be read.
            SecmonError: the typesetter refused the document.
        """
        import typst  # noqa: PLC0415 - 30 ms that only this writer needs

        parts = parts_of(document, self._fonts.spelt)
        inputs = {
            "document": json.dumps(self._content(document, parts), ensure_ascii=False),
            "fonts": json.dumps(self._font_table(), ensure_ascii=False),
        }
        try:
            written = typst.compile(
                files("secmon.render").joinpath("official.typ").read_bytes(),
                font_paths=self._fonts.handle,
                ignore_system_fonts=True,
                sys_inputs=inputs,
                format="pdf",
                pdf_standards=[STANDARD],
                timestamp=0,
            )
        except typst.TypstError:
            # Its message may quote the document; so nothing of it goes on, not even as the cause.
            raise SecmonError(
                "the PDF could not be typeset", where=document.kind, hint="the DOCX and HTML have the same content"
            ) from None
        return bytes(written)

    def _content(self, document: OfficialDocument, parts: Parts) -> dict[str, object]:
        absent = self._fonts.missing("".join(map(printable, document.texts())))
        notes = tuple(filter(None, (missing_note(absent), self._fonts.substitution_note())))
        dated = file_date(document.date)
        return asdict(parts) | {
            "pieces": [_tagged(piece) for piece in parts.pieces],
            "typesetting": notes,
            "beside": {
                "signer": fit_one_line(parts.number, parts.signer),
                "issued_on": fit_one_line(parts.publisher, parts.issued_on),
                "printed_on": fit_one_line(parts.printed_by, parts.printed_on),
            },
            "stamp": {"year": dated.year, "month": dated.month, "day": dated.day},
        }

    def _font_table(self) -> dict[str, object]:
        choices = map(self._fonts.choice, _EMBOLDENED)
        return {
            "families": {role.name.lower(): self._fonts.families(role) for role in Role},
            "emboldened": [choice.role.name.lower() for choice in choices if choice.substituted],
        }


def _tagged(piece: Piece) -> dict[str, object]:
    match piece:
        case Heading():
            kind = "heading"
        case Paragraph():
            kind = "paragraph"
        case Grid():
            kind = "grid"
        case Form():
            kind = "form"
        case _:
            kind = "break"
    return {"kind": kind, **asdict(piece)}

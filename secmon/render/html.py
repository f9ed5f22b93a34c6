"""Official documents as one HTML page: nothing fetched, nothing executed, printed like the PDF."""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from secmon.model.access import Access
from secmon.model.document import Heading, OfficialDocument, Paragraph
from secmon.render.parts import Form, Grid, Parts, Piece, parts_of

if TYPE_CHECKING:
    import jinja2
    import markupsafe

_KINDS: tuple[tuple[type, str], ...] = ((Heading, "heading"), (Paragraph, "paragraph"), (Grid, "grid"), (Form, "form"))


class HtmlRenderer:
    """Writes HTML."""

    format = "html"

    def render(self, access: Access, document: OfficialDocument) -> bytes:  # noqa: ARG002 - the port names who asks
        """Return the page as UTF-8; the same document gives the same bytes.

        Its content security policy names the digest of its one style sheet and allows nothing else.
        """
        import markupsafe  # noqa: PLC0415 - comes with jinja2

        parts = parts_of(document)
        style = "".join(_style(parts))
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        page = _template().render(
            parts=parts,
            pieces=[(_kind(piece), piece) for piece in parts.pieces],
            # Our own sheet and numbers, no text of the document; escaping would change its digest.
            style=markupsafe.Markup(style),  # noqa: S704
            style_hash=f"sha256-{digest}",
        )
        return page.encode()


def _kind(piece: Piece) -> str:
    return next((name for kind, name in _KINDS if isinstance(piece, kind)), "break")


def _style(parts: Parts) -> Iterator[str]:
    """Yield the style sheet and what depends on the document: numbers only, as inline styles are forbidden."""
    yield "\n" + files("secmon.render").joinpath("official.css").read_text("utf-8")
    yield f".head {{ font-size: {parts.head_pt}pt; }}\n"
    for number, piece in enumerate(parts.pieces):
        if isinstance(piece, Grid):
            for column, share in enumerate(piece.shares, start=1):
                yield f".t{number} col:nth-child({column}) {{ width: {share:.2%}; }}\n"


def _with_line_breaks(text: str) -> "markupsafe.Markup":
    """Return the text escaped, its line feeds as <br>."""
    import markupsafe  # noqa: PLC0415 - comes with jinja2

    return markupsafe.Markup("<br>").join(text.split("\n"))


@cache
def _template() -> "jinja2.Template":
    import jinja2  # noqa: PLC0415 - 60 ms that only this writer and the console need

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["lines"] = _with_line_breaks
    return environment.from_string(files("secmon.render").joinpath("official.html.j2").read_text("utf-8"))

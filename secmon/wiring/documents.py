"""Writers of documents, imported when they are first asked for: typst takes a while."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from secmon.config import Settings
from secmon.ports import Renderer

FORMATS = ("html", "docx", "pdf")


def renderers(settings: Settings) -> Mapping[str, Renderer]:
    """Return the writers of documents by format, each made when it is first asked for."""
    return _Renderers(settings["documents.fonts"])


class _Renderers(Mapping[str, Renderer]):
    def __init__(self, fonts: tuple[Path, ...]) -> None:
        self._fonts = fonts

    def __getitem__(self, name: str) -> Renderer:
        if name not in FORMATS:
            raise KeyError(name)
        return _renderer(name, self._fonts)

    def __iter__(self) -> Iterator[str]:
        return iter(FORMATS)

    def __len__(self) -> int:
        return len(FORMATS)


@cache
def _renderer(name: str, fonts: tuple[Path, ...]) -> Renderer:
    from secmon.render.docx import DocxRenderer  # noqa: PLC0415  see above
    from secmon.render.fonts import FontLibrary  # noqa: PLC0415
    from secmon.render.html import HtmlRenderer  # noqa: PLC0415
    from secmon.render.pdf import PdfRenderer  # noqa: PLC0415

    if name == "html":
        return HtmlRenderer()
    return DocxRenderer() if name == "docx" else PdfRenderer(FontLibrary(fonts))

"""The DOCX package: a zip of parts that name each other.

Format: ECMA-376 part 2 (Open Packaging Conventions) and part 1, §11.3. We write the few parts that an official
document needs ourselves: a template file would bring 800 KB of styles nobody uses, and times of its own.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from secmon.render.ooxml import (
    BODY_FACE,
    HEADING_FACE,
    LATIN_FACE,
    LINE_PT,
    OTHER_NAMES,
    RELATIONS,
    SUBHEADING_FACE,
    TITLE_FACE,
    dxa,
    element,
)

_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_PACKAGE_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_CORE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
_DC = "http://purl.org/dc/elements/1.1/"
_DCTERMS = "http://purl.org/dc/terms/"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_MAIN_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

for _prefix, _uri in (("cp", _CORE), ("dc", _DC), ("dcterms", _DCTERMS), ("xsi", _XSI)):
    register_namespace(_prefix, _uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What the file says about itself; `created` is an ISO 8601 time."""

    title: str
    author: str
    created: str


def package(body: Element, frames: Mapping[str, Element], properties: Properties) -> bytes:
    """Return the file: `w:body`, its headers and footers by relation id ("header1", "footer2"), and the fixed parts."""
    parts = {
        "word/document.xml": element("document", body),
        "word/styles.xml": _styles(),
        "word/settings.xml": _settings(),
        "word/fontTable.xml": _font_table(),
    } | {f"word/{name}.xml": frame for name, frame in frames.items()}
    entries = {
        "[Content_Types].xml": _content_types(parts),
        "_rels/.rels": _relations(
            {
                "main": (f"{RELATIONS}/officeDocument", "word/document.xml"),
                "core": (f"{_PACKAGE_RELATIONS}/metadata/core-properties", "docProps/core.xml"),
            }
        ),
        "docProps/core.xml": _core_properties(properties),
        "word/_rels/document.xml.rels": _relations(
            {
                name.removesuffix(".xml"): (f"{RELATIONS}/{name.removesuffix('.xml').rstrip('0123456789')}", name)
                for name in (part.removeprefix("word/") for part in parts)
                if name != "document.xml"
            }
        ),
    } | parts
    return _zipped(entries)


def _zipped(entries: Mapping[str, Element]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, root in entries.items():
            content = tostring(root, encoding="UTF-8", xml_declaration=True)
            archive.writestr(_entry(name), content)
    return written.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an entry without this machine's clock and system in it."""
    entry = zipfile.ZipInfo(name, date_time=_ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 0
    return entry


def _content_types(parts: Mapping[str, Element]) -> Element:
    root = Element("Types", xmlns=_TYPES)
    SubElement(
        root, "Default", Extension="rels", ContentType="application/vnd.openxmlformats-package.relationships+xml"
    )
    core = "application/vnd.openxmlformats-package.core-properties+xml"
    SubElement(root, "Override", PartName="/docProps/core.xml", ContentType=core)
    for part in parts:
        kind = part.removeprefix("word/").removesuffix(".xml").rstrip("0123456789")
        suffix = "document.main" if kind == "document" else kind
        SubElement(root, "Override", PartName=f"/{part}", ContentType=f"{_MAIN_TYPE}.{suffix}+xml")
    return root


def _relations(targets: Mapping[str, tuple[str, str]]) -> Element:
    root = Element("Relationships", xmlns=_PACKAGE_RELATIONS)
    for name, (kind, target) in targets.items():
        SubElement(root, "Relationship", Id=name, Type=kind, Target=target)
    return root


def _core_properties(properties: Properties) -> Element:
    root = Element(f"{{{_CORE}}}coreProperties")
    SubElement(root, f"{{{_DC}}}title").text = properties.title
    SubElement(root, f"{{{_DC}}}creator").text = properties.author
    SubElement(root, f"{{{_DC}}}language").text = "zh-CN"
    for name in ("created", "modified"):
        stamp = SubElement(root, f"{{{_DCTERMS}}}{name}", {f"{{{_XSI}}}type": "dcterms:W3CDTF"})
        stamp.text = properties.created
    return root


def _styles() -> Element:
    """Return the styles: the body's as default, the title's and three of headings, which fill the navigation pane."""
    fonts = element("rFonts", ascii=LATIN_FACE, hAnsi=LATIN_FACE, eastAsia=BODY_FACE, cs=LATIN_FACE)
    language = element("lang", val="en-US", eastAsia="zh-CN", bidi="ar-SA")
    run = element("rPr", fonts, element("sz", val=32), element("szCs", val=32), language)
    spacing = element("spacing", before=0, after=0, line=dxa(LINE_PT), lineRule="exact")
    defaults = element(
        "docDefaults",
        element("rPrDefault", run),
        element("pPrDefault", element("pPr", element("widowControl"), spacing)),
    )
    normal = element(
        "style",
        element("name", val="Normal"),
        element("qFormat"),
        element("rPr", element("sz", val=32)),
        type="paragraph",
        default=1,
        styleId="Normal",
    )
    plain_table = element("style", element("name", val="Normal Table"), type="table", default=1, styleId="TableNormal")
    headings = (
        _style(f"Heading{level}", f"heading {level}", face, level - 1)
        for level, face in enumerate((HEADING_FACE, SUBHEADING_FACE, BODY_FACE), start=1)
    )
    return element("styles", defaults, normal, plain_table, _style("Title", "Title", TITLE_FACE), *headings)


def _style(style_id: str, name: str, face: str, level: int | None = None) -> Element:
    outline = (element("outlineLvl", val=level),) if level is not None else ()
    return element(
        "style",
        element("name", val=name),
        element("basedOn", val="Normal"),
        element("next", val="Normal"),
        element("qFormat"),
        element("pPr", element("keepNext"), *outline),
        element("rPr", element("rFonts", eastAsia=face)),
        type="paragraph",
        styleId=style_id,
    )


def _settings() -> Element:
    """Return the settings: other page numbers left and right, Chinese punctuation kept within the line."""
    mode = element("compatSetting", name="compatibilityMode", uri="http://schemas.microsoft.com/office/word", val=15)
    return element(
        "settings",
        element("evenAndOddHeaders"),
        element("characterSpacingControl", val="compressPunctuation"),
        element("compat", element("useFELayout"), mode),
        element("themeFontLang", val="en-US", eastAsia="zh-CN"),
    )


def _font_table() -> Element:
    """Return the fonts with their other names: a machine without 仿宋_GB2312 takes its 仿宋, not any font."""
    return element(
        "fonts",
        *(
            element("font", element("altName", val=other), element("charset", val="86"), name=name)
            for name, other in OTHER_NAMES.items()
        ),
    )

"""Small pieces of official Chinese that several kinds of bulletins share."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from secmon.bulletin.facts import AlertFacts
from secmon.model.bulletin import TO_FILL, BulletinKind, BulletinParagraph, Style
from secmon.model.canonical import canonical_bytes
from secmon.model.event import format_time
from secmon.model.hit import Minor
from secmon.model.printable import clean

_BEIJING = timezone(timedelta(hours=8), "北京时间")
_HAN = "一二三四五六七八九十"
_MINOR_ZH = {Minor.UNDER_14: "不满十四周岁", Minor.UNDER_18: "十四周岁以上不满十八周岁"}


def heading(number: int, text: str) -> BulletinParagraph:
    """Return "一、…"."""
    return BulletinParagraph(style=Style.HEADING, text=f"{_HAN[number - 1]}、{text}")


def subheading(number: int, text: str) -> BulletinParagraph:
    """Return "（一）…"."""
    return BulletinParagraph(style=Style.SUBHEADING, text=f"（{_HAN[number - 1]}）{text}")


def body(text: str, evidence_ids: tuple[str, ...]) -> BulletinParagraph:
    """Return a paragraph that rests on evidence."""
    return BulletinParagraph(style=Style.BODY, text=text, evidence_ids=evidence_ids)


def body_to_fill(text: str) -> BulletinParagraph:
    """Return a paragraph that a person completes or confirms."""
    return BulletinParagraph(style=Style.BODY, text=text, to_fill=True)


def field(label: str, value: str, evidence_ids: tuple[str, ...] = ()) -> BulletinParagraph:
    """Return a form field; without a value, or without evidence for it, a person fills it in or confirms it."""
    shown = value or TO_FILL
    to_fill = not value or not evidence_ids
    return BulletinParagraph(
        style=Style.FIELD,
        text=f"{label}：{shown}",
        label=label,
        cells=(label, shown),
        evidence_ids=evidence_ids,
        to_fill=to_fill,
    )


def table(
    head: tuple[str, ...], rows: Iterable[tuple[str, ...]], evidence_ids: tuple[str, ...] = ()
) -> list[BulletinParagraph]:
    """Return a table: its head and its rows; rows without evidence are for people to fill in or confirm."""
    first = BulletinParagraph(style=Style.TABLE_HEAD, text="；".join(head), cells=head)
    return [
        first,
        *(
            BulletinParagraph(
                style=Style.TABLE_ROW,
                text="；".join(cells),
                cells=cells,
                evidence_ids=evidence_ids,
                to_fill=not evidence_ids,
            )
            for cells in rows
        ),
    ]


def minute(moment: datetime) -> str:
    """Return Beijing time to the minute: 2026年9月7日8时05分."""
    local = moment.astimezone(_BEIJING)
    return f"{local.year}年{local.month}月{local.day}日{local.hour}时{local.minute:02}分"


def span(facts: AlertFacts) -> str:
    """Return the time between first and last moment, in Beijing time."""
    first, last = minute(facts.first), minute(facts.last)
    if first == last:
        return first
    day = last.index("日") + 1
    return f"{first}至{last[day:] if first[:day] == last[:day] else last}"


def personal_data(facts: AlertFacts) -> str:
    """Say which personal data was seen, and of how many people at most; for an alert that has any."""
    classes = "、".join(f"{clean(name)}{count}处" for name, count in facts.data_classes.items() if count)
    groups = "、".join(f"{name}{facts.minors[age]}人" for age, name in _MINOR_ZH.items() if facts.minors.get(age))
    minors = f"，其中由数据可辨识的未成年人不超过{groups}" if groups else "，未能由数据辨识出未成年人，不能据此排除"
    return f"相关日志中识别出{classes}（入库前已脱敏），去重后涉及人数不超过{facts.persons_at_most}人{minors}"


def numbered(steps: Iterable[str]) -> str:
    """Return short steps as one numbered sentence."""
    return "；".join(f"{number}.{step}" for number, step in enumerate(steps, start=1)) + "。"


def bulletin_id(kind: BulletinKind, issuer_id: str, facts: AlertFacts, at: datetime) -> str:
    """Return 32 hex digits that name one draft: kind, drafting unit, alert revision and moment."""
    key = canonical_bytes([kind.value, issuer_id, facts.id, facts.revision, format_time(at)])
    return hashlib.sha256(key).hexdigest()[:32]

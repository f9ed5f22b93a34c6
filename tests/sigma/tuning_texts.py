"""Builders of documents that tune rules: each shows only what matters to a test."""

from collections.abc import Mapping

CUSTOM = {"units": "any", "owner": "张三", "approver": "李四", "reason": "备份软件定时登录", "expires": "2026-12-31"}
EXCEPTION = "0d6e9b1a-0000-4000-8000-{:012d}"


def exception_text(
    *,
    number: int = 1,
    rules: str = "any",
    selection: str = "user.name: backup",
    condition: str = "not selection",
    logsource: str = "category: authentication",
    **custom: object,
) -> str:
    """Return an exception: events that meet the selection are covered. A key that is None is left out."""
    return "\n".join(
        [
            f"title: Exception {number}",
            f"id: {EXCEPTION.format(number)}",
            "taxonomy: ecs",
            f"logsource: {{{logsource}}}",
            "filter:",
            f"  rules: {rules}",
            f"  selection: {{{selection}}}",
            f"  condition: {condition}",
            *_block({**CUSTOM, **custom}),
            "",
        ]
    )


def maintenance_text(
    block: str = "{rules: any, from: 2026-11-21T22:00, to: 2026-11-22T06:00}", *, number: int = 1, **custom: object
) -> str:
    """Return a maintenance window."""
    said = {**CUSTOM, "expires": None, "reason": "数据库升级", **custom}
    head = [f"title: Window {number}", f"id: {EXCEPTION.format(100 + number)}", f"maintenance: {block}"]
    return "\n".join([*head, *_block(said), ""])


def override_text(block: str, *, number: int = 1, **custom: object) -> str:
    """Return an override."""
    said = {**CUSTOM, "units": None, "expires": None, "reason": "误报多", **custom}
    head = [f"title: Override {number}", f"id: {EXCEPTION.format(200 + number)}", f"override: {block}"]
    return "\n".join([*head, *_block(said), ""])


def _block(said: Mapping[str, object]) -> list[str]:
    lines = [f"    {key}: {value}" for key, value in said.items() if value is not None]
    return ["custom:", "  secmon:" if lines else "  secmon: {}", *lines]

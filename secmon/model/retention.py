"""Classes of retention: how long their partitions must be kept, and how long they may.

Least: 网络安全法 第二十三条第三项 (2025 修改; formerly 第二十一条): network logs are kept for at least six months.
Most: 个人信息保护法 第十九条: personal information is kept for the shortest time that its purpose needs; every log
of an education system holds some, so each class has a ceiling, which the operator may lower.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SECURITY: Final = "security"


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """What the law says of one class.

    Args:
        least_days: it must be kept so long.
        ceiling_days: it is kept no longer, unless the operator says another ceiling.
    """

    least_days: int
    ceiling_days: int


CLASSES: Final[Mapping[str, RetentionClass]] = {SECURITY: RetentionClass(least_days=180, ceiling_days=1_095)}


def class_of(name: str) -> RetentionClass:
    """Return a class; one that this version does not know is kept as security logs are."""
    return CLASSES.get(name, CLASSES[SECURITY])


def days_kept(name: str, days: int, ceilings: Mapping[str, int]) -> int:
    """Return for how many days partitions of a class are kept.

    Args:
        name: the class.
        days: what the operator wants.
        ceilings: class → the operator's ceiling.
    """
    law = class_of(name)
    return max(min(days, ceiling_of(name, ceilings)), law.least_days)


def ceiling_of(name: str, ceilings: Mapping[str, int]) -> int:
    """Return the ceiling of a class in days."""
    return ceilings.get(name, ceilings.get(SECURITY, class_of(name).ceiling_days))

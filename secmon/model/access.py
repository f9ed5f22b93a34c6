"""Who asks, and what part of the unit tree they may see: a required argument of every port and use case."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a principal may do; 三员分立 keeps the three administrators apart."""

    SYSTEM_ADMIN = "system_admin"
    """系统管理员: settings, sources, users."""
    SECURITY_ADMIN = "security_admin"
    """安全管理员: rules, classifiers, exceptions."""
    AUDIT_ADMIN = "audit_admin"
    """审计管理员: reads the audit chain."""
    OPERATOR = "operator"
    """安全运营: triages alerts."""
    COMPLIANCE = "compliance"
    """合规专员: assessments and reports."""
    BULLETIN = "bulletin"
    """通报处置: drafts bulletins."""
    READER = "reader"
    """只读."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody or something that acts: a console user, a command's operating-system user, a daemon job.

    Args:
        id: "user:NAME", "os:NAME" or "job:NAME"; stands in the audit chain.
        roles: what it may do.
    """

    id: str
    roles: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """The units whose data may be seen; data of no unit is visible at the root only.

    Args:
        units: ids of all units in sight, already expanded to subtrees; None means the root: everything.
    """

    units: frozenset[str] | None = None

    @property
    def is_root(self) -> bool:
        """Whether everything is in sight, data mapped to no unit included."""
        return self.units is None

    def sees(self, unit_id: str | None) -> bool:
        """Tell whether data of this unit is in sight."""
        return self.units is None or (unit_id is not None and unit_id in self.units)


ROOT = Scope()


@dataclass(frozen=True, slots=True)
class Access:
    """The pair that every port method and use case takes first.

    Args:
        principal: who asks.
        scope: what they may see.
    """

    principal: Principal
    scope: Scope

    def may(self, *roles: Role) -> bool:
        """Tell whether the principal has any of these roles."""
        return not self.principal.roles.isdisjoint(roles)


def job_access(name: str) -> Access:
    """Return the access of one of the daemon's own jobs: every role, the whole tree."""
    return Access(Principal(f"job:{name}", frozenset(Role)), ROOT)

"""What a visitor's pages show beside the ids: names of units and systems, and the sources in their sight."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from secmon.app import accounts
from secmon.app.installation import Installation
from secmon.compliance.framework import load_framework
from secmon.daemon.service import Daemon
from secmon.model.access import Access, job_access
from secmon.model.assessment import Control
from secmon.model.asset import Asset
from secmon.web.auth import Visitor


@dataclass(frozen=True, slots=True)
class Names:
    """Names by id; an id that no register knows stands for itself."""

    house: Installation

    def unit(self, unit_id: str | None) -> str:
        """Return a unit's name."""
        return self.house.tree.name(unit_id)

    def asset(self, asset_id: str | None) -> str:
        """Return a system's name."""
        asset = self.house.register.assets.get(asset_id or "")
        return asset.name if asset else (asset_id or "")

    def data_class(self, class_id: str) -> str:
        """Return the Chinese name of a class of personal data."""
        return self.house.class_names.get(class_id, class_id)

    def control(self, control_id: str) -> str:
        """Return what a control asks for, in a few words."""
        control = _controls(self.house.framework_texts).get(control_id)
        return f"{control.point}：{control.gist}" if control else ""


def assets_in_sight(house: Installation, access: Access) -> list[Asset]:
    """Return the registered systems whose unit is in scope, by unit and id."""
    seen = [asset for asset in house.register.assets.values() if access.scope.sees(asset.unit)]
    return sorted(seen, key=lambda asset: (asset.unit, asset.id))


def units_in_sight(house: Installation, access: Access) -> list[tuple[str, str]]:
    """Return (id, name) of the units in scope, by id."""
    return [
        (one.id, one.name) for one in sorted(house.tree.units.values(), key=lambda u: u.id) if access.scope.sees(one.id)
    ]


def sources_in_sight(daemon: Daemon, visitor: Visitor) -> list[accounts.Account]:
    """Return the accounts a visitor may see: at the root all of them, else those of sources of their own units.

    An account is counts and times, no content; checkpoints belong to no unit, so it is read as the daemon itself.
    """
    house, scope = daemon.house, visitor.access.scope
    found = accounts.accounts(house, job_access("console"), daemon.reading.state.live)
    return found if scope.is_root else [one for one in found if scope.sees(_unit_of(house, one.source))]


def source_names_in_sight(house: Installation, visitor: Visitor) -> frozenset[str] | None:
    """Return the names of the configured sources a visitor may see; None for every source there is."""
    scope = visitor.access.scope
    return None if scope.is_root else frozenset(name for name in house.sources if scope.sees(_unit_of(house, name)))


def _unit_of(house: Installation, source: str) -> str | None:
    configured = house.sources.get(source)
    if configured is None:
        return None
    asset = house.register.assets.get(configured.asset)
    return configured.unit or (asset.unit if asset else None)


@cache
def _controls(texts: tuple[tuple[str, str], ...]) -> Mapping[str, Control]:
    found: dict[str, Control] = {}
    for path, text in texts:
        framework, _ = load_framework(path, text)
        if framework is not None:
            found |= {control.id: control for control in framework.controls}
    return found

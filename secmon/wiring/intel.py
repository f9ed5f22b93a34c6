"""Threat intelligence that the settings name, out of files that were read (`wiring.texts`)."""

import hashlib
from collections.abc import Sequence

from secmon.config import Settings
from secmon.model.asset import AssetRegister
from secmon.model.indicator import Kind, address_of
from secmon.parse.intel import read_feed
from secmon.parse.intel_reading import Feed, restricted
from secmon.sigma.intel import Indicators, IsOwn, indicators_of
from secmon.wiring.texts import IntelFile


def load_indicators(
    settings: Settings, files: Sequence[IntelFile], register: AssetRegister
) -> tuple[Indicators | None, list[str]]:
    """Return the indicators of some files; None if the settings name none. A wrong line never stops the others."""
    if not settings["intel.files"]:
        return None, []
    feeds = feeds_of(settings, files)
    problems = [str(problem) for feed in feeds for problem in feed.told]
    found = [one for feed in feeds for one in feed.indicators]
    return indicators_of(found, is_own=own_values(register), own_digest=_own_digest(register)), problems


def feeds_of(settings: Settings, files: Sequence[IntelFile]) -> list[Feed]:
    """Return what each file holds that is trusted enough."""
    ttl, least = settings["intel.ttl"], settings["intel.confidence"]
    return [restricted(read_feed(one.path, one.data, written=one.written, ttl=ttl), least) for one in files]


def own_values(register: AssetRegister) -> IsOwn:
    """Return what tells whether a value is one's own: it lies in a domain or a block of addresses of the register."""

    def is_own(kind: Kind, value: str) -> bool:
        if kind is Kind.HASH:
            return False
        host = value.rpartition("@")[2] if kind is Kind.EMAIL else value
        if kind is Kind.URL:
            host = value.partition("://")[2].partition("/")[0]
            host = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
        if address_of(host) is not None:
            return register.of_address(host) is not None
        labels = host.split(".")
        return any(".".join(labels[start:]) in register.by_domain for start in range(len(labels)))

    return is_own


def _own_digest(register: AssetRegister) -> str:
    blocks = sorted(str(block) for asset in register.assets.values() for block in asset.addresses)
    return hashlib.sha256(repr((sorted(register.by_domain), blocks)).encode()).hexdigest()

"""Assets (信息系统) and how an event finds its own.

Match order: host name, then domain, then the longest address prefix (IPv4 and IPv6).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from secmon.model.event import Event

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An information system of a unit.

    Args:
        unit: id of the 主管单位, whose subtree sees the asset's events.
        level: 等保定级, 1–5; 0 where it is not graded yet.
        data_level: highest level of its data, "L1" … "L5", or empty.
        hosts: host names, compared in lower case.
        domains: domains; a domain owns its subdomains.
        addresses: address blocks.
    """

    id: str
    name: str
    unit: str
    run_by: str = ""
    used_by: str = ""
    supplier: str = ""
    level: int = 0
    filing_number: str = ""
    filed_on: str = ""
    assessed_on: str = ""
    data_level: str = ""
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    addresses: tuple[Network, ...] = ()
    criticality: str = ""
    responsible: str = ""
    contact_a: str = ""
    contact_b: str = ""


# Fields of an event that name the monitored side, in the order in which they are asked.
_HOST_FIELDS = ("host.name", "host.hostname", "winlog.computer_name", "observer.hostname")
_DOMAIN_FIELDS = ("url.domain", "destination.domain", "host.name", "service.address")
_ADDRESS_FIELDS = ("host.ip", "destination.ip", "server.ip", "service.ip", "observer.ip", "source.ip")


@dataclass(frozen=True, slots=True)
class AssetRegister:
    """All assets, indexed for look-up. Build it with `asset_register`."""

    assets: Mapping[str, Asset] = field(default_factory=dict)
    by_host: Mapping[str, Asset] = field(default_factory=dict)
    by_domain: Mapping[str, Asset] = field(default_factory=dict)
    by_network: Mapping[int, tuple[tuple[int, Mapping[int, Asset]], ...]] = field(default_factory=dict)

    def find(self, event: Event) -> Asset | None:
        """Return the asset an event belongs to, or None."""
        for name in _HOST_FIELDS:
            host = event.get(name)
            if isinstance(host, str) and (asset := self.by_host.get(host.lower())):
                return asset
        if self.by_domain:
            for name in _DOMAIN_FIELDS:
                domain = event.get(name)
                if isinstance(domain, str) and (asset := self._of_domain(domain.lower())):
                    return asset
        if self.by_network:
            for name in _ADDRESS_FIELDS:
                value = event.get(name)
                for text in value if isinstance(value, list) else (value,):
                    if isinstance(text, str) and (asset := self.of_address(text)):
                        return asset
        return None

    def _of_domain(self, domain: str) -> Asset | None:
        labels = domain.rstrip(".").split(".")
        for start in range(len(labels)):
            if asset := self.by_domain.get(".".join(labels[start:])):
                return asset
        return None

    def of_address(self, text: str) -> Asset | None:
        """Return the asset with the longest prefix that holds this address, or None."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        number = int(address)
        for length, table in self.by_network.get(address.version, ()):
            if asset := table.get(number >> (address.max_prefixlen - length)):
                return asset
        return None


def asset_register(assets: Iterable[Asset]) -> AssetRegister:
    """Index assets; where two claim the same name or block, the first one listed keeps it."""
    by_id: dict[str, Asset] = {}
    by_host: dict[str, Asset] = {}
    by_domain: dict[str, Asset] = {}
    networks: dict[int, dict[int, dict[int, Asset]]] = {}
    for asset in assets:
        by_id.setdefault(asset.id, asset)
        for host in asset.hosts:
            by_host.setdefault(host.lower(), asset)
        for domain in asset.domains:
            by_domain.setdefault(domain.lower().strip("."), asset)
        for network in asset.addresses:
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            networks.setdefault(network.version, {}).setdefault(network.prefixlen, {}).setdefault(number, asset)
    by_network = {version: tuple(sorted(tables.items(), reverse=True)) for version, tables in networks.items()}
    return AssetRegister(by_id, by_host, by_domain, by_network)

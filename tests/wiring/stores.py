"""Installations on either store, as settings files say it."""

import os
from hashlib import sha256
from pathlib import Path

from secmon.config import Settings, load_settings
from secmon.store.elasticsearch.gateway import Gateway
from secmon.wiring import elasticsearch_settings
from tests.cli.program import write_settings

STORES = ("elasticsearch", "sqlite")


def cluster_lines(place: Path, *more: str, urls: str = "") -> list[str]:
    """Return the settings of a cluster; whoever names the same place shares the indices."""
    prefix = "wiring-" + sha256(str(place).encode()).hexdigest()[:12]
    nodes = ", ".join(f'"{url}"' for url in (urls or os.environ["SECMON_ES_URL"]).split(","))
    return [
        "[store]",
        'kind = "elasticsearch"',
        "[store.elasticsearch]",
        f"urls = [{nodes}]",
        f'prefix = "{prefix}"',
        "replicas = 0",
        *more,
    ]


def store_lines(store: str, place: Path) -> list[str]:
    """Return what chooses a store."""
    return cluster_lines(place) if store == "elasticsearch" else []


def installation(store: str, folder: Path, *, place: Path | None = None) -> Path:
    """Write settings on a store and return the file."""
    return write_settings(folder, *store_lines(store, place or folder))


def settings_of(config: Path) -> Settings:
    """Read settings, and nobody else's."""
    return load_settings(config, environ={"HOME": str(config.parent)})


def remove(config: Path) -> None:
    """Remove what an installation keeps on a cluster."""
    settings = settings_of(config)
    if settings["store.kind"] == "elasticsearch":
        gateway = Gateway(elasticsearch_settings(settings))
        gateway.remove_everything()
        gateway.close()

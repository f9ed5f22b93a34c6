"""Whether the cluster will take what we are going to write: its version, our rights, blocks of indices.

What is asked costs the cluster little, so that /readyz may ask it every few seconds.
"""

from datetime import date
from typing import Any

from secmon.store.elasticsearch.failures import api_failure
from secmon.store.elasticsearch.gateway import Gateway

_BLOCKED = ("read_only", "read_only_allow_delete", "write", "read")
_FORBIDDEN = 403


def require_ready(gateway: Gateway, day: date) -> None:
    """Make sure that batches of a day can be committed.

    Args:
        gateway: the way to the cluster.
        day: ingest day, whose indices are looked at if they are there already.

    Raises:
        StoreUnavailableError: something keeps it from taking them; the sentence says what.
        StoreError: the server is of another product, or too old.
    """
    gateway.check_version()
    gateway.require_all_rights()
    _require_no_block(gateway, day)


def _require_no_block(gateway: Gateway, day: date) -> None:
    names = gateway.names
    indices = f"{names.records},{names.batches},{names.prefix}-*-{day:%Y.%m.%d}"
    answer = gateway.read(
        "GET",
        f"/{indices}/_settings/index.blocks.*",
        ignore_unavailable="true",
        filter_path="*.settings.index.blocks",
    )
    found = [one["settings"]["index"]["blocks"] for one in answer.body.values()]
    whole = gateway.read("GET", "/_cluster/settings", filter_path="*.cluster.blocks", expect=(_FORBIDDEN,))
    found += [one["cluster"]["blocks"] for one in whole.body.values() if "cluster" in one]
    if any(_is_set(blocks) for blocks in found):
        raise api_failure(gateway.url, _FORBIDDEN, "cluster_block_exception")


def _is_set(blocks: dict[str, Any]) -> bool:
    return any(str(blocks.get(name, "")).lower() == "true" for name in _BLOCKED)

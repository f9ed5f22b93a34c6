"""Whether the cluster will take what we are going to write: its version, our rights, blocks of indices.

What is asked costs the cluster little, so that /readyz may ask it every few seconds.
"""

from datetime import date
from typing import Any

from secmon.errors import StoreUnavailableError
from secmon.store.elasticsearch.failures import BAD_REQUEST, api_failure
from secmon.store.elasticsearch.gateway import Gateway

CLUSTER_RIGHTS = ("monitor", "manage_index_templates")
INDEX_RIGHTS = ("read", "write", "create_index", "delete_index", "maintenance", "view_index_metadata", "monitor")
"""What a daemon needs on `<prefix>-*`; docs/elasticsearch.md says what for."""
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
    _require_rights(gateway)
    _require_no_block(gateway, day)


def _require_rights(gateway: Gateway) -> None:
    pattern = f"{gateway.names.prefix}-*"
    asked = {"cluster": CLUSTER_RIGHTS, "index": [{"names": [pattern], "privileges": INDEX_RIGHTS}]}
    # Without security the server does not know this path.
    answer = gateway.read("POST", "/_security/user/_has_privileges", asked, expect=(BAD_REQUEST, 404, 405))
    held = {**answer.body.get("cluster", {}), **answer.body.get("index", {}).get(pattern, {})}
    missing = [name for name in (*CLUSTER_RIGHTS, *INDEX_RIGHTS) if held.get(name) is False]
    if missing:
        raise StoreUnavailableError(
            "the credentials lack these rights: {rights}",
            where=gateway.url,
            hint="docs/elasticsearch.md lists the rights of the role",
            values={"rights": ", ".join(missing)},
        )


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

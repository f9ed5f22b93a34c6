"""The kinds of sources. Adding one: its module, one line here, one folder in test_corpora/ (docs/parsers.md)."""

from secmon.parse import access, cas, ecs, evtx, native, suricata, syslog, windows_json
from secmon.parse.kind import Kind

_ALL: tuple[Kind, ...] = (
    access.NGINX,
    access.APACHE,
    syslog.SYSLOG,
    cas.CAS,
    windows_json.WINDOWS_JSON,
    evtx.WINDOWS_EVTX,
    suricata.SURICATA,
    ecs.ECS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

READ_ONCE: dict[str, Kind] = KINDS | {native.NATIVE.name: native.NATIVE}
"""What files can be read as without a store: the kinds of sources, and fields called as rules call them."""

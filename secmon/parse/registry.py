"""The kinds of sources. Adding one: its module, one line here, one folder in test_corpora/ (docs/parsers.md)."""

from secmon.parse import access, syslog
from secmon.parse.kind import Kind

_ALL: tuple[Kind, ...] = (
    access.NGINX,
    access.APACHE,
    syslog.SYSLOG,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

"""The table of settings: every setting is one row."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secmon.config import values
from secmon.model.retention import CLASSES


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Args:
        key: dotted name, "section.key".
        default: its value as it would stand in the file; None means "no value".
        read: turns the file's value into ours; raises ValueError that says what it must be.
        doc: one sentence for docs and `config show`.
        secret: never shown.
        separator: stands between the items of a list in a variable of the environment.
    """

    key: str
    default: Any
    read: Callable[[object], Any]
    doc: str
    secret: bool = False
    separator: str = os.pathsep


ELASTICSEARCH = "store.elasticsearch"
CEILING = "store.retention_ceiling"
STORES = ("sqlite", "elasticsearch")

SETTINGS = (
    Setting("secmon.state", None, values.path, "Folder of keys, checkpoints and the embedded store."),
    Setting("secmon.zone", "Asia/Shanghai", values.zone, "Time zone of sources that name none, and of the console."),
    Setting("secmon.lang", "zh-CN", values.one_of("zh-CN", "en"), "Language of what people read."),
    Setting("secmon.workers", 1, values.whole, "Worker processes; 0 works inside the main process."),
    Setting("store.kind", "sqlite", values.one_of(*STORES), "Which store: the embedded one or a cluster."),
    Setting("store.retention_days", 183, values.retention, "Days that security logs are kept; never below 180."),
    *(
        Setting(
            f"{CEILING}.{name}", law.ceiling_days, values.retention, f"Most days that logs of class {name} are kept."
        )
        for name, law in CLASSES.items()
    ),
    Setting(f"{ELASTICSEARCH}.urls", [], values.urls, "Nodes of the cluster.", separator=","),
    Setting(f"{ELASTICSEARCH}.ca", "", values.optional_path, "Authority of the nodes' certificates; no other counts."),
    Setting(f"{ELASTICSEARCH}.api_key_file", "", values.optional_path, "File with the API key."),
    Setting(f"{ELASTICSEARCH}.user", "", values.text, "User, instead of an API key."),
    Setting(f"{ELASTICSEARCH}.password_file", "", values.optional_path, "File with the user's password."),
    Setting(f"{ELASTICSEARCH}.prefix", "secmon", values.prefix, "First part of the names of all indices."),
    Setting(f"{ELASTICSEARCH}.timeout", "30s", values.timeout, "How long one request may take."),
    Setting(f"{ELASTICSEARCH}.shards", 1, values.shards, "Primary shards of an index of events."),
    Setting(f"{ELASTICSEARCH}.replicas", 1, values.replicas, "Copies beside each primary; 1 lets a node go."),
    Setting(f"{ELASTICSEARCH}.refresh_interval", "30s", values.refresh_interval, "How often it refreshes by itself."),
    Setting("spool.max_bytes", 1 << 30, values.whole, "Most bytes put by while the store is away; 0 for none."),
    Setting("coverage.max_skew", "5m", values.duration, "How far the clock of a source may be off."),
    Setting("console.listen", "127.0.0.1:8640", values.listen, "Address of the console; loopback by default."),
    Setting("console.hosts", [], values.texts, "Names by which browsers reach it, such as a proxy's."),
    Setting("content.rules", [], values.paths, "Own rule folders, laid over the shipped ones."),
    Setting("content.pipelines", [], values.paths, "pySigma pipelines (*.yml), applied to every rule in this order."),
    Setting("content.lists", [], values.paths, "Own folders of lists of values (NAME.txt), for %NAME% in rules."),
    Setting("content.classifiers", [], values.paths, "Own classifier folders, laid over the shipped ones."),
    Setting("content.playbooks", [], values.paths, "Own playbook folders, laid over the shipped ones."),
    Setting("content.frameworks", [], values.paths, "Own framework folders, laid over the shipped ones."),
    Setting("content.watch", "10s", values.duration, "How often rule files are looked at for changes; 0s for never."),
    Setting("registers.units", "", values.optional_path, "units.yaml: the unit tree."),
    Setting("registers.assets", "", values.optional_path, "assets.csv: the asset register."),
    Setting("calendar.file", "", values.optional_path, "Terms, holidays, days of exams: what baselines compare."),
    Setting("intel.files", [], values.paths, "Threat intelligence: files and folders (CSV, STIX 2.1, MISP)."),
    Setting("intel.ttl", "90d", values.duration, "How long an indicator counts that names no end."),
    Setting("intel.confidence", 0, values.percent, "Least confidence of an indicator, 0 to 100."),
    Setting("documents.fonts", [], values.paths, "Folders of the office's own fonts (仿宋_GB2312 …)."),
    Setting("keys.pii_file", "", values.optional_path, "Key of tokens; default STATE/keys/pii.key."),
    Setting("keys.vault_file", "", values.optional_path, "Key of the vault; default STATE/keys/vault.key."),
    Setting("keys.record_file", "", values.optional_path, "Key of event.hash; default STATE/keys/record.key."),
    Setting("keys.sign_file", "", values.optional_path, "Key that seals the ledger; default STATE/keys/sign.key."),
)

SOURCE_SETTINGS = (
    Setting("name", None, values.text, "Id of the source; never change it, ids of events rest on it."),
    Setting("kind", None, values.source_kind, "Kind of its records, such as nginx.access."),
    Setting("paths", [], values.texts, "Files, folders or patterns to follow."),
    Setting("zone", "", values.optional_zone, "Time zone of its clock."),
    Setting("asset", "", values.text, "Asset all its events belong to, where the register cannot tell."),
    Setting("unit", "", values.text, "Unit all its events belong to, where no asset can tell."),
    Setting("silent_after", "1h", values.duration, "How long it may send nothing before it counts as silent."),
)

BY_KEY = {setting.key: setting for setting in SETTINGS}
SOURCE_BY_KEY = {setting.key: setting for setting in SOURCE_SETTINGS}
KEY_FILES = {
    "keys.pii_file": "pii.key",
    "keys.vault_file": "vault.key",
    "keys.record_file": "record.key",
    "keys.sign_file": "sign.key",
}
"""Setting → name below STATE/keys where it is not set."""
NAMED_FILES = (
    "content.rules",
    "content.pipelines",
    "content.lists",
    "content.classifiers",
    "content.playbooks",
    "content.frameworks",
    "calendar.file",
    "intel.files",
    "documents.fonts",
    "registers.units",
    "registers.assets",
    f"{ELASTICSEARCH}.ca",
    f"{ELASTICSEARCH}.api_key_file",
    f"{ELASTICSEARCH}.password_file",
)
"""Settings whose files have to be there."""


def default_state() -> str:
    """Return the state folder of whoever runs this and names none."""
    system = Path("/var/lib/secmon")
    if os.geteuid() == 0 or os.access(system, os.W_OK):
        return str(system)
    return str(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "secmon")

"""The demo: the main job, end to end, once, on the shipped logs.

Its clock stands still at a morning after the invented incidents, so that years of year-less stamps, the period of the
report and every number are the same whenever it is run.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from secmon.app import accounts, bulletins, reports
from secmon.app.alerts import AlertFilter, every_alert
from secmon.app.evaluate import evaluate
from secmon.app.imports import Imported
from secmon.app.ingest import Progress
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.config import load_settings
from secmon.content import shipped
from secmon.daemon.importing import import_into
from secmon.errors import ConfigError
from secmon.model.access import Access, job_access
from secmon.model.alert import Alert
from secmon.model.bulletin import BulletinKind
from secmon.model.ids import text_digest
from secmon.wiring import clear_demo_store, opened

MARKER = ".secmon-demo"
NOW = datetime(2026, 9, 8, 1, 0, tzinfo=UTC)
REPORT_DAY = date(2026, 9, 8)
REPORT_ASSET = "A-0001"
REPORT_DAYS = 9
FORMATS = ("html", "docx", "pdf")

# (source, kind, file, asset of its events where the register cannot tell)
SOURCES = (
    ("jwxt-nginx", "nginx.access", "jwxt-access.log", "A-0001"),
    ("portal-apache", "apache.access", "portal-apache.log", "A-0003"),
    ("gateway-nginx", "nginx.access", "gateway-nginx.log.1.gz", "A-0003"),
    ("sso-cas", "cas.audit", "cas-audit.log", "A-0002"),
    ("sso-cas-2", "cas.audit", "cas-spraying.log", "A-0002"),
    ("servers-syslog", "syslog", "servers.log", ""),
    ("campus-ssh", "syslog", "campus-ssh.log", "A-0003"),
    ("office-windows", "windows.json", "windows.jsonl", "A-0005"),
    ("ids-suricata", "suricata.eve", "ids-eve.json", "A-0006"),
    ("xueji-audit", "ecs", "xueji-audit.jsonl", "A-0004"),
)


class StillClock:
    """A clock that stands at one moment (ports.Clock)."""

    def now(self) -> datetime:
        """Return the moment."""
        return NOW

    def monotonic_s(self) -> float:
        """Return zero."""
        return 0.0


@dataclass(slots=True)
class Outcome:
    """What the demo did, as `summary.json` has it (contracts: `secmon demo`)."""

    sources: list[dict[str, Any]] = field(default_factory=list)
    hits: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    controls: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    open: str = ""

    def summary(self, store: str) -> dict[str, Any]:
        """Return the object of summary.json."""
        return {
            "store": store,
            "sources": self.sources,
            "hits": self.hits,
            "alerts": self.alerts,
            "findings": dict(sorted(self.findings.items())),
            "controls": self.controls,
            "files": self.files,
            "open": self.open,
        }


def run_demo(
    out: Path, *, store: str, urls: Sequence[str] = (), step: Callable[[str, Progress], None]
) -> dict[str, Any]:
    """Run the main job into a folder and return the summary.

    Args:
        out: the folder; replaced if an earlier demo made it.
        store: "sqlite" or "elasticsearch".
        urls: nodes of the cluster.
        step: told of each committed step of each source.

    Raises:
        ConfigError: the folder, or the indices, are there and are not the demo's.
    """
    config = _prepare(out, urls if store == "elasticsearch" else ())
    settings = load_settings(config, environ={})
    clear_demo_store(settings)
    access = job_access("demo")
    outcome = Outcome(open=f"secmon --config {config} up")
    with opened(settings, writable=True, clock=StillClock()) as house:
        work = InlineWork(house.stages)
        for name, kind, file, _ in SOURCES:
            args = {"source": name, "files": [str(out / "logs" / file)]}
            done = import_into(house, access, args, work=work, data=None, step=partial(step, name))
            _add(outcome, kind, done)
        evaluate(house, access)
        found = list(every_alert(house, access, AlertFilter(limit=1000)))
        outcome.alerts = {"new": len(found)}
        outcome.files = [
            str(path) for path in (*_report(house, access, out, outcome), *_bulletins(house, access, out, found))
        ]
    summary = outcome.summary(store)
    (out / "summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return summary


def _prepare(out: Path, urls: Sequence[str]) -> Path:
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            hint = "name another folder with --out"
            raise ConfigError("the folder is not empty and not the demo's", where=str(out), hint=hint)
        _clear(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("made by secmon demo; the next demo replaces this folder\n", encoding="utf-8")
    source = shipped("demo")
    for folder in ("logs", "registers"):
        shutil.copytree(source / folder, out / folder)
    config = out / "secmon.toml"
    config.write_text(_settings(out.resolve(), urls), encoding="utf-8")
    return config


def _clear(out: Path) -> None:
    """Remove what the last demo left, except its keys: with the same keys two runs have the same `store digest`."""
    for path in (*out.iterdir(), *(out / "state").glob("*")):
        if path.name in {"state", "keys"}:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _settings(out: Path, urls: Sequence[str]) -> str:
    lines = [
        "# Settings of the demo. Its logs are of the past, so they are kept for longer than any log need be.",
        "[secmon]",
        f'state = "{out / "state"}"',
        "workers = 0",
        "[store]",
        "retention_days = 36500",
        "retention_ceiling.security = 36500",
        *(_cluster(out, urls) if urls else ()),
        "[registers]",
        f'units = "{out / "registers" / "units.yaml"}"',
        f'assets = "{out / "registers" / "assets.csv"}"',
    ]
    for name, kind, file, asset in SOURCES:
        lines += [
            "[[sources]]",
            f'name = "{name}"',
            f'kind = "{kind}"',
            f'paths = ["{out / "logs" / file}"]',
            f'asset = "{asset}"',
            'silent_after = "36500d"',
        ]
    return "\n".join(lines) + "\n"


def _cluster(out: Path, urls: Sequence[str]) -> list[str]:
    """Return the settings of a cluster: a prefix that belongs to the folder, for whatever number of nodes."""
    return [
        'kind = "elasticsearch"',
        "[store.elasticsearch]",
        f"urls = {orjson.dumps(list(urls)).decode()}",
        f'prefix = "secmon-demo-{text_digest([str(out)])[:8]}"',
        "replicas = 0",
    ]


def _add(outcome: Outcome, kind: str, done: Imported) -> None:
    row = accounts.summary_row(done.source, done.counts)
    outcome.sources.append({"source": row.pop("source"), "kind": kind, **row})
    outcome.hits += done.hits
    for name, count in done.findings.items():
        outcome.findings[name] = outcome.findings.get(name, 0) + count


def _report(house: Installation, access: Access, out: Path, outcome: Outcome) -> list[Path]:
    assessment = reports.assess_asset(house, access, REPORT_ASSET, at=REPORT_DAY, days=REPORT_DAYS)
    reports.keep(house, access, assessment)
    outcome.controls = dict(assessment.summary())
    document = reports.document_of(house, assessment)
    paths = []
    for name in FORMATS:
        path = out / f"self-assessment.{name}"
        path.write_bytes(house.renderers[name].render(access, document))
        paths.append(path)
    return paths


def _bulletins(house: Installation, access: Access, out: Path, found: list[Alert]) -> list[Path]:
    """Draft a 预警通报 and a 事件报告 from the gravest alert and write both."""
    if not found:
        return []
    gravest = max(
        found, key=lambda alert: (alert.content.level.rank, len(alert.content.unit_ids), alert.content.count, alert.id)
    )
    paths = []
    for kind, stem in ((BulletinKind.WARNING, "bulletin"), (BulletinKind.INCIDENT_REPORT, "incident-report")):
        draft = bulletins.draft(house, access, kind, alert_id=gravest.id)
        for name in FORMATS:
            path = out / f"{stem}.{name}"
            path.write_bytes(bulletins.rendered(house, access, draft.id, name))
            paths.append(path)
    return paths

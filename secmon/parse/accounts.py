"""Messages of shadow-utils: accounts and groups that come, change and go (ECS category iam).

Source: SYSLOG and audit_logger calls in useradd.c, usermod.c, userdel.c, groupadd.c, groupmod.c, groupdel.c,
gpasswd.c, passwd.c of shadow-utils 4. The account is `user.target`; who did it is said by some messages only.
`event.action` is the message's own words.
"""

import re

from secmon.model.event import Event
from secmon.parse.programs import Program, Reading, meaning, program

_FIELDS = {
    "name": "user.target.name",
    "uid": "user.target.id",
    "changed": "user.changes.name",
    "group": "group.name",
    "gid": "group.id",
    "actor": "user.name",
    "reason": "event.reason",
}


def _iam(types: str, *, action: str = "", outcome: str = "success") -> Reading:
    def read(found: re.Match[str]) -> Event:
        groups = found.groupdict()
        event = meaning("iam", *types.split(), action=action or groups["action"], outcome=outcome)
        return event | {field: groups[name] for name, field in _FIELDS.items() if groups.get(name)}

    return read


_USER_IN_GROUP: tuple[tuple[str, Reading], ...] = (
    (r"(?P<action>add) '(?P<name>[^']*)' to (?:shadow )?group '(?P<group>[^']*)'", _iam("group change")),
    (r"(?P<action>delete) '(?P<name>[^']*)' from (?:shadow )?group '(?P<group>[^']*)'", _iam("group change")),
)
_NEW_GROUP: tuple[tuple[str, Reading], ...] = (
    (r"(?P<action>new group): name=(?P<group>.*), GID=(?P<gid>\d+)", _iam("group creation")),
    (r"(?P<action>group added) to \S+: name=(?P<group>.*?)(?:, GID=(?P<gid>\d+))?", _iam("group creation")),
)


def _tool(name: str, *table: tuple[str, Reading]) -> Program:
    return program(name, "syslog", table)


USERADD = _tool(
    "useradd",
    (r"(?P<action>new user): name=(?P<name>.*?), UID=(?P<uid>\d+), GID=(?P<gid>\d+), .*", _iam("user creation")),
    *_NEW_GROUP,
    *_USER_IN_GROUP,
    (r"(?P<action>failed adding user) '(?P<name>.*)', (?P<reason>.*)", _iam("user creation", outcome="failure")),
)
USERMOD = _tool(
    "usermod",
    (r"(?P<action>change user name) '(?P<name>[^']*)' to '(?P<changed>[^']*)'", _iam("user change")),
    (r"(?P<action>change user) '(?P<name>.*?)' (?P<reason>.*)", _iam("user change")),
    (r"(?P<action>(?:un)?lock user) '(?P<name>.*)' password", _iam("user change")),
    *_USER_IN_GROUP,
)
USERDEL = _tool(
    "userdel",
    (r"(?P<action>delete user) '(?P<name>.*)'", _iam("user deletion")),
    (r"(?P<action>removed (?:shadow )?group) '(?P<group>[^']*)' owned by '(?P<name>[^']*)'", _iam("group deletion")),
    *_USER_IN_GROUP,
)
GROUPADD = _tool("groupadd", *_NEW_GROUP)
GROUPMOD = _tool("groupmod", (r"(?P<action>group changed) in \S+ \(group (?P<group>[^,)]*).*\)", _iam("group change")))
GROUPDEL = _tool(
    "groupdel", (r"group '(?P<group>[^']*)' removed(?: from \S+)?", _iam("group deletion", action="group removed"))
)
GPASSWD = _tool(
    "gpasswd",
    (r"user (?P<name>\S+) added by (?P<actor>\S+) to group (?P<group>\S+)", _iam("group change", action="added")),
    (r"user (?P<name>\S+) removed by (?P<actor>\S+) from group (?P<group>\S+)", _iam("group change", action="removed")),
)
PASSWD = _tool(
    "passwd",
    (r"password for '(?P<name>[^']*)' changed by '(?P<actor>[^']*)'", _iam("user change", action="password changed")),
)
CHPASSWD = _tool("chpasswd", (r"password for '(?P<name>.*)' changed", _iam("user change", action="password changed")))

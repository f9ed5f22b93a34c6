"""Masked forms of values: enough stays to recognise one's own, never enough to restore it.

Every form breaks the value so that no classifier takes the result for a value again: `secmon scan` of masked
output finds nothing.
"""

import re

from secmon.classify.definition import Definition, Policy
from secmon.errors import ConfigError

STAR = "*"
_WHOLE = "***"
# Province, city, county: what stays of an address ("保留到区县"). The part before the county's ending may hold no word
# for a street or village, and a 小区 or 社区 is no county.
_ADDRESS_HEAD = re.compile(
    r"(?:[^省市区县旗\s]{1,10}(?:省|自治区|特别行政区))?"
    r"(?:[^省区县旗路街村号0-9\s]{1,8}?(?:市|自治州|州(?![市路街])|盟|地区))?"
    r"(?:[^区县旗路街道村镇乡巷弄号0-9\s]{1,8}?(?:(?<![小社])区|县|旗|市))?"
)


def masked_value(definition: Definition, value: str) -> str:
    """Return the partial mask of one value in its normal form."""
    match definition.mask.form:
        case "email":
            local, _, domain = value.rpartition("@")
            return f"{local[:1]}{_WHOLE}@{domain}"
        case "name":
            return _masked_name(value)
        case "address":
            return _masked_address(value)
        case "whole":
            return _WHOLE
        case "ends":
            return _masked_middle(value, definition.mask.keep_start, definition.mask.keep_end)


def _masked_middle(value: str, keep_start: int, keep_end: int) -> str:
    hidden = len(value) - keep_start - keep_end
    if hidden < len(value) // 3:
        return STAR * len(value)  # too short to show its ends
    return f"{value[:keep_start]}{STAR * hidden}{value[len(value) - keep_end :]}"


def _masked_name(value: str) -> str:
    """Keep the surname: the first character, of a name with a middle dot the first part's first character."""
    return value[:1] + "".join("·" if character == "·" else STAR for character in value[1:])


def _masked_address(value: str) -> str:
    found = _ADDRESS_HEAD.match(value)
    return f"{found[0] if found else ''}{_WHOLE}"


def replacement(definition: Definition, policy: Policy, value: str, token: str) -> str:
    """Return what stands in a text instead of a value.

    Args:
        definition: its class.
        policy: what to do with it; "keep" is not replaced at all and must not come here.
        value: the value in its normal form.
        token: its keyed token, 32 hex digits.
    """
    if policy == "token":
        return f"<{definition.id}:{token}>"
    return f"<{definition.id}>" if policy == "drop" else masked_value(definition, value)


def checked_policy(name: str, value: str) -> Policy:
    """Return a policy given as text.

    Raises:
        ConfigError: there is no such policy.
    """
    match value:
        case "partial" | "token" | "drop" | "keep":
            return value
        case _:
            raise ConfigError(
                "mask.{name}: no such masking policy", hint="one of partial, token, drop, keep", values={"name": name}
            )

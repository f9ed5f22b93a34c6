"""Validators: is this normalised value what its form promises? Pure functions with test vectors.

Each takes the value in its normal form (ASCII digits, no separators, capitals where case does not count) and
today's date, and returns a `Verdict`, or None where the value cannot be one.
"""

import re
from collections.abc import Callable
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from secmon.classify.area_codes import area_codes
from secmon.classify.bank_bins import is_listed


class Verdict(NamedTuple):
    """A passed validation.

    `strength` (0 … 1) is how much of the classifier's validator bonus it earns; `born` is the birth date that the
    value carries, if it does.
    """

    strength: float = 1.0
    born: date | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


Validator = Callable[[str, date], Verdict | None]

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"
_ID_LENGTH = 18
_OLDEST_BIRTH_YEAR = 1900
_RESIDENCE_AREAS = ("810000", "820000", "830000")

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
# GB 32100-2015 table 1: registering department and kind of body; 12 is a public institution, 91 an enterprise.
_USCC_HEADS = _words(
    "11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 54 55 59 61 62 69 71 72 79 81 89 91 92 93 A1 A9 N1 N2 N3 N9 Y1"
)
_USCC_NATIONAL_AREA = "100000"

# Mobile segments by their first three digits (numbering plan of the Ministry of Industry and Information
# Technology; confidence mark G). 140-144, 154 and 160-161, 163-164, 168-169, 179, 194 are not for people's phones.
_MOBILE_SEGMENTS = _words(
    "130 131 132 133 134 135 136 137 138 139 145 146 147 148 149 150 151 152 153 155 156 157 158 159 "
    "162 165 166 167 170 171 172 173 174 175 176 177 178 180 181 182 183 184 185 186 187 188 189 "
    "190 191 192 193 195 196 197 198 199"
)


def id_check_character(first_17: str) -> str:
    """Return the 18th character of a resident ID: ISO 7064 MOD 11-2 over 17 digits (GB 11643-1999, 4.2)."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, _ID_WEIGHTS, strict=True))
    return _ID_CHECK[total % 11]


def _birth_date(text: str, today: date) -> date | None:
    """Read YYYYMMDD; None if there is no such day or it has not come yet."""
    try:
        born = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
    return born if born <= today and born.year >= _OLDEST_BIRTH_YEAR else None


def _area_in_force(area: str, born: date) -> bool:
    """Tell whether a code could be given to somebody born then: abolished codes end, late registration has no start."""
    last_year = area_codes().get(area)
    return last_year is not None and born.year <= last_year


def _id_shape(value: str, today: date) -> date | None:
    """Return the birth date of an 18-character number whose check character is right."""
    if len(value) != _ID_LENGTH or not (value[:17].isascii() and value[:17].isdigit()):
        return None
    if id_check_character(value[:17]) != value[17]:
        return None
    return _birth_date(value[6:14], today)


def cn_id18(value: str, today: date) -> Verdict | None:
    """Resident ID (GB 11643-1999): area code of GB/T 2260 valid for the birth year, real date, check character."""
    if value[:6] in _RESIDENCE_AREAS or value[:6] not in area_codes():
        return None
    born = _id_shape(value, today)
    return Verdict(born=born) if born is not None and _area_in_force(value[:6], born) else None


def hkmotw_residence(value: str, today: date) -> Verdict | None:
    """Residence permit of Hong Kong (81), Macao (82) and Taiwan (83) residents: the ID's form and check character."""
    if value[:6] not in _RESIDENCE_AREAS:
        return None
    born = _id_shape(value, today)
    return Verdict(born=born) if born is not None else None


def cn_id15(value: str, today: date) -> Verdict | None:
    """First-generation ID (before 1999): area, YYMMDD of the 20th century, three digits; no check digit."""
    born = _birth_date(f"19{value[6:12]}", today)
    return Verdict(born=born) if born is not None and _area_in_force(value[:6], born) else None


def student_no_national(value: str, today: date) -> Verdict | None:
    """National student number (全国学籍号).

    G + resident ID; J + an ID-shaped code whose last digit is a check digit of an unpublished kind, so only area
    and date are tested; L (temporary) + area + birth date + 4 random digits.
    """
    kind, number = value[:1], value[1:]
    if kind == "G":
        return cn_id18(number, today) or hkmotw_residence(number, today)
    born = _birth_date(number[6:14], today)
    if kind not in {"J", "L"} or born is None or not _area_in_force(number[:6], born):
        return None
    return Verdict(born=born)


def mobile(value: str, today: date) -> Verdict | None:
    """Mobile number: 11 digits in a segment that is given to people."""
    del today
    return Verdict() if value[:3] in _MOBILE_SEGMENTS else None


def luhn(value: str) -> bool:
    """Tell whether a number ends in its Luhn check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(value)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number  # noqa: PLR2004  a digit
    return total % 10 == 0


def bank_card(value: str, today: date) -> Verdict | None:
    """Bank card: Luhn, and a first digit of an issuer; a listed issuer prefix (BIN) makes it strong."""
    del today
    if value[0] not in "34569" or not value.isdigit() or not luhn(value):
        return None
    return Verdict(1.0 if is_listed(value) else 0.0)


def uscc(value: str, today: date) -> Verdict | None:
    """Unified social credit code (GB 32100-2015): department, area, and the MOD 31 check character."""
    del today
    if value[:2] not in _USCC_HEADS or not (value[2:8] == _USCC_NATIONAL_AREA or value[2:8] in area_codes()):
        return None
    places = [_USCC_ALPHABET.find(character) for character in value]
    if min(places) < 0:
        return None
    total = sum(place * weight for place, weight in zip(places, _USCC_WEIGHTS, strict=False))
    return Verdict() if places[17] == (31 - total % 31) % 31 else None


def email(value: str, today: date) -> Verdict | None:
    """Mail address: RFC 5321 lengths, no empty label, and a domain that is neither an address nor a file name."""
    del today
    local, _, domain = value.rpartition("@")
    labels = domain.split(".")
    if not 1 <= len(local) <= 64 or len(domain) > 253 or ".." in local or local[-1] == ".":  # noqa: PLR2004  RFC 5321 4.5.3.1
        return None
    if not all(label and label[0] != "-" and label[-1] != "-" for label in labels):
        return None
    return None if labels[-1] in _FILE_ENDINGS else Verdict()


# "logo@2x.png" is a picture, not a mail address.
_FILE_ENDINGS = _words("png jpg jpeg gif svg webp ico css js json html htm txt xml log map")

_COMPOUND_SURNAMES = _words(
    "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶 太叔 "
    "申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 令狐 呼延 轩辕 百里 东郭 南门 西门 拓跋 第五"
)
# Words that stand where a name may stand: states, roles, masked names.
_NOT_NAMES = _words(
    "未知 匿名 测试 管理员 系统 用户 学生 老师 教师 家长 空 无 暂无 成功 失败 姓名 登录 男 女 是 否 全部 其他 "
    "游客 访客 超级管理员 系统管理员 教务处 学生处 财务处 管理 普通用户"
)


def han_name(value: str, today: date) -> Verdict | None:
    """Person's name in Han characters: 2-4 of them, or parts joined by a middle dot (·)."""
    del today
    if value in _NOT_NAMES or "某" in value:
        return None
    parts = value.split("·")
    if len(parts) > 1:
        return Verdict() if all(parts) else None
    is_long = len(value) == 4 and value[:2] not in _COMPOUND_SURNAMES  # noqa: PLR2004  four characters need a compound surname
    return Verdict(0.5 if is_long else 1.0) if len(value) >= 2 else None  # noqa: PLR2004


_ADDRESS_DETAILS = (
    "路",
    "街",
    "巷",
    "弄",
    "胡同",
    "村",
    "号",
    "栋",
    "幢",
    "单元",
    "室",
    "小区",
    "组",
    "大道",
    "社区",
    "苑",
    "宿舍",
)


def address(value: str, today: date) -> Verdict | None:
    """Postal address below the level of a county: some word for a street, village, building or flat."""
    del today
    return Verdict() if any(word in value for word in _ADDRESS_DETAILS) else None


# An absolute path of one or more plain names; a password that looks like this is not told from a folder.
_FOLDER = re.compile(r"/(?:[a-z][\w.-]*/?)*")
_NO_SECRETS = _words("null none nil true false undefined yes no empty required invalid expired missing password")


def secret(value: str, today: date) -> Verdict | None:
    """Password or key: anything that is not a placeholder, a mask, a state or a folder (sudo logs `PWD=/home/…`)."""
    del today
    bare = value.strip("*•xX.-_<>[](){}#")
    if not bare or value.lower() in _NO_SECRETS or value[0] in "<[{$(%" or "***" in value:
        return None
    return None if _FOLDER.fullmatch(value) else Verdict()


VALIDATORS: MappingProxyType[str, Validator] = MappingProxyType(
    {
        "cn_id18": cn_id18,
        "hkmotw_residence": hkmotw_residence,
        "cn_id15": cn_id15,
        "student_no_national": student_no_national,
        "mobile": mobile,
        "bank_card": bank_card,
        "uscc": uscc,
        "email": email,
        "han_name": han_name,
        "address": address,
        "secret": secret,
    }
)

"""Gates before rules, on raw lines as they come out of a file: nothing that a rule matches is kept out."""

import json

import pytest

from tests.sigma.fuzzing import loaded
from tests.sigma.raw_lines import worked

QUIET = b'{"Channel":"Security","Image":"C:\\\\Users\\\\%d"}\n'


def rule(**fields: object) -> dict[str, object]:
    return {
        "title": "A rule",
        "logsource": {"product": "windows"},
        "detection": {"s": {name.replace("__", "|"): value for name, value in fields.items()}, "condition": "s"},
    }


def found(rules: list[dict[str, object]], data: bytes) -> list[int]:
    """Return the numbers of the lines with hits."""
    ruleset = loaded(rules, native=True)
    assert ruleset.problems == ()
    return [hit.place.record for block in worked(ruleset, data) for hit in block.found]


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("100000", "1e5"), ("100000", "1E+5"), ("100000", "100000.0"), ("1e-07", "1e-7"), ("1e-07", "0.0000001"),
        ("9007199254740993", "9007199254740993"), ("1e+25", "10000000000000000905969664.0"), ("4688", "4688.0"),
        ("true", "true"), ("kiss/me", r'"\u006bISS\/me"'), ("kiss/me", '"\u212aiss/me"'),
        ("kiss/me", '["x","kiss/me"]'),
        ('a"b\\\\c', r'"a\u0022b\\c"'), ("学校", r'"\u5b66\u6821"'), ("学校", '"学校"'), ("-5", "-5.0"), ("0", "-0.0"),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_value_is_found_in_whatever_form_its_line_writes_it(pattern: str, value: str) -> None:
    line = f'{{"Channel":"Security","Image":{value}}}\n'.encode()
    quiet = b"".join(QUIET % number for number in range(100))
    assert found([rule(Image=pattern)], quiet + line + quiet) == [101]


def test_a_gate_that_was_made_anew_looks_for_old_and_new_texts() -> None:
    """Both texts of a rule turn out to be common, one after the other, and another rule keeps its text."""
    rules = [rule(Image__contains="frequent", CommandLine__contains="seldom"), rule(Image__contains="stays")]

    def lines(image: str, command: str, count: int) -> bytes:
        text = json.dumps({"Channel": "Security", "Image": image, "CommandLine": command})
        return f"{text}\n".encode() * count

    data = lines("a frequent one", "x", 600) + lines("x", "a seldom one", 4_500)
    data += lines("a frequent one", "a seldom one", 1) + lines("it stays", "x", 1)
    assert found(rules, data) == [5_101, 5_102]


@pytest.mark.parametrize(
    ("code", "is_found"),
    [("4688", True), ('["7","4688"]', True), ('["4688","7"]', True), ("[7,4688.0]", True), ('["7","8"]', False)],
)
def test_what_a_lane_knows_of_a_field_holds_for_each_of_its_values(code: str, *, is_found: bool) -> None:
    document = rule(EventID=4688, Image__contains="setup")
    quiet = b'{"Channel":"Security","EventID":"4688","Image":"other"}\n' * 100
    line = f'{{"Channel":"Security","EventID":{code},"Image":"a setup"}}\n'.encode()
    both = [document, document | {"logsource": {"product": "windows", "category": "process_creation"}}]
    assert found(both, quiet + line + line) == ([101, 102] if is_found else [])

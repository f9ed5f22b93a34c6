"""Rules that are too much together: told with file, line and remedy, and the others run."""

import json
from pathlib import Path

from tests.cli.program import secmon

ID = "5f1c9a4e-0b1d-4c56-8a55-{:012d}"
HEAD = "title: Rule {number}\nid: {id}\nlevel: low\nlogsource: {{product: windows}}\n"


def rule(number: int, detection: dict[str, object]) -> str:
    return HEAD.format(number=number, id=ID.format(number)) + f"detection: {json.dumps(detection)}\n"


def test_a_set_beyond_its_bounds_loses_the_rules_beyond_and_keeps_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    for number in range(7):  # 48,654 comparisons each: what a condition repeats counts again
        values = [f"needle {number} {each}" for each in range(900)]
        others: dict[str, object] = {f"t{each}": {"Image": f"{each}"} for each in range(54)}
        condition = " or ".join(f"(s and not {other})" for other in others)
        detection: dict[str, object] = {"s": {"CommandLine|contains": values}, **others, "condition": condition}
        (folder / f"big{number}.yml").write_text(rule(number, detection), encoding="utf-8")
    small: dict[str, object] = {"s": {"CommandLine|contains": "whoami"}, "condition": "s"}
    (folder / "small.yml").write_text(rule(99, small), encoding="utf-8")
    log = tmp_path / "events.jsonl"
    lines = ("needle 3 7 and whoami", "needle 6 7", "nothing")
    log.write_text("".join(f'{{"Channel":"Security","CommandLine":"{text}"}}\n' for text in lines), encoding="utf-8")
    done = secmon("detect", "--rules", folder, "--source", "native", log)
    assert done.status == 0, done.err
    assert [row["rule.id"] for row in done.rows] == [ID.format(3), ID.format(99)]
    (told,) = (line for line in done.err.splitlines() if "big" in line)
    assert f"{folder / 'big6.yml'}:1" in told
    assert "比较条件超过 300,000 个" in told
    assert "减少" in told
    assert secmon("detect", "--strict", "--rules", folder, "--source", "native", log).status == 4

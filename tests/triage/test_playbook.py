"""load_playbook: a playbook leads somewhere, waits for people, and never changes a system by itself."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.bulletin.guide import load_guide
from secmon.triage.playbook import Playbook, StepKind, load_playbook, playbooks_for

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "playbooks").glob("*.yaml"))
HEAD = """\
id: t
version: "1"
name: {zh: 试, en: test}
applies_to: {rules: [r1], tags: [attack.t1110], data_classes: [cn_id18]}
clocks: []
steps:
"""


def step(name: str, *, kind: str = "manual", next_step: str = "null", more: str = "") -> str:
    title = "{zh: 步, en: step}"
    return f"  - {{id: {name}, title: {title}, owner: operator, within: 30m, kind: {kind}, next: {next_step}{more}}}\n"


def problems(*steps: str) -> list[str]:
    return [str(error) for error in load_playbook("p.yaml", HEAD + "".join(steps))[1]]


def shipped(path: Path) -> Playbook:
    guide_path = ROOT / "frameworks" / "incident-criteria.yaml"
    guide, _ = load_guide(guide_path.name, guide_path.read_text(encoding="utf-8"))
    assert guide is not None
    clocks = {clock.id for clock in guide.clocks}
    playbook, errors = load_playbook(path.name, path.read_text(encoding="utf-8"), known_clocks=clocks)
    assert [str(error) for error in errors] == []
    assert playbook is not None
    return playbook


def test_these_playbooks_are_shipped() -> None:
    assert [path.stem for path in FILES] == [
        "account-brute-force", "account-misuse", "backup-failure", "blind-spot", "bulk-student-data-export",
        "crypto-mining", "dark-link", "exposure", "log-clearing", "malware", "phishing", "ransomware-precursor",
        "record-tampering", "web-attack", "web-shell",
    ]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_playbook_is_sound_and_named_after_its_file(path: Path) -> None:
    playbook = shipped(path)
    assert playbook.id == path.stem
    assert any(one.kind is StepKind.MANUAL for one in playbook.steps)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_changes_a_system_waits_for_an_approval(path: Path) -> None:
    changing = [one for one in shipped(path).steps if one.kind in {StepKind.PROPOSE_BLOCK, StepKind.COMMAND}]
    assert changing
    assert all(one.needs_approval and one.dry_run_default for one in changing)


def test_a_step_knows_its_time() -> None:
    playbook, _ = load_playbook("p.yaml", HEAD + step("a"))
    assert playbook is not None
    assert playbook.steps[0].within == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("steps", "line", "words"),
    [
        ([step("a", next_step="z")], 7, "does not exist"),
        ([step("a"), step("b")], 8, "no way leads to step b"),
        ([step("a"), step("a")], 8, "twice"),
        ([step("a", kind="enrich", next_step="a")], 7, "cycle without a manual step"),
        ([step("a", kind="decision")], 7, "expected a mapping"),
        ([step("a", kind="decision", next_step="{yes: a}")], 7, "no is missing"),
        ([step("a", kind="command")], 7, "needs_approval"),
        ([step("a", kind="propose_block", more=", needs_approval: true, dry_run_default: false")], 7, "dry_run"),
        ([step("a").replace("30m", "soon")], 7, "30m, 8h or 5d"),
        ([step("a").replace("operator", "nobody")], 7, "allowed"),
    ],
)
def test_a_mistake_is_told_at_its_line(steps: list[str], line: int, words: str) -> None:
    told = problems(*steps)
    assert told[0].startswith(f"p.yaml:{line}: ")
    assert words in told[0]


def test_a_cycle_is_allowed_where_a_person_stands_in_it() -> None:
    assert problems(step("a", next_step="b"), step("b", kind="decision", next_step="{yes: a, no: c}"), step("c")) == []


def test_a_decision_that_may_come_back_to_itself_through_machines_is_refused() -> None:
    told = problems(
        step("a", kind="decision", next_step="{yes: b, no: c}"), step("b", kind="enrich", next_step="a"), step("c")
    )
    assert [line.split(" ")[2] for line in told] == ["a", "b"]


def test_an_unknown_deadline_is_told() -> None:
    text = (HEAD + step("a")).replace("clocks: []", "clocks: [NONE]")
    playbook, errors = load_playbook("p.yaml", text, known_clocks={"CII"})
    assert playbook is None
    assert str(errors[0]) == "p.yaml:5: no deadline of this id is known"


@given(
    targets=st.lists(st.integers(0, 5), min_size=6, max_size=6), kinds=st.lists(st.booleans(), min_size=6, max_size=6)
)
def test_whatever_is_accepted_never_turns_in_a_circle_without_a_person(targets: list[int], kinds: list[bool]) -> None:
    steps = [
        step(f"s{index}", kind="manual" if manual else "enrich", next_step=f"s{target}")
        for index, (target, manual) in enumerate(zip(targets, kinds, strict=True))
    ]
    playbook, errors = load_playbook("p.yaml", HEAD + "".join(steps))
    assert (playbook is None) == bool(errors)
    here, machine_steps = 0, 0
    while playbook is not None and machine_steps <= len(steps) and not kinds[here]:
        here, machine_steps = targets[here], machine_steps + 1
    assert machine_steps <= len(steps)


def test_playbooks_apply_by_rule_then_tag_then_data() -> None:
    playbook, _ = load_playbook("p.yaml", HEAD + step("a"))
    assert playbook is not None
    assert playbooks_for([playbook], rule="r1", tags=[]) == [playbook]
    assert playbooks_for([playbook], rule="x", tags=["attack.T1110.003"]) == [playbook]
    assert playbooks_for([playbook], rule="x", tags=["attack.t11101"]) == []
    assert playbooks_for([playbook], rule="x", tags=[], data_classes=["cn_id18"]) == [playbook]


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    playbook, errors = load_playbook("p.yaml", text)
    assert playbook is None
    assert errors

"""Texts in the place of others: what is worse than before is refused, file by file, and said with its place."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from secmon.config import Settings, load_settings
from secmon.errors import ContentError
from secmon.wiring import Keys, Texts, load_content, load_keys, read_texts
from secmon.wiring.renewing import Trial, Verdict, look, mended, read_steady, require_places, tried
from tests.sigma.rule_texts import ID, rule_text

GOOD = rule_text("selection: {'user.name|expand': '%staff%'}\ncondition: selection", number=71)
OTHER = rule_text(number=72)
BROKEN = OTHER.replace("condition: selection", "condition: nothing")
FEED = "value,type,confidence,valid_until,source\nbad.example.net,domain,80,2036-01-01,x\n"
CALENDAR = "terms:\n  - {name: 秋季学期, from: 2026-09-01, to: 2027-01-20}\n"


@dataclass
class Place:
    """Folders of an operator, the settings that name them, and what was read of them at the start."""

    folder: Path
    settings: Settings
    keys: Keys
    before: Texts
    broken: frozenset[str] = frozenset()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def fresh(self) -> Texts:
        return read_steady(self.settings, self.before)[0]

    def verdict(self) -> Verdict:
        return tried(self.settings, Trial(self.fresh(), self.before, self.broken), self.keys)

    def rules(self) -> set[str]:
        """Return the ids of the rules of the operator that run after a reload."""
        texts = mended(self.fresh(), self.before, self.verdict().kept)
        ruleset = load_content(self.settings, texts, self.keys).stages.ruleset
        assert ruleset is not None
        return {identity for identity in ruleset.by_id if identity.startswith("00000000")}

    def refusal(self, *, accept_empty: bool = False) -> str:
        with pytest.raises(ContentError) as caught:
            require_places(self.settings, self.fresh(), self.before, accept_empty=accept_empty)
        return str(caught.value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name, file, text in (
        ("rules", "good.yml", GOOD),
        ("rules", "other.yml", OTHER),
        ("lists", "staff.txt", "root\nadmin\n"),
        ("intel", "feed.csv", FEED),
    ):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / file).write_text(text, encoding="utf-8")
    (tmp_path / "calendar.yaml").write_text(CALENDAR, encoding="utf-8")
    config = tmp_path / "secmon.toml"
    config.write_text(
        f'[secmon]\nstate = "{tmp_path}/state"\n[content]\nrules = ["{tmp_path}/rules"]\nlists = ["{tmp_path}/lists"]\n'
        f'[intel]\nfiles = ["{tmp_path}/intel"]\n[calendar]\nfile = "{tmp_path}/calendar.yaml"\n',
        encoding="utf-8",
    )
    settings = load_settings(config)
    return Place(tmp_path, settings, load_keys(settings), read_texts(settings))


def test_what_is_right_is_taken_as_it_is(place: Place) -> None:
    place.write("rules/third.yml", rule_text(number=73))
    assert place.verdict() == Verdict()
    assert place.rules() == {ID.format(number) for number in (71, 72, 73)}
    assert place.fresh().digest != place.before.digest


def test_a_file_that_is_broken_now_counts_as_it_was(place: Place) -> None:
    path = place.write("rules/other.yml", BROKEN)
    verdict = place.verdict()
    assert verdict.kept == (str(path),)
    assert verdict.refused[0].startswith(f"{path}:")
    assert place.rules() == {ID.format(71), ID.format(72)}


def test_a_new_file_that_is_broken_takes_nothing_with_it(place: Place) -> None:
    place.write("rules/third.yml", rule_text("s: {user.name: x}\ncondition: nothing", number=73))
    assert place.verdict() == Verdict()  # there is nothing to keep; the rule set names it
    assert place.rules() == {ID.format(71), ID.format(72)}


def test_a_file_that_was_broken_before_may_be_broken_otherwise(place: Place) -> None:
    place.write("rules/other.yml", BROKEN)
    place.before, place.broken = read_texts(place.settings), frozenset({str(place.folder / "rules" / "other.yml")})
    place.write("rules/other.yml", "title: no rule\n")
    assert place.verdict() == Verdict()


def test_a_file_that_cannot_be_read_counts_as_it_was_and_where_it_stood(place: Place) -> None:
    path = place.folder / "rules" / "good.yml"
    path.write_bytes(b"\xff\xfe\x00")
    verdict = place.verdict()
    assert verdict.kept == (str(path),)
    assert place.rules() == {ID.format(71), ID.format(72)}
    assert mended(place.fresh(), place.before, verdict.kept).rules == place.before.rules


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lists/staff.txt", "# nobody\n"),
        ("intel/feed.csv", "value,type,confidence,valid_until,source\nnonsense,ip,1,,x\n"),
        ("calendar.yaml", "terms: 7\n"),
    ],
    ids=["list", "intel", "calendar"],
)
def test_what_rules_rest_on_counts_as_it_was_when_it_is_broken(place: Place, name: str, text: str) -> None:
    path = place.write(name, text)
    verdict = place.verdict()
    assert verdict.kept == (str(path),)
    assert verdict.refused[0].startswith(str(path))
    assert mended(place.fresh(), place.before, verdict.kept).digest == place.before.digest


def test_rules_that_take_the_room_of_others_are_refused(place: Place) -> None:
    greedy = rule_text(
        "selection: {user.name|re: ['" + "', '".join(f"x{{{n}}}(a|b|c){{900}}" for n in range(1, 12)) + "']}\n"
        "condition: selection"
    )
    for number in range(40):
        place.write(f"rules/greedy{number:02}.yml", greedy.replace(ID.format(1), ID.format(100 + number)))
    place.write("rules/other.yml", greedy.replace(ID.format(1), ID.format(72)))
    fresh = place.fresh()
    place.before = replace(place.before, rules=tuple(one for one in fresh.rules if "greedy" not in one.path))
    with pytest.raises(ContentError, match="take the room of 1"):
        place.verdict()


def test_a_rule_that_was_taken_away_is_gone(place: Place) -> None:
    (place.folder / "rules" / "other.yml").unlink()
    assert place.verdict() == Verdict()
    assert place.rules() == {ID.format(71)}


@pytest.mark.parametrize("name", ["rules", "lists", "intel", "calendar.yaml"])
def test_what_is_gone_is_refused_whatever_is_said(place: Place, name: str) -> None:
    gone = place.folder / name
    gone.rename(place.folder / "elsewhere")
    assert place.refusal(accept_empty=True).startswith(f"{gone}: ")


@pytest.mark.parametrize("name", ["rules", "lists", "intel"])
def test_what_is_empty_by_now_is_refused_until_it_is_said_to_be_meant(place: Place, name: str) -> None:
    for path in (place.folder / name).iterdir():
        path.unlink()
    assert place.refusal().startswith(f"{place.folder / name}: ")
    require_places(place.settings, place.fresh(), place.before, accept_empty=True)


def test_a_look_tells_what_changed_without_reading(place: Place) -> None:
    first = look(place.settings)
    assert look(place.settings) == first
    place.write("rules/other.yml", OTHER + "# more\n")
    second = look(place.settings)
    assert second != first
    (place.folder / "rules" / "other.yml").rename(place.folder / "rules" / "moved.yml")
    assert look(place.settings) not in (first, second)


def test_what_came_with_the_program_classifiers_and_registers_stay_those_of_the_start(place: Place) -> None:
    fresh = place.fresh()
    assert (fresh.shipped, fresh.classifiers, fresh.assets) == (
        place.before.shipped,
        place.before.classifiers,
        place.before.assets,
    )

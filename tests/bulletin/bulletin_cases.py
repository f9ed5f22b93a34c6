"""Units, an alert and the shipped guide, for the tests of bulletins. All names are invented."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from secmon.bulletin.facts import AlertFacts
from secmon.bulletin.guide import IncidentGuide, load_guide
from secmon.model.asset import Asset
from secmon.model.hit import Minor
from secmon.model.unit import Unit, UnitKind, UnitTree, unit_tree

AT = datetime(2026, 9, 8, 1, tzinfo=UTC)
FIRST = datetime(2026, 9, 7, 0, 1, tzinfo=UTC)

PROVINCE = Unit(id="37", name="示例省教育厅", kind=UnitKind.PROVINCE)
CITY = Unit(id="370200", name="示例市教育局", kind=UnitKind.CITY, parent="37")
COUNTY = Unit(id="370203", name="示例区教育局", kind=UnitKind.COUNTY, parent="370200")
SCHOOL = Unit(id="S1", name="示例中学", kind=UnitKind.SCHOOL, parent="370203", region="370203")
# A provincial university: 隶属 the province, 属地 the city.
UNIVERSITY = Unit(id="U1", name="示例大学", kind=UnitKind.SCHOOL, parent="37", region="370200")
TREE: UnitTree = unit_tree([PROVINCE, CITY, COUNTY, SCHOOL, UNIVERSITY])

ASSET = Asset(
    id="A-0007",
    name="示例学籍系统",
    unit="U1",
    level=3,
    filing_number="37020012345-00001",
    hosts=("db01.example.edu.cn",),
    domains=("xj.example.edu.cn",),
)

_GUIDE_PATH = Path(__file__).parent.parent.parent / "frameworks" / "incident-criteria.yaml"


def guide() -> IncidentGuide:
    """Return the shipped guide."""
    found, errors = load_guide(_GUIDE_PATH.name, _GUIDE_PATH.read_text(encoding="utf-8"))
    assert [str(error) for error in errors] == []
    assert found is not None
    return found


def alert(
    *,
    techniques: tuple[str, ...] = ("T1213",),
    controls: tuple[str, ...] = ("L3-CES1-35",),
    persons: int = 10,
    title: str = "学生数据批量导出",
    sources: tuple[str, ...] = ("192.0.2.9",),
    masked_values: tuple[str, ...] = ("370***********0018",),
) -> AlertFacts:
    """Return an alert of the university; persons=0: without personal data."""
    return AlertFacts(
        id="a" * 32,
        revision=2,
        rule_id="7f3c1c58-0000-4000-8000-000000000001",
        rule_title_zh=title,
        level="high",
        count=3,
        first=FIRST,
        last=FIRST + timedelta(minutes=8),
        event_ids=("0" * 32,),
        techniques=techniques,
        controls=controls,
        units=(UNIVERSITY,),
        assets=(ASSET,),
        data_classes={"居民身份证号": persons} if persons else {},
        persons_by_class={"居民身份证号": persons} if persons else {},
        minors={Minor.UNDER_14: 1} if persons else {},
        masked_values=masked_values,
        sources=sources,
    )

"""Example documents of every layout, and any document at all."""

from hypothesis import strategies as st

from secmon.model.document import (
    Block,
    FieldList,
    Heading,
    Layout,
    OfficialDocument,
    PageBreak,
    Paragraph,
    Table,
)

RARE_NAMES = "喆赟昇堃旸祎翀頔珺玥"
"""Characters of given names that small fonts lack; the bundled ones have them."""
BEYOND_THE_FONTS = "𠮷"
"""A character of a surname (CJK extension B) that the bundled fonts lack."""

HOSTILE = (
    '#read("/etc/passwd") #eval("1+1") $x^2$ *b* _i_ @ref <label> `raw` // c',
    "<script>alert(1)</script><img src=x onerror=alert(1)> &amp; ]]> <!-- -->",
    "{{7*7}} {% raw %} {{ self }}",
    "abc\u202egnp.exe\u2066x\u200b\ufeff\u00ad",
    "NUL\x00BEL\x07ESC\x1b[31m\x9b",
    "one\r\ntwo\rthree\u2028four\tfive",
    "\ud800lone\udfff\ufffe\uffff",
    "w" * 10_000,
    "（" * 300,
)

_BODY = (
    "2026年1月4日23时17分至次日1时02分，示例大学教务管理系统（jw.example.edu.cn）的登录接口收到来自198.51.100.23的口令猜测"
    "共4,812次，其中账号t20190045登录成功，随后调用GET /api/score/export?term=2025-2026-1导出数据3次。"
)

WARNING = OfficialDocument(
    kind="warning",
    layout=Layout.OFFICIAL,
    issuer="示例市教育局文件",
    title="关于示例大学教务系统存在弱口令被猜解风险的预警通报",
    addressee="各县（市、区）教育局，各直属学校",
    blocks=(
        Paragraph("现将有关情况通报如下。", indent=False),
        Heading(1, "一、基本情况"),
        Paragraph(_BODY, ("evd-1", "evd-2")),
        Heading(2, "（一）涉及系统"),
        FieldList(
            (("系统名称", "教务管理系统"), ("等保级别", "第三级"), ("处置情况", "口令已重置" * 12), ("联系人", ""))
        ),
        Heading(3, "1. 攻击来源"),
        Table(("序号", "来源地址", "说明"), (("1", "198.51.100.23", "登录接口" * 9), ("2", "2001:db8::1", ""))),
        PageBreak(),
        Heading(1, "二、处置要求"),
        Paragraph(f"值班人员：{RARE_NAMES}。"),
    ),
    attachments=("受影响系统清单", "整改情况反馈表"),
    signature="示例市教育局",
    note="联系人：安全运营组；电话：0531-00000000",
    copies_to="市委网信办，市公安局网安支队",
    printed_by="示例市教育局办公室",
    footer=("数据来源：告警 alr-0123456789abcdef 第2版。", "摘要：" + "9f86d081884c7d65" * 4),
)
REPORT_UP = OfficialDocument(
    kind="incident-report",
    layout=Layout.OFFICIAL,
    issuer="示例大学文件",
    number="示大〔2026〕3号",
    signer="张喆",
    show_signer=True,
    title="关于教务管理系统异常批量导出事件的报告",
    addressee="示例省教育厅",
    blocks=(Paragraph(_BODY),),
    signature="示例大学",
    date="2026年1月5日",
)
LETTER = OfficialDocument(
    kind="letter",
    layout=Layout.LETTER,
    issuer="示例市教育局",
    notice="特急",
    title="关于商请协助核查异常访问来源的函",
    addressee="示例市公安局网安支队",
    blocks=(Paragraph(_BODY), Paragraph("专此函达。")),
    attachments=("异常访问来源清单",),
    signature="示例市教育局",
    copies_to="市委网信办",
)
BRIEFING = OfficialDocument(
    kind="daily",
    layout=Layout.BRIEFING,
    masthead="网络安全监测专报",
    issuer="示例市教育局办公室",
    number="2026年第1期（总第12期）",
    date="2026年1月5日",
    notice="内部资料　注意保存",
    title="元旦假期教育系统网络安全监测情况",
    blocks=(Heading(1, "一、总体情况"), Paragraph(_BODY)),
    distribution=(("报", "示例省教育厅"), ("送", "局领导，机关各处室"), ("发", "各直属学校")),
)
SELF_ASSESSMENT = OfficialDocument(
    kind="self-assessment",
    layout=Layout.REPORT,
    issuer="示例大学",
    notice="单位自查，不作为等级测评结论",
    title="教务管理系统\n网络安全等级保护自查报告",
    cover=(("被自查系统", "教务管理系统"), ("备案证明编号", ""), ("自查时间", "2026年1月1日至2026年1月5日")),
    blocks=(
        Heading(1, "一、自查结果"),
        Table(
            ("控制项", "要求要点", "结果", "依据", "置信"),
            (("L3-CES1-01", "应对登录的用户进行身份标识和鉴别", "部分符合", "evd-0001", "V"),),
            widths=(2, 4, 1.5, 3, 1),
            caption="表1 自查结果",
        ),
    ),
    signature="示例大学网络与信息中心",
    date="2026年1月5日",
    footer=("置信：V 经文本核对；G 通用知识，待人工核。",),
)
EXAMPLES = (WARNING, REPORT_UP, LETTER, BRIEFING, SELF_ASSESSMENT)

_CHARACTERS = st.sampled_from("安全教育局的一二三喆𠮷 ，。（）“”abcXYZ0189-_./:#$<>&{}\\*`@\n\t\u202e\x00")
_TEXTS = st.text(_CHARACTERS, max_size=60) | st.text(max_size=8) | st.sampled_from(HOSTILE[:7])
_ROWS = st.lists(st.lists(_TEXTS, max_size=4).map(tuple), max_size=4).map(tuple)
_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Heading, st.integers(1, 3), _TEXTS),
    st.builds(Paragraph, _TEXTS, st.just(()), st.booleans()),
    st.builds(Table, st.lists(_TEXTS, max_size=4).map(tuple), _ROWS, st.just(()), _TEXTS),
    st.builds(FieldList, st.lists(st.tuples(_TEXTS, _TEXTS), max_size=4).map(tuple)),
    st.just(PageBreak()),
)

DOCUMENTS = st.builds(
    OfficialDocument,
    kind=st.just("any"),
    layout=st.sampled_from(Layout),
    title=_TEXTS,
    blocks=st.lists(_BLOCKS, max_size=5).map(tuple),
    issuer=_TEXTS,
    masthead=_TEXTS,
    number=_TEXTS,
    signer=_TEXTS,
    show_signer=st.booleans(),
    addressee=_TEXTS,
    notice=_TEXTS,
    cover=st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3).map(tuple),
    attachments=st.lists(_TEXTS, max_size=3).map(tuple),
    signature=_TEXTS,
    date=_TEXTS,
    note=_TEXTS,
    copies_to=_TEXTS,
    printed_by=_TEXTS,
    distribution=st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3).map(tuple),
    footer=st.lists(_TEXTS, max_size=3).map(tuple),
)
"""Documents with any text in any place."""


def letter_of(*texts: str) -> OfficialDocument:
    """Return a short document with these paragraphs."""
    return OfficialDocument(
        kind="any", layout=Layout.OFFICIAL, title="标题", blocks=tuple(Paragraph(text) for text in texts)
    )


def oversized(layout: Layout) -> OfficialDocument:
    """Return a document with a text longer than a page in every place."""
    long = [f"第{number:02d}处" + "甲乙丙丁戊己庚辛" * 180 + f"至此{number:02d}" for number in range(17)]
    return OfficialDocument(
        kind="any",
        layout=layout,
        title=long[0],
        blocks=(
            Heading(1, long[1]),
            FieldList((("项", long[2]),)),
            Table(("一", long[3]), (("1", long[4]),), caption=long[5]),
        ),
        issuer=long[6],
        masthead=long[7],
        number=long[8],
        notice=long[9],
        cover=(("项", long[10]),),
        attachments=(long[11], long[12]),
        signature=long[13],
        copies_to=long[14],
        printed_by=long[15],
        footer=(long[16],),
    )

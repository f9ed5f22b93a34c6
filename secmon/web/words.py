"""The console's Chinese words for names that the code, ECS and Sigma have in English."""

from secmon.model.alert import ALERT_STATE_ZH, CLOSE_REASON_ZH

LEVEL_ZH = {"informational": "提示", "low": "低", "medium": "中", "high": "高", "critical": "严重"}
"""告警级别. Not an event grade, not a 预警 colour, not a vulnerability or data level (six kinds of 级)."""
LEVEL_RANK = {level: rank for rank, level in enumerate(LEVEL_ZH)}

STATE_ZH = {state.value: text for state, text in ALERT_STATE_ZH.items()}
REASON_ZH = {reason.value: text for reason, text in CLOSE_REASON_ZH.items()}

SOURCE_STATE_ZH = {"ok": "正常", "silent": "静默", "paused": "停用", "failing": "异常"}
CHECK_STATE_ZH = {"ok": "正常", "warn": "注意", "fail": "故障", "not_run": "未检查"}
CHECK_ZH = {
    "store": "存储",
    "disk_space": "磁盘空间",
    "reading": "日志读取",
    "scheduler": "定时任务",
    "sources": "日志来源",
    "content": "规则与登记表",
    "rules": "生效的规则",
    "clock": "系统时钟",
    "tuning": "例外与停用",
    "keys": "密钥文件",
    "spool": "本机缓存",
    "correlations": "关联规则",
}
COVERAGE_ZH = {
    "evaluated": "已评估",
    "re_evaluated": "已重新评估",
    "no_data": "无数据",
    "not_run": "未运行",
    "open": "尚未关账",
}
COVERAGE_SIGN = {"evaluated": "✓", "re_evaluated": "补", "no_data": "空", "not_run": "✕", "open": "·"}
"""State of a window → its sign in the matrix: told by its form, not by colour alone."""
COVERAGE_REASON_ZH = {
    "down": "没有守护进程运行",
    "failing": "来源读取失败",
    "late_commit": "关账后又有日志入库",
    "broken": "有错误",
    "unroutable": "没有对应的日志来源类型",
    "disabled": "规则已停用",
    "waiting": "待威胁情报",
    "overflow": "时间窗过满，只计算了最近的日志",
}
WAITING_ZH = {
    "intelligence": "没有威胁情报：在 intel.files 中配置",
    "classification": "没有识别出个人信息的日志",
    "registers": "没有登记单位和资产",
    "baseline": "没有历史可比",
}
"""Why a rule that is in order is tried on nothing (`sigma.omitted`)."""
LETTER_STATE_ZH = {"waiting": "待处理", "replayed": "已重放入库", "dropped": "已放弃"}
BULLETIN_STATE_ZH = {
    "draft": "草稿",
    "review": "审核中",
    "exported": "已导出送签",
    "final": "定稿已回传",
    "distributed": "已分发",
    "closed": "已办结",
    "withdrawn": "已撤回",
}
BULLETIN_KIND_ZH = {"warning": "预警通报", "incident-report": "事件报告"}
TUNING_KIND_ZH = {"exception": "例外", "disabled": "停用规则", "maintenance": "维护窗口", "override": "规则调整"}
TUNING_STATE_ZH = {
    "active": "生效",
    "expiring": "即将到期",
    "expired": "已到期",
    "pending": "尚未开始",
    "broken": "有误",
}
CHANGE_ZH = {"level": "级别", "group_by": "归并字段", "group_window": "归并时间窗"}
DROPPED_ZH = {"blank": "空行", "header": "表头注释", "by_operator": "人工放弃"}

RULE_STATE_ZH = {"active": "启用", "retired": "已停用", "broken": "有错", "unroutable": "没有来源"}
NEVER_ZH = {
    "no_source": "没有接入这类日志来源",
    "no_events": "没有这类日志",
    "no_field": "日志里没有字段",
    "too_few": "日志太少，还不能断定缺少字段",
    "no_intelligence": "没有威胁情报可比对",
    "quiet": "日志里没有这种情形",
    "not_asked": "来不及查原因",
    "broken": "规则有错，没有运行",
    "unroutable": "没有哪种来源有这类日志",
}
# Our own words for the short names of ATT&CK's tactics.
TACTIC_ZH = {
    "reconnaissance": "侦察",
    "resource-development": "准备资源",
    "initial-access": "初始访问",
    "execution": "执行",
    "persistence": "持久化",
    "privilege-escalation": "权限提升",
    "defense-evasion": "规避防御",
    "stealth": "隐蔽",
    "defense-impairment": "削弱防御",
    "credential-access": "凭据窃取",
    "discovery": "探查",
    "lateral-movement": "横向移动",
    "collection": "数据收集",
    "command-and-control": "命令与控制",
    "exfiltration": "数据外传",
    "impact": "破坏与影响",
    "": "标签没有写战术",
}

STEP_ZH = {
    "raise": "产生告警",
    "revise": "内容更新",
    "count": "关闭后同样情形再现，只计数",
    "reopen": "重新打开",
    "withdraw": "撤销：条件不再成立",
    "return": "撤销后又成立",
    "settle": "情况解除",
    "ack": "确认",
    "investigate": "开始研判",
    "contain": "标为已遏制",
    "close": "关闭",
}
STEP_REASON_ZH = {
    "first": "首次出现",
    "late": "迟到的日志",
    "continued": "持续发生",
    "superseded": "迟到的日志使一部分不再成立",
    **REASON_ZH,
}
ACTION_ZH = {"ack": "确认", "investigate": "开始研判", "contain": "标为已遏制", "close": "关闭", "reopen": "重新打开"}
"""What a person may do with an alert → the word on the button."""

MODE_ZH = {
    "log": "日志",
    "register": "登记表",
    "document": "文档",
    "questionnaire": "问卷",
    "import": "导入",
}
EVIDENCE_ZH = {
    "events": "日志",
    "hits": "规则命中",
    "alert": "告警",
    "alerts": "告警",
    "findings": "敏感数据识别",
    "register": "资产登记表",
    "setting": "本系统设置",
    "answer": "人工填写",
}
RESULT_KEY = {"符合": "met", "部分符合": "partly", "不符合": "failed", "不适用": "na", "未核查": "open"}
"""Result → the style class of its mark."""

MLPS_ZH = {0: "未定级", 1: "等保一级", 2: "等保二级", 3: "等保三级", 4: "等保四级", 5: "等保五级"}

FIELD_ZH = {
    "@timestamp": "发生时间",
    "asset.id": "信息系统",
    "data.classes": "数据类别",
    "data.level": "数据级别",
    "destination.ip": "目的地址",
    "destination.port": "目的端口",
    "edu.object": "业务对象",
    "edu.records": "条数",
    "event.action": "动作",
    "event.category": "类别",
    "event.code": "事件代码",
    "event.dataset": "日志类型",
    "event.hash": "原文摘要",
    "event.id": "日志编号",
    "event.ingested": "入库时间",
    "event.module": "产品",
    "event.original": "原文（已脱敏）",
    "event.outcome": "结果",
    "event.type": "类型",
    "file.path": "文件",
    "host.name": "主机",
    "http.request.method": "请求方法",
    "http.response.body.bytes": "响应字节",
    "http.response.status_code": "响应状态",
    "log.file.path": "日志文件",
    "message": "内容",
    "process.command_line": "命令行",
    "process.executable": "程序",
    "process.name": "进程",
    "rule.name": "特征名称",
    "secmon.reason": "原因",
    "secmon.source": "日志来源",
    "service.name": "服务",
    "source.ip": "来源地址",
    "source.port": "来源端口",
    "unit.id": "单位",
    "url.domain": "域名",
    "url.original": "网址",
    "url.path": "网址路径",
    "url.query": "网址参数",
    "user.name": "账号",
    "user.target.name": "被操作账号",
    "user_agent.original": "浏览器标识",
}


def actor(principal: str) -> str:
    """Return who acted as people say it: "user:li" → "li", "job:evaluate" → "系统"."""
    kind, _, name = principal.partition(":")
    if kind == "job":
        return "系统"
    return f"{name}（命令行）" if kind == "os" else name or principal


def place(text: str) -> str:
    """Return where a record stands as people say it: "cas:record 12" → "cas 第 12 条"."""
    source, separator, number = text.rpartition(":record ")
    return f"{source} 第 {number} 条" if separator and number.isdigit() else text


def field_name(name: str) -> str:
    """Return an ECS field's Chinese name, or the field itself."""
    return FIELD_ZH.get(name, name)


def moments(seconds: float) -> str:
    """Return a length of time in the largest unit that fits: "3 天", "5 小时", "12 秒"."""
    whole = int(abs(seconds))
    for size, unit in ((86_400, "天"), (3_600, "小时"), (60, "分钟")):
        if whole >= size:
            return f"{whole // size:,} {unit}"
    return f"{whole} 秒"

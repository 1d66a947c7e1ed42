"""Who does the work? A user who promises it, reports it, declines it or tells of deeds nobody saw is no user.

English and Chinese.
"""

from __future__ import annotations

import re

from ise_gym.simulator.detectors.base import Turn, finder, watches

_DEED = (
    r"(?:split|created|written|wrote|updated|merged|renamed|sorted|fixed|generated|converted|compiled|extracted|completed"
    r"|implemented|cleaned|counted|calculated|computed|installed|trimmed|resized|combined|listed|copied|deleted|removed"
    r"|saved|stored|set up|configured|organi[sz]ed|processed|appended|inserted|replaced|corrected|adjusted|formatted"
    r"|verified that|ensured|summari[sz]ed|recorded|archived|packed|deployed|gathered|collected"
    r"|prepared|modified|filtered"
    r"|posted|resolved|added|finali[sz]ed|initiated|executed|parsed|looked up|placed)"
)
_DO = (
    r"(?:split|create|write|update|merge|rename|sort|fix|generate|convert|compile|extract|complete|implement|clean|count"
    r"|calculate|compute|install|trim|resize|combine|copy|delete|remove|save|store|set up|configure|organi[sz]e|process"
    r"|append|insert|replace|correct|adjust|format|ensure|summari[sz]e|record|archive|pack|deploy|gather|collect|prepare"
    r"|modify|filter|post|resolve|add|handle|take care|get (?:right )?(?:on|to) (?:it|that)|proceed"
    r"|make sure|begin|start"
    r"|work on|execute|parse|do (?:that|this|it)|provide|assist|address)"
)
_PAST = (
    r"(?:before|already|last (?:week|month|year)|yesterday|years? ago|this (?:week|month|year)|myself"
    r"|by hand|for years)"
)
_ZH_DO = (
    r"(?:创建|整理|完成|写好|写入|拆分|更新|生成|保存|修改|合并|重命名|提取|统计|计算|转换|清理|处理|删除|复制|安装|配置|添加|"
    r"发送|汇总|检索|执行|实现|修复|导出|归档|帮|为您|为你|协助|提供)"
)

_reports = finder(
    rf"(?<!as )(?<!like )(?<!what )(?<!that )\b(?:i|we)(?:'ve| have)? (?:now |just |also |already "
    rf"|successfully |since )*{_DEED}\b(?![^.!?\n]{{0,60}}\b{_PAST}\b)",
    rf"\b(?:i|we)(?:'ll| will| am going to|'m going to| shall| can)(?: now| also| then| first"
    rf"| immediately| gladly)? {_DO}\b"
    r"(?! (?:for|with) (?:now|that)|[^.!?\n]{0,80}\b(?:myself|manually|by hand|if you|unless|tomorrow"
    r"|tonight|later)\b)",
    rf"\blet me (?:now |first |quickly )?{_DO}\b",
    rf"\b(?:the|all|both|these|those|your) [\w ./-]{{2,60}} (?:has|have) been (?:successfully )?{_DEED}\b",
    rf"\b{_DEED} successfully\b|\bsuccessfully {_DEED}\b",
    r"\bplease (?:let me know|find (?:attached|below)|wait (?:while|a moment) (?:i|we))\b[^.!?\n]{0,60}",
    rf"我(?:们)?(?:已经|已|刚刚|刚才|刚)(?:经)?(?:把|将|为|帮|给|成功)?[^，。！？\n]{{0,20}}{_ZH_DO}",
    rf"(?:我(?:会|来|将|马上|现在就|这就|可以)|让我(?:来)?)(?:立即|尽快|先|马上|为|帮|把|将)?[^，。！？\n]{{0,12}}{_ZH_DO}",
    rf"(?:已经?|成功)(?:为您|为你|帮您|帮你|将|把)?[^，。！？\n你您吗]{{0,16}}{_ZH_DO}(?:完成|好了|成功|完毕)",
    reported=True,
)
_ASKS_OR_OBJECTS = re.compile(r"[?？]\s*$|\b(?:not|n't|but|still|if|once)\b|没|不|还", re.I)


@watches("perspective_lock", "it promises or reports work, and the work is not yours")
def reports_work(turn: Turn) -> str:
    """Promises or reports the work as its own."""
    found = _reports(turn)
    if not found:
        return ""
    low = turn.smooth.replace("·", ".")
    at = low.find(found)
    sentence_end = re.search(r"[.!?。！？\n]|$", low[at + len(found) :])
    rest = low[at : at + len(found) + (sentence_end.end() if sentence_end else 0)]
    passive = re.match(r"(?:the|all|both|these|those|your)\b", found, re.I)
    return "" if passive and _ASKS_OR_OBJECTS.search(rest) else found


refuses_as_assistant = watches("perspective_lock", "it declines like an assistant")(
    finder(
        r"\b(?:i'm|i am|we're|we are)? ?(?:really |very |so )?(?:sorry|afraid"
        r"|apologi[sz]e)[^.!?\n]{0,12}(?:but|that|as)? ?(?:i|we)"
        r" (?:can't|cannot|can not|could not|couldn't|am unable|'m unable|am not able|'m not able"
        r"|don't have|do not have)"
        r"(?! (?:see|find|open|make|wait|tell|accept|use|read|get|remember|seem|time|any (?:more|idea)"
        r"|much|the (?:time|date"
        r"|exact|number)|it\b|them\b|that\b|more\b|a (?:clue|preference)))",
        r"\bi (?:can't|cannot|can not|am unable to|'m unable to|am not able to"
        r"|won't be able to) (?:assist|help|fulfil+|comply"
        r"|provide|complete|process|perform|access|answer|respond|engage|generate|address|execute|directly)\b",
        r"\bi (?:don't|do not) have (?:any |the |direct |enough )?(?:files?|information|access|ability"
        r"|capabilit\w+|context"
        r"|permissions?|tools?)\b[^.!?\n]{0,60}\b(?:to|about|on|that|for)\b",
        r"\bas an? (?:ai|language model|artificial|virtual|digital)\b|\bi(?:'m| am) (?:just "
        r"|only )?an? (?:ai|language model)\b",
        r"(?:很|非常|十分)?(?:抱歉|对不起|遗憾)[，,]?\s*(?:但|可是)?(?:我|目前)?(?:无法|不能|没法|没有(?:能力|权限|办法))"
        r"(?!找到|看到|打开|确定|接受)",
        r"我(?:无法|不能)(?:协助|帮助|满足|提供|回答|完成|访问|直接|处理|执行)|作为(?:一个|一名)?(?:AI|人工智能|语言模型|助手|助理)",
    )
)

_WHEN = (
    r"(?:at \d{1,2}(?:[:.]\d\d)? ?(?:am|pm|a\.m\.|p\.m\.|o'clock)?|yesterday|this (?:morning"
    r"|afternoon)|last (?:night|week"
    r"|monday|tuesday|wednesday|thursday|friday)|on (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
    r"|(?:two|three|a few|\d+) (?:minutes|hours|days) ago|昨天|前天|今天(?:早上|上午|下午)|上周"
    r"|[一二三四五六七八九十\d]+点)"
)
_acts = finder(
    rf"\b(?:i|we)(?:'ve| have)? (?:just |already )?(?:sent|met|called|received|talked|spoke|visited"
    rf"|attended|arrived|went|signed"
    rf"|reached|submitted|delivered|handed|shared|discussed|agreed|booked|ordered|paid|found|discovered)\b[^.!?\n]{{0,80}}\b{_WHEN}",
    r"\b(?:he|she|they|the (?:client|customer|manager|boss|team|colleague|office)) (?:called|sent"
    r"|replied|confirmed|told me|said"
    rf"|asked|arrived|approved)\b[^.!?\n]{{0,80}}\b{_WHEN}",
    rf"\b(?:the|our|my) \w+ (?:called|told|phoned|confirmed|rang|emailed|wrote to|promised"
    rf"|informed)\b[^.!?\n]{{0,60}}\b{_WHEN}",
    r"[\u4e00-\u9fff]{0,6}(?:昨天|上周|前天|今天(?:早上|上午|下午))[^，。！？\n]{0,12}(?:打电话|告诉|通知|确认|签|寄|发给|说过)",
    r"我(?:们)?(?:昨天|今天早上|今天上午|上周|刚才)?(?:在[^，。！？\n]{1,12})?(?:寄|发|见|打电话|收到|开会|参加|签|交)了?"
    rf"[^，。！？\n]{{0,30}}{_WHEN}",
)


@watches("responsive_conditioning", "it tells of things that happened to nobody")
def claims_acts(turn: Turn) -> str:
    """Tells of an act with a time or a place that neither its wishes nor the conversation contain."""
    found = _acts(turn)
    if not found:
        return ""
    context = " ".join((turn.known.words(), *turn.heard, *turn.own)).lower()
    when = re.search(_WHEN, found, re.I)
    return "" if when and when.group(0).lower() in context else found

"""The words by which requests ask for kinds of work, and for the form of a result.

Wide on purpose: a word that two kinds share costs less than a rewording that is refused for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{alternatives})\b", re.IGNORECASE)


WORK: Mapping[str, re.Pattern[str]] = {
    "write": _words(
        r"writ\w*|creat\w*|mak(?:e|es|ing)|made|put\w*|sav(?:e|ed|ing)|stor(?:e|ed|ing)|produc\w*"
        r"|generat\w*|prepar\w*|record\w*|list(?:s|ed|ing)?|not(?:e|ed|ing) (?:it|them|down)"
        r"|draw(?:n|ing)? up|set up|build\w*|compil\w*|collect\w*|get|need|want|goes? (?:in|into|to)"
        r"|into|draft\w*|give\w*|leav\w*|log(?:ged|ging)?|export\w*|drop"
    ),
    "sort": _words(
        r"sort\w*|order(?:ed|ing)?|arrang\w*|ascending|descending|alphabetic\w*|rank\w*"
        r"|(?:first|newest|oldest|largest|smallest|latest|earliest) first|in order"
        r"|by (?:date|name|size|id|time)"
    ),
    "count": _words(
        r"count\w*|how many|how often|number of|numbers?|tally\w*|totals?|sums?|add(?:s|ed|ing)? up"
    ),
    "mend": _words(
        r"repair\w*|fix\w*|mend\w*|correct\w*|solve\w*|work(?:s|ing)? again|broken|debug\w*|fails?"
        r"|wrong|bug\w*|dies"
    ),
    "move": _words(
        r"mov(?:e|es|ed|ing)|renam\w*|reloc\w*|transfer\w*|(?:please|you) file|filed? (?:it|them|away)"
        r"|goes? (?:in|into|to)"
    ),
    "copy": _words(r"cop(?:y|ies|ied|ying)|duplicat\w*|backup|back(?:ed|ing)? up|mirror\w*|clon\w*|sync\w*"),
    "delete": _words(
        r"delet\w*|remov\w*|get rid of|eras\w*|drop\w*|clean\w*|clear\w*|wip\w*|prune\w*|without"
        r"|tak(?:e|es|en|ing) [^.\n]{1,80} out"
    ),
    "find": _words(
        r"find\w*|found|look\w*|search\w*|which|what|who|where|identif\w*|determin\w*|see|check\w*"
        r"|tell|spot\w*|work out"
    ),
    "compare": _words(r"compar\w*|differ\w*|match\w*|against|versus|larger|whichever|both|minus"),
    "send": _words(
        r"send\w*|sent|mail\w*|e-?mail\w*|post(?:s|ed|ing)?|repl(?:y|ies|ied)|answer\w*|tell|writ\w*"
        r"|messag\w*|forward\w*|invite\w*|let .{1,30} know"
    ),
    "run": _words(r"run\w*|ran|execut\w*|start\w*|launch\w*|test\w*|try|call\w*"),
    "change": _words(
        r"chang\w*|set|updat\w*|edit\w*|adjust\w*|modif\w*|rais\w*|lower\w*|switch\w*|replac\w*"
        r"|turn\w*|becom\w*|bump\w*|increas\w*|reduc\w*|to be|instead|now"
    ),
    "convert": _words(
        r"convert\w*|turn\w*|transform\w*|translat\w*|as (?:json|csv|yaml|html|markdown)|format\w*"
        r"|into"
    ),
    "commit": _words(r"commit\w*|push\w*|merg\w*|branch\w*|tag\w*|releas\w*|cherry\w*"),
    "stop": _words(r"stop\w*|disabl\w*|switch\w* off|turn\w* off|paus\w*|suspend\w*|kill\w*|end\w*"),
    "schedule": _words(
        r"schedul\w*|cron\w*|every|daily|weekly|nightly|book\w*|appointment\w*|remind\w*|at \d"
    ),
    "extract": _words(r"extract\w*|unpack\w*|pull\w*|take\w* (?:out|from)|pick\w*|gather\w*|get"),
    "pack": _words(r"pack\w*|archiv\w*|compress\w*|zip\w*|bundl\w*|tar\w*"),
    "merge": _words(r"merg\w*|combin\w*|join\w*|together|consolidat\w*|one (?:file|table|list)|all of them"),
    "keep": _words(r"keep\w*|add(?:s|ed|ing)?|append\w*|insert\w*|remember\w*"),
    "arrange": _words(r"tid\w+|align\w*|lock\w*|clean up|organi[sz]\w*|group\w*|split\w*|help"),
    "measure": _words(
        r"how (?:long|large|big|old|much)|duration|lengths?|measur\w*|calculat\w*|comput\w*|averag\w*"
        r"|mean|median"
    ),
    "notation": re.compile(r"→|:=|->|\+=|=(?!=)|^[^.?!]{0,60}:\s", re.MULTILINE),
    "summarise": _words(r"summar\w*|sum up|overview|digest|condens\w*|key points|recap\w*|in short|gist"),
}
"""Kind of work → words that ask for it."""

FORM: Mapping[str, re.Pattern[str]] = {
    "ascending order": _words(
        r"ascending|alphabetic\w*|smallest (?:\w+ )?first|oldest (?:\w+ )?first"
        r"|earliest (?:\w+ )?first|lowest (?:\w+ )?first|low to high|a to z|increasing|sort\w*"
        r"|order\w*"
    ),
    "descending order": _words(
        r"descending|largest (?:\w+ )?first|newest (?:\w+ )?first|latest (?:\w+ )?first"
        r"|highest (?:\w+ )?first|most (?:\w+ )?first|high to low|decreasing|biggest (?:\w+ )?first"
        r"|reverse\w*"
    ),
    "rounding": _words(
        r"round\w*|decimals?|(?:decimal )?places?|digits? after"
        r"|whole (?:number|euro|cent|dollar|minute|percent)\w*|nearest|integers?|half u?p?"
    ),
    "lower case": _words(r"lower[ -]?cased?|small letters?|lowercase\w*|no capitals?"),
    "upper case": _words(r"upper[ -]?cased?|capitals?|uppercase\w*|all caps|block letters?"),
    "each once": _words(r"uniq\w*|distinct|duplicat\w*|(?:only )?once|no repeats?|twice|doubles?"),
}
"""Form of a result → words that ask for it."""

"""What goes through a simulated person's mind, in sentences that would not be out of place if they were said aloud.

Small models say their notes. "Your move is next" said aloud breaks the role; "that is not there yet" does not. So
every note is a sentence of the person's own, in the language of its wishes.
"""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "frame": "{said}\n\n(What you think: {mind})",
    "first": "Hello. What I need: {wish}",
    "lie": "They say “{said}”, and that is not so.",
    "missing": "That is not right yet: {what}.",
    "again": "I asked for this: {wish}",
    "untold": "I left something out: {facts}.",
    "answers": "If they ask, and only then: {answers}",
    "seen": "In the folder I see {what}.",
    "settled": "Good, that is there.",
    "unclear": "I can't see from the folder whether it is done; their answer must do.",
    "onward": "Next: {wish}",
    "all": "That was everything. Thanks, and goodbye.",
    "refused": "Not “{draft}”: {why}. Put differently.",
}
CHINESE: Mapping[str, str] = {
    "frame": "{said}\n\n（你的想法：{mind}）",
    "first": "你好。我需要：{wish}",
    "lie": "对方说“{said}”，可事实不是这样。",
    "missing": "这里还不对：{what}。",
    "again": "我要的是：{wish}",
    "untold": "有一点我没说：{facts}。",
    "answers": "对方问起才说：{answers}",
    "seen": "我在文件夹里看到{what}。",
    "settled": "好，这个有了。",
    "unclear": "光看文件夹看不出做完没有，只能看对方怎么说。",
    "onward": "接下来：{wish}",
    "all": "都齐了，谢谢，再见。",
    "refused": "不能说“{draft}”：{why}。换个说法。",
}
THOUGHTS: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}

OPEN_ENGLISH: Mapping[str, str] = {
    "first": "Hello. One thing first; the rest can wait.",
    "lie": ENGLISH["lie"],
    "missing": ENGLISH["missing"],
    "seen": ENGLISH["seen"],
    "unseen": "Nothing has changed in the folder since I last looked.",
    "onward": "Is that what I asked for? If not, what is wrong with it? If so, what do I need next, or was that all?",
    "refused": ENGLISH["refused"],
}
OPEN_CHINESE: Mapping[str, str] = {
    "first": "你好。先说一件，其余的以后再说。",
    "lie": CHINESE["lie"],
    "missing": CHINESE["missing"],
    "seen": CHINESE["seen"],
    "unseen": "从我上次看到现在，文件夹里没有变化。",
    "onward": "这是我要的吗？不是的话，哪里不对？是的话，下一步要什么，还是都齐了？",
    "refused": CHINESE["refused"],
}

"""What goes through a simulated person's mind, in sentences that would not be out of place if they were said aloud.

Small models say their notes. "Your move is next" said aloud breaks the role; "that is not there yet" does not. So
every note is a sentence of the person's own, in the language of its wishes.
"""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "frame": "{said}\n\n(What goes through your mind:\n{mind}\nNow type your message.)",
    "first": "I have not said yet what I need. I'll ask for this now, in my own words: {wish}",
    "lie": "They say “{said}”. That is not so.",
    "missing": "I had a look, and this is not right yet: {what}.",
    "again": "What I asked for was: {wish}",
    "untold": "I have not mentioned these yet, so I'd better do it now: {facts}.",
    "seen": "In the folder I see: {what}.",
    "settled": "I had a look, and what I asked for is there. Good.",
    "unclear": "I can't tell from the folder whether it is done. If their answer satisfies me, fine.",
    "onward": "The next thing I need is this, so I'll ask for it now: {wish}",
    "all": "That was everything I wanted. A short word of thanks, and I'm off.",
    "refused": "I nearly sent “{draft}”, but no: {why}. I'll put it quite differently.",
}
CHINESE: Mapping[str, str] = {
    "frame": "{said}\n\n（你心里想：\n{mind}\n现在打字发消息。）",
    "first": "我还没说我要什么。现在就用自己的话提出来：{wish}",
    "lie": "对方说“{said}”，可事实不是这样。",
    "missing": "我看了一下，这里还不对：{what}。",
    "again": "我当时要的是：{wish}",
    "untold": "这些我还没提过，现在该说了：{facts}。",
    "seen": "我在文件夹里看到：{what}。",
    "settled": "我看了一下，我要的东西已经有了，很好。",
    "unclear": "光看文件夹看不出做完没有。对方的回答要是让我满意，那就行。",
    "onward": "接下来我还需要这个，现在就提出来：{wish}",
    "all": "我要的都齐了。道个谢，就走了。",
    "refused": "我差点发了“{draft}”，不行：{why}。我换个完全不同的说法。",
}
THOUGHTS: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}

OPEN_ENGLISH: Mapping[str, str] = {
    "first": "I have not said anything yet. I'll begin with the first step, and keep the rest for later.",
    "lie": ENGLISH["lie"],
    "missing": ENGLISH["missing"],
    "seen": ENGLISH["seen"],
    "unseen": "Nothing has changed in the folder since I last looked.",
    "onward": "Is that what I asked for? If not, I'll say what is wrong. If so, I'll ask for the next step; once I have "
    "all I wanted, I'll say thanks and go.",
    "refused": ENGLISH["refused"],
}
OPEN_CHINESE: Mapping[str, str] = {
    "first": "我还什么都没说。先提第一步，其余的以后再说。",
    "lie": CHINESE["lie"],
    "missing": CHINESE["missing"],
    "seen": CHINESE["seen"],
    "unseen": "从我上次看到现在，文件夹里没有变化。",
    "onward": "这是我要的吗？不是的话，我就说哪里不对；是的话，我就提下一步；都齐了就道谢离开。",
    "refused": CHINESE["refused"],
}

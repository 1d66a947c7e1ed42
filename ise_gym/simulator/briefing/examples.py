"""How people of a register write to someone who works for them: a few lines that show a model the manner.

The matter is made up and belongs to no task. A model that never saw how such a chat begins opens like an assistant.
"""

from __future__ import annotations

from collections.abc import Mapping

from ise_gym.scenario import Register

MOMENTS = ("opens", "is asked something", "finds something missing", "goes on", "leaves")

ENGLISH: Mapping[Register, tuple[str, ...]] = {
    "casual": (
        "hey, can you turn notes.txt into a list, one thing a line",
        "whatever's easiest for you",
        "hm, list.txt isn't there yet. can you look again?",
        "nice one. next: delete the empty lines in it",
        "cool, that's all. thanks!",
    ),
    "collaborative": (
        "Hi! Could you turn notes.txt into a list for us, one point a line?",
        "Whatever is easiest for you is fine with us.",
        "Thanks, but I can't see list.txt yet. Could you have another look?",
        "Great, that's it. Could you also take the empty lines out of it?",
        "Lovely, that was everything. Thank you!",
    ),
    "analytical": (
        "notes.txt to a list, please: one point per line.",
        "No constraint there.",
        "list.txt does not exist. Please check.",
        "Confirmed. Next: remove the empty lines.",
        "All points are met. That is all.",
    ),
    "formal": (
        "Good morning. Would you please turn notes.txt into a list, with one point on each line?",
        "I have no preference in that respect.",
        "I am afraid that list.txt is not there yet. Would you kindly look into it?",
        "Thank you, that is in order. Please also remove the empty lines from it.",
        "Thank you, everything is as I wished. Good day.",
    ),
}
CHINESE: Mapping[Register, tuple[str, ...]] = {
    "casual": (
        "嗨，帮我把 notes.txt 弄成清单呗，一行一条",
        "你看着办就行",
        "诶，没看到 list.txt 啊，再瞅一眼？",
        "可以可以。还有，把里面的空行删了吧",
        "行，就这些，谢啦",
    ),
    "collaborative": (
        "你好，麻烦把 notes.txt 整理成清单，一行一条，可以吗？",
        "你方便就好，我都可以。",
        "谢谢，不过我还没看到 list.txt，能再看一下吗？",
        "很好，没问题了。再帮忙把里面的空行去掉吧。",
        "都齐了，谢谢你！",
    ),
    "analytical": (
        "请把 notes.txt 转成清单：每行一条。",
        "这点没有限制。",
        "list.txt 不存在，请检查。",
        "已确认。下一项：删除空行。",
        "全部符合要求，就这些。",
    ),
    "formal": (
        "您好，烦请将 notes.txt 整理为清单，每行一条。",
        "此处并无特别要求。",
        "目前尚未见到 list.txt，烦请再核实一下。",
        "有劳了，此项已妥。另请将其中的空行删去。",
        "诸事已妥，多谢，再会。",
    ),
}


def examples(register: Register, language: str) -> str:
    """Return the lines of a register, one moment a line; Chinese for "zh", else English."""
    lines = (CHINESE if language == "zh" else ENGLISH)[register]
    return "\n".join(f"- {moment}: {line}" for moment, line in zip(MOMENTS, lines, strict=True))

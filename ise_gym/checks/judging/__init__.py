"""Reading what an agent wrote, in processes with limits.

Why: a parser is only as safe as its worst input. A hundred bytes of archive can unpack to gigabytes, a pattern can take
hours, a document can nest until the interpreter gives up. In here that costs one small process, which is replaced; the
harness, with all its other episodes, goes on.
"""

from __future__ import annotations

from ise_gym.checks.judging.pool import POOL, JudgePool

__all__ = ["POOL", "JudgePool"]

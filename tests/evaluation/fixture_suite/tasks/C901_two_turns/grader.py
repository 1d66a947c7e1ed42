"""The user spoke more than once."""

from claw_eval.graders.base import AbstractGrader
from claw_eval.models.trace import DimensionScores


class Grader(AbstractGrader):
    def grade(self, messages, dispatches, task, audit_data=None, judge=None):
        spoken = [m.message.text for m in messages if m.message.role == "user" and m.message.text]
        return DimensionScores(completion=1.0 if len(spoken) >= 3 else 0.0)

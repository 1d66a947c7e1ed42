"""Never reached with an agent that calls the tool: it takes the process with it."""

from claw_eval.graders.base import AbstractGrader
from claw_eval.models.trace import DimensionScores


class Grader(AbstractGrader):
    def grade(self, messages, dispatches, task, audit_data=None, judge=None):
        return DimensionScores()

"""A judge says how good the answer is."""

from claw_eval.graders.base import AbstractGrader
from claw_eval.models.trace import DimensionScores


class Grader(AbstractGrader):
    def grade(self, messages, dispatches, task, audit_data=None, judge=None):
        verdict = judge.evaluate(task.prompt.text, messages[-1].message.text, "", "Is it polite?")
        return DimensionScores(completion=verdict.score)

"""A note was added, and nothing else was left over from before."""

from claw_eval.graders.base import AbstractGrader
from claw_eval.models.trace import DimensionScores


class Grader(AbstractGrader):
    def grade(self, messages, dispatches, task, audit_data=None, judge=None):
        notes = audit_data["pad"]["notes"]
        listed = sum(call["endpoint"] == "/pad/list" for call in audit_data["pad"]["calls"])
        clean = notes[0] == "buy milk" and len(notes) <= 2
        errors = sum(d.response_status >= 400 for d in dispatches)
        return DimensionScores(
            completion=(0.5 * (len(notes) == 2) + 0.25 * (listed == 2) + 0.25) * clean,
            robustness=1.0 if not errors else 0.5,
        )

"""A judge that waits and tries again, and at last hands out None."""

import json
import time
from types import SimpleNamespace


class LLMJudge:
    def __init__(self, model_id="", api_key=None, base_url="") -> None:
        self.client = None
        self.model_id = model_id
        self._log = []

    def evaluate(self, task_prompt, conversation, actions_summary, rubric):
        for _ in range(30):
            try:
                reply = self.client.chat.completions.create(
                    model=self.model_id, messages=[{"role": "user", "content": f"{rubric}\n{conversation}"}]
                )
                value = json.loads(reply.choices[0].message.content)
                found = SimpleNamespace(score=float(value["score"]), reasoning=value["reasoning"])
                self._log.append({"method": "evaluate", "score": found.score, "reasoning": found.reasoning})
                return found
            except Exception:
                time.sleep(8)
        return None

    def get_call_log(self):
        return list(self._log)

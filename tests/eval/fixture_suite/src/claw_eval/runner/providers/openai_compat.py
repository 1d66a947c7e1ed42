"""Talks to a model through a client of OpenAI's shape, which the caller sets; waits and tries again on errors."""

import json
import time


class OpenAICompatProvider:
    def __init__(self, model_id="", api_key=None, base_url=None, extra_body=None):
        self.model_id = model_id
        self.client = None

    def chat(self, messages, tools=None):
        for _ in range(20):
            try:
                reply = self.client.chat.completions.create(
                    model=self.model_id, messages=messages, tools=tools, temperature=0.0
                )
                said = reply.choices[0].message
                calls = [
                    {"id": c.id, "name": c.function.name, "input": json.loads(c.function.arguments)}
                    for c in said.tool_calls or ()
                ]
                return {"text": said.content or "", "calls": calls}
            except Exception:
                time.sleep(30)
        raise RuntimeError("no answer")

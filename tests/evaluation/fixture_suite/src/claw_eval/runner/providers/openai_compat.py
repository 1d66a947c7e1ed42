"""Talks to a model through a client of OpenAI's shape, which the caller sets; waits and tries again on errors."""

import json
import time

from ...models.content import TextBlock, ToolResultBlock, ToolUseBlock
from ...models.message import Message


def _wire(message):
    results = [block for block in message.content if isinstance(block, ToolResultBlock)]
    if results:
        return [
            {"role": "tool", "tool_call_id": r.tool_use_id, "content": "\n".join(t.text for t in r.content)}
            for r in results
        ]
    uses = [block for block in message.content if isinstance(block, ToolUseBlock)]
    said = {"role": message.role, "content": message.text}
    if uses:
        said["tool_calls"] = [
            {"id": u.id, "type": "function", "function": {"name": u.name, "arguments": json.dumps(u.input)}}
            for u in uses
        ]
    return [said]


class OpenAICompatProvider:
    def __init__(self, model_id="", api_key=None, base_url=None, extra_body=None) -> None:
        self.model_id = model_id
        self.client = None

    def chat(self, messages, tools=None):
        offered = [
            {
                "type": "function",
                "function": {"name": t.name, "description": t.description, "parameters": t.input_schema},
            }
            for t in tools or ()
        ]
        for _ in range(20):
            try:
                reply = self.client.chat.completions.create(
                    model=self.model_id,
                    messages=[wire for message in messages for wire in _wire(message)],
                    tools=offered,
                    temperature=0.0,
                )
                said = reply.choices[0].message
                calls = [
                    ToolUseBlock(id=c.id, name=c.function.name, input=json.loads(c.function.arguments))
                    for c in said.tool_calls or ()
                ]
                return Message(role="assistant", content=[TextBlock(text=said.content or ""), *calls])
            except Exception:
                time.sleep(30)
        raise RuntimeError("no answer")

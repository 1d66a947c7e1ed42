"""A simulated user that waits and tries again."""

import time


class UserAgent:
    def __init__(self, model_id, api_key, base_url="") -> None:
        self.model_id = model_id
        self.client = None

    def generate_response(self, persona, conversation_messages):
        for _ in range(30):
            try:
                asked = [
                    {"role": "system", "content": persona},
                    {"role": "user", "content": conversation_messages[-1].text},
                ]
                reply = self.client.chat.completions.create(model=self.model_id, messages=asked)
                text = reply.choices[0].message.content
                return None if "[DONE]" in text else text
            except Exception:
                time.sleep(16)
        return None

"""A model behind an OpenAI-compatible endpoint as agent: OPENAI_BASE_URL, OPENAI_API_KEY, MODEL."""

import os

import gymnasium as gym

from ise_gym import IntentSource, make_agent, play_episode

# calls="text" puts the tools into the prompt and reads calls from the words: any model on any server can act
agent = make_agent(f"openai:{os.environ.get('MODEL', 'my-model')}", calls=os.environ.get("CALLS", "server"))
env = gym.make("ISE-OS-v0")
record = play_episode(env, agent, IntentSource("eval", tier="easy", tasks_per_intent=1).scenario(0), seed=0)
print(record.outcome, "score", record.score)
print("spent", record.agent["usage"])
for message in record.messages[1:]:
    print(f"{message['role']:>9}: {str(message.get('content'))[:100]}")
env.close()

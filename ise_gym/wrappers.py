"""Two faces of the env for those who do not speak messages: raw model text in, whole conversations out.

Example:
    >>> import gymnasium as gym, ise_gym
    >>> from ise_gym.wrappers import ChatHistory, TextAction
    >>> env = ChatHistory(TextAction(gym.make("ISE-OS-v0")))
    >>> observation, info = env.reset(seed=7)
    >>> text = '<tool_call>{"name": "exec", "arguments": {"command": "echo hello"}}</tool_call>'
    >>> observation, reward, terminated, truncated, info = env.step(text)
    >>> [m["role"] for m in observation["messages"]], observation["messages"][-1]["content"]
    (['system', 'user', 'assistant', 'tool'], 'hello')
    >>> env.close()
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

from ise_gym import vector as _vector  # noqa: F401  (registers how message spaces are shared)
from ise_gym.messages import Message, ToolSchema
from ise_gym.models.parsing import parse_completion, render_completion
from ise_gym.spaces import AssistantMessageSpace, MessageSequenceSpace


class CompletionSpace(gym.Space[str]):
    """Any string is a completion; samples are well-formed ones.

    ``gymnasium.spaces.Text`` needs a fixed alphabet and length, which no model keeps to.
    """

    def __init__(
        self, tools: Sequence[ToolSchema] = (), seed: int | np.random.Generator | None = None
    ) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)
        self._messages = AssistantMessageSpace(tools)

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no flat array form."""
        return False

    def contains(self, x: object) -> bool:
        """Tell whether ``x`` is a string."""
        return isinstance(x, str)

    def sample(self, mask: object = None, probability: object = None) -> str:
        """Draw the text of a random well-formed assistant message."""
        self._messages.seed(int(self.np_random.integers(2**31)))
        return render_completion(self._messages.sample())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompletionSpace) and self._messages == other._messages

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "CompletionSpace()"


class ToolSchemasSpace(gym.Space[tuple[ToolSchema, ...]]):
    """Holds one value: the tools that are offered, as a tuple of OpenAI schemas."""

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        super().__init__(shape=None, dtype=None)
        self.tools = tuple(tools)

    @property
    def is_np_flattenable(self) -> bool:
        """Schemas have no flat array form."""
        return False

    def contains(self, x: object) -> bool:
        """Tell whether ``x`` is a tuple of tool definitions (a scenario may offer others than the env)."""
        return isinstance(x, tuple) and all(isinstance(t, dict) and t.get("type") == "function" for t in x)

    def sample(self, mask: object = None, probability: object = None) -> tuple[ToolSchema, ...]:
        """Return the tools."""
        return copy.deepcopy(self.tools)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolSchemasSpace) and self.tools == other.tools

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ToolSchemasSpace({[t['function']['name'] for t in self.tools]})"


# schemas cross the process border of an async vector env as messages do: as JSON
create_shared_memory.register(ToolSchemasSpace, create_shared_memory.dispatch(MessageSequenceSpace))
read_from_shared_memory.register(ToolSchemasSpace, read_from_shared_memory.dispatch(MessageSequenceSpace))
write_to_shared_memory.register(ToolSchemasSpace, write_to_shared_memory.dispatch(MessageSequenceSpace))


class TextAction(gym.ActionWrapper[Any, str, Message]):
    """Takes a model's raw completion as action, in the Qwen/Hermes form of `ise_gym.models.parsing`.

    Text that can't be understood never raises: the env answers it with a failed tool message.

    Args:
        env: an ``ISE-OS-v0`` env, wrapped or not.
    """

    def __init__(self, env: gym.Env[Any, Message]) -> None:
        super().__init__(env)
        self.action_space = CompletionSpace(_tools_of(env))

    def action(self, action: str) -> Message:
        """Parse the completion.

        Raises:
            gymnasium.error.InvalidAction: the action is not a string.
        """
        if not isinstance(action, str):
            raise gym.error.InvalidAction(f"an action is raw text here, got {type(action).__name__}")
        return parse_completion(action)


class History(TypedDict):
    """What `ChatHistory` observes."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...]


class ChatHistory(gym.ObservationWrapper[Any, Any, Any]):
    """Observes the whole conversation (of the session that has the floor) and the tools: what a chat template wants.

    The observation is ``{"messages": tuple of all messages, system first, "tools": tuple of schemas}``.

    Args:
        env: an ``ISE-OS-v0`` env, wrapped or not.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        tools = _tools_of(env)
        self.observation_space = gym.spaces.Dict(
            {"messages": MessageSequenceSpace(tools), "tools": ToolSchemasSpace(tools)}
        )

    def observation(self, observation: object) -> History:
        """Return copies, so that what a user keeps never changes under it."""
        base: Any = self.env.unwrapped
        return {
            "messages": tuple(copy.deepcopy(base.episode.conversation)),
            "tools": tuple(copy.deepcopy(base.episode.offered)),
        }


def _tools_of(env: gym.Env[Any, Any]) -> Sequence[ToolSchema]:
    """Return the tools by which the env's spaces sample; those of an episode may be its scenario's."""
    base: Any = env.unwrapped
    schemas: Sequence[ToolSchema] = base.action_space.tools
    return schemas

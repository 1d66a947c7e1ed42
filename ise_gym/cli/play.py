"""``ise play``: a person on one side of an episode, at the terminal.

The best check of a simulated user is to have been one, and the best check of a task is to have done it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ise_gym.agents.base import Agent
    from ise_gym.episode.episode import Episode
    from ise_gym.messages import Message
    from ise_gym.rollout.play import PlayableEnv

from ise_gym.cli.seats import AgentOptions, Backend, UserOptions, check_seats, read_options
from ise_gym.errors import UserError, nearest
from ise_gym.foreign.text import printable

SIDES = ("user", "agent")
AGENT_HELP = (
    "Type what you say to the user, !COMMAND to run a shell command, /TOOL {json} for any other tool, "
    "/tools to list them, /quit to stop."
)
_SHOWN = 2_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(play)


def play(
    side: Annotated[str, typer.Option(help="Who you are: user or agent.")] = "user",
    seed: Annotated[int, typer.Option(min=0, help="Seed of scenario, simulator and agent.")] = 0,
    intents: Annotated[
        Path | None,
        typer.Option(help="Play number SEED of this intents file.", show_default="the catalog"),
    ] = None,
    agent: Annotated[str, typer.Option(help="Who acts when you are the user.")] = "expert",
    agent_option: AgentOptions = None,
    user: Annotated[str, typer.Option(help="Who asks when you are the agent.")] = "scripted",
    user_option: UserOptions = None,
    backend: Backend = "auto",
) -> None:
    """Take one side of an episode: be the user of an agent, or the agent of a user."""
    import gymnasium

    import ise_gym  # noqa: F401  (registers the env)
    from ise_gym.agents import make_agent
    from ise_gym.cli.rollout import open_intents

    if side not in SIDES:
        raise UserError(f"unknown side '{side}'; known: {', '.join(SIDES)}.{nearest(side, SIDES)}")
    agent_options, user_options = read_options(agent_option, user_option)
    if side == "user":
        user, user_options = "human", {}
    check_seats(agent, user, backend, agent_options=agent_options, user_options=user_options)
    source = None
    if intents is not None:
        source = open_intents(intents / "intents.jsonl" if intents.is_dir() else intents, None)
    env = gymnasium.make("ISE-OS-v0", source=source, user=user, user_options=user_options, backend=backend)
    try:
        if side == "user":
            _as_user(env, make_agent(agent, **agent_options), seed)
        else:
            _as_agent(env, seed)
    finally:
        env.close()


def _as_user(env: PlayableEnv, agent: Agent, seed: int) -> None:
    try:
        env.reset(seed=seed)
        episode = env.unwrapped.episode
        agent.reset(episode.scenario, seed)
        while not episode.over:
            message = agent.act(episode.conversation, episode.offered)
            for call in message.get("tool_calls") or ():
                typer.echo(printable(f"  → {call['function']['name']} {call['function']['arguments'][:200]}"))
            env.step(message)
    finally:
        agent.close()
    _conclude(episode)


def _as_agent(env: PlayableEnv, seed: int) -> None:
    from ise_gym.messages import assistant

    observation, _ = env.reset(seed=seed)
    episode = env.unwrapped.episode
    typer.echo(AGENT_HELP)
    _show(observation)
    while not episode.over:
        try:
            line = input("agent> ").strip()
        except EOFError:
            break
        if line == "/quit":
            break
        if line == "/tools":
            typer.echo(", ".join(schema["function"]["name"] for schema in episode.offered))
        elif line:
            observation, *_ = env.step(_action(line) if line[0] in "!/" else assistant(line))
            _show(observation)
    _conclude(episode)


def _action(line: str) -> Message:
    """Return the tool call that a line asks for; what is wrong with it comes back as the tool's answer."""
    from ise_gym.messages import assistant, tool_call

    if line.startswith("!"):
        return assistant("", [tool_call("exec", {"command": line[1:].strip()})])
    name, _, arguments = line[1:].partition(" ")
    return assistant("", [tool_call(name, arguments.strip() or json.dumps({}))])


def _show(observation: Sequence[Message]) -> None:
    for message in observation:
        if message["role"] != "system":
            typer.echo(printable(f"{message['role']}> {message['content'][:_SHOWN]}"))


def _conclude(episode: Episode) -> None:
    if not episode.over:
        typer.echo("stopped before the episode ended")
        return
    held = sum(episode.subgoals.values())
    typer.echo(
        f"outcome: {episode.outcome} ({episode.reason}); {held} of {len(episode.subgoals)} sub-goals hold"
    )

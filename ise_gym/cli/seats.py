"""Who acts and who asks, as every command that plays episodes takes them: names, options, and their check.

Unknown names and options that do not fit are refused here, before any worker starts or any folder is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.errors import UserError, nearest

if TYPE_CHECKING:
    from ise_gym.rollout.limits import Limits

AgentOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-option",
        help="NAME=VALUE for the agent, e.g. temperature=0.7 or extra='{\"top_p\":0.9}'. Repeatable.",
    ),
]
UserOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--user-option",
        help="NAME=VALUE for the user simulator, e.g. base_url=http://127.0.0.1:8000/v1. Repeatable.",
    ),
]
JudgeOptions = Annotated[
    list[str] | None,
    typer.Option("--judge-option", help="NAME=VALUE for the judge, e.g. temperature=0. Repeatable."),
]
SourceOptions = Annotated[
    list[str] | None,
    typer.Option("--source-option", help="NAME=VALUE for the source, e.g. split=train. Repeatable."),
]
Backend = Annotated[
    str, typer.Option(help="Workspace backend: auto, bubblewrap, docker, a plug-in, or module:Name.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens-total", min=1, help="End the run after N tokens of agent and user.", show_default="none"
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost", min=0, help="End the run at this cost; needs price options.", show_default="none"
    ),
]
MaxHours = Annotated[
    float | None,
    typer.Option("--max-hours", min=0, help="Start nothing new after this many hours.", show_default="none"),
]
DrainLimit = Annotated[
    float,
    typer.Option(
        "--drain-limit",
        min=0,
        help="Seconds that running episodes may take to end after Ctrl-C or a limit; 0: no limit.",
    ),
]
DRAIN_S = 600.0


def read_options(
    agent_option: list[str] | None, user_option: list[str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the options of agent and user.

    Raises:
        UserError: an option that is not NAME=VALUE, or is given twice.
    """
    from ise_gym.models.options import options_of

    return options_of(agent_option, "--agent-option"), options_of(user_option, "--user-option")


def read_limits(
    tokens: int | None, cost: float | None, hours: float | None, drain_s: float, *priced: Mapping[str, object]
) -> Limits:
    """Return the limits of a run.

    Args:
        priced: the options of its seats; a limit of the cost needs a price in one of them.

    Raises:
        UserError: a limit of 0, or of a cost that nobody could know.
    """
    from ise_gym.rollout.limits import Limits

    if cost is not None and not any("price_in" in options or "price_out" in options for options in priced):
        raise UserError(
            "--max-cost needs prices: give --agent-option price_in=… and price_out=… (per million tokens), "
            "or the same with --user-option"
        )
    return Limits(tokens, cost, hours, drain_s or None)


def check_seats(
    agent: str,
    user: str,
    backend: str,
    *,
    agent_options: Mapping[str, object] | None = None,
    user_options: Mapping[str, Any] | None = None,
) -> None:
    """Refuse an unknown agent, user or backend, and options that do not fit them.

    Raises:
        UserError: names what is wrong, and the nearest name.
    """
    from ise_gym.agents import check_agent
    from ise_gym.simulator import make_user
    from ise_gym.workspace.backends.choice import BACKENDS

    if backend != "auto" and backend not in BACKENDS:
        known = ("auto", *BACKENDS)
        raise UserError(
            f"unknown workspace backend '{backend}'; known: {', '.join(known)}.{nearest(backend, known)}"
        )
    check_agent(agent, **(agent_options or {}))
    make_user(user, guard=False, **(user_options or {}))

"""Who acts and who asks, as every command that plays episodes takes them: names, options, and their check.

Unknown names and options that do not fit are refused here, before any worker starts or any folder is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ise_gym.errors import UserError, nearest

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


def read_options(
    agent_option: list[str] | None, user_option: list[str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the options of agent and user.

    Raises:
        UserError: an option that is not NAME=VALUE, or is given twice.
    """
    from ise_gym.models.options import options_of

    return options_of(agent_option, "--agent-option"), options_of(user_option, "--user-option")


def check_seats(
    agent: str,
    user: str,
    backend: str,
    *,
    agent_options: Mapping[str, Any] | None = None,
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

"""``ise view``: recorded episodes in a browser."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ise_gym.errors import UserError

if TYPE_CHECKING:
    from ise_gym.view.library import Library

FIRST_PORT = 8760
PORTS_TRIED = 40
TOKEN = "ISE_VIEW_TOKEN"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(view)


def view(
    stores: Annotated[
        list[Path], typer.Argument(help="Trajectory stores, JSONL files, or folders that hold stores.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets others in who have the token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes the first free one.")] = 0,
    title: Annotated[str, typer.Option(help="Heading.")] = "Episodes",
    by: Annotated[str, typer.Option(help="Who writes labels.", show_default="your login name")] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="Let nobody write labels.")] = False,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    index_only: Annotated[
        bool, typer.Option("--index-only", help="Bring the index up to date and stop.")
    ] = False,
) -> None:
    """Show recorded episodes in a browser: search, filter, read, compare, label; follows a run that is being played.

    The page is served to this machine alone, under a token in the address that is printed. Ctrl-C ends it.
    """
    try:
        import uvicorn

        from ise_gym.view.app.server import make_app
    except ImportError as error:
        raise UserError(
            f"ise view needs packages that are not installed ({error.name}): pip install 'ise-gym[view]'."
        ) from error
    from ise_gym.view.app.door import LOOPBACK
    from ise_gym.view.library import Library

    library = Library(stores)
    if index_only:
        _index(library)
        return
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    open_to = LOOPBACK if host in LOOPBACK else () if host in ("0.0.0.0", "::") else (*LOOPBACK, host.lower())
    app = make_app(library, token, hosts=open_to, by=by or _login(), labels=not read_only, title=title)
    named = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
    address = f"http://{named}:{port}/?token={token}"
    typer.echo(address)
    typer.echo(f"{', '.join(run.name for run in library.runs)} · Ctrl-C ends the viewer", err=True)
    if host not in LOOPBACK:
        typer.echo(
            "note: other machines can reach this page; whoever has the address can read everything.", err=True
        )
    if browser:
        _open_soon(address)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tried = [port] if port else [*range(FIRST_PORT, FIRST_PORT + PORTS_TRIED), 0]
    problem: OSError | None = None
    for each in tried:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, each))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            problem = error
    raise UserError(
        f"{host} port {port or FIRST_PORT}: can't be listened on ({problem}). Give another --host or --port."
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return ""


def _open_soon(address: str) -> None:
    """Open the page once the server answers; on a machine without a screen nothing happens."""
    import webbrowser

    if os.name == "posix" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return

    def show() -> None:
        time.sleep(0.6)
        webbrowser.open(address)

    threading.Thread(target=show, daemon=True).start()


def _index(library: Library) -> None:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from ise_gym.foreign.screen import Screen
    from ise_gym.view.index.build import Progress as Done
    from ise_gym.view.index.build import update

    console = Screen(stderr=True)
    for run in library.runs:
        began = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("index", total=None)

            def note(done: Done) -> None:
                bar.update(task, total=done.total, completed=done.done)  # noqa: B023 - used in this round only

            added = update(run.source, run.index, on_progress=note)
        console.print(
            f"{run.name}: {added:,} episodes added in {time.monotonic() - began:.1f} s → {run.index}",
            highlight=False,
            markup=False,
        )

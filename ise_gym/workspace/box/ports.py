"""Doors into the box's own network, opened from inside and served from outside.

A socket belongs to the network namespace in which it was made, whoever holds it. So the init makes the listening
socket in here and hands it to the host: what is served can be reached from nowhere but this box, while server and
state stand where no command of the box can reach them.
"""

from __future__ import annotations

import _socket

from ise_gym.workspace.box.trees import Trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None

BACKLOG = 64


class Ports(Trees):
    """The part of the init that opens ports and adds to the environment of later commands."""

    def op_listen(self, header: Header, body: bytes) -> Answer:
        """Hand out a socket that listens on a port of the loopback interface."""
        door = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            door.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            door.bind(("127.0.0.1", header["port"]))
            door.listen(BACKLOG)
            self.wire.send({"id": header["id"]}, b"", (door.fileno(),))
        finally:
            door.close()
        return None

    def op_setenv(self, header: Header, body: bytes) -> Answer:
        """Set variables for every command that starts from now on."""
        self.env.update(header["env"])
        return ({},)

"""What a technique of tampering is: what an agent leaves in its workspace."""

from __future__ import annotations

from dataclasses import dataclass

GIT = (
    "git init -q -b main repo && cd repo && echo 1 > a && git add a && git commit -qm Start && echo 2 > a && "
    "git commit -qam Wrong"
)


@dataclass(frozen=True)
class Technique:
    """One way to tamper.

    Attributes:
        setup: a command that ends; ``watch``: a Python program that runs on in the background.
        shell: a shell program that runs on in the background.
        wait: seconds until the background program is ready.
        once: it succeeded against some earlier version of this code.
    """

    name: str
    setup: str = ""
    watch: str = ""
    shell: str = ""
    wait: float = 0.25
    once: bool = False

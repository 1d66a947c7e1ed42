"""A person on either side, in a real terminal."""

from __future__ import annotations

import sys

import pexpect
import pytest

ISE = [sys.executable, "-m", "ise_gym.cli", "play"]


def spawn(*arguments: str) -> pexpect.spawn:  # type: ignore[type-arg]
    return pexpect.spawn(ISE[0], [*ISE[1:], *arguments], encoding="utf-8", timeout=90, dimensions=(40, 200))


def test_a_person_is_the_user() -> None:
    child = spawn("--side", "user", "--seed", "3")
    child.expect("wish 1 of")
    child.expect("you> ")
    child.sendline("")  # the wish as it stands
    child.expect("agent> ")
    child.expect("holds: ")
    child.expect("you> ")
    child.sendline("/quit")
    child.expect("outcome: failed .the user gave up")
    child.expect(pexpect.EOF)


def test_a_person_is_the_agent() -> None:
    child = spawn("--side", "agent", "--seed", "3")
    child.expect("user> ")
    child.expect("agent> ")
    child.sendline("!echo 6 times 7 is $((6 * 7))")
    child.expect("tool> 6 times 7 is 42")
    child.expect("agent> ")
    child.sendline("Done.")
    child.expect("user> ")
    child.expect("agent> ")
    child.sendline("/quit")
    child.expect("stopped before the episode ended")
    child.expect(pexpect.EOF)


def test_an_unknown_side_is_one_line() -> None:
    child = spawn("--side", "usr")
    child.expect("unknown side 'usr'")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2


@pytest.mark.parametrize("name", ["human"])
def test_a_person_needs_no_guard(name: str) -> None:
    from ise_gym.simulator import HumanUser, make_user

    assert isinstance(make_user(name), HumanUser)

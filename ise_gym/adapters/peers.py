"""Which versions of other projects the adapters were tested with, and one clear line when they are not as expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from ise_gym.errors import UserError

TESTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mcp": ("mcp", "2.3.0"),
        "mini": ("mini-swe-agent", "2.4.6"),
        "inspect": ("inspect-ai", "0.3.285"),
        "verifiers": ("verifiers", "0.4.0"),
        "harbor": ("harbor", "0.25.0"),
        "openenv": ("openenv", "0.10.0"),
    }
)
"""Extra of this package → the project's name in the registry, and the version that the tests install."""


class MissingPeer(UserError, ImportError):
    """Another project is not installed, or no longer has what an adapter was written for."""


@contextmanager
def interface_of(extra: str) -> Iterator[None]:
    """Import another project's names in here: what is missing becomes one line that says what to install.

    >>> with interface_of("openenv"):
    ...     raise ImportError("no module named 'openenv'")
    Traceback (most recent call last):
    ...
    ise_gym.adapters.peers.MissingPeer: openenv...
    """
    try:
        yield
    except (ImportError, AttributeError) as error:
        name, tested = TESTED[extra]
        try:
            found = f"{name} {version(name)} lacks what {tested} has, for which this adapter was written"
        except PackageNotFoundError:
            found = f"{name} is not installed"
        raise MissingPeer(f"{found} ({error}): pip install 'ise-gym[{extra}]'") from error

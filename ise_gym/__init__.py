"""ISE (Intent, Simulate, Execute) as one Gymnasium environment.

Importing this package registers ``ISE-OS-v0`` and loads nothing heavy: no torch, transformers, docker or openai.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import gymnasium as _gym

from ise_gym import vector as _vector  # noqa: F401  (registers the message spaces with Gymnasium's vector envs)

try:
    __version__ = version("ise-gym")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0+source"

if "ISE-OS-v0" not in _gym.registry:
    _gym.register(
        id="ISE-OS-v0", entry_point="ise_gym.env:ISEEnv", order_enforce=True, disable_env_checker=True
    )

__all__ = ["__version__"]

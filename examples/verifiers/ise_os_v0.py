"""By this name verifiers finds the env: ``vf-eval ise-os-v0``; see `ise_gym.adapters.verifiers_env`."""

from ise_gym.adapters.verifiers_env import ISEHarness, ISETaskset, ISEVerifiersEnv

__all__ = ["ISEHarness", "ISETaskset", "ISEVerifiersEnv"]

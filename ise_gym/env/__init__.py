"""`ISE-OS-v0`: the env around one episode, what it is made with, and how it is awaited."""

from ise_gym.env.ise_os import GIVEN_UP_IN_A_ROW, RESET_TRIES, ISEEnv, Observation
from ise_gym.env.settings import EnvOptions, EnvSettings

__all__ = ["GIVEN_UP_IN_A_ROW", "RESET_TRIES", "EnvOptions", "EnvSettings", "ISEEnv", "Observation"]

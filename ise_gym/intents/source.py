"""Where scenarios come from: the catalog by seed, or an intents file; and how such a file is written.

The three have modules of their own; this one is the address that the rest of the project uses.
"""

from ise_gym.intents.drawn import Intent, IntentSource
from ise_gym.intents.generate import generate
from ise_gym.intents.intentfile import IntentFileSource, IntentLine

__all__ = ["Intent", "IntentFileSource", "IntentLine", "IntentSource", "generate"]

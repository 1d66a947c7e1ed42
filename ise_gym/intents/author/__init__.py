"""Intents that a model writes: what is asked for, what comes back, which of it is good enough, and what it costs.

Lower rooms draw intents from tasks that prove themselves. Here a model invents both the wish and the world that it
needs, so everything it says is held against rules before it counts, and no check of its making counts until an agent
has passed it and an idle one has not (`ise_gym.proving.written`).
"""

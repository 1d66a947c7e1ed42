"""One episode: its state machine, and the parts that it is made of.

`episode` is the machine. `state` is all that the rest of an episode depends on, and what a snapshot holds; `turns` play
a message, `floor` says who speaks next, `handover` what the user is shown, `goals` which sub-goals hold, `budget` when
it is enough, `reward` what a step earns, `steps` what is noted of it.
"""

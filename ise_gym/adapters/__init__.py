"""This env inside other projects' trainers and harnesses: one thin module a project, each an optional extra.

None of them is imported by anything else here, so a project that is missing, or that changed, is met only by who
asks for it. `peers` says which versions were tested; `seat` is what they share: one episode for a loop that somebody
else runs.
"""

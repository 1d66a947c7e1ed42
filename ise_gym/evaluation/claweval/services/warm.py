"""Imported once, by the process that workers are forked from: what every worker needs, apart from the checkout.

Loading these takes longer than playing a dozen tasks. The benchmark's own package isn't among them: each worker puts
its checkout first on the import path and loads it from there.
"""

from importlib import import_module

for _name in (
    "anyio._backends._asyncio",
    "fastapi",
    "openai",
    "starlette.middleware.base",
    "ise_gym.evaluation.claweval.agents",
    "ise_gym.evaluation.claweval.stage",
    "ise_gym.evaluation.claweval.upstream",
):
    import_module(_name)

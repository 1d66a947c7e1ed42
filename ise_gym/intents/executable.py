"""Makes an intent executable: its tasks with files, services, sub-goals and plans, as one scenario in its own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ise_gym.intents.catalog import system_prompt
from ise_gym.intents.intent import Intent
from ise_gym.scenario import DEFAULT_TOOLS, Budget, Request, Scenario
from ise_gym.tasks.complete import complete


def executable(intent: Intent, catalog: str, options: Mapping[str, Any]) -> Scenario:
    """Return the scenario of an intent.

    Args:
        intent: whose words are used as they are.
        catalog: hash of the catalog that the intent is from.
        options: of its source, as `IntentSource.described` gives them.
    """
    blueprint = intent.blueprint
    instances = [
        complete(pick.task, drafted) for pick, drafted in zip(blueprint.picks, intent.drafts, strict=True)
    ]
    said = iter(zip(intent.utterances, intent.facts(), strict=True))
    requests = []
    for instance in instances:
        # a service changes no file; what an earlier task made lies in that task's folder
        folder = "" if instance.services or instance.chained else instance.root
        for request in instance.requests:
            text, facts = next(said)
            requests.append(replace(request, text=text, facts=facts, folder=folder))
    chained = intent.chained()
    metadata = {
        "catalog": catalog,
        "options": dict(options),
        "tiers": [pick.task.model.tier for pick in blueprint.picks],
        "roots": {instance.label: instance.root for instance in instances},
        "fingerprints": intent.fingerprints(),
        **({"chained": chained} if chained else {}),
    }
    return Scenario(
        id=intent.id,
        seed=blueprint.seed,
        intent=intent.text,
        brief=intent.brief,
        persona=blueprint.persona,
        requests=tuple(requests),
        files=tuple(file for instance in instances for file in instance.files),
        domains=blueprint.domains,
        tasks=tuple(instance.task for instance in instances),
        complexity=blueprint.complexity,
        budget=budget_for(requests),
        tools=tuple(dict.fromkeys([*DEFAULT_TOOLS, *(tool for i in instances for tool in i.tools)])),
        services=tuple(service for instance in instances for service in instance.services),
        system_prompt=system_prompt(),
        split=options.get("split", ""),
        metadata=metadata,
    )


def budget_for(requests: Sequence[Request]) -> Budget:
    """Return what an episode of these requests may cost: three times the expert's calls and some to spare.

    A question that the user can answer is a turn more.
    Every request may be asked three times (the scripted user's patience) before the user leaves.
    """
    calls = sum(bool(step.tool) for request in requests for step in request.plan)
    questions = sum(len(request.answers) for request in requests)
    return Budget(user_turns=3 * len(requests) + 1 + questions, tool_calls=5 + 3 * calls)

"""What one episode needs: the waist between data and play, and the form in which it travels."""

from ise_gym.scenario.model import (
    DEFAULT_TOOLS,
    Budget,
    Check,
    CheckResult,
    Complexity,
    Persona,
    PlanStep,
    Register,
    Request,
    Scenario,
    ScenarioSource,
    SubGoal,
    WrongWay,
)

__all__ = [
    "DEFAULT_TOOLS",
    "Budget",
    "Check",
    "CheckResult",
    "Complexity",
    "Persona",
    "PlanStep",
    "Register",
    "Request",
    "Scenario",
    "ScenarioSource",
    "SubGoal",
    "WrongWay",
]

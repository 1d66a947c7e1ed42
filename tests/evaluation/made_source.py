"""A catalog in one function: seed n asks for a file that holds n, in the memory workspace."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.messages import sha256_of
from ise_gym.scenario import CheckResult, Persona, PlanStep, Request, Scenario, SubGoal
from ise_gym.workspace.base import SeedFile, Workspace


@dataclass(frozen=True)
class Holds:
    path: str
    text: str

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        try:
            found = workspace.read(self.path).decode()
        except FileNotFoundError:
            return CheckResult(False, f"{self.path} is not there")
        return CheckResult(found == self.text, f"{self.path} holds {found!r}")


@dataclass
class MadeSource:
    """``different`` distinct instances; ``wording`` stands for a catalog that was edited later."""

    split: str = "eval"
    tier: str = "easy"
    different: int = 10_000
    wording: str = "Please put {n} into number.txt."

    def __post_init__(self) -> None:
        self.name = "made"

    def scenario(self, seed: int) -> Scenario:
        number = str(seed % self.different)
        text = self.wording.format(n=number)
        goal = SubGoal(f"number.txt holds {number}", (Holds("number.txt", number),))
        plan = (PlanStep(tool="write", arguments={"path": "number.txt", "content": number}, key=True),)
        return Scenario(
            id=f"{self.tier}-{seed}",
            seed=seed,
            intent=text,
            persona=Persona(name="Ada Ng", role="archivist", industry="museums"),
            requests=(
                Request("n/put", text, "n", (goal,), plan, "number.txt is written.", facts=("number.txt",)),
            ),
            system_prompt="You work in /workspace.",
            split=self.split,
            metadata={"fingerprints": [sha256_of([self.tier, number])[:16]]},
        )

    def __iter__(self) -> Iterator[Scenario]:
        raise NotImplementedError("endless")


def open_made(options: Mapping[str, Any]) -> MadeSource:
    return MadeSource(**options)

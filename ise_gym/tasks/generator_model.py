"""How a task file says that a parameter is drawn: the pydantic models of generators and tables."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

WordKind = Literal["noun", "adjective", "verb", "city", "company", "product"]
_RESERVED = ("root", "range", "dict", "namespace", "zip", "loop", "self")


def _identifier(name: str) -> str:
    if not name.isidentifier() or name in _RESERVED:
        raise ValueError(
            f"'{name}' can't be a name: it needs letters, digits and _ only, and not one of {', '.join(_RESERVED)}"
        )
    return name


Name = Annotated[str, AfterValidator(_identifier)]
Expression = str
"""A text that may hold expressions; where a number or list is wanted, a lone ``{{ … }}`` gives it."""


class Model(BaseModel):
    """What all models of task files share: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Table(Model):
    """A list of dicts: ``rows`` of them, each with the ``columns`` drawn in order."""

    rows: int | Expression
    columns: dict[str, Generator] = Field(min_length=1)


class Generator(Model):
    """How one parameter is drawn: exactly one of the kinds, with that kind's options."""

    choice: list[Any] | Expression | None = None
    sample: list[Any] | Expression | None = None
    integer: Annotated[list[int | Expression], Field(min_length=2, max_length=2)] | None = None
    decimal: Annotated[list[int | float | Expression], Field(min_length=2, max_length=2)] | None = None
    person: Literal[True] | None = None
    date: Annotated[list[Expression], Field(min_length=2, max_length=2)] | None = None
    time: Annotated[list[Expression], Field(min_length=2, max_length=2)] | None = None
    code: Expression | None = None
    boolean: Annotated[int | float, Field(ge=0, le=1)] | None = None
    word: WordKind | None = None
    table: Table | None = None
    value: Any = None
    weights: list[int | float] | None = None
    size: int | Expression | Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    shuffled: bool = False
    step: Annotated[int, Field(ge=1)] = 1
    places: Annotated[int, Field(ge=0, le=9)] = 2
    unique: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Generator:
        kinds = [kind for kind in KINDS if kind in self.model_fields_set]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; has {', '.join(kinds) or 'none'}")
        allowed = OPTIONS.get(kinds[0], set()) | {"unique"}
        extra = self.model_fields_set - {kinds[0]} - allowed
        if extra:
            raise ValueError(f"{kinds[0]} has no option {', '.join(sorted(extra))}")
        if self.weights is not None and (
            not isinstance(self.choice, list) or len(self.weights) != len(self.choice)
        ):
            raise ValueError("weights needs one number for each listed choice")
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that is set."""
        return next(kind for kind in KINDS if kind in self.model_fields_set)


KINDS = (
    "choice", "sample", "integer", "decimal", "person", "date", "time", "code", "boolean", "word", "table",
    "value",
)  # fmt: skip
OPTIONS = {
    "choice": {"weights"},
    "sample": {"size", "shuffled"},
    "integer": {"step"},
    "decimal": {"places"},
}


Table.model_rebuild()

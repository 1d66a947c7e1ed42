"""How much of the package is typed `Any`: the share of annotated parameters, returns and fields that are or hold it.

    python benchmarks/annotations.py [--list]

An annotation *is* `Any` when it says nothing else (`Any`, `Any | None`), and *holds* it when `Any` is somewhere inside
(``dict[str, Any]``). Other names for `Any` count as `Any`: ``typing.Any``, ``from typing import Any as X``, quoted
annotations, and aliases at the top of a module, also where another module imports them. So do names out of packages
that mypy is told not to look into (`pyproject.toml`), whose classes are `Any` to it, such as ``torch.Tensor``.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ise_gym"
TYPING = {"typing", "typing_extensions", "_typeshed"}
ANYTHING = {"Any", "Incomplete"}


def unseen(settings: Path = ROOT / "pyproject.toml") -> frozenset[str]:
    """Return the names of the packages that mypy is told not to look into."""
    overrides = tomllib.loads(settings.read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    return frozenset(
        pattern.removesuffix(".*")
        for override in overrides
        if override.get("follow_imports") == "skip"
        for pattern in override["module"]
    )


UNSEEN = unseen()


def is_unseen(module: str) -> bool:
    """Return whether mypy does not look into a module.

    >>> is_unseen("torch.nn"), is_unseen("torchlike")
    (True, False)
    """
    return module.partition(".")[0] in UNSEEN


@dataclass
class Module:
    """One file: its tree, and which of its names stand for a type that is or holds `Any`."""

    tree: ast.Module
    bare: set[str] = field(default_factory=set)
    holding: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    """Names of imported modules that mypy does not look into."""

    def is_any(self, annotation: ast.expr) -> bool:
        """Return whether an annotation says nothing: `Any`, or `Any` or None."""
        match unquoted(annotation):
            case ast.BinOp(left=left, right=right):
                sides = [side for side in (left, right) if not is_none(side)]
                return any(map(self.is_any, sides))
            case ast.Subscript(value=value, slice=inner) if last(value) in {
                "Optional",
                "Union",
                "Annotated",
                "Final",
            }:
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return any(map(self.is_any, parts[:1] if last(value) == "Annotated" else parts))
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in TYPING:
                return name in ANYTHING
            case ast.Attribute(value=inner):
                return root(inner) in self.modules
            case ast.Name(id=name):
                return name in self.bare
        return False

    def holds_any(self, annotation: ast.expr) -> bool:
        """Return whether `Any`, or a name for what holds it, is somewhere in an annotation."""
        whole = unquoted(annotation)
        return self.is_any(whole) or any(
            self.is_any(node) or (isinstance(node, ast.Name) and node.id in self.holding)
            for part in ast.walk(whole)
            if isinstance(part, ast.expr)
            for node in (unquoted(part),)
        )


def unquoted(annotation: ast.expr) -> ast.expr:
    """Return an annotation that was written as a string as what it says."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value.strip(), mode="eval").body
        except SyntaxError:  # the text of an `Annotated` or a `Literal`
            return annotation
    return annotation


def is_none(annotation: ast.expr) -> bool:
    """Return whether this is the None of `X | None`."""
    return isinstance(annotation, ast.Constant) and annotation.value is None


def last(expression: ast.expr) -> str:
    """Return the last part of a dotted name, or ""."""
    match expression:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def root(expression: ast.expr) -> str:
    """Return the first part of a dotted name, or ""."""
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""


def annotated(tree: ast.AST) -> Iterator[tuple[str, int, ast.expr]]:
    """Yield (what, line, annotation): parameters, returns, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                arguments.vararg,
                arguments.kwarg,
            )
            for argument in every:
                if argument is not None and argument.annotation is not None:
                    yield "parameter", argument.lineno, argument.annotation
            if node.returns is not None:
                yield "return", node.lineno, node.returns
        elif isinstance(node, ast.AnnAssign):
            yield "field", node.lineno, node.annotation


def aliases(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield (name, what it stands for) of whatever at the top of a module can be the name of a type."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                if isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Constant):
                    yield name, value
                elif isinstance(value, ast.Call) and last(value.func) in {"TypeAliasType", "NewType"}:
                    yield name, value.args[1]


def taken(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Yield (name here, module, name there) of what a module imports by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, node.module, alias.name


def unseen_modules(tree: ast.Module) -> Iterator[str]:
    """Yield the names here of imported modules that mypy does not look into."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if is_unseen(alias.name):
                    yield alias.asname or alias.name.partition(".")[0]


def modules(package: Path) -> dict[str, Module]:
    """Read every file below a package, by dotted name; find the names that stand for `Any` in each."""
    found: dict[str, Module] = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
        found[name] = Module(tree, modules=set(unseen_modules(tree)))
    while sum([_spread(module, found) for module in found.values()]):
        pass
    return found


def _spread(module: Module, every: Mapping[str, Module]) -> int:
    """Add the names of one module that turn out to stand for `Any`; return how many were added."""
    before = len(module.bare) + len(module.holding)
    for here, source, there in taken(module.tree):
        known = source in every and there in every[source].bare
        if known or is_unseen(source) or (source in TYPING and there in ANYTHING):
            module.bare.add(here)
        elif source in every and there in every[source].holding:
            module.holding.add(here)
    for name, value in aliases(module.tree):
        if module.is_any(value):
            module.bare.add(name)
        elif module.holds_any(value):
            module.holding.add(name)
    return len(module.bare) + len(module.holding) - before


@dataclass
class Counts:
    """How many annotations there are of a kind, and how many are, or only hold, `Any`; a line for each that does."""

    total: Counter[str] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    where: list[str] = field(default_factory=list)

    def share(self, what: str) -> float:
        """Return the share of a kind that is or holds `Any`."""
        return (self.bare[what] + self.inside[what]) / self.total[what]


def count(package: Path = PACKAGE) -> Counts:
    """Count the annotations of a package."""
    counts = Counts()
    for name, module in modules(package).items():
        for what, line, annotation in annotated(module.tree):
            counts.total[what] += 1
            is_it = module.is_any(annotation)
            if is_it or module.holds_any(annotation):
                (counts.bare if is_it else counts.inside)[what] += 1
                counts.where.append(f"{name}:{line}: {what} {ast.unparse(annotation)}")
    return counts


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--list", action="store_true", help="also list where")
    given = parser.parse_args()
    counts = count()
    if given.list:
        sys.stdout.writelines(f"{line}\n" for line in counts.where)
    for what, total in counts.total.items():
        bare, inside = counts.bare[what], counts.inside[what]
        print(
            f"{what + 's:':12} {bare + inside:4} of {total:5} are or hold Any = {counts.share(what):.1%} ({bare} are)"
        )


if __name__ == "__main__":
    main()

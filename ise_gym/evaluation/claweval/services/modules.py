"""A service's code loaded once a worker, its state made anew for every task.

Most of what a fresh module costs is its code: classes, routes, the description of both. That never changes, while the
lists and counters beside it must be new for every task. So where a file visibly keeps the two apart, only its
statements that make state are run again; any other file is loaded anew as a whole, which is always right.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from ise_gym.evaluation.claweval.services.surroundings import imports_neighbours

_numbers = itertools.count()
_STATELESS = frozenset({"add_error_injection"})
"""Functions that may be handed the app: the benchmark's own, which keeps nothing from one request to the next."""
_IMMUTABLE = (ast.Constant, ast.UnaryOp)


class NoSuchFile(Exception):
    """A service's file isn't there."""


@dataclass
class _Kept:
    """A loaded module, the code that makes its state, and the names it had at first."""

    module: ModuleType
    state: CodeType
    names: frozenset[str]
    used: bool = True


class ServiceModules:
    """Modules of services, given out as good as new."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}

    def take(self, file: Path, *, whole: bool = False) -> ModuleType:
        """Return a module of a file whose state nobody has used; its environment must be set.

        Args:
            file: the service's source.
            whole: load all of it anew, imports and code included.

        Raises:
            NoSuchFile: there is none.
            Exception: whatever the file raises.
        """
        kept = self._kept.get(file)
        if kept is None or kept.used or whole:
            return self._load(file, keep=kept is None and not whole)
        space = vars(kept.module)
        for name in space.keys() - kept.names:
            del space[name]
        sys.modules[kept.module.__name__] = kept.module
        kept.used = True
        try:
            exec(kept.state, space)
        except BaseException:
            self.give_back(kept.module)
            raise
        return kept.module

    def give_back(self, module: ModuleType) -> None:
        """End a module's use."""
        sys.modules.pop(module.__name__, None)
        for kept in self._kept.values():
            if kept.module is module:
                kept.used = False

    def _load(self, file: Path, keep: bool) -> ModuleType:
        name = f"claweval_service_{next(_numbers)}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise NoSuchFile(str(file))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pydantic looks up a model's annotations there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        if imports_neighbours(file):  # whose state would outlive the task
            return module
        state = state_of(file.read_text(encoding="utf-8"), str(file)) if keep else None
        if state is not None:
            self._kept[file] = _Kept(module, state, frozenset(vars(module)))
        return module


def state_of(source: str, name: str = "<service>") -> CodeType | None:
    """Return the statements of a service's file that make its state, or None where they can't be told from the rest.

    They can be told when the file's top level holds nothing but imports, plain classes, functions whose only
    decorators are the app's routes, the app itself, and assignments and calls; and when functions rebind no name
    that isn't assigned there and touch neither the app nor attributes of functions and classes.
    """
    tree = ast.parse(source)
    state: list[ast.stmt] = []
    defined: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.ImportFrom(module="__future__"):
                state.append(statement)
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                continue
            case ast.If() if ast.unparse(statement.test) == "__name__ == '__main__'":
                continue
            case ast.ClassDef() if _is_plain_class(statement):
                defined.add(statement.name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if _is_plain_function(statement):
                defined.add(statement.name)
            case ast.Assign() | ast.AnnAssign() | ast.Expr(value=ast.Call()):
                if "app" in _names(statement) and not _is_code(statement):
                    return None
                if not _is_code(statement):
                    state.append(statement)
            case _:
                return None
    made = {target for statement in state for target in _targets(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global) and not made.issuperset(node.names):
            return None
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and _root(node) in defined:
            return None
    return compile(ast.Module(state, []), name, "exec")


def _is_code(statement: ast.stmt) -> bool:
    """Whether a statement makes the app, hands it to something stateless, or sets the import path."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="app")], value=ast.Call(func=ast.Name(id="FastAPI"))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=function), args=[ast.Name(id="app")], keywords=[])):
            return function in _STATELESS
        case ast.Expr(value=ast.Call(func=function)):
            return ast.unparse(function) == "sys.path.insert"
    return False


def _is_plain_class(statement: ast.ClassDef) -> bool:
    """Whether it only declares fields, which pydantic copies for every object."""
    return (
        not statement.decorator_list
        and not statement.keywords
        and all(isinstance(base, ast.Name) and base.id != "app" for base in statement.bases)
        and all(
            isinstance(part, ast.Pass)
            or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            or (isinstance(part, ast.AnnAssign) and _is_field(part.value))
            for part in statement.body
        )
        and any(ast.unparse(base) == "BaseModel" for base in statement.bases)
    )


def _is_field(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) == "Field"
    return value is None or isinstance(value, (*_IMMUTABLE, ast.List, ast.Dict))


def _is_plain_function(statement: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    defaults = [*statement.args.defaults, *(value for value in statement.args.kw_defaults if value)]
    return (
        all(
            isinstance(decorator, ast.Call) and ast.unparse(decorator.func).startswith("app.")
            for decorator in statement.decorator_list
        )
        and all(isinstance(value, _IMMUTABLE) for value in defaults)
        and not any("app" in _names(part) for part in statement.body)
        and not any(isinstance(node, ast.Attribute) and node.attr == "app" for node in ast.walk(statement))
    )


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _targets(statement: ast.stmt) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return (target.id for target in targets if isinstance(target, ast.Name))


def _root(node: ast.Attribute) -> str:
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) else ""

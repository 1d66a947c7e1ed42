"""A task with all its expressions compiled, each part when it is first needed.

Compiling costs about a millisecond an expression, rendering some microseconds: a pool of fifty thousand
intents compiles each task once and never touches the parts (files, checks, plans) that it doesn't print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

from ise_gym.services.spec import ServiceSpec
from ise_gym.tasks.expressions import ExpressionError, Render, Scope, TextRender, compile_text, compile_value
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.filters import to_csv, to_json
from ise_gym.tasks.generators import Draw, compile_generator
from ise_gym.tasks.model import FileModel, octal_mode
from ise_gym.tasks.products import Product
from ise_gym.tasks.requests import CompiledRequest
from ise_gym.tasks.startfiles.media import MEDIA
from ise_gym.tasks.worldparts import compile_services
from ise_gym.workspace.base import SeedFile


class CompiledTask:
    """Compiled parts of one task; make it with `compile_task`."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec

    @cached_property
    def parameters(self) -> list[tuple[str, Draw, bool]]:
        """(name, how to draw it, whether it is drawn rather than computed), in the order of the file."""
        return [
            (name, compile_generator(generator, self._at("parameters", name)), generator.kind != "value")
            for name, generator in self.spec.model.parameters.items()
        ]

    @cached_property
    def gists(self) -> list[TextRender]:
        """What the task is about, in one phrase each; the title where the file has none."""
        title = self.spec.model.title
        gists = self.spec.model.gist or [title if title[:2].isupper() else title[:1].lower() + title[1:]]
        return [compile_text(text, self._at("gist", i)) for i, text in enumerate(gists)]

    @cached_property
    def files(self) -> list[tuple[str, Callable[[Scope], list[SeedFile]]]]:
        """One pair a file entry: the input that it stands for ("" for none), and what gives the entry's files."""
        return [
            (model.for_, _compile_file(model, self._at("files", index)))
            for index, model in enumerate(self.spec.model.files)
        ]

    @cached_property
    def inputs(self) -> dict[str, Callable[[Scope], Product]]:
        """Input name → the task's own product, for when no earlier task gives one."""
        return {
            name: self._product("inputs", name, model.path, model.what, "")
            for name, model in self.spec.model.inputs.items()
        }

    @cached_property
    def outputs(self) -> dict[str, Callable[[Scope], Product]]:
        """Output name → what is handed on."""
        return {
            name: self._product("outputs", name, model.path, model.what, model.kind)
            for name, model in self.spec.model.outputs.items()
        }

    def _product(self, part: str, name: str, path: str, what: str, kind: str) -> Callable[[Scope], Product]:
        where = compile_text(path, self._at(part, name, "path"))
        called = compile_text(what, self._at(part, name, "what"))
        return lambda scope: Product(where(scope), kind, called(scope))

    @cached_property
    def services(self) -> Callable[[Scope], tuple[ServiceSpec, ...]]:
        """How the task's services are rendered."""
        return compile_services(self.spec.model.services, str(self.spec.source))

    @cached_property
    def requests(self) -> dict[str, CompiledRequest]:
        """Request name → its parts, in the order of the file."""
        return {
            model.name: CompiledRequest(model, self._at("requests", model.name))
            for model in self.spec.model.requests
        }

    def _at(self, *keys: object) -> str:
        return f"{self.spec.source}: {'.'.join(map(str, keys))}"


@lru_cache(maxsize=4096)
def compile_task(spec: TaskSpec) -> CompiledTask:
    """Return the compiled form of a task; the same object for the same loaded task."""
    return CompiledTask(spec)


def _compile_file(model: FileModel, where: str) -> Callable[[Scope], list[SeedFile]]:
    path = compile_text(model.path, f"{where}.path")
    content = _compile_content(model, where)
    loops = [(name, compile_value(raw, f"{where}.each.{name}")) for name, raw in model.each.items()]
    mode = octal_mode(model.mode)

    def expand(scope: Scope, remaining: Sequence[tuple[str, Render]]) -> list[SeedFile]:
        if not remaining:
            return [SeedFile(path(scope), content(scope), mode)]
        (name, render), *rest = remaining
        items = render(scope)
        if not isinstance(items, list):
            raise ExpressionError(f"{where}.each.{name}: needs a list, not {items!r}")
        return [file for item in items for file in expand({**scope, name: item}, rest)]

    return lambda scope: expand(scope, loops)


def _compile_content(model: FileModel, where: str) -> Callable[[Scope], bytes]:
    if model.content is not None:
        text = compile_text(model.content, f"{where}.content")
        return lambda scope: text(scope).encode()
    kind, raw = next(
        (kind, getattr(model, field))
        for kind, field in (
            ("csv", "csv"),
            ("json", "json_"),
            ("jsonl", "jsonl"),
            *((name, name) for name in MEDIA),
        )
        if field in model.model_fields_set
    )
    render = compile_value(raw, f"{where}.{kind}")

    def write(scope: Scope) -> bytes:
        value = render(scope)
        if kind in MEDIA:
            try:
                return MEDIA[kind](value)
            except ValueError as error:
                raise ExpressionError(f"{where}.{kind}: {error}; fix the file (see docs/tasks.md)") from None
        if kind == "json":
            return (to_json(value, indent=2) + "\n").encode()
        if not isinstance(value, list):
            raise ExpressionError(f"{where}.{kind}: needs a list, not {value!r}")
        return (to_csv(value) if kind == "csv" else "".join(to_json(item) + "\n" for item in value)).encode()

    return write

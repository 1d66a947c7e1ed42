"""A Jinja environment that compiles each text once on a machine.

Compiling the catalog's eight thousand templates takes each process seconds. What comes out is Python code that depends
on the text, on Jinja, on the interpreter and on three files of this room alone (constants are computed while compiling,
filters included). So it is kept, by all of these, in the user's cache folder (`storage.kept`), if it compiled well.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import CodeType

import jinja2
from jinja2 import nodes
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ise_gym.storage.kept import Kept, cache_folder


class CachingEnvironment(ImmutableSandboxedEnvironment):
    """A sandboxed environment whose templates have neither names nor loaders."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._compiling = threading.local()

    @cached_property
    def kept(self) -> Kept:
        """What was compiled here or before."""
        everything = hashlib.sha256(f"{jinja2.__version__} {importlib.util.MAGIC_NUMBER.hex()}".encode())
        for name in ("caching.py", "expressions.py", "filters.py"):
            everything.update(Path(__file__).with_name(name).read_bytes())
        return Kept(cache_folder(), f"templates-{everything.hexdigest()[:20]}")

    def text_of(self, source: str) -> jinja2.Template:
        """Compile a text, as `from_string` does."""
        return self._template(f"text {source}", lambda: self.compile(source))

    def value_of(self, source: str) -> TemplateExpression:
        """Compile an expression, as `compile_expression` does; an undefined value stays one."""
        return TemplateExpression(self._template(f"value {source}", lambda: self._expression(source)), False)

    def is_lone(self, source: str) -> bool:
        """Whether a text is one expression and nothing else."""
        key = f"lone {source}"
        if (said := self.kept.get(key)) is None:
            body = self.parse(source).body
            said = b""
            if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
                said = b"" if isinstance(body[0].nodes[0], nodes.TemplateData) else b"1"
            self.kept.put(key, said)
        return bool(said)

    def _template(self, key: str, compile_it: Callable[[], CodeType]) -> jinja2.Template:
        if (kept := self.kept.get(key)) is None:
            code = compile_it()
            self.kept.put(key, marshal.dumps(code))
        else:
            code = marshal.loads(kept)
        return self.template_class.from_code(self, code, self.make_globals(None))

    def _expression(self, source: str) -> CodeType:
        """Return the code of an expression: `compile_expression` shows it to `compile` only."""
        self.compile_expression(source)
        code: CodeType = self._compiling.code
        return code

    def compile(self, source: object, *given: object, **named: object) -> CodeType:  # type: ignore[override]
        """See `jinja2.Environment.compile`; what comes out is noted for `_expression`."""
        code: CodeType = super().compile(source, *given, **named)  # type: ignore[call-overload]
        self._compiling.code = code
        return code

"""Finds every pattern of the package and the texts that make a backtracking engine slow on it.

Patterns are found twice: the compiled ones by looking through each module's globals, containers and closures, and the
ones that stand inside a call of ``re`` by reading the source. The attack texts come from a pattern's own parse tree:
a way to reach each repetition, the repetition pumped, and an end that makes it fail.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import ise_gym

COMMON = (
    "x",
    " ",
    "\n",
    "-",
    "(",
    ".",
    "/",
    "a.",
    "a/",
    "a b ",
    "\t",
    "<",
    "{",
    '"',
    "'",
    "`",
    "0",
    "A",
    "é",
    "_",
    "*",
    "#",
)
ENDS = ("\x00", "!\n")
LONG = 6_000
ALLOWED_S = 0.040
"""A linear pattern takes a few milliseconds for `LONG` characters; the mildest quadratic one 80 and more."""

OPTIONAL = ("ise_gym.evaluation.claweval.services.", "ise_gym._data")


def modules() -> Iterator[Any]:
    """Import every module of the package that can be imported here."""
    for found in pkgutil.walk_packages(ise_gym.__path__, "ise_gym."):
        if found.name.endswith("__main__") or found.name.startswith(OPTIONAL):
            continue
        try:
            yield importlib.import_module(found.name)
        except ImportError as missing:
            # a module of an extra that is not installed here; one of our own must import
            assert "ise_gym" not in str(missing.name or ""), missing


@dataclass(frozen=True)
class Used:
    """A pattern and how it is used: ``finditer`` unless the source says ``match`` or ``fullmatch``."""

    pattern: re.Pattern[str]
    how: str = "finditer"

    def run(self, text: str) -> None:
        """Use the pattern on a text as the package does."""
        found = getattr(self.pattern, self.how)(text)
        if self.how == "finditer":
            deque(found, maxlen=0)


def patterns() -> Mapping[str, Used]:
    """Return ``module:where`` → each distinct text pattern of the package."""
    found: dict[tuple[str, int], tuple[str, Used]] = {}
    for module in modules():
        for where, used in [*_compiled(module), *_inline(module)]:
            found.setdefault((used.pattern.pattern, used.pattern.flags), (f"{module.__name__}:{where}", used))
    return dict(sorted(found.values(), key=lambda item: item[0]))


def _compiled(module: Any) -> Iterator[tuple[str, Used]]:
    source = inspect.getsource(module)
    for name, value in vars(module).items():
        if name.startswith("__") or inspect.ismodule(value):
            continue
        how = _how(name, source) if isinstance(value, re.Pattern) else "finditer"
        for number, pattern in enumerate(_within(value, set())):
            yield (f"{name}[{number}]" if number else name), Used(pattern, how)


def _how(name: str, source: str) -> str:
    """Return how a module uses a pattern of its own: one that is only matched begins in one place."""
    methods = set(re.findall(rf"\b{name}\.(\w+)\(", source))
    mentioned = len(re.findall(rf"\b{name}\b", source)) - 1  # without its definition
    called = len(re.findall(rf"\b{name}\.\w+\(", source))
    if not methods or called < mentioned or not methods <= {"match", "fullmatch"}:
        return "finditer"
    return "fullmatch" if methods == {"fullmatch"} else "match"


def _within(value: Any, seen: set[int]) -> Iterator[re.Pattern[str]]:
    if id(value) in seen or len(seen) > 20_000:
        return
    seen.add(id(value))
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _within(one, seen)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _within(one, seen)
    elif inspect.isfunction(value) and value.__module__.startswith("ise_gym"):
        for cell in value.__closure__ or ():
            yield from _within(cell.cell_contents, seen)
    elif inspect.isclass(value) and value.__module__.startswith("ise_gym"):
        for one in vars(value).values():
            yield from _within(one, seen)


_CALLS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


def _inline(module: Any) -> Iterator[tuple[str, Used]]:
    source = inspect.getsource(module)
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner = node.func.value
        if not (isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr in _CALLS):
            continue
        text = _text(node.args[0], module)
        if text is None:
            continue
        flags = 0
        for one in [*node.args[1:], *(k.value for k in node.keywords)]:
            if "re." in ast.unparse(one) and "Pattern" not in ast.unparse(one):
                try:
                    flags |= int(eval(ast.unparse(one), {"re": re}))
                except (NameError, TypeError, ValueError):
                    continue
        how = node.func.attr if node.func.attr in ("match", "fullmatch") else "finditer"
        yield f"line {node.lineno}", Used(re.compile(text, flags), how)


def _text(node: ast.expr, module: Any) -> str | None:
    """Return a pattern's text; what is filled in from a call is escaped words, so some stand for it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            assert isinstance(part, ast.FormattedValue)
            try:
                parts.append(str(eval(ast.unparse(part.value), dict(vars(module)))))
            except NameError:
                parts.append("word")
        return "".join(parts)
    if isinstance(node, ast.BinOp):
        try:
            return str(eval(ast.unparse(node), dict(vars(module))))
        except NameError:
            return None
    return None


# -- attack texts ----------------------------------------------------------------------------------


SIZES = (16, 20, 24, 28, 34, 60, LONG // 16, LONG)
"""Short ones first: what is exponential or cubic would not come back from the long one."""


@dataclass(frozen=True)
class Attack:
    """A text of any size: a way in, one or two units that are repeated, and an end at which the match fails."""

    before: str
    units: tuple[str, ...]
    after: str

    def text(self, size: int) -> str:
        """Return the text with about ``size`` characters of repetition."""
        share = size // len(self.units)
        return self.before + "".join(unit * max(1, share // len(unit)) for unit in self.units) + self.after


def attacks(pattern: re.Pattern[str]) -> list[Attack]:
    """Return what a backtracking engine may choke on."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    whole = _example(tree)
    own = [(before, unit) for before, unit in dict.fromkeys(_pumps(tree, "")) if unit]
    whole_units = [unit for unit in (whole, whole[:-1], whole + " ", whole[:-1] + "\n") if unit]
    found = [
        Attack(before, (unit,), after)
        for before, unit in [*(("", unit) for unit in (*COMMON, *whole_units)), *own]
        for after in ENDS
    ]
    units = list(dict.fromkeys(unit for _, unit in own))[:10]
    # two neighbouring repetitions that share what they take; and a way in that is itself repeated
    found += [Attack("", (one, other), "\x00") for one in units for other in units if one != other]
    found += [Attack("", (before + unit * 3,), "") for before, unit in own[:12]]
    return list(dict.fromkeys(found))


def slowest(used: Used) -> tuple[float, str]:
    """Return the most processor seconds that a use took, and the text that took them; stops at the first too slow."""
    worst, by = 0.0, ""
    for attack in attacks(used.pattern):
        for size in SIZES:
            text = attack.text(size)
            spent = _seconds(used, text)
            if spent > ALLOWED_S:  # once may be the machine's doing
                spent = min(spent, _seconds(used, text))
            if spent > worst:
                worst, by = spent, text
            if worst > ALLOWED_S:
                return worst, by
    return worst, by


def _seconds(used: Used, text: str) -> float:
    begun = time.process_time()
    used.run(text)
    return time.process_time() - begun


def _example(tree: Any) -> str:
    return "".join(_one(item) for item in tree)


def _one(item: Any) -> str:
    code, value = item
    if code is op.LITERAL:
        return chr(value)
    if code is op.NOT_LITERAL:
        return "x" if value != ord("x") else "y"
    if code is op.ANY:
        return "x"
    if code is op.IN:
        return _member(value)
    if code is op.BRANCH:
        return _example(value[1][0])
    if code is op.SUBPATTERN:
        return _example(value[3])
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, _, inner = value
        return _example(inner) * max(1 if least == 0 else least, 0)
    if code is op.ATOMIC_GROUP:
        return _example(value)
    return ""


_CATEGORIES = {
    op.CATEGORY_DIGIT: "0",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_WORD: "w",
    op.CATEGORY_NOT_DIGIT: "x",
    op.CATEGORY_NOT_SPACE: "x",
    op.CATEGORY_NOT_WORD: " ",
}


def _member(choices: Any) -> str:
    if choices[0][0] is op.NEGATE:
        for candidate in "xX0 -/.\n\"'éz":
            if re.match(f"[{_shown(choices)}]", candidate):
                return candidate
        return "x"
    code, value = choices[0]
    if code is op.LITERAL:
        return chr(value)
    if code is op.RANGE:
        return chr(value[0])
    return _CATEGORIES.get(value, "x")


def _shown(choices: Any) -> str:
    out = ""
    for code, value in choices:
        if code is op.NEGATE:
            out += "^"
        elif code is op.LITERAL:
            out += re.escape(chr(value))
        elif code is op.RANGE:
            out += re.escape(chr(value[0])) + "-" + re.escape(chr(value[1]))
        else:
            out += (
                {"0": r"\d", " ": r"\s", "w": r"\w"}.get(_CATEGORIES[value], "")
                if "NOT" not in str(value)
                else {
                    op.CATEGORY_NOT_DIGIT: r"\D",
                    op.CATEGORY_NOT_SPACE: r"\S",
                    op.CATEGORY_NOT_WORD: r"\W",
                }[value]
            )
    return out


def _pumps(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """Return (text that leads to a repetition, what it repeats) for each repetition, also with the lead-in repeated."""
    for item in tree:
        code, value = item
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            _, most, inner = value
            unit = _example(inner)
            if most > 8:
                yield before, unit
                yield "", (before[-12:] + unit)
                yield "", (before[-40:] + unit)
                for other in _members(inner):
                    yield before, other
                    yield before, other + " "
            yield from _pumps(inner, before)
        elif code is op.BRANCH:
            for branch in value[1]:
                yield from _pumps(branch, before)
                example = _example(branch)
                yield "", before[-40:] + example
        elif code is op.SUBPATTERN:
            yield from _pumps(value[3], before)
        elif code is op.ATOMIC_GROUP:
            yield from _pumps(value, before)
        before += _one(item)


def _members(tree: Any) -> Iterator[str]:
    """Return a few further characters that one repeated class takes."""
    if len(tree) == 1 and tree[0][0] is op.IN and tree[0][1][0][0] is not op.NEGATE:
        for choice in tree[0][1][1:5]:
            yield _member([choice])

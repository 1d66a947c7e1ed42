"""Where a program or command *reads*: keys that it looks up, patterns that it looks for, texts that it compares.

What a program writes is its author's own. What it reads has to be there already, so its author must have seen it: the
keys of rows, the pattern that finds a price in a page, the text that is replaced. Python is read by its syntax tree,
shell commands by their words; queries in SQL by the names in them.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ise_gym.proving.knowledge.seen import words_of

Position = Literal["key", "pattern", "text", "name", "query"]


@dataclass(frozen=True)
class Read:
    """One thing that is looked up or looked for."""

    position: Position
    words: str


_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n(.*?)\n[ \t]*\2[ \t]*(?=\n|$)", re.DOTALL)
_SEARCHES = frozenset(
    ["match", "search", "findall", "finditer", "fullmatch", "sub", "subn", "compile", "split"]
)
_LOOKUPS = frozenset(["get", "pop", "itemgetter", "attrgetter", "where", "column"])
_TEXTS = frozenset(
    ["split", "rsplit", "partition", "rpartition", "startswith", "endswith", "removeprefix", "removesuffix", "find",
     "index", "rfind", "rindex", "replace", "count"]
)  # fmt: skip
_SQL = re.compile(r"\s*(?:SELECT|UPDATE|INSERT|DELETE|WITH|CREATE|ALTER|DROP)\b", re.IGNORECASE)
_SQL_WORDS = frozenset(
    [
        "select",
        "update",
        "insert",
        "delete",
        "with",
        "create",
        "alter",
        "drop",
        "from",
        "where",
        "and",
        "or",
        "not",
        "in",
        "as",
        "on",
        "join",
        "left",
        "inner",
        "outer",
        "group",
        "by",
        "order",
        "having",
        "limit",
        "offset",
        "union",
        "all",
        "distinct",
        "case",
        "when",
        "then",
        "else",
        "end",
        "null",
        "is",
        "like",
        "between",
        "exists",
        "values",
        "into",
        "set",
        "table",
        "index",
        "view",
        "sum",
        "count",
        "avg",
        "min",
        "max",
        "round",
        "coalesce",
        "substr",
        "length",
        "upper",
        "lower",
        "date",
        "strftime",
        "cast",
        "integer",
        "real",
        "text",
        "primary",
        "key",
        "unique",
        "default",
        "asc",
        "desc",
        "over",
        "partition",
        "row_number",
        "rowid",
        "total",
        "abs",
        "printf",
        "julianday",
    ]
)


def parts_of_command(command: str) -> tuple[str, list[str], list[str]]:
    """Return the shell words of a command without its here-documents, the Python code in it, and other documents."""
    code: list[str] = []
    documents: list[str] = []

    def take(match: re.Match[str]) -> str:
        before = command[: match.start()].rsplit("\n", 1)[-1]
        (code if re.search(r"\bpython3?\b[^|;&]*$", before) else documents).append(match[4])
        return match[3] + "\n"

    plain = _HEREDOC.sub(take, command)
    for match in re.finditer(
        r"\bpython3?\s+(?:-[A-Za-z]\s+)*-c\s+(\"(?:[^\"\\]|\\.)*\"|'[^']*')", plain, re.DOTALL
    ):
        code.append(_unquoted(match[1]))
    return plain, code, documents


def _unquoted(words: str) -> str:
    try:
        return shlex.split(words)[0]
    except (ValueError, IndexError):
        return words[1:-1]


def reads_of_python(code: str) -> Iterator[Read]:
    """Yield what a piece of Python looks up or looks for, but for what it holds elsewhere as its own.

    >>> [read.words for read in reads_of_python("d = {'own': 1}; print(d['own'], row['team'])")]
    ['team']
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return
    found: list[tuple[ast.AST, Read]] = []
    for node in ast.walk(tree):
        found += [(at, read) for at, read in _reads(node)]
    reading = {id(at) for at, _ in found}
    own = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in reading
    }
    own |= {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }
    yield from (read for _, read in found if read.words not in own)


def _reads(node: ast.AST) -> Iterator[tuple[ast.AST, Read]]:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str() as key) as at, ctx=ast.Load()):
            yield at, Read("key", key)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[first, *_]):
            is_regex = isinstance(node.func, ast.Attribute) and _is_re(node.func.value)
            for inner in ast.walk(first):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield from ((inner, read) for read in _of_call(name, inner.value, is_regex))
        case ast.Compare(left=left, comparators=others):
            for side in (left, *others):
                for item in side.elts if isinstance(side, ast.Tuple | ast.Set | ast.List) else (side,):
                    if isinstance(item, ast.Constant) and isinstance(item.value, str):
                        yield item, Read("text", item.value)


def _of_call(name: str, text: str, is_regex: bool) -> Iterator[Read]:
    if name in _SEARCHES and (is_regex or name not in _TEXTS):
        yield Read("pattern", text)
    elif name in _LOOKUPS:
        yield Read("key", text)
    elif name in _TEXTS:
        yield Read("text", text)
    elif _SQL.match(text):
        yield from (Read("name", word) for word in sql_names(text))


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "re"


def sql_names(query: str) -> Iterator[str]:
    """Yield the names of tables, columns and values in a query."""
    own = set(re.findall(r"\bAS\s+(\w+)", query, re.IGNORECASE))
    for word in words_of(query):
        for part in word.split("."):
            if part.lower() not in _SQL_WORDS and part not in own and not part.isdigit() and len(part) > 1:
                yield part


def reads_of_shell(command: str) -> Iterator[Read]:
    """Yield what a shell command without here-documents looks for: patterns of grep, sed, awk and git, queries.

    >>> [read.words for read in reads_of_shell("grep -c 'late fee' a.txt | sed 's/old/new/'")]
    ['late fee', 'old']
    """
    tool, taken = "", False
    for word in _shell_words(command):
        if re.fullmatch(r"[|;&()\n]+", word):
            tool, taken = "", False
        elif not tool or tool in ("xargs", "sudo", "if", "then", "do", "while", "!", "time", "git"):
            name = word.rsplit("/", 1)[-1]
            if tool == "git" and word.startswith("-"):
                if search := re.match(r"(?:-S|-G|--grep=)(.+)", word):
                    yield Read("text", search[1])
                continue
            if not (word.startswith("-") or ("=" in word and not tool)):
                tool = name
        elif tool in ("grep", "egrep", "fgrep", "zgrep", "sed", "awk", "gawk", "jq") and not taken:
            if word.startswith("-") and len(word) < 25 and not re.search(r"\s", word):
                continue
            taken = True
            yield from _of_script(tool, word)
        elif search := re.match(r"(?:-S|-G|--grep=)(.+)", word):
            yield Read("text", search[1])
        elif _SQL.match(word):
            yield from (Read("name", name) for name in sql_names(word))


def _shell_words(command: str) -> list[str]:
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars="|;&()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return command.split()


def _of_script(tool: str, script: str) -> Iterator[Read]:
    if tool == "sed":
        for match in re.finditer(r"(?:^|[;{}\d$,\s])s([/|#,])((?:\\.|(?!\1)[^\\])++)\1", script):
            yield Read("pattern", match[2])
        for match in re.finditer(r"(?:^|[;{}\d,\s])/((?:\\.|[^/\\])++)/", script):
            yield Read("pattern", match[1])
    elif tool in ("awk", "gawk"):
        for match in re.finditer(r"(?:^|[\s({&|!~])/((?:\\.|[^/\\\n])++)/", script):
            yield Read("pattern", match[1])
        for match in re.finditer(r"[=!]=\s*\"([^\"]+)\"", script):
            yield Read("text", match[1])
    elif tool == "jq":
        yield from (Read("key", name) for name in re.findall(r"\.([A-Za-z_]\w+)", script))
    else:
        yield Read("pattern", script)


_META = re.compile(
    r"\\[wWdDsSbBAZnrt]|\[[^\]]{0,200}\]|\(\?[:=!<P][^)]{0,20}?>?|\{\d{0,9}(?:,\d{0,9})?\}|[\^$.*+?()|{}]"
)


def literal_pieces(pattern: str) -> list[str]:
    r"""Return the texts that a pattern looks for letter by letter.

    >>> literal_pieces(r'<li class="price">(\d+)</li>')
    ['<li class="price">', '</li>']
    """
    return [
        plain
        for piece in _META.split(pattern)
        if piece and len(plain := re.sub(r"\\(.)", r"\1", piece).strip()) > 1
    ]

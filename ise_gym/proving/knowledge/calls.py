"""What the arguments of a call know: replaced texts, patterns, keys, names, addresses, figures."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ise_gym.proving.knowledge.programs import (
    Read,
    literal_pieces,
    parts_of_command,
    reads_of_python,
    reads_of_shell,
)
from ise_gym.proving.knowledge.seen import Hidden, Seen, flat, parts_of, words_of

_ADDRESS = re.compile(r"\bhttps?://([\w.-]+(?::\d+)?)([^\s\"'<>`|\\)}\]]*)")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?")
_PYTHON_FILE = re.compile(r"\.py$|^(?!.*\.\w+$)")
_CONSTANTS = frozenset(
    [
        "100",
        "120",
        "127",
        "128",
        "180",
        "200",
        "201",
        "204",
        "255",
        "256",
        "300",
        "301",
        "302",
        "304",
        "360",
        "365",
        "366",
        "400",
        "401",
        "403",
        "404",
        "409",
        "410",
        "415",
        "422",
        "429",
        "443",
        "444",
        "500",
        "502",
        "503",
        "504",
        "512",
        "600",
        "640",
        "644",
        "664",
        "700",
        "750",
        "755",
        "775",
        "777",
        "999",
        "1000",
        "1024",
        "1440",
        "2048",
        "3600",
        "4096",
        "8192",
        "65535",
        "65536",
        "86400",
        "10000",
        "100000",
        "1000000",
    ]
)
"""Figures that programs hold whatever the world is like: statuses, modes, sizes, seconds."""

_FORMATS = frozenset(
    [
        "subject",
        "from",
        "date",
        "def",
        "class",
        "return",
        "import",
        "href",
        "mediabox",
        "xref",
        "startxref",
        "trailer",
        "endobj",
        "ffmetadata1",
        "http",
        "https",
        "utf-8",
    ]
)
"""Words that who knows the format expects: headers of mails, Python, HTML, PDF."""

_GUESSED = frozenset(
    [
        "readme",
        "readme.md",
        "readme.txt",
        "main.py",
        "setup.py",
        "makefile",
        "requirements.txt",
        "package.json",
        "index.html",
        "pyproject.toml",
        ".gitignore",
        ".env",
        "memory.md",
        "config.json",
        "changelog.md",
        "tests.py",
        "conftest.py",
    ]
)
"""Files that anybody looks for unasked."""

_SUFFIX = re.compile(
    r"\.(?:[a-z]{1,4}\d?|service|jsonl|ffmeta|sqlite|html|conf|yaml|toml|crontab|timer|json)$", re.IGNORECASE
)


def leaks_of_call(
    tool: str, arguments: Mapping[str, object], seen: Seen, hidden: Hidden, *, fails: bool = False
) -> Iterator[str]:
    """Yield what a call knows and nothing has shown.

    Args:
        tool: its name; ``arguments``: as they are sent.
        seen: what came before the message that makes the call.
        hidden: what the instance holds.
        fails: the call is a mistake: the text that it would replace isn't there.
    """
    for text in () if fails else replaced_texts(tool, arguments):
        for line in text.splitlines():
            if not seen.text(line):
                yield f"replaces {line.strip()[:90]!r}, which was never shown"
    for read in _reads(tool, arguments):
        if words := unseen_read(read, seen, hidden):
            yield f"looks for the {read.position} {words!r}, which was never shown"
    for text in flat(arguments):
        yield from _addresses(text, seen, fails)
        yield from (f"holds {word!r}, which was never shown" for word in leaked_words(text, seen, hidden))


def replaced_texts(tool: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that an edit or a patch says are there."""
    if tool == "edit":
        for edit in (arguments, *(e for e in arguments.get("edits") or () if isinstance(e, Mapping))):
            if old := edit.get("oldText"):
                yield str(old)
    elif tool == "apply_patch":
        for line in str(arguments.get("input", "")).splitlines():
            if line[:1] in (" ", "-") and not line.startswith("---"):
                yield line[1:]
            elif line.startswith("@@ "):
                yield line[3:]


def _reads(tool: str, arguments: Mapping[str, object]) -> Iterator[Read]:
    if tool == "exec":
        plain, code, documents = parts_of_command(str(arguments.get("command", "")))
        if re.search(r">\s*\S+\.py\b", plain):
            code += documents
        yield from reads_of_shell(re.sub(r"-c\s+(\"(?:[^\"\\]|\\.)*\"|'[^']*')", "-c CODE", plain))
        for text in code:
            yield from reads_of_python(text)
    elif tool == "write":
        content = str(arguments.get("content", ""))
        if str(arguments.get("path", "")).endswith(".py") or content.startswith("#!/usr/bin/env python"):
            yield from reads_of_python(content)
        elif content.startswith("#!") or str(arguments.get("path", "")).endswith(".sh"):
            plain, code, _ = parts_of_command(content)
            yield from reads_of_shell(plain)
            for text in code:
                yield from reads_of_python(text)
    elif tool in ("memory_search", "web_search"):
        yield Read("query", str(arguments.get("query", "")))


def unseen_read(read: Read, seen: Seen, hidden: Hidden) -> str:
    """Return what of a read is in the world and was not seen; "" when nothing is."""
    if read.position == "query":
        return _unseen_phrase(read.words, seen, hidden)
    pieces = literal_pieces(read.words) if read.position == "pattern" else [read.words]
    for piece in pieces:
        plain = " ".join(piece.split())
        if all(word.lower() in _FORMATS for word in words_of(plain)):
            continue
        if (
            len(plain) > 3
            and re.search(r"[^\w\s]", plain)
            and plain.lower() in hidden.text
            and not seen.text(plain)
        ):
            return plain
        for word in words_of(piece):
            if len(word) > 2 and word.lower() not in _FORMATS and hidden.word(word) and not seen.word(word):
                return word
    return ""


def _unseen_phrase(query: str, seen: Seen, hidden: Hidden) -> str:
    """Return two words in a row that stand so in the world and nowhere else: a query that quotes what it looks for."""
    words = list(words_of(query))
    for first, second in itertools.pairwise(words):
        phrase = f"{first} {second}"
        known = seen.word(first) and seen.word(second)
        if min(len(first), len(second)) > 3 and not known and phrase.lower() in hidden.text:
            return phrase
    return ""


def _addresses(text: str, seen: Seen, fails: bool) -> Iterator[str]:
    for match in _ADDRESS.finditer(text):
        host, path = match[1].rstrip("."), match[2].rstrip(".,;:?")
        if not _LOCAL.fullmatch(host) and not seen.text(host):
            yield f"calls the address {host!r}, which was never shown"
        elif len(path) > 1 and not fails and not _path_known(path, seen):  # a guess that fails knew nothing
            yield f"calls {match[0]!r}, whose path was never shown"
    for match in _MAIL.finditer(text):
        if not seen.text(match[0]):
            yield f"writes to {match[0]!r}, which was never shown"


def _path_known(path: str, seen: Seen) -> bool:
    plain = re.split(r"[?#{$]|%s", path)[0].strip("/")
    return not plain or seen.text(plain) or all(seen.word(part) for part in plain.split("/") if part)


def leaked_words(text: str, seen: Seen, hidden: Hidden) -> Iterator[str]:
    """Yield the names and figures of a text that stand in the world and were not seen, each once."""
    for word in dict.fromkeys(words_of(text)):
        word = word.rstrip(".'’-")
        if is_name(word) and word.lower() not in _FORMATS and hidden.word(word) and not seen.word(word):
            yield word


def is_name(word: str) -> bool:
    """Return whether a word could hardly be written without knowing it: a name with signs or digits, a long figure.

    >>> [is_name(word) for word in ("total", "app.conf", "late_fee", "INV-0042", "17", "4711", "404", "it's")]
    [False, True, True, True, False, True, False, False]
    """
    if word.isdigit():
        return len(word) > 2 and word not in _CONSTANTS
    if word.lower() in _GUESSED or re.fullmatch(r"0?\.\d{1,2}", word):
        return False
    names = word.split(".")
    dotted = len(names) > 1 and all(name.isidentifier() for name in names)
    if dotted and (names[0] in sys.stdlib_module_names or not _SUFFIX.search(word)):
        return False  # an attribute in a program; a file has an ending
    if not any(sign in word for sign in "._-@+") and not any(sign.isdigit() for sign in word):
        return False
    plain = [part for part in parts_of(word) if len(part) > 1]
    return len(word) > 2 and bool(plain) and not re.fullmatch(r"[\d.]{1,3}|\d\.\d", word)

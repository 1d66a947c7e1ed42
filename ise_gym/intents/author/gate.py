"""Which drafts are good enough: each gate has a name, so that a run says where its drafts fell.

A gate finds what a careful reader would send back, by form alone: nothing here asks a model.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ise_gym.checks import build_check
from ise_gym.checks.base import normal_path
from ise_gym.intents.author.drawing import Wanted
from ise_gym.intents.author.prompt import CHECKS, WORDS, messages_for
from ise_gym.intents.author.written import Draft, path_of
from ise_gym.personas.lint import voice_problems

MOST_BYTES = 64_000
"""Of all start files together."""
COPIED = 8
"""Words in a row that a request may share with its prompt at most."""
_CJK = re.compile(r"[\u3400-\u9fff]")
_ASSISTANT = re.compile(
    r"\b(?:as an ai|i'm sorry, but|i cannot assist|here is the (?:request|json)"
    r"|the (?:assistant|user|persona) (?:should|must|will))\b",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|me|my|mine|we|our|us)\b|我|咱|俺|我们", re.IGNORECASE)
_PATH = re.compile(
    r"(?<![\w/.@:+-])(?:[\w@+-][\w@+.-]*/){0,12}[\w@+-][\w@+.-]*\.[A-Za-z][A-Za-z0-9]{0,5}(?![\w/-])"
)
_TEMPLATE = re.compile(
    r"\[(?:your|insert|name|company|date)[^\]]{0,40}\]|\{\{|<(?:insert|your)[^>]{0,40}>|lorem ipsum", re.I
)
_VAGUE = 4
"""Fewer words say nothing that can be judged."""


def gate_problems(draft: Draft, item: Wanted) -> Iterator[tuple[str, str]]:
    """Yield (gate, what is wrong) of a draft, in the order of `GATES`."""
    for name, look in GATES.items():
        for problem in look(draft, item):
            yield name, problem


def words_in(text: str) -> int:
    """Count words; a Chinese sign is half a word.

    >>> words_in("Sort a.csv by date."), words_in("按日期排序")
    (4, 2)
    """
    signs = len(_CJK.findall(text))
    return len(_CJK.sub(" ", text).split()) + signs // 2


def _length(draft: Draft, item: Wanted) -> Iterator[str]:
    fewest, most = WORDS[item.complexity]
    count = words_in(draft.request)
    if not fewest <= count <= most:
        yield f"the request has {count} words; {fewest} to {most} are asked for"


def _voice(draft: Draft, item: Wanted) -> Iterator[str]:
    if found := _ASSISTANT.search(draft.request):
        yield f"the request is not the person's own words: {found[0]!r}"
    elif not _FIRST_PERSON.search(draft.request):
        yield "the request is not in the first person"
    if found := _TEMPLATE.search(draft.request + "".join(file.content for file in draft.files)):
        yield f"a placeholder is left: {found[0]!r}"
    if item.language == "en":
        yield from (f"the request: {problem}" for problem in voice_problems(draft.request)[:1])


def _language(draft: Draft, item: Wanted) -> Iterator[str]:
    signs, letters = len(_CJK.findall(draft.request)), len(re.findall(r"[A-Za-z]", draft.request))
    is_chinese = signs * 3 > letters
    if is_chinese != (item.language == "zh"):
        yield f"the request is not in the language that is asked for ({item.language})"


def _files(draft: Draft, item: Wanted) -> Iterator[str]:
    seen: set[str] = set()
    for file in draft.files:
        try:
            path = normal_path(file.path)
        except ValueError as error:
            yield str(error)
            continue
        if path in seen or any(
            other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in seen
        ):
            yield f"{path} stands in `files` twice, or is a file and a folder"
        seen.add(path)
        if not file.content.strip():
            yield f"{path} is empty"
        elif problem := _unreadable(path, file.content):
            yield f"{path} {problem}"
    if (size := sum(len(file.content.encode("utf-8", "replace")) for file in draft.files)) > MOST_BYTES:
        yield f"the files have {size} bytes together, more than {MOST_BYTES}"
    for path in draft.deliverables:
        try:
            if normal_path(path) in seen:
                yield f"{path} is a deliverable and a start file"
        except ValueError as error:
            yield str(error)


def _unreadable(path: str, content: str) -> str:
    try:
        if path.endswith(".json"):
            json.loads(content)
        elif path.endswith(".jsonl"):
            for line in content.splitlines():
                if line.strip():
                    json.loads(line)
        elif path.endswith(".csv"):
            widths = {len(row) for row in csv.reader(io.StringIO(content)) if row}
            if len(widths) > 1 and max(widths) - min(widths) > 1:
                return f"has rows of {min(widths)} to {max(widths)} cells"
    except (ValueError, RecursionError, csv.Error) as error:
        return f"is not what its name says ({str(error)[:80]})"
    return "is cut off" if content.rstrip().endswith(("...", "…")) else ""


def _consistent(draft: Draft, item: Wanted) -> Iterator[str]:
    """The request speaks of what there is, and of what is to be made."""
    there = {file.path for file in draft.files}
    known = there | set(draft.deliverables)
    names = {path.rsplit("/", 1)[-1] for path in known}
    named = {match[0] for match in _PATH.finditer(draft.request)}
    for path in draft.deliverables:
        if path not in draft.request and path.rsplit("/", 1)[-1] not in draft.request:
            yield f"the request does not name the deliverable {path}"
    if not draft.deliverables and not draft.files:
        yield "there is neither a file to work on nor one to make"
    if draft.files and not any(_mentioned(path, draft.request) for path in there):
        yield "the request names none of its files nor their folder"
    for path in sorted(named):
        if re.search(r"\.(?:md|txt|csv|tsv|json|jsonl|ya?ml|log|py|sh|html?|xml|ini|toml|sql)$", path) and (
            path not in known and path.rsplit("/", 1)[-1] not in names
        ):
            yield f"the request names {path}, which is neither in `files` nor a deliverable"


def _mentioned(path: str, text: str) -> bool:
    folder = path.rpartition("/")[0]
    return path in text or path.rsplit("/", 1)[-1] in text or bool(folder and folder.split("/")[0] in text)


def _rubric(draft: Draft, item: Wanted) -> Iterator[str]:
    if not 4 <= len(draft.rubric) <= 8:
        yield f"the rubric has {len(draft.rubric)} points; 4 to 8 are asked for"
    plain = [" ".join(re.findall(r"\w+", point.lower())) for point in draft.rubric]
    if len(set(plain)) < len(plain):
        yield "two points of the rubric are the same"
    for point in draft.rubric:
        if words_in(point) < _VAGUE:
            yield f"the point {point!r} says too little to be judged"


def _checks(draft: Draft, item: Wanted) -> Iterator[str]:
    known = {file.path for file in draft.files} | set(draft.deliverables)
    for check in draft.checks:
        for kind, spec in check.items():
            if kind not in CHECKS:
                yield f"no check is named {kind!r}; there are {', '.join(CHECKS)}"
                continue
            try:
                build_check(kind, spec)
            except (ValueError, TypeError) as error:
                yield f"check {kind}: {str(error)[:160]}"
                continue
            if kind != "absent" and path_of(spec) not in known:
                yield f"check {kind} looks at {path_of(spec)!r}, which is neither in `files` nor a deliverable"


def _copied(draft: Draft, item: Wanted) -> Iterator[str]:
    told = _grams(" ".join(message["content"] for message in messages_for(item)))
    if found := next((gram for gram in _grams_in_order(draft.request) if gram in told), None):
        yield f"the request copies its instructions: {' '.join(found)!r}"


def _grams(text: str) -> set[tuple[str, ...]]:
    return set(_grams_in_order(text))


def _grams_in_order(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+|[\u3400-\u9fff]", text.lower())
    return [tuple(words[i : i + COPIED]) for i in range(len(words) - COPIED + 1)]


Gate = Callable[[Draft, Wanted], Iterator[str]]
GATES: Mapping[str, Gate] = {
    "length": _length,
    "voice": _voice,
    "language": _language,
    "files": _files,
    "consistent": _consistent,
    "rubric": _rubric,
    "checks": _checks,
    "copied": _copied,
}
"""Gate → what looks; a draft passes when none finds anything."""


def first_words(problems: Sequence[tuple[str, str]], most: int = 3) -> str:
    """Put the first few problems into one sentence for the author."""
    return "; ".join(problem for _, problem in problems[:most])

"""Whether what an agent tells its user stands in what it saw: every figure, path and address of a reply.

A reply that names a figure nobody ever printed teaches a model to make figures up, even where the work passed.
What an agent *saw* before a reply: the system prompt, every user message, what its tools returned, and the arguments
of its own calls that succeeded (a file that it wrote is in the workspace, word for word). Its earlier replies and
its thoughts are not evidence.

Forms of a figure that are the same to a reader are the same here: thousands separators, leading and trailing zeros,
signs, number words up to twenty, a percentage of a fraction, a figure rounded to the decimals that the reply gives,
bytes as kB or MB (1000 or 1024), milliseconds as seconds. A count is also grounded where one tool result has that many
lines or list items (a header line may be meant or not), or where the agent made that many calls, or names that many
paths in the reply. Nothing else that would have to be computed is: a sum that no tool printed is the agent's own
arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from ise_gym.trajectory.record import Trajectory

LONGEST_READ = 400_000
"""Characters of one message that count as seen."""

_URL = re.compile(r"\bhttps?://[^\s\"'<>`|\\]{1,500}")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_HOST = re.compile(
    r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|(?:[a-z0-9-]{1,63}\.){1,5}(?:com|org|net|io|dev|edu|gov|test|example"
    r"|local|internal|lan|invalid|localhost))(?::\d{2,5})?\b(?!\()",
    re.IGNORECASE,
)
_EXTENSIONS = (
    "md|txt|csv|tsv|json|jsonl|ya?ml|toml|ini|cfg|conf|env|log|py|js|ts|sh|bash|html?|css|xml|sql|db|sqlite3?|pdf|png|jpe?g"
    "|gif|svg|wav|mp3|mp4|srt|vtt|zip|tar|gz|tgz|bz2|xz|zst|bak|orig|old|patch|diff|lock|ics|eml|mbox|parquet|xlsx?|docx?"
    "|go|rs|c|h|cpp|java|rb|pl|service|timer|pid|sock|tmp|key|pem|crt|ipynb|rst|tex|dat|bin|out|err|list|template|j2"
)
_PATH = re.compile(
    rf"(?<![\w/:.@-])(?:(?:~|\.{{1,2}})?/)?(?:[\w@+.=-]{{1,120}}/){{0,20}}[\w@+.=-]{{0,120}}[\w@+=-]\.(?:{_EXTENSIONS})(?![\w-])"
    r"|(?<![\w/:.@)-])(?:~|\.{1,2})?/(?:[\w@+.=-]{1,120}/){0,20}[\w@+.=-]{1,120}/?"
    r"|(?<![\w/:.@-])(?:[\w@+.=-]{1,120}/){1,20}(?:[\w@+.=-]{1,120})?",
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"(?:[`\"'“]|\b(?:in|into|to|at|under|from|inside|folder|directory|path|dir)\s+[`\"'“]?)$", re.IGNORECASE
)
_EXTENSION = re.compile(rf"\.(?:{_EXTENSIONS})$", re.IGNORECASE)
_NOT_PATHS = frozenset(
    [
        "and/or",
        "either/or",
        "yes/no",
        "he/she",
        "his/her",
        "n/a",
        "w/o",
        "read/write",
        "input/output",
        "on/off",
        "true/false",
        "pass/fail",
        "client/server",
        "am/pm",
        "km/h",
        "i/o",
        "tcp/ip",
        "ci/cd",
        "before/after",
        "start/stop",
        "up/down",
        "in/out",
        "push/pull",
        "and/",
    ]
)
_FIGURE = re.compile(r"(?<![\w.])[-+−]?\d[\d,.:_]*\d(?![\d])|(?<![\w.])[-+−]?\d(?!\d)")
_MARKER = re.compile(r"(?m)^[^\S\n]*\(?(\d{1,3})[.)]\s")
_UNIT = re.compile(r"\s?(%|‰|percent|kB|KB|KiB|MB|MiB|GB|GiB|ms|s\b|sec|k\b|K\b|M\b)")
_WORDS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"once": "1", "twice": "2", "dozen": "12", "single": "1", "both": "2", "half": "0.5"}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
_CHINESE = {sign: str(value) for value, sign in enumerate("零一二三四五六七八九十")} | {"两": "2"}
_TOKEN = re.compile(r"[\w@+=-]+(?:\.[\w@+=-]+)*")


@dataclass(frozen=True)
class Ungrounded:
    """One thing that a reply names and the agent had not seen: ``kind`` is figure, path or address."""

    message: int
    kind: str
    words: str


@dataclass
class Grounding:
    """What became of the figures, paths and addresses of an episode's replies."""

    named: int = 0
    ungrounded: list[Ungrounded] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Fraction that is grounded; 1 of nothing."""
        return 1 - len(self.ungrounded) / self.named if self.named else 1.0


@dataclass
class Seen:
    """All that an agent has seen so far, as what replies are looked up in; filled by `add`."""

    figures: set[str] = field(default_factory=set)
    decimals: set[Decimal] = field(default_factory=set)
    counts: set[int] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    calls: int = 0

    def add(self, text: str, *, counted: bool = False) -> None:
        """Take one message in; ``counted`` when its lines and items may be counted by the agent."""
        text = text[:LONGEST_READ]
        self.text.append(text.lower())
        self.tokens.update(token.lower() for token in _TOKEN.findall(text))
        for figure in _figures_of(text):
            self._figure(figure)
        for word in _WORD.findall(text):
            self._figure(_WORDS[word.lower()])
        for sign, value in _CHINESE.items():
            if sign in text:
                self._figure(value)
        if counted:
            lines = sum(1 for line in text.splitlines() if line.strip())
            self.counts.update((lines, max(lines - 1, 0), text.count("},") + 1, len(text.split())))

    def _figure(self, words: str) -> None:
        for cell in words.split(",") if "," in words else ():  # cells of a table, not thousands
            self._one(cell)
        self._one(words)

    def _one(self, words: str) -> None:
        plain = _plain(words)
        self.figures.add(plain)
        # 2024-03-12, 14:05 and 1.2.3 also give their parts
        parts = re.findall(r"\d+", plain)
        if len(parts) > 1:
            self.figures.update(_plain(part) for part in parts)
        if (value := _decimal(plain)) is not None:
            self.decimals.add(value)

    def holds(self, text: str) -> bool:
        """Tell whether a text stands in what was seen."""
        return any(text in seen for seen in self.text)


def grounding(trajectory: Trajectory) -> Grounding:
    """Look at each reply of an episode against what the agent had seen until then."""
    found, seen = Grounding(), Seen()
    succeeded = {m.get("tool_call_id") for m in trajectory.messages if m.get("success") is not False}
    if trajectory.persona:
        seen.add(" ".join(str(value) for value in trajectory.persona.values() if isinstance(value, str)))
    for index, message in enumerate(trajectory.messages):
        content = str(message.get("content") or "")
        if message["role"] != "assistant":
            seen.add(content, counted=message["role"] == "tool")
            continue
        calls = message.get("tool_calls") or ()
        if not calls:
            judge_reply(index, content, seen, found)
        for call in calls:
            seen.calls += 1
            if call["id"] in succeeded:
                seen.add(_unescaped(str(call["function"]["arguments"])))
    return found


def _unescaped(arguments: str) -> str:
    return re.sub(r"\\[nt\"]", " ", arguments)


def judge_reply(index: int, reply: str, seen: Seen, found: Grounding) -> None:
    """Look up what a reply names in what was seen; adds to ``found``, under the message's number."""
    rest = reply
    named: list[tuple[str, str, bool]] = []
    for match in [*_URL.finditer(rest)]:
        words = match[0].rstrip(".,;:!?)]}*")
        named.append(("address", words, _address_seen(words, seen)))
    rest = _URL.sub(" ", rest)
    for pattern in (_MAIL, _HOST):
        for match in pattern.finditer(rest):
            if not _EXTENSION.search(match[0]):
                named.append(("address", match[0], seen.holds(match[0].lower())))
        rest = pattern.sub(lambda m: m[0] if _EXTENSION.search(m[0]) else " ", rest)
    paths = list(_paths(rest))
    named.extend(("path", words, _path_seen(words, seen)) for words in dict.fromkeys(paths))
    for words in paths:
        rest = rest.replace(words, " PATH ")
    rest = _MARKER.sub(" ", rest)
    items = len(re.findall(r"(?m)^[^\S\n]*(?:[-*•]|\d+[.)])\s", reply))
    for words, unit in _figures_with_units(rest):
        held = _figure_seen(words, unit, seen, counts={len(set(paths)), items})
        named.append(("figure", words + unit, held))
    found.named += len(named)
    found.ungrounded.extend(Ungrounded(index, kind, words) for kind, words, held in named if not held)


def _address_seen(url: str, seen: Seen) -> bool:
    """A whole address, or its server and its path seen apart, as when a server's root and a route were."""
    plain = url.lower().rstrip("/")
    bare = re.sub(r"^https?://", "", plain)
    if seen.holds(bare):
        return True
    server, slash, path = bare.partition("/")
    return bool(slash) and seen.holds(server) and seen.holds("/" + path)


def _paths(text: str) -> Iterator[str]:
    for match in _PATH.finditer(text):
        words = match[0].rstrip(".")
        if words.lower() in _NOT_PATHS or not re.search(r"[A-Za-z_]", words):
            continue
        if (
            _EXTENSION.search(words)
            or words.startswith(("/", "./", "../", "~/"))
            or (
                "/" in words
                and (re.search(r"[\d_.=-]|/$|/.*/", words) or _PLACED.search(text[: match.start()][-24:]))
            )
        ):
            yield words


def _path_seen(words: str, seen: Seen) -> bool:
    """A whole path, a shortened one, or its parts seen apart, as when the agent worked inside a folder."""
    plain = re.sub(r"^(?:~/|(?:\.{1,2}/)+|/workspace/)", "", words.lower()).strip("/")
    if not plain or plain == "workspace" or plain in seen.tokens:
        return True
    if "/" in plain and seen.holds(plain):
        return True
    return "/" in plain and all(part in seen.tokens for part in plain.split("/"))


def _figures_with_units(text: str) -> Iterator[tuple[str, str]]:
    for match in _FIGURE.finditer(text):
        unit = _UNIT.match(text, match.end())
        yield match[0].rstrip(".,:_"), (unit[1] if unit else "")


def _figures_of(text: str) -> Iterator[str]:
    """Figures of seen text: also those inside of names, since ``invoice_0042`` shows an agent the 42."""
    return (m[0] for m in re.finditer(r"\d[\d,.:_]*\d|\d", text))


def _plain(words: str) -> str:
    """Bring the forms of one figure to one.

    >>> _plain("1,234.50"), _plain("007"), _plain("09:05"), _plain("-3")
    ('1234.5', '7', '9:5', '3')
    """
    text = words.strip("+-−_.,:").replace("_", "")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"\d+,\d+", text):
        text = text.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", text):
        text = text.rstrip("0").rstrip(".")
    return re.sub(r"(?<!\d)(?<!\d\.)0+(?=\d)", "", text)


def _decimal(plain: str) -> Decimal | None:
    try:
        return Decimal(plain) if len(plain) < 40 else None
    except InvalidOperation:
        return None


_SCALES: Mapping[str, Sequence[Decimal]] = {
    "": (Decimal(1),),
    "%": (Decimal(1), Decimal("0.01")),
    "percent": (Decimal(1), Decimal("0.01")),
    "‰": (Decimal(1), Decimal("0.001")),
    "ms": (Decimal(1), Decimal("0.001")),
    "s": (Decimal(1), Decimal(1000)),
    "sec": (Decimal(1), Decimal(1000)),
    **dict.fromkeys(("kB", "KB", "KiB", "k", "K"), (Decimal(1), Decimal(1000), Decimal(1024))),
    **dict.fromkeys(
        ("MB", "MiB", "M"), (Decimal(1), Decimal(10) ** 6, Decimal(1024) ** 2, Decimal(1000), Decimal(1024))
    ),
    **dict.fromkeys(
        ("GB", "GiB"), (Decimal(1), Decimal(10) ** 9, Decimal(1024) ** 3, Decimal(1000), Decimal(1024))
    ),
}


def _figure_seen(words: str, unit: str, seen: Seen, counts: set[int]) -> bool:
    plain = _plain(words)
    if plain in seen.figures:
        return True
    value = _decimal(plain)
    if value is None:  # a time, a date, a version: its parts seen apart are enough for a date only
        parts = re.split(r"[-.:,]", plain)
        return len(parts) >= 3 and all(_plain(part) in seen.figures for part in parts)
    if value == value.to_integral_value() and int(value) in (seen.counts | counts | {seen.calls, 0}):
        return True
    places = len(plain.partition(".")[2])
    step = Decimal(1).scaleb(-places)
    return any(
        _rounds(other, value, scale, step)
        for scale in _SCALES[unit]
        for other in seen.decimals
        if scale != 1 or places or unit
    )


def _rounds(seen: Decimal, said: Decimal, scale: Decimal, step: Decimal) -> bool:
    """Whether a seen figure, in the reply's unit, rounds to what the reply says."""
    return abs(seen / scale - said) * 2 <= step and said != 0


def kinds(found: Iterable[Ungrounded]) -> list[str]:
    """Return the kinds among ungrounded things, without repeats."""
    return sorted({entry.kind for entry in found})


def describe(found: Sequence[Ungrounded], limit: int = 3) -> str:
    """Name the first few ungrounded things in words."""
    shown = [f"message {u.message}: {u.kind} {u.words!r}" for u in found[:limit]]
    return "; ".join(shown)

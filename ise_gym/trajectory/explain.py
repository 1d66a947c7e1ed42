"""What ``ise show`` prints beside a conversation: files of a step, sub-goals it decided, drafts that the guard refused.

All of it is text from outside, shown without markup and with control characters written out.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ise_gym.trajectory.record import FileChanges, Finding, Step, Trajectory

DIFF_LINES = 20
"""Lines of a step's diffs that are shown unless all is asked for."""

_WORDS = 300
_SIGNS = (("created", "+", "green"), ("changed", "~", "yellow"), ("deleted", "-", "red"))


def of_step(step: Step, full: bool) -> Iterator[Text]:
    """Yield the lines about one step: sub-goals that it decided, files that it touched, their diffs."""
    for name, holds in step.flipped.items():
        yield Text(f"  {'now holds' if holds else 'holds no more'}: {visible(name)}", "magenta")
    if step.files is not None:
        yield from _files(step.files)
        yield from _diffs(step.files, full)


def _files(files: FileChanges) -> Iterator[Text]:
    for kind, sign, style in _SIGNS:
        paths = getattr(files, kind)
        if paths:
            yield Text(f"  {sign} {kind}: {visible(', '.join(paths))}", style)
    if files.more:
        yield Text(f"  and {files.more:,} more paths", "bright_black")


def _diffs(files: FileChanges, full: bool) -> Iterator[Text]:
    lines = [line for path, diff in files.diffs.items() for line in (f"{path}:", *diff.split("\n")) if diff]
    for line in lines if full else lines[:DIFF_LINES]:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "bright_black")
        yield Text(f"    {visible(line)}", style)
    if not full and len(lines) > DIFF_LINES:
        yield Text(f"    … {len(lines) - DIFF_LINES} more lines (--full shows them)", "bright_black")


def of_goal(finding: Finding) -> Text:
    """Return what a sub-goal that does not hold looked for, what stood there, and when it was last looked at."""
    text = Text()
    if finding.expected:
        text.append(f"    expected {visible(finding.expected)}\n", "bright_black")
    if finding.found:
        text.append(f"    found    {visible(finding.found)}\n", "bright_black")
    if finding.message is not None:
        text.append(f"    judged   after message {finding.message}\n", "bright_black")
    return text


def guarded(trajectory: Trajectory) -> dict[int, list[Text]]:
    """Return message → lines about the drafts that the role guard refused there."""
    found: dict[int, list[Text]] = {}
    for event in trajectory.guard_events:
        lines = found.setdefault(event.message, [])
        why = f"{event.detector}: {event.words}" if event.words else event.detector
        lines.append(Text(visible(f"  guard refused a draft ({why}; {event.action})"), "red"))
        if event.said:
            lines.append(Text(visible(f"    “{event.said[:_WORDS]}”"), "bright_black"))
    return found


def visible(text: str) -> str:
    """Write what does not show, line breaks included, as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

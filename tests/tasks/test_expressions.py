"""Templates: native values, strictness, the sandbox, and text that is left alone."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from ise_gym.tasks.expressions import ExpressionError, compile_text, compile_value, names_in

SCOPE = {"code": "007", "rows": [{"k": "b", "n": 2}, {"k": "a", "n": 1.5}], "root": "quay", "n": 3}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("{{ code }}", "007"),
        ("{{ n }}", 3),
        ("{{ rows }}", SCOPE["rows"]),
        (" {{ n + 1 }}\n", 4),
        ("{{ rows | map(attribute='k') }}", ["b", "a"]),
        ("{{ rows | selectattr('n', 'gt', 1.6) }}", [{"k": "b", "n": 2}]),
        ("{{ rows | groupby('k') }}", [["a", [{"k": "a", "n": 1.5}]], ["b", [{"k": "b", "n": 2}]]]),
        ("{{ n }}{{ n }}", "33"),
        ("x{{ n }}", "x3"),
        ({"{{ code }}": ["{{ n }}", {"a": "{{ root }}/b"}]}, {"007": [3, {"a": "quay/b"}]}),
        ([1, True, None, "plain"], [1, True, None, "plain"]),
        ("${#name} ${x%%.*} {#no comment#}", "${#name} ${x%%.*} {#no comment#}"),
        ("{=# a comment #=}{{ code }}", "007"),
        ("{% raw %}{{ code }}{% endraw %}\n", "{{ code }}\n"),
        ("{{ rows | pluck('n') | sum }}", 3.5),
        ("{{ '}}' }}", "}}"),
        ("{{ ['b','a','b'] | counts }}", {"b": 2, "a": 1}),
    ],
)
def test_values(raw: Any, value: Any) -> None:
    found = compile_value(raw, "here")(SCOPE)
    assert found == value and type(found) is type(value)


def test_lines_of_tags_vanish_and_tags_in_lines_leave_their_line_alone() -> None:
    source = (
        "head\n  {% for row in rows %}\n- {{ row.k }}{% if row.n > 1.6 %}!{% endif %}\n  {% endfor %}\ntail\n"
    )
    assert compile_text(source, "here")(SCOPE) == "head\n- b!\n- a\ntail\n"


def test_text_is_always_text() -> None:
    assert compile_text("{{ n }}", "here")(SCOPE) == "3"
    assert compile_text("{{ n }}\n", "here")(SCOPE) == "3\n"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ [missing] }}", "'missing' is undefined"),
        ("a {{ missing }}", "'missing' is undefined"),
        ("{{ rows[9] }}", "no element 9"),
        ("{{ n.x }}", "has no attribute 'x'"),
        ("{{ n / 0 }}", "ZeroDivisionError"),
        ("{{ n", "unexpected"),
        ("{{ n | nosuch }}", "No filter named 'nosuch'"),
        ("{{ rows | random }}", "No filter named 'random'"),
        ("{{ n.__class__ }}", "unsafe"),
        ("{{ rows.append(1) }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ range }}", "not data"),
        ("{{ '2025-13-01' | add_days(1) }}", "ValueError"),
    ],
)
def test_failures_say_where(raw: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=r"file\.yaml: key") as caught:
        compile_value(raw, "file.yaml: key")(SCOPE)
    assert words in str(caught.value)


def test_names_are_found_in_any_value() -> None:
    raw = {"{{ a }}": ["{{ b.c | sort }}", {"x": "{% for i in d %}{{ i }}{{ e }}{% endfor %}"}], "plain": 1}
    assert names_in(raw) == {"a", "b", "d", "e"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("gist.1", 4),
        ("parameters.rows", 6),
        ("requests.total.expert.1.command", 12),
        ("requests.2.say", 14),
        ("nothing.here", 1),
    ],
)
def test_the_line_of_a_slip_is_looked_up(tmp_path: Path, place: str, line: int) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(
        "title: x\ngist:\n  - a\n  - b\nparameters:\n  rows: 3\nrequests:\n  - name: first\n"
        "  - name: total\n    expert:\n      - read: {}\n      - exec:\n          command: x\n  - say: y\n"
    )
    with pytest.raises(ExpressionError) as caught:
        compile_text("{{ broken", f"{file}: {place}")
    assert str(caught.value).startswith(f"{file}:{line}: {place}: ") and "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value), "it comes from a worker too"

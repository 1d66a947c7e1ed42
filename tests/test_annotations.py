"""The committed script that counts `Any` is not fooled by another name for it, and its figure stays where it is."""

from __future__ import annotations

from pathlib import Path

from annotations import Counts, count

HIDING = {
    "__init__.py": "",
    "names.py": """
        from typing import Any, Any as Whatever, TypeAlias
        import typing
        Loose = dict[str, Any]
        Looser: TypeAlias = "list[Loose]"
        Open = Whatever
        Tight = dict[str, int]
    """,
    "users.py": """
        from package.names import Loose as L, Looser, Open, Tight
        import typing as t
        import typing
        def f(a: L, b: Looser, c: Open, d: "Open | None", e: typing.Any, g: "typing.Any", *h: Tight, **i: object) -> None: ...
        import torch.nn
        from docker.models import Container as Box
        def unseen(a: torch.nn.Module, b: Box | None, c: "list[Box]", d: torch_like.Tensor) -> None: ...
        def ok(a: Tight, b: "Tight | None", c: list[int]) -> None: ...
    """,
}


def counted(folder: Path) -> Counts:
    import textwrap

    for name, text in HIDING.items():
        target = folder / "package" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(textwrap.dedent(text))
    return count(folder / "package")


def test_other_names_for_any_count_as_any(tmp_path: Path) -> None:
    counts = counted(tmp_path)
    assert counts.total["parameter"] == 15
    assert counts.bare["parameter"] == 6, counts.where
    assert counts.inside["parameter"] == 3, counts.where


def test_under_3_6_percent_of_the_parameters_are_or_hold_any() -> None:
    counts = count()
    assert counts.total["parameter"] > 5000, "these are not all parameters"
    assert counts.share("parameter") < 0.036

"""The benchmark's sandbox routes over a workspace: what its tools and graders rely on."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from ise_gym.errors import WorkspaceError
from ise_gym.evaluation.claweval.sandbox import SandboxApp
from ise_gym.workspace import open_workspace
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import Workspace


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    opened = open_workspace("auto")
    yield opened
    opened.close()


@pytest.fixture
def app(workspace: Workspace) -> SandboxApp:
    workspace.reset()
    return SandboxApp(workspace)


def ask(app: SandboxApp, route: str, **body: Any) -> dict[str, Any]:
    import json

    status, value = app.answer(route, json.dumps(body).encode())
    assert status == 200, value
    return value


def test_commands(app: SandboxApp) -> None:
    done = ask(app, "/exec", command="echo out; echo err >&2; pwd; exit 3")
    assert done == {"exit_code": 3, "stdout": "out\n/workspace\n", "stderr": "err\n"}
    assert ask(app, "/exec", command="python -c 'print(6*7)'")["stdout"] == "42\n"
    late = ask(app, "/exec", command="sleep 30", timeout_seconds=1)
    assert (late["exit_code"], late["stderr"]) == (-1, "Timed out after 1s")


def test_files_keep_their_bytes(app: SandboxApp) -> None:
    assert ask(app, "/write", path="/workspace/a/b.txt", content="héllo\n")["bytes"] == 6
    assert ask(app, "/read", path="/workspace/a/b.txt")["content"] == "héllo\n"
    data = bytes(range(256))
    ask(app, "/write_b64", path="/workspace/x.dat", content_b64=base64.b64encode(data).decode())
    found = ask(app, "/read", file_path="/workspace/x.dat")
    assert found["encoding"] == "base64" and base64.b64decode(found["content"]) == data
    assert base64.b64decode(ask(app, "/download", path="/workspace/x.dat")["content_b64"]) == data
    assert "error" in ask(app, "/read", path="/workspace/none") and "error" in ask(
        app, "/download", path="/none"
    )


def test_parts_of_a_file_come_with_line_numbers(app: SandboxApp) -> None:
    ask(app, "/write", path="/workspace/n.txt", content="a\nb\nc\nd\n")
    assert ask(app, "/read", path="/workspace/n.txt", offset=2, limit=2)["content"] == "     2\tb\n     3\tc"


def test_images_come_as_frames(app: SandboxApp) -> None:
    ask(app, "/write_b64", path="/workspace/p.png", content_b64=base64.b64encode(b"not checked").decode())
    frame = ask(app, "/read", path="/workspace/p.png")["frames"][0]
    assert base64.b64decode(frame["image_b64"]) == b"not checked"


def test_edits(app: SandboxApp) -> None:
    ask(app, "/write", path="/workspace/e.txt", content="x y x")
    path = {"path": "/workspace/e.txt"}
    assert "found 2 times" in ask(app, "/edit", **path, old_string="x", new_string="z")["error"]
    assert "not found" in ask(app, "/edit", **path, old_string="q", new_string="z")["error"]
    assert ask(app, "/edit", **path, old_string="y", new_string="Y")["replacements"] == 1
    assert ask(app, "/edit", **path, old_string="x", new_string="z", replace_all=True)["replacements"] == 2
    assert ask(app, "/read", **path)["content"] == "z Y z"


def test_glob_and_grep(app: SandboxApp) -> None:
    for name in ("b.py", "a.py", "c.txt"):
        ask(app, "/write", path=f"/workspace/d/{name}", content=f"-needle in {name}\nother\n")
    found = ask(app, "/glob", pattern="**/*.py", path="/workspace")["files"]
    assert [file["path"] for file in found] == ["/workspace/d/a.py", "/workspace/d/b.py"]
    assert ask(app, "/glob", pattern="/workspace/d/*", max_files=1)["files"][0]["size_bytes"] > 0
    listed = ask(app, "/grep", pattern="-needle", glob="*.py", path="/workspace/d")
    assert sorted(listed["output"].split()) == ["/workspace/d/a.py", "/workspace/d/b.py"]
    shown = ask(
        app,
        "/grep",
        pattern="NEEDLE",
        path="/workspace/d/c.txt",
        output_mode="content",
        case_insensitive=True,
    )
    assert shown["output"] == "1:-needle in c.txt\n"
    assert ask(app, "/grep", pattern="absent")["exit_code"] == 1
    assert (
        ask(app, "/grep", pattern="e", path="/workspace/d/c.txt", output_mode="content", head_limit=1)[
            "output"
        ]
        == "1:-needle in c.txt"
    )


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [("/exec", b"{}", 422), ("/exec", b'{"command": "x", "timeout_seconds": "y"}', 422), ("/read", b"{}", 422),
     ("/write", b'{"path": "/proc/x", "content": "x"}', 500), ("/write_b64", b'{"path": "/workspace/x", "content_b64": "abc"}', 500),
     ("/nowhere", b"{}", 404), ("/exec", b"{", 500)],
)  # fmt: skip
def test_bad_requests(app: SandboxApp, route: str, body: bytes, status: int) -> None:
    assert app.answer(route, body)[0] == status


def test_what_is_not_there_says_so(app: SandboxApp) -> None:
    assert "no browser" in ask(app, "/screenshot", url="http://x")["error"]
    assert "can't read media" in ask(app, "/read_media", path="x")["error"]
    assert ask(app, "/health") == {"status": "ok"}


def test_a_dead_workspace_is_remembered() -> None:
    class Dead(DummyWorkspace):
        def exec(self, *args: Any, **options: Any) -> Any:
            raise WorkspaceError("gone")

    app = SandboxApp(Dead())
    assert app.answer("/exec", b'{"command": "true"}')[0] == 500
    assert app.broken == "gone"

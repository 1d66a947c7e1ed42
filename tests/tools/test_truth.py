"""What a tool says is what happened: encodings, long commands, filled-in arguments, servers of one's own."""

from __future__ import annotations

import json

import pytest

from ise_gym.services import make_spec, start_services
from ise_gym.tools import TOOLS, get_tools
from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.processes.shell import MOST_BYTES
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller

GBK = "名字: 茶壶\nsize: 2 l\n".encode("gbk")


@pytest.fixture
def all_tools(workspace: Workspace) -> Caller:
    return Caller(
        Toolbox(["exec", "process", "edit", "apply_patch", "write", "read", "web_fetch"], workspace)
    )


def test_an_edit_keeps_a_file_in_its_encoding(all_tools: Caller, workspace: Workspace) -> None:
    workspace.write("k.txt", GBK)
    assert all_tools("edit", path="k.txt", oldText="2 l", newText="3 l")["success"]
    assert workspace.read("k.txt") == GBK.replace(b"2 l", b"3 l")
    told = all_tools("edit", path="k.txt", oldText="3 l", newText="三")
    assert not told["success"] and "not UTF-8" in told["content"] and "iconv" in told["content"]
    patch = "*** Begin Patch\n*** Update File: k.txt\n@@\n-size: 3 l\n+size: 三\n*** End Patch"
    told = all_tools("apply_patch", input=patch)
    assert (
        not told["success"]
        and "not UTF-8" in told["content"]
        and told["content"].endswith("Nothing was changed.")
    )
    assert workspace.read("k.txt") == GBK.replace(b"2 l", b"3 l")
    assert all_tools("apply_patch", input=patch.replace("三", "4 l"))["success"]


def test_a_file_that_is_too_large_to_edit_is_told(all_tools: Caller) -> None:
    all_tools("exec", command="truncate -s 20M big.txt")
    for told in (
        all_tools("edit", path="big.txt", oldText="a", newText="b"),
        all_tools(
            "apply_patch", input="*** Begin Patch\n*** Update File: big.txt\n@@\n-a\n+b\n*** End Patch"
        ),
    ):
        assert not told["success"] and "larger than 16 MB: use exec with sed" in told["content"]


@pytest.mark.parametrize(
    "extra", [{}, {"pty": True}, {"background": True}, {"yieldMs": 5000}, {"yieldMs": 5000, "timeout": 9}]
)
def test_a_long_command_runs(all_tools: Caller, extra: dict[str, object]) -> None:
    command = f"x='{'a' * 200_000}'; echo ${{#x}}; (exit 3)"
    message = all_tools("exec", command=command, **extra)
    if "background" in extra:
        message = all_tools(
            "process", action="poll", sessionId=message["content"].split()[3].rstrip(";"), timeout=5000
        )
    assert "200000" in message["content"] and message["exit_code"] == 3
    assert all_tools("exec", command="ls -A /tmp")["content"] == "(no output)"


def test_a_command_that_no_shell_takes_is_told(all_tools: Caller) -> None:
    told = all_tools("exec", command=f"echo '{'a' * MOST_BYTES}'")
    assert not told["success"] and "write a script and run that" in told["content"]
    told = all_tools("exec", command="true", env={"A": "x" * 300_000})
    assert not told["success"] and "more than a command can be given: put them into a file" in told["content"]
    told = all_tools("web_fetch", url="http://a.example/" + "x" * 200_000)
    assert not told["success"] and "at most 8000 characters" in told["content"]


def test_arguments_that_a_weak_model_fills_in_are_taken_as_absent(all_tools: Caller) -> None:
    filled = {"timeout": 0, "yieldMs": 0, "env": {}, "pty": False, "workdir": "", "background": False}
    message = all_tools("exec", command="pwd; echo done", **filled)
    assert message["content"] == "/workspace\ndone" and message["exit_code"] == 0
    assert all_tools("exec", command="echo hi", timeout=None, env=None)["content"] == "hi"
    all_tools("write", path="a.txt", content="one\ntwo\n")
    assert all_tools("read", path="a.txt", offset=0, limit=0)["content"] == "one\ntwo\n"
    assert all_tools("write", path="empty.txt", content="")["success"], "what is required may be empty"


@pytest.mark.parametrize(
    "extra",
    [
        {"oldText": "two", "newText": "2", "edits": []},
        {"oldText": "two", "newText": "2", "edits": None},
        {"oldText": "two", "newText": "2", "edits": [{"oldText": "two", "newText": "2"}]},
        {"oldText": "", "newText": "", "edits": [{"oldText": "two", "newText": "2"}]},
        {"edits": [{"oldText": "two", "newText": "2"}, {"oldText": "two", "newText": "2"}]},
    ],
)
def test_an_edit_said_twice_is_done(
    all_tools: Caller, workspace: Workspace, extra: dict[str, object]
) -> None:
    workspace.write("a.txt", b"one\ntwo\n")
    message = all_tools("edit", path="a.txt", **extra)
    assert message["success"], message["content"]
    assert workspace.read("a.txt") == b"one\n2\n"


def test_an_edit_that_deletes_still_deletes(all_tools: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"one\ntwo\n")
    assert all_tools("edit", path="a.txt", oldText="two\n", newText="")["success"]
    assert workspace.read("a.txt") == b"one\n"


@pytest.mark.parametrize(
    ("tool", "arguments", "example"),
    [
        ("edit", "{}", 'For example: edit {"path": "notes.txt", "oldText": "tea", "newText": "coffee"}'),
        ("edit", "not json", "For example: edit {"),
        ("exec", '{"cmd": "ls"}', 'For example: exec {"command": "ls -la"}'),
        ("read", '{"file": "a"}', 'For example: read {"path": "…"}'),
        ("apply_patch", "{}", 'For example: apply_patch {"input": "*** Begin Patch'),
    ],
)
def test_an_error_shows_the_right_call(all_tools: Caller, tool: str, arguments: str, example: str) -> None:
    outcome = all_tools.toolbox.outcome(tool, arguments)
    assert not outcome.success and example in outcome.content and "\n" not in outcome.content


def test_every_example_is_a_call_that_its_tool_takes() -> None:
    from ise_gym.tools.schema import argument_problems

    for tool in get_tools(TOOLS).values():
        if tool.example:
            assert argument_problems(tool.schema["function"]["parameters"], tool.example) == []


SERVER = """
import http.server, socketserver, gzip, socket
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kinds = {"/gbk": ("text/plain; charset=gbk", "茶壶".encode("gbk"), ""),
                 "/gz": ("text/plain", gzip.compress(b"packed"), "gzip"),
                 "/json": ("application/problem+json", b'{"a": 1}', ""),
                 "/rss": ("application/rss+xml", b"<rss/>", ""),
                 "/yaml": ("application/yaml", b"a: 1", "")}
        kind, body, packed = kinds[self.path]
        self.send_response(200); self.send_header("Content-Type", kind)
        if packed: self.send_header("Content-Encoding", packed)
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class S(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
S(("::", 8123), H).serve_forever()
"""


def test_a_server_in_the_box_is_read_by_all_its_names_as_it_declares(
    all_tools: Caller, workspace: Workspace
) -> None:
    start_services(
        workspace,
        [make_spec("web", {"host": "a.example", "title": "A", "pages": [{"path": "/", "body": "x"}]})],
    )
    workspace.write("s.py", SERVER.encode())
    all_tools("exec", command="python3 s.py", background=True)
    all_tools(
        "exec",
        command="for i in $(seq 50); do (exec 3<>/dev/tcp/127.0.0.1/8123) 2>/dev/null && break; sleep 0.1; done",
    )
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "127.0.0.2"):
        message = all_tools("web_fetch", url=f"http://{host}:8123/yaml")
        assert message["success"] and message["content"].endswith("\n\na: 1"), message["content"]
    for path, text in (("gbk", "茶壶"), ("gz", "packed"), ("json", json.dumps({"a": 1})), ("rss", "<rss/>")):
        message = all_tools("web_fetch", url=f"http://127.0.0.1:8123/{path}")
        assert message["success"] and message["content"].endswith("\n\n" + text), message["content"]

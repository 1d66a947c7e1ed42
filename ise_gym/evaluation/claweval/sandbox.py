"""The benchmark's sandbox server, as an app over our own workspace.

The benchmark drives a container over HTTP; here the same routes act on a `Workspace`, so that its sandbox tools and
its graders' snapshot commands run isolated without docker, and nothing of an agent's ever runs on the host.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from ise_gym.errors import WorkspaceError
from ise_gym.evaluation.claweval.services.asgi import Receive, Send
from ise_gym.workspace.base import ExecResult, Workspace

PORT = 18080
URL = f"http://localhost:{PORT}"
"""Where the router serves it; no socket is opened."""

_IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_TEXT_TYPES = {
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/javascript",
}
_TEXT_ENDINGS = frozenset(
    {".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".xml", ".html", ".htm", ".js", ".ts"}
    | {".py", ".sh", ".cfg", ".ini", ".toml", ".log", ".sql"}
)
_GLOB = """
import glob, json, os, sys
found = sorted(glob.glob(sys.argv[1], recursive=True))[: int(sys.argv[2])]
print(json.dumps([[path, os.path.getsize(path)] for path in found if os.path.isfile(path)]))
"""
_PYTHON = 'command -v python >/dev/null || python() { python3 "$@"; }\n'
"""The benchmark's image has ``python``; a plain Debian only has ``python3``."""


class Rejected(Exception):
    """A request whose fields are wrong: status 422."""


class SandboxApp:
    """An ASGI app with the benchmark's sandbox routes.

    Args:
        workspace: what it acts on.

    Attributes:
        broken: why the workspace died, "" while it lives; a dead one answers 500, and the trial is an
            infrastructure error.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.broken = ""
        self._routes: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "/exec": self._exec,
            "/read": self._read,
            "/write": self._write,
            "/write_b64": self._write_b64,
            "/edit": self._edit,
            "/glob": self._glob,
            "/grep": self._grep,
            "/download": self._download,
            "/health": lambda body: {"status": "ok"},
            "/screenshot": lambda body: {
                "error": "There is no browser in this sandbox.",
                "url": body.get("url", ""),
            },
            "/read_media": lambda body: {"error": "This sandbox can't read media files."},
        }

    async def __call__(
        self,
        scope: Mapping[str, object],
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer one request."""
        message = await receive()
        status, value = self.answer(str(scope["path"]), message.get("body", b""))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and JSON for a route."""
        route = self._routes.get(path)
        if route is None:
            return 404, {"detail": "Not Found"}
        try:
            return 200, route(json.loads(body or b"{}"))
        except Rejected as error:
            return 422, {"detail": str(error)}
        except WorkspaceError as error:
            self.broken = str(error)
            return 500, {"error": "the sandbox broke"}
        except (OSError, ValueError) as error:
            return 500, {"error": str(error)}

    def _exec(self, body: Mapping[str, object]) -> dict[str, Any]:
        seconds = body.get("timeout_seconds", 30)
        if not isinstance(seconds, int | float):
            raise Rejected("timeout_seconds: a number is needed")
        done = self._run(["bash", "-c", _PYTHON + _text(body, "command")], float(seconds))
        if done.timed_out:
            return {"exit_code": -1, "stdout": "", "stderr": f"Timed out after {seconds}s"}
        return {"exit_code": done.exit_code, "stdout": _decoded(done.output), "stderr": _decoded(done.stderr)}

    def _run(self, argv: list[str], seconds: float) -> ExecResult:
        return self._workspace.exec(argv, timeout=seconds, merge=False)

    def _read(self, body: Mapping[str, object]) -> dict[str, Any]:
        path, content = self._file(body)
        if content is None:
            return {"error": f"File not found: {path}"}
        ending = PurePosixPath(path).suffix.lower()
        if ending in _IMAGES:
            frame = {"index": 0, "image_b64": _base64(content), "mime_type": _IMAGES[ending]}
            return {"media_type": "image", "frames": [frame], "text_summary": f"Image: {ending}"}
        mime, _ = mimetypes.guess_type(path)
        if not _is_text(mime, ending):
            return {
                "content": _base64(content),
                "mime_type": mime or "application/octet-stream",
                "encoding": "base64",
                "size_bytes": len(content),
            }
        text = _lines(_decoded(content), body.get("offset"), body.get("limit"))
        return {"content": text, "mime_type": mime or "text/plain", "encoding": "utf-8"}

    def _write(self, body: Mapping[str, object]) -> dict[str, Any]:
        content = _text(body, "content")
        self._workspace.write(_path(body), content.encode("utf-8", "surrogatepass"))
        return {"written": _path(body), "bytes": len(content)}

    def _write_b64(self, body: Mapping[str, object]) -> dict[str, Any]:
        content = base64.b64decode(_text(body, "content_b64"))
        self._workspace.write(_path(body), content)
        return {"written": _path(body), "bytes": len(content)}

    def _edit(self, body: Mapping[str, object]) -> dict[str, Any]:
        path, content = self._file(body)
        if content is None:
            return {"error": f"File not found: {path}"}
        old, new = _text(body, "old_string"), _text(body, "new_string")
        text = _decoded(content)
        found = text.count(old)
        if not found:
            return {"error": f"old_string not found in {path}"}
        every = bool(body.get("replace_all"))
        if found > 1 and not every:
            return {
                "error": f"old_string found {found} times in {path}. Use replace_all=true to replace all."
            }
        self._workspace.write(path, text.replace(old, new, -1 if every else 1).encode())
        return {"edited": path, "replacements": found if every else 1}

    def _glob(self, body: Mapping[str, object]) -> dict[str, Any]:
        pattern = _text(body, "pattern")
        if body.get("path"):
            pattern = str(PurePosixPath(str(body["path"])) / pattern)
        done = self._run(["python3", "-c", _GLOB, pattern, _number(body.get("max_files", 50))], 30)
        if not done.ok:
            raise OSError(_decoded(done.stderr))
        return {
            "files": [
                {"path": path, "size_bytes": size, "mime_type": mimetypes.guess_type(path)[0] or "unknown"}
                for path, size in json.loads(done.output)
            ]
        }

    def _grep(self, body: Mapping[str, object]) -> dict[str, Any]:
        argv = ["grep", "-rP"]
        argv += ["-i"] if body.get("case_insensitive") else []
        mode = body.get("output_mode", "files_with_matches")
        argv += {"files_with_matches": ["-l"], "count": ["-c"], "content": ["-n"]}.get(str(mode), [])
        argv += ["-z"] if body.get("multiline") else []
        for name, flag in (("context_lines", "-C"), ("after_context", "-A"), ("before_context", "-B")):
            if body.get(name) is not None:
                argv += [flag, _number(body[name])]
        argv += ["--include", str(body["glob"])] if body.get("glob") else []
        argv += ["-e", _text(body, "pattern"), "--", str(body.get("path") or "/workspace")]
        done = self._run(argv, 30)
        if done.timed_out:
            return {"error": "Grep timed out after 30s"}
        output = _decoded(done.output)
        limit = body.get("head_limit")
        if isinstance(limit, int) and limit > 0:
            output = "\n".join(output.splitlines()[:limit])
        return {"output": output, "exit_code": done.exit_code}

    def _download(self, body: Mapping[str, object]) -> dict[str, Any]:
        path, content = self._file(body)
        if content is None:
            return {"error": f"File not found: {path}"}
        mime = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return {"path": path, "content_b64": _base64(content), "mime_type": mime, "size_bytes": len(content)}

    def _file(self, body: Mapping[str, object]) -> tuple[str, bytes | None]:
        path = _path(body)
        try:
            return path, self._workspace.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return path, None


def _number(value: object) -> str:
    if not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    return str(int(value))


def _path(body: Mapping[str, object]) -> str:
    value = body.get("file_path") or body.get("path")
    if not isinstance(value, str) or not value:
        raise Rejected("path: a path is needed")
    return value


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Rejected(f"{name}: a string is needed")
    return value


def _is_text(mime: str | None, ending: str) -> bool:
    if mime is None:
        return ending in _TEXT_ENDINGS
    return mime.startswith("text/") or mime in _TEXT_TYPES


def _lines(text: str, offset: object, limit: object) -> str:
    """Cut out lines and number them, as the benchmark does when a part is asked for."""
    if offset is None and limit is None:
        return text
    lines = text.splitlines()
    start = offset - 1 if isinstance(offset, int) and offset >= 1 else 0
    end = start + limit if isinstance(limit, int) and limit else len(lines)
    return "\n".join(
        f"     {number}\t{line.rstrip()}" for number, line in enumerate(lines[start:end], start + 1)
    )


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

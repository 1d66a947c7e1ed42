"""A note pad: state in module globals, one environment variable with its fixtures, an audit, a reset."""

import json
import os
import signal
import time
from pathlib import Path

NOTES = json.loads(Path(os.environ["PAD_FIXTURES"]).read_text(encoding="utf-8"))
CALLS = []


def _answer(path, body):
    if path == "/pad/audit":
        return 200, {"calls": CALLS, "notes": NOTES}
    if path == "/pad/reset":
        CALLS.clear()
        return 200, {"status": "reset"}
    CALLS.append({"endpoint": path, "request_body": body})
    if path == "/pad/list":
        today = os.environ.get("MOCK_TODAY")
        return 200, {"notes": NOTES} | ({"today": today} if today else {})
    if path == "/pad/add":
        if not body.get("text"):
            return 422, {"error": "text is missing"}
        NOTES.append(body["text"])
        return 200, {"added": body["text"], "owner": os.environ["PAD_OWNER"]}
    if path == "/pad/hang":
        time.sleep(600)
    if path == "/pad/die":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/pad/crash":
        raise RuntimeError("the pad is on fire")
    return 404, {"error": "no such route"}


async def app(scope, receive, send) -> None:
    message = await receive()
    body = json.loads(message["body"] or b"{}")
    status, value = _answer(scope["path"], body)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "19301")))

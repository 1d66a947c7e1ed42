"""An image for the docker tests, made from this machine's own packages: no registry is needed.

Run as a script it writes the tar to stdout: ``python host_image.py | docker import - ise-gym-os``.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from pathlib import Path
from typing import IO

WANTED = [
    "base-files",
    "bash",
    "coreutils",
    "curl",
    "dash",
    "debianutils",
    "diffutils",
    "findutils",
    "git",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "libc-bin",
    "mawk",
    "procps",
    "python3",
    "python3-pip",
    "sed",
    "tar",
    "util-linux",
]
DPKG = Path("/var/lib/dpkg")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/bash\n"
FILES = {
    "etc/passwd": PASSWD,
    "etc/group": "root:x:0:\nuser:x:1000:\n",
    "etc/nsswitch.conf": "hosts: files\n",
}


def packages() -> set[str]:
    """The wanted packages and all they depend on."""
    known: dict[str, dict[str, str]] = {}
    for block in (DPKG / "status").read_text().split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", block, re.MULTILINE))
        if "Package" in fields:
            known[fields["Package"]] = fields
            for name in re.findall(r"[\w.+-]+", fields.get("Provides", "")):
                known.setdefault(name, fields)
    found: set[str] = set()
    queue = list(WANTED)
    while queue:
        name = queue.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        for item in f"{known[name].get('Depends', '')},{known[name].get('Pre-Depends', '')}".split(","):
            match = re.match(r"\s*([\w.+-]+)", item)
            if match:
                queue.append(match.group(1))
    return found


def write(out: IO[bytes]) -> None:
    """Write the root file system as a tar stream."""
    seen: set[str] = {"bin", "sbin", "lib", "lib64", *FILES}
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                tar.add(f"/{name}", name)
        for name in ("workspace", "home/user", "tmp", "run/ise", "proc", "dev", "sys", "var/tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, text in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        for package in sorted(packages()):
            for listing in (*DPKG.glob(f"info/{package}.list"), *DPKG.glob(f"info/{package}:*.list")):
                for line in listing.read_text().splitlines():
                    path = Path(os.path.realpath(Path(line).parent), Path(line).name)
                    name = str(path).lstrip("/")
                    skip = name.startswith(
                        ("usr/share/doc", "usr/share/man", "usr/share/locale", "etc/alternatives")
                    )
                    if (
                        skip
                        or name in seen
                        or not os.path.lexists(path)
                        or (path.is_dir() and not path.is_symlink())
                    ):
                        continue
                    seen.add(name)
                    tar.add(path, name, recursive=False)
        for link in Path("/etc/alternatives").iterdir():
            if link.resolve().exists() and str(link.resolve()).lstrip("/") in seen:
                tar.add(link, str(link).lstrip("/"), recursive=False)
                for place in (Path("/usr/bin", link.name),):
                    if place.is_symlink() and str(place).lstrip("/") not in seen:
                        tar.add(place, str(place).lstrip("/"), recursive=False)


if __name__ == "__main__":
    write(sys.stdout.buffer)

"""A package index for ``pip``: simple pages (PEP 503) and wheels that are built from the scenario's data.

A wheel is a function of its release's data, byte for byte, so that hashes are the same everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ise_gym.foreign.values import Json
from ise_gym.services.models import FaultModel, Host
from ise_gym.services.site import Faults, Request, Response

_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModuleModel(_Model):
    """One file of a package, by its path inside the wheel."""

    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]
    text: str


class ReleaseModel(_Model):
    """One release. ``corrupt`` serves a file that is not the one whose hash is announced."""

    version: Annotated[str, Field(pattern=r"^\d+(\.\d+)*([a-z]+\d+)?(\.(post|dev)\d+)?$")]
    requires: list[str] = Field(default_factory=list)
    python: str = ""
    modules: list[ModuleModel] = Field(min_length=1)
    scripts: dict[str, str] = Field(default_factory=dict)
    yanked: str = ""
    corrupt: bool = False


class ProjectModel(_Model):
    """One project with its releases."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    description: str = ""
    releases: list[ReleaseModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> ProjectModel:
        versions = [release.version for release in self.releases]
        if len(set(versions)) != len(versions):
            raise ValueError(f"{self.name}: a version occurs twice")
        return self


class PackagesModel(_Model):
    """A package index under one host name."""

    host: Host
    projects: list[ProjectModel]
    faults: list[FaultModel] = Field(default_factory=list)


def normalised(name: str) -> str:
    """Return a project's name as addresses have it (PEP 503).

    >>> normalised("Tide_Table.core")
    'tide-table-core'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_name(project: ProjectModel, release: ReleaseModel) -> str:
    """Return the file name of a release (PEP 427)."""
    return f"{normalised(project.name).replace('-', '_')}-{release.version}-py3-none-any.whl"


def build_wheel(project: ProjectModel, release: ReleaseModel) -> bytes:
    """Build a release's wheel."""
    info = f"{normalised(project.name).replace('-', '_')}-{release.version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {project.name}",
        f"Version: {release.version}",
        f"Summary: {' '.join(project.description.split())}",
        *([f"Requires-Python: {release.python}"] if release.python else []),
        *(f"Requires-Dist: {needed}" for needed in release.requires),
    ]
    files = {module.path: module.text for module in release.modules}
    files[f"{info}/METADATA"] = "\n".join([*metadata, ""])
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: ise_gym\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if release.scripts:
        lines = [f"{name} = {target}" for name, target in sorted(release.scripts.items())]
        files[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""])
    rows = [
        f"{path},sha256={_digest(text.encode())},{len(text.encode())}" for path, text in sorted(files.items())
    ]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, text in sorted(files.items()):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class PackagesState(TypedDict):
    """All that requests change: how often each fault has shown, and how often each file was fetched."""

    faults: list[int]
    downloads: dict[str, int]


class PackageSite:
    """A `Site` that serves ``/simple/`` and the files that it links to."""

    def __init__(self, data: Mapping[str, Json], state: PackagesState | None = None) -> None:
        self._model = PackagesModel.model_validate(data)
        self.state: PackagesState = state or {"faults": [], "downloads": {}}
        self._faults = Faults(self._model.faults, self.state["faults"])
        self._projects = {normalised(project.name): project for project in self._model.projects}
        self._files = {
            wheel_name(project, release): (release, build_wheel(project, release))
            for project in self._model.projects
            for release in project.releases
        }

    def answer(self, request: Request) -> Response:
        """Serve an index page or a wheel, or a fault in its place."""
        fault, cut = self._faults.meet(request)
        if fault is not None:
            return fault
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"This index can only be read.\n", headers={"Allow": "GET, HEAD"})
        match [part for part in request.path.split("/") if part]:
            case [] | ["simple"]:
                links = [(f"/simple/{name}/", name, "") for name in sorted(self._projects)]
                return _page("Simple index", links)
            case ["simple", name] if normalised(name) in self._projects:
                return self._project(self._projects[normalised(name)])
            case ["files", name] if name in self._files:
                release, data = self._files[name]
                downloads = self.state["downloads"]
                downloads[name] = downloads.get(name, 0) + (request.method == "GET")
                shown = data[:-1] + bytes([data[-1] ^ 1]) if release.corrupt else data
                return Response(200, shown, "application/octet-stream", cut=cut)
        return Response(404, b"There is no such package.\n")

    def _project(self, project: ProjectModel) -> Response:
        links = []
        for release in project.releases:
            name = wheel_name(project, release)
            extra = f' data-requires-python="{html.escape(release.python)}"' if release.python else ""
            extra += f' data-yanked="{html.escape(release.yanked)}"' if release.yanked else ""
            links.append(
                (f"/files/{name}#sha256={hashlib.sha256(self._files[name][1]).hexdigest()}", name, extra)
            )
        return _page(f"Links for {project.name}", links)


def _page(title: str, links: list[tuple[str, str, str]]) -> Response:
    lines = [f'<a href="{address}"{extra}>{html.escape(text)}</a><br>' for address, text, extra in links]
    head = f"<!DOCTYPE html>\n<html><head><title>{html.escape(title)}</title></head><body>\n"
    return Response(
        200, (head + "\n".join(lines) + "\n</body></html>\n").encode(), "text/html; charset=utf-8"
    )


def pip_environment(hosts: list[str], port: int) -> dict[str, str]:
    """Return the variables that make ``pip`` use these indexes and behave the same at every call."""
    indexes = [f"http://{host}/simple/" for host in hosts]
    return {
        "PIP_INDEX_URL": indexes[0],
        **({"PIP_EXTRA_INDEX_URL": " ".join(indexes[1:])} if indexes[1:] else {}),
        "PIP_TRUSTED_HOST": " ".join(hosts),
        "PIP_PROXY": f"http://127.0.0.1:{port}",
        "PIP_RETRIES": "0",  # a fault is met where it stands, not waited out by the clock
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "0",  # pip reads its "no" options by their effect: don't compile, compiled files hold times
        "PIP_PROGRESS_BAR": "off",  # it prints speeds
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }

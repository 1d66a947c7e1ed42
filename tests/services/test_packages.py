"""The package index: read by a real pip where the box has one, and by plain requests everywhere."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from ise_gym.services import make_spec, start_services
from ise_gym.services.packages import PackageSite
from ise_gym.services.site import Request, Response
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Limits
from ise_gym.workspace.client.remote import BoxWorkspace

HOST = "pypi.a.example"


def release(version: str, text: str = "", **more: Any) -> dict[str, Any]:
    return {
        "version": version,
        "modules": [{"path": "tides/__init__.py", "text": text or f"V = '{version}'\n"}],
        **more,
    }


DATA = {
    "host": HOST,
    "projects": [
        {
            "name": "Tide_Tables",
            "description": "High and low water.",
            "releases": [
                release("1.0"),
                release("1.2", scripts={"tides": "tides:V.lower"}, requires=["moon-phase>=2"]),
                release("1.3", yanked="wrong figures"),
                release("2.0", python=">=3.99"),
            ],
        },
        {
            "name": "moon-phase",
            "releases": [{"version": "2.1", "modules": [{"path": "moon.py", "text": "PHASES = 8\n"}]}],
        },
        {
            "name": "broken",
            "releases": [
                {"version": "1", "modules": [{"path": "broken.py", "text": ""}], "corrupt": True},
            ],
        },
    ],
    "faults": [{"path": "/simple/moon-phase/", "status": 503, "times": 1}],
}


def get(site: PackageSite, path: str, method: str = "GET") -> Response:
    return site.answer(Request(method, HOST, path, target=path))


def test_pages_list_projects_and_files_with_their_hashes() -> None:
    site = PackageSite(DATA)  # type: ignore[arg-type]
    index = get(site, "/simple/").body.decode()
    assert re.findall(r'href="([^"]+)"', index) == ["/simple/broken/", "/simple/moon-phase/", "/simple/tide-tables/"]  # fmt: skip
    page = get(site, "/simple/Tide.Tables/").body.decode()
    links = re.findall(r'href="(/files/[^#]+)#sha256=(\w+)"', page)
    assert len(links) == 4
    for address, digest in links:
        assert hashlib.sha256(get(site, address).body).hexdigest() == digest
    assert 'data-yanked="wrong figures"' in page and 'data-requires-python="&gt;=3.99"' in page
    assert get(site, "/simple/nix/").status == 404
    assert get(site, "/files/nix.whl").status == 404
    assert get(site, "/simple/", "POST").status == 405


def test_wheels_are_the_same_bytes_each_time_and_whole() -> None:
    one = get(PackageSite(DATA), "/files/tide_tables-1.2-py3-none-any.whl").body  # type: ignore[arg-type]
    assert one == get(PackageSite(DATA), "/files/tide_tables-1.2-py3-none-any.whl").body  # type: ignore[arg-type]
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        names = archive.namelist()
        record = archive.read("tide_tables-1.2.dist-info/RECORD").decode()
        assert b"Requires-Dist: moon-phase>=2" in archive.read("tide_tables-1.2.dist-info/METADATA")
    assert sorted(line.split(",")[0] for line in record.splitlines()) == sorted(names)


def test_faults_are_counted_and_state_goes_on() -> None:
    site = PackageSite(DATA)  # type: ignore[arg-type]
    assert [get(site, "/simple/moon-phase/").status for _ in range(2)] == [503, 200]
    again = PackageSite(DATA, site.state)  # type: ignore[arg-type]
    assert get(again, "/simple/moon-phase/").status == 200


@pytest.mark.parametrize(
    ("projects", "words"),
    [
        ([{"name": "a", "releases": [release("1"), release("1")]}], "twice"),
        ([{"name": "-a", "releases": [release("1")]}], "name"),
        ([{"name": "a", "releases": [release("one")]}], "version"),
        (
            [{"name": "a", "releases": [{"version": "1", "modules": [{"path": "/etc/x", "text": ""}]}]}],
            "path",
        ),
    ],
)
def test_broken_specs_are_refused(projects: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_spec("packages", {"host": HOST, "projects": projects})


@pytest.fixture(scope="module")
def box() -> Iterator[BoxWorkspace]:
    workspace = open_workspace("auto", limits=Limits(memory_mb=512, disk_mb=64, command_timeout_s=60.0))
    assert isinstance(workspace, BoxWorkspace)
    start_services(workspace, [make_spec("packages", DATA)])
    if not workspace.exec(["python3", "-m", "pip", "--version"]).ok:
        workspace.close()
        pytest.skip("the box has no pip")
    yield workspace
    workspace.close()


def sh(box: BoxWorkspace, command: str) -> tuple[int | None, str]:
    done = box.exec(["bash", "-c", command], timeout=60.0)
    return done.exit_code, done.output.decode()


def test_pip_meets_a_fault_and_then_installs_the_same_files_each_time(box: BoxWorkspace) -> None:
    code, text = sh(box, "pip install --target lib tide-tables==1.2")
    assert code == 1 and "moon-phase" in text  # the index of what it requires is down once
    code, text = sh(box, "pip install --target lib tide-tables && ls lib/tides")
    assert code == 0, text
    assert "Successfully installed moon-phase-2.1 tide-tables-1.2" in text
    assert text.endswith("\n__init__.py\n")
    assert sh(box, "PYTHONPATH=lib python3 -c 'import tides, moon; print(tides.V, moon.PHASES)'")[1] == "1.2 8\n"  # fmt: skip


def test_pip_notices_a_file_that_is_not_the_announced_one(box: BoxWorkspace) -> None:
    code, text = sh(box, "pip install --no-deps --target other broken")
    assert code == 1 and "THESE PACKAGES DO NOT MATCH THE HASHES" in text

"""Archives that an agent may leave: bombs, liars and ruins are refused by name, and unpack nowhere."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import pytest
from harmless import harmless, named, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.checks import build_check
from ise_gym.scenario import CheckResult
from ise_gym.workspace.backends.dummy import DummyWorkspace


def zipped(method: int, size: int, names: int = 1) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", method) as archive:
        for n in range(names):
            archive.writestr(f"{n}.txt", bytes(size))
    return kept.getvalue()


def tarred(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w", format=form) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    return kept.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(found, key, value)
    return found


def claims(data: bytes, size: int) -> bytes:
    """Let a zip's directory and header claim another unpacked size."""
    at = data.index(b"PK\x01\x02")
    data = data[: at + 24] + struct.pack("<I", size) + data[at + 28 :]
    return data[:22] + struct.pack("<I", size) + data[26:]


def bombs() -> dict[str, bytes]:
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    deep = b"".join([*(zeros.compress(bytes(1 << 20)) for _ in range(300)), zeros.flush()])
    plain = zipped(zipfile.ZIP_STORED, 4, 3)
    sound = tarred(info("a.txt", size=10))
    return {
        "a bzip2 member of 100 MB": zipped(zipfile.ZIP_BZIP2, 100 << 20),
        "a bzip2 member that claims ten bytes": claims(zipped(zipfile.ZIP_BZIP2, 20 << 20), 10),
        "an LZMA member of 20 MB": zipped(zipfile.ZIP_LZMA, 20 << 20),
        "a deflated member of 100 MB": zipped(zipfile.ZIP_DEFLATED, 100 << 20),
        "a deflated member that claims ten bytes": claims(zipped(zipfile.ZIP_DEFLATED, 20 << 20), 10),
        "a member that claims 4 GB": claims(plain, 0xFFFFFFFE),
        "five thousand and one members": zipped(zipfile.ZIP_STORED, 0, 5001),
        "a gzip of 300 MB": deep,
        "a tar of a tar of zeros": gzip.compress(bytes(60 << 20)),
        "a tar of many members": tarred(*(info(f"{n}") for n in range(5100))),
        "a tar by bzip2": bz2.compress(sound),
        "a tar by xz": lzma.compress(sound),
        "a gzip cut short": gzip.compress(sound)[:-20],
        "a gzip with a wrong sum": gzip.compress(sound)[:-8] + b"12345678",
        "a gzip header only": b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
        "half a zip": plain[: len(plain) // 2],
        "a zip without its directory": plain[: plain.index(b"PK\x01\x02")],
        "a zip's end only": b"PK\x05\x06" + bytes(18),
        "a zip's end that points beyond": b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 46, 99, 0),
        "a zip64 end": b"PK\x05\x06" + b"\xff" * 18,
        "a zip whose member is damaged": plain.replace(bytes(4), b"abcd", 1),
        "an encrypted zip": plain[:6] + b"\x01\0" + plain[8:].replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\x01\0"),
        "an unknown method": plain[:8] + b"\x63\0" + plain[10:].replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x63\0"),
        "a tar cut short": sound[:700],
        "a tar with a wrong sum": sound[:150] + b"9" + sound[151:],
        "a tar member of negative size": sound[:124] + b"\xff" * 12 + sound[136:],
        "a tar member of 8 EB": sound[:124] + b"\x80" + b"\xff" * 11 + sound[136:],
        "a tar whose numbers are no numbers": sound[:124] + b"zzzzzzzzzzz\0" + sound[136:],
        "a pax header of garbage": tarred(info("x", pax_headers={"path": "y" * 3000, "size": "-1"})),
        "a pax header that claims 9 GB": b"././@PaxHeader".ljust(100, b"\0") + b"0000644\0" * 3 + b"77777777777\0" + bytes(300),
        "names that leave": tarred(info("../../etc/passwd", size=1), info("/etc/shadow", size=1)),
        "a link to the host": tarred(info("l", type=tarfile.SYMTYPE, linkname="/etc/shadow"), info("l/x", size=1)),
        "devices": tarred(info("d", type=tarfile.CHRTYPE, devmajor=1, devminor=3), info("f", type=tarfile.FIFOTYPE)),
        "a sparse member": tarred(info("s", type=tarfile.GNUTYPE_SPARSE, size=512), form=tarfile.GNU_FORMAT),
        "a name of 100 kB": tarred(info("n" * 100_000, size=1)),
        "a name that is no text": tarred(info("\udcff", size=1)),
        "zeros": bytes(1 << 20),
    }  # fmt: skip


@pytest.mark.parametrize("data", **named(bombs()))
def test_no_archive_harms_its_reader(data: bytes) -> None:
    box = DummyWorkspace()
    box.write("a.zip", data)
    check = build_check("archive", {"path": "a.zip", "equals": ["never.txt"]})
    assert "can't be checked" not in refused(lambda: check.run(box, {}))


def test_a_bomb_is_refused_by_its_method_and_size() -> None:
    box = DummyWorkspace()
    for method, size, word in (
        (zipfile.ZIP_BZIP2, 10 << 20, "another method"),
        (zipfile.ZIP_DEFLATED, 100 << 20, "unpacks to more"),
    ):
        box.write("a.zip", zipped(method, size))
        check = build_check("archive", {"path": "a.zip", "equals": ["0.txt"]})
        assert word in refused(lambda check=check: check.run(box, {}))  # type: ignore[misc]


@given(st.binary(max_size=400), st.sampled_from([b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b""]))
@settings(max_examples=100)
def test_any_bytes_get_a_verdict(data: bytes, start: bytes) -> None:
    box = DummyWorkspace()
    box.write("a", start + data)
    harmless(lambda: build_check("archive", {"path": "a", "equals": ["x"]}).run(box, {}))


@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=4))
@settings(max_examples=100)
def test_a_spoilt_archive_gets_a_verdict(place: int, bits: bytes) -> None:
    sound = zipped(zipfile.ZIP_DEFLATED, 2000, 2)
    at = place % len(sound)
    box = DummyWorkspace()
    box.write("a", sound[:at] + bits + sound[at + len(bits) :])
    harmless(lambda: build_check("archive", {"path": "a", "equals": ["0.txt", "1.txt"]}).run(box, {}))


def test_honest_archives_of_every_form_pass() -> None:
    for data in (
        zipped(zipfile.ZIP_DEFLATED, 100, 2),
        zipped(zipfile.ZIP_STORED, 100, 2),
        tarred(info("0.txt", size=5), info("1.txt", size=5)),
        gzip.compress(tarred(info("./0.txt", size=5), info("1.txt", size=5))),
    ):
        box = DummyWorkspace()
        box.write("a", data)
        found: CheckResult = build_check("archive", {"path": "a", "equals": ["0.txt", "1.txt"]}).run(box, {})
        assert found.passed, found.reason

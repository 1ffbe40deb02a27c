"""Definitions and archives of other programs, which came from anywhere."""

from __future__ import annotations

import io
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.broken import DEEP, DIGITS, encoded, markup, quick, texts, told, trees
from vmtui.images import vmdk
from vmtui.images.formats import probe, read_text
from vmtui.images.imports.archive import extract_zip, zip_members
from vmtui.images.imports.foreign import Foreign
from vmtui.images.imports.sources import DEFINITION_LIMIT_BYTES, chosen, locate, verify
from vmtui.spec import BLANK
from vmtui.spec_problems import problems
from vmtui.units import MIB

FOLDER = Path(__file__).parent.parent / "unit" / "foreign"
OVF = tuple((FOLDER / name).read_text("utf-8") for name in ("virtualbox.ovf", "vmware.ovf"))
VMX = (FOLDER / "vmware.vmx").read_text("utf-8")
LIBVIRT = (FOLDER / "libvirt.xml").read_text("utf-8")
QUICKEMU = (FOLDER / "quickemu.conf").read_text("utf-8")
LIMA = (FOLDER / "lima.yaml").read_text("utf-8")
DISKS = ("Windows 11-disk001.vmdk", "Windows 11-disk002.vmdk", "db-disk1.vmdk", "mail.vmdk")
DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=4c406a97
parentCID=ffffffff
createType="twoGbMaxExtentFlat"

RW 8 FLAT "part" 0
RW 8 FLAT "mail.vmdk" 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a definition is, and the disks that the examples name."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in (*DISKS, "diffdisk", "part"):
        (folder / name).write_bytes(bytes(512))
    (folder / "disk.vmdk").write_text(DESCRIPTOR)
    return folder


def looked_at(path: Path) -> None:
    """All that comes before QEMU is asked about the disks, and what a VM of it would be."""
    located = locate(path)
    for piece in located.disks:
        vmdk.check(piece.path, piece.offset_bytes)
    for _ in verify(located):
        pass
    foreign = located.foreign
    assert isinstance(foreign, Foreign)
    assert all(isinstance(driver, str) for driver in foreign.drivers)
    problems(foreign.spec("web", BLANK))


definitions = st.one_of(
    st.tuples(st.just("a.ovf"), encoded(markup(*OVF))),
    st.tuples(st.just("a.xml"), encoded(markup(LIBVIRT))),
    st.tuples(st.just("a.vmx"), encoded(texts(VMX))),
    st.tuples(st.just("a.conf"), encoded(texts(QUICKEMU))),
    st.tuples(
        st.just("a.yaml"), encoded(texts(LIMA) | trees(yaml.safe_load(LIMA)).map(yaml.safe_dump))
    ),
    st.tuples(st.just("disk.vmdk"), encoded(texts(DESCRIPTOR))),
)


@quick
@given(made=definitions)
def test_definitions(folder: Path, made: tuple[str, bytes]) -> None:
    name, content = made
    (folder / name).write_bytes(content)
    told(lambda: looked_at(folder / name))


@quick
@given(content=encoded(texts("SHA256(a.ovf)= " + "0" * 64 + "\nSHA1(part)= abc\n")))
def test_manifests(folder: Path, content: bytes) -> None:
    (folder / "listed.ovf").write_text(OVF[1])
    (folder / "listed.mf").write_bytes(content)
    told(lambda: looked_at(folder / "listed.ovf"))


_names = st.sampled_from(
    [
        *("a.ovf", "a.mf", "db-disk1.vmdk", "x/a.ovf", "A.OVF", "é.ovf"),
        *("../outside", "/tmp/outside", "x/../../outside", "C:\\x", "a\\..\\b"),
        *("..", ".", "", "a\nb", "x" * 300),
    ]
)
_contents = st.sampled_from([OVF[1].encode(), b"", b"KDMV" + bytes(508), bytes(600)])
_members = st.lists(st.tuples(_names, _contents, st.sampled_from("0000123567")), max_size=5)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """With names, kinds and sizes that an archive of a VM has not, and at times damaged."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content, kind in draw(_members):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind.encode(), "../outside"
            member.size = len(content) if kind == "0" else 0
            archive.addfile(member, io.BytesIO(content))
    return draw(damaged(made.getvalue()))


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    """The same as a zip; some of it are links."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the two files of one name, which are meant
        for name, content, kind in draw(_members):
            entry = zipfile.ZipInfo(name or "x")
            entry.filename = name  # also what its class would not take
            entry.external_attr = (0o120777 if kind == "2" else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return draw(damaged(made.getvalue()))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """With a few bytes that are others, and at times cut off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        found[draw(st.integers(0, len(found) - 1))] = draw(st.integers(0, 255))
    return bytes(found[: draw(st.integers(0, len(found)))] if draw(st.booleans()) else found)


@contextmanager
def nothing_outside(folder: Path) -> Iterator[Path]:
    """A folder to unpack into; nothing comes to be beside it."""
    inside = folder / "inside"
    inside.mkdir()
    before = {path for path in folder.rglob("*") if inside not in path.parents}
    try:
        yield inside
    finally:
        after = {path for path in folder.rglob("*") if inside not in path.parents}
        assert after == before
        assert not Path("/tmp/outside").exists()
        assert all(inside in path.resolve().parents for path in inside.rglob("*"))
        _emptied(inside)


def _emptied(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


@quick
@given(content=tars())
def test_tars(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "a.ova"
    path.write_bytes(content)
    told(lambda: looked_at(path))


@quick
@given(content=zips())
def test_zips(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "zips"
    folder.mkdir(exist_ok=True)
    path = folder / "a.zip"
    path.write_bytes(content)
    with nothing_outside(folder) as inside:
        told(lambda: unpacked(path, inside))


def unpacked(path: Path, inside: Path) -> None:
    """As an import does it."""
    if probe(path) != "zip":
        return
    members = zip_members(path)
    name = chosen([member.name for member in members], path.name)
    for _ in extract_zip(path, members, inside, MIB):
        pass
    locate(inside / name, from_archive=True)


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ovf", "<Envelope>" + "<a>" * DEEP + "</a>" * DEEP + "</Envelope>"),
        ("a.xml", "<domain type='kvm'>" + "<devices>" * DEEP),
        ("a.xml", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><domain type='kvm'>&a;</domain>"),
        ("a.yaml", "images: " + "[" * DEEP),
        ("a.yaml", BOMB + "images: [{location: diffdisk}]\nmessage: *a29\nuser: {name: *a29}\n"),
        ("a.yaml", BOMB + "images: [{location: *a29}]\n"),
        ("a.yaml", "images: [{location: x}]\nmemory: " + "9" * DIGITS + "\n"),
        ("a.yaml", '!!int ""'),
        ("a.yaml", '!!float ""'),
        ("a.yaml", "!!bool perhaps"),
        ("a.yaml", "!!timestamp soon"),
        ("a.yaml", "? [a, b]\n: c"),
        ("a.vmx", 'config.version = "8"\n' + 'memsize = "' + "9" * DIGITS + '"'),
        ("a.conf", "disk_img=" + "\\" * DEEP),
        ("a.conf", "disk_img=" + "'" * (DEEP + 1)),
    ],
    ids=lambda text: text[:24],
)
def test_what_no_program_writes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_text(tmp_path / name, DEFINITION_LIMIT_BYTES) == text
    assert told(lambda: looked_at(tmp_path / name))

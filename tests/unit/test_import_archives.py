import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vmtui.errors import InputError
from vmtui.images.imports.archive import extract_zip, tar_members, zip_members
from vmtui.images.pieces import in_thread
from vmtui.progress import no_progress
from vmtui.units import MIB

Members = Callable[[Path], object]


def tar(path: Path, *entries: tarfile.TarInfo | str) -> Path:
    with tarfile.open(path, "w") as archive:
        for entry in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            content = b"content" if info.isreg() else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def of_type(kind: bytes, name: str = "disk.vmdk", to: str = "/etc/shadow") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def zipped(path: Path, *names: str, mode: int = stat.S_IFREG, content: bytes = b"content") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def refused(members: Members, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        members(path)
    assert "\x1b" not in str(caught.value)
    return str(caught.value)


OUTSIDE = ["/etc/shadow", "../../evil", "a/../../evil", "..", "C:evil", "..\\evil", "a\x1b[2J"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_would_lie_elsewhere_is_refused_by_name(tmp_path: Path, name: str) -> None:
    assert "would lie outside" in refused(tar_members, tar(tmp_path / "a.ova", "a.ovf", name))
    assert "would lie outside" in refused(zip_members, zipped(tmp_path / "a.zip", "a", name))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_what_is_no_file_is_refused_by_name(tmp_path: Path, kind: bytes, said: str) -> None:
    path = tar(tmp_path / "a.ova", "a.ovf", of_type(kind))
    assert f"'disk.vmdk' in it is {said}" in refused(tar_members, path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "disk.vmdk", mode=stat.S_IFLNK)
    assert "'disk.vmdk' in it is a link" in refused(zip_members, path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # it is what is tested
def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for names in (("a", "a"), ("disk", "DISK"), ("a/b", "./a//b")):
        assert "has two files" in refused(tar_members, tar(tmp_path / "a.ova", *names))
        assert "has two files" in refused(zip_members, zipped(tmp_path / "a.zip", *names))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.ova", *map(str, range(1001)))
    assert "over 1000 files" in refused(tar_members, path)


def test_where_a_file_lies_in_a_tar(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.ova", "a.ovf", of_type(tarfile.DIRTYPE, "folder"), "folder/b.vmdk")
    ovf, disk = tar_members(path)
    assert (ovf.name, disk.name) == ("a.ovf", "folder/b.vmdk")
    piece = path.read_bytes()[disk.offset_bytes : disk.offset_bytes + disk.size_bytes]
    assert piece == b"content"


def test_a_size_beyond_the_end_is_damage(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.ova", "a.ovf")
    header = tarfile.TarInfo("disk.vmdk")
    header.size = 1 << 40
    path.write_bytes(path.read_bytes()[:1024] + header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "ends within 'disk.vmdk'" in refused(tar_members, path)


def test_a_header_that_is_read_whole_is_limited(tmp_path: Path) -> None:
    header = tarfile.TarInfo("much")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    path = tmp_path / "a.ova"
    path.write_bytes(header.tobuf())
    with path.open("ab") as file:
        file.truncate(1 << 31)
    assert "a header of over 16 MiB" in refused(tar_members, path)


def sparse(records: dict[str, str]) -> bytes:
    """The headers of a member that is stored with holes, as GNU tar writes them in 1.0."""
    info = tarfile.TarInfo("disk.raw")
    info.size = 512
    info.pax_headers = {f"GNU.sparse.{key}": value for key, value in records.items()}
    return info.tobuf(tarfile.PAX_FORMAT)


def test_a_file_with_holes_is_refused_and_its_list_of_them_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    header = sparse({"major": "1", "minor": "0", "realsize": "4096"})
    path.write_bytes(header + b"1\n0\n0\n".ljust(512, b"\0") + bytes(1024))
    assert "'disk.raw' is stored with holes" in refused(tar_members, path)
    path.write_bytes(header + b"9999999999\n" + b"0\n" * 2 * MIB)
    assert "its headers are too large" in refused(tar_members, path)
    old = bytearray(tarfile.TarInfo("disk.raw").tobuf(tarfile.GNU_FORMAT))
    old[156:157], old[482] = tarfile.GNUTYPE_SPARSE, 1
    old[148:156] = b" " * 8
    old[148:156] = f"{sum(old):06o}\0 ".encode()
    path.write_bytes(old)
    assert "is damaged" in refused(tar_members, path)


@pytest.mark.parametrize("members", [tar_members, zip_members])
def test_no_archive_at_all(tmp_path: Path, members: Members) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"no archive" * 1000)
    assert "is damaged" in refused(members, path)


async def extract(path: Path, folder: Path, limit_bytes: int) -> None:
    folder.mkdir(exist_ok=True)
    await in_thread(extract_zip(path, zip_members(path), folder, limit_bytes), no_progress)


async def test_a_zip_is_unpacked_up_to_a_limit(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "a/b.ovf", "c", content=bytes(8 * MIB) + b"end")
    folder = tmp_path / "out"
    await extract(path, folder, 32 * MIB)
    assert (folder / "a/b.ovf").read_bytes() == bytes(8 * MIB) + b"end"
    assert (folder / "c").stat().st_blocks * 512 < MIB
    with pytest.raises(InputError, match="more than 10 MiB"):
        await extract(path, tmp_path / "small", 10 * MIB)


async def test_a_zip_that_lies_about_sizes_ends_as_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "a", content=bytes(8 * MIB))
    # The size unpacked, in the list at the end (APPNOTE 4.3.12): 24 bytes behind its signature.
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        await extract(path, tmp_path / "out", 4 * MIB)
    assert not (tmp_path / "out" / "a").exists()

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vmtui.errors import ConfigError, UnsupportedError
from vmtui.images.catalogue import Entry, catalogue, host_arch, own_path, parse
from vmtui.images.checksums import published
from vmtui.images.image import ImageKind
from vmtui.units import GIB, MIB

GOOD = """
[mine]
url.amd64 = "https://example.org/images/mine.qcow2"
checksums = "SHA256SUMS"
"""


@pytest.fixture
def shipped(tmp_path: Path) -> dict[str, Entry]:
    return catalogue(tmp_path / "images.toml")


def test_all_that_is_promised_is_shipped(shipped: dict[str, Entry]) -> None:
    projects = ["alpine", "arch", "debian", "fedora", "freebsd", "opensuse", "rocky", "ubuntu"]
    assert sorted({re.split(r"-\d|-leap", name)[0] for name in shipped}) == projects
    assert {"debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"} <= set(shipped)


def test_everything_is_verified_and_comes_over_tls(shipped: dict[str, Entry]) -> None:
    for entry in shipped.values():
        assert entry.kind is ImageKind.CLOUD
        assert entry.user
        assert entry.disk_minimum_bytes
        assert entry.memory_minimum_bytes
        assert "amd64" in entry.origins
        for origin in entry.origins.values():
            assert origin.algorithm in ("sha256", "sha512")
            assert origin.sum or origin.checksums_url
            assert bool(origin.keyrings) == bool(origin.signature_url or origin.signed_inside)
            for url in (origin.url, origin.checksums_url, origin.signature_url):
                assert urlsplit(url).scheme in ("https", "")


def test_addresses_beside_the_image(shipped: dict[str, Entry]) -> None:
    alpine = shipped["alpine-3.24"].origin("amd64")
    assert alpine.checksums_url == alpine.url + ".sha512"
    ubuntu = shipped["ubuntu-24.04"].origin("arm64")
    assert ubuntu.signature_url.endswith("/releases/24.04/release/SHA256SUMS.gpg")
    fedora = shipped["fedora-44"].origin("arm64")
    assert fedora.signed_inside
    assert fedora.checksums_url.endswith("/images/Fedora-Cloud-44-1.7-aarch64-CHECKSUM")


def test_an_architecture_that_there_is_not(shipped: dict[str, Entry]) -> None:
    assert host_arch() in ("amd64", "arm64")
    with pytest.raises(UnsupportedError, match="published for amd64 only"):
        shipped["arch"].origin("arm64")


def test_the_users_own_come_beside_and_instead(tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(GOOD + GOOD.replace("mine", "debian-12"))
    found = catalogue(path)
    assert found["mine"].title == "mine"
    assert found["debian-12"].origin("amd64").url.startswith("https://example.org/")
    assert "debian-13" in found


def test_where_the_users_own_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert own_path() == tmp_path / "vmtui" / "images.toml"


def test_sizes() -> None:
    entry = parse(GOOD + 'disk = "3G"\nmemory = "512M"', "f")["mine"]
    assert (entry.disk_minimum_bytes, entry.memory_minimum_bytes) == (3 * GIB, 512 * MIB)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mine", "not valid TOML"),
        ('["a/b"]\nurl.amd64 = "https://e.org/i"', "a slash"),
        ("[mine]", "url"),
        ("[mine]\nurl = {}", "no address"),
        (GOOD + "sise = 3", "sise"),
        (GOOD + 'disk = "3"', "no unit"),
        (GOOD + 'algorithm = "md5"', "md5"),
        (GOOD.replace("https:", "file:"), "https://"),
        (GOOD.replace("mine.qcow2", ""), "names no file"),
        (GOOD.replace("mine.qcow2", "..%2F..%2Fevil"), "names no file"),
        (GOOD.replace('checksums = "SHA256SUMS"', ""), "nothing is used unverified"),
        (GOOD.replace("amd64", "vax"), "vax"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "images.toml")
    assert "images.toml" in str(caught.value)
    assert told in str(caught.value)


A, B = "a" * 64, "B" * 64


@pytest.mark.parametrize(
    "listing",
    [
        f"{A}  i.img\n{B}  other.img\n",
        f"{B} *other.img\n{A} *i.img\n",
        f"{A}  ./i.img\n{B}  ./other.img\n",
        f"# i.img: 1234 bytes\nSHA256 (i.img) = {A}\nSHA256 (other.img) = {B}\n",
        f"SHA512 (i.img) = {'c' * 128}\nSHA256 (i.img) = {A}\nSHA256 (o.img) = {B}",
        f"{A}\n",
        f"{A}  a-build-of-today.img\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  i.img\n{B}  o.img\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n",
    ],
)
def test_forms_of_checksum_lists(listing: str) -> None:
    assert published(listing, "i.img", "sha256") == A


@pytest.mark.parametrize(
    "listing", ["", "<html>404</html>", f"{A}  a\n{B}  b\n", f"MD5 (i.img) = {'a' * 32}", A[:-1]]
)
def test_lists_without_the_file(listing: str) -> None:
    assert published(listing, "i.img", "sha256") is None

"""How a VM is reached from outside: viewers on the desktop, and ssh."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vmtui.backends.kvm.checked import convert
from vmtui.backends.libvirt import domain_facts
from vmtui.backends.libvirt.display import viewer_of
from vmtui.backends.ways_in import Viewer
from vmtui.errors import InputError, MissingError, OperationError, StateError, UnsupportedError
from vmtui.model import VM, Nic, SshAccess, State, VMId
from vmtui.ssh import argv, copying, may_find_a_way
from vmtui.viewer import Opening, opening, start

ID = VMId("6f0e1c9a-0000-4000-8000-000000000001")
SOCKET = Viewer("vnc", socket="/run/vnc.sock")
PORT = Viewer("vnc", host="127.0.0.1", port=5901)
DESKTOP = {"WAYLAND_DISPLAY": "wayland-0"}


def having(*programs: str) -> Callable[[str], str | None]:
    return lambda program: f"/usr/bin/{program}" if program in programs else None


@pytest.mark.parametrize(
    ("viewer", "programs", "wanted"),
    [
        (SOCKET, ("vncviewer", "remote-viewer"), ("vncviewer", "/run/vnc.sock")),
        (SOCKET, ("xtigervncviewer", "vncviewer"), ("xtigervncviewer", "/run/vnc.sock")),
        (
            Viewer("spice", socket="/run/s.sock"),
            ("vncviewer", "remote-viewer"),
            ("remote-viewer", "spice+unix:///run/s.sock"),
        ),
        (PORT, ("vncviewer",), ("vncviewer", "127.0.0.1::5901")),
        (PORT, ("vncviewer", "remote-viewer"), ("remote-viewer", "vnc://127.0.0.1:5901")),
        (
            replace(PORT, host="fd00::1"),
            ("remote-viewer",),
            ("remote-viewer", "vnc://[fd00::1]:5901"),
        ),
        (
            replace(SOCKET, ssh="me@lab", libvirt_uri="qemu+ssh://me@lab/system"),
            ("virt-viewer", "vncviewer"),
            ("virt-viewer", "--connect", "qemu+ssh://me@lab/system", "--uuid", "--", ID),
        ),
    ],
)
def test_on_a_desktop_the_best_viewer_is_opened(
    viewer: Viewer, programs: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    found = opening(viewer, ID, environment=DESKTOP, which=having(*programs))
    assert found == Opening(argv=wanted)


def test_a_desktop_without_a_viewer_says_what_to_install() -> None:
    # remote-viewer takes sockets for SPICE only.
    with pytest.raises(MissingError, match="no viewer") as raised:
        opening(SOCKET, ID, environment=DESKTOP, which=having("remote-viewer"))
    assert "tigervnc-viewer" in raised.value.hint


@pytest.mark.parametrize(
    ("viewer", "environment", "tunnel"),
    [
        (
            SOCKET,
            {"USER": "me", "SSH_CONNECTION": "10.0.0.9 5 10.0.0.1 22"},
            "ssh -N -L 5999:/run/vnc.sock me@10.0.0.1",
        ),
        (replace(PORT, ssh="me@lab"), {}, "ssh -N -L 5999:127.0.0.1:5901 me@lab"),
        (replace(PORT, ssh="lab:2200"), DESKTOP, "ssh -N -L 5999:127.0.0.1:5901 -p 2200 lab"),
        (
            replace(SOCKET, socket="/a b'c", ssh="lab"),
            {},
            "ssh -N -L '5999:/a b'\"'\"'c' lab",
        ),
    ],
)
def test_elsewhere_the_tunnel_is_told(
    viewer: Viewer, environment: dict[str, str], tunnel: str
) -> None:
    found = opening(viewer, ID, environment=environment, which=having())
    assert found.steps == (tunnel, "remote-viewer vnc://localhost:5999")


async def test_a_viewer_is_started_apart_from_vmtui(tmp_path: Path) -> None:
    told = tmp_path / "told"
    await start(["sh", "-c", 'ps -o sid= -p $$ >"$1"; tty >>"$1"; exit 0', "sh", str(told)])
    session, terminal = told.read_text("utf-8").splitlines()
    assert terminal == "not a tty"
    assert session.strip().isdecimal()


async def test_a_viewer_that_fails_is_told_of() -> None:
    with pytest.raises(OperationError, match="ended at once") as raised:
        await start(["sh", "-c", "exit 3"])
    assert "exit status 3" in raised.value.why
    with pytest.raises(MissingError):
        await start(["/nowhere/viewer"])


GRAPHICS = """<domain type='kvm'><devices><graphics type='sdl'/>
<graphics type='{}' {}</graphics></devices></domain>"""


@pytest.mark.parametrize(
    ("graphics", "uri", "wanted"),
    [
        (
            ("vnc", "port='5900' autoport='yes' listen='127.0.0.1'><listen type='address'/>"),
            "qemu:///system",
            Viewer("vnc", host="127.0.0.1", port=5900),
        ),
        (
            ("vnc", "port='5900' listen='0.0.0.0'>"),
            "qemu+tls://lab/system",
            Viewer("vnc", host="lab", port=5900),
        ),
        (
            ("spice", "port='5901'><listen type='address' address='0.0.0.0'/>"),
            "qemu+ssh://me@lab:2200/system",
            Viewer("spice", host="127.0.0.1", port=5901, ssh="me@lab:2200"),
        ),
        (
            ("vnc", "><listen type='socket' socket='/run/v.sock'/>"),
            "qemu:///session",
            Viewer("vnc", socket="/run/v.sock"),
        ),
    ],
)
def test_a_domain_says_where_its_screen_is_served(
    graphics: tuple[str, str], uri: str, wanted: Viewer
) -> None:
    found = viewer_of(GRAPHICS.format(*graphics), uri, "web")
    assert found == replace(wanted, libvirt_uri=uri)


def test_a_domain_that_serves_no_screen_says_so() -> None:
    with pytest.raises(UnsupportedError, match="nothing can view web"):
        viewer_of(GRAPHICS.format("vnc", "port='-1'>"), "qemu:///system", "web")


# -- ssh ---------------------------------------------------------------------------------------

WEB = VM(
    ID,
    "web",
    State.RUNNING,
    1,
    2**28,
    nics=(Nic("52:54:00:00:00:01", "user"),),
    addresses=("fe80::1", "127.0.0.1", "not an address", "-oProxyCommand=x", "fd00::2", "10.0.0.7"),
)


BOTH = replace(WEB, nics=(*WEB.nics, Nic("52:54:00:00:00:02", "bridge br0")))
FORWARDED = replace(WEB, ssh=SshAccess("me", 2222, "127.0.0.1"))


@pytest.fixture(autouse=True)
def _own_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data of 100%")


def settings(argv: list[str]) -> list[str]:
    return [value for option, value in itertools.pairwise(argv) if option == "-o"]


def test_ssh_goes_to_the_best_address() -> None:
    words = argv(replace(WEB, ssh=SshAccess("admin", 2222)), "qemu:///system", ["uname", "-a"])
    assert words[-4:] == ["--", "10.0.0.7", "uname", "-a"]
    assert {"User=admin", "Port=2222"} <= set(settings(words))
    bare = argv(WEB, "qemu:///system")
    assert bare[-2:] == ["--", "10.0.0.7"]
    told = settings(bare)
    assert not any(setting.startswith(("User=", "Port=", "ProxyJump=")) for setting in told)


def test_ssh_to_a_remote_hosts_vm_goes_through_the_host() -> None:
    assert "ProxyJump=me@lab:2200" in settings(argv(WEB, "qemu+ssh://me@lab:2200/system"))


def test_ssh_knows_vms_by_their_ids_apart_from_the_users_own_hosts() -> None:
    words = argv(FORWARDED, "kvm:")
    assert words[-1] == "127.0.0.1"
    file = f"/data of 100%%/vmtui/known_hosts/{ID}"
    assert {f'UserKnownHostsFile="{file}"', f"HostKeyAlias=vmtui-{ID}"} <= set(settings(words))
    # ssh's own reading of it; the file has the sign once.
    command = [*words[:-2], "-G", "127.0.0.1"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"userknownhostsfile {file}" in told.replace("100%/", "100%%/")
    assert f"hostkeyalias vmtui-{ID}" in told


def test_nothing_is_noted_of_a_throwaway_vm() -> None:
    words = settings(argv(replace(FORWARDED, throwaway=True), "kvm:"))
    assert 'UserKnownHostsFile="/dev/null"' in words


@pytest.mark.parametrize(
    ("to_guest", "recursive", "ending"),
    [
        (True, False, ["--", "./a b", "127.0.0.1:b"]),
        (False, True, ["--", "127.0.0.1:./a b", "b"]),
    ],
)
def test_scp_goes_both_ways(to_guest: bool, recursive: bool, ending: list[str]) -> None:
    words = copying(FORWARDED, "kvm:", "./a b", "b", to_guest=to_guest, recursive=recursive)
    assert words[0] == "scp"
    assert words[-3:] == ending
    assert ("-r" in words) is recursive
    assert {"Port=2222", "User=me"} <= set(settings(words))


def test_scp_needs_brackets_around_colons() -> None:
    six = replace(WEB, addresses=("fd00::2",))
    assert copying(six, "kvm:", "a", "", to_guest=True, recursive=False)[-1] == "[fd00::2]:"


@pytest.mark.parametrize(
    ("vm", "uri", "error", "words"),
    [
        (replace(WEB, state=State.OFF), "kvm:", StateError, "it is off"),
        (replace(WEB, addresses=()), "kvm:", OperationError, 'forward = ["2222:22"]'),
        (replace(WEB, addresses=("fe80::1",)), "qemu:///system", OperationError, "guest agent"),
        (replace(BOTH, addresses=()), "kvm:", OperationError, "no address of it is known"),
        (replace(WEB, addresses=(), nics=()), "kvm:", OperationError, "no network card"),
        (replace(WEB, ssh=SshAccess("-x")), "kvm:", InputError, "not a user's name"),
    ],
)
def test_ssh_says_what_is_missing(vm: VM, uri: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        argv(vm, uri)
    assert words in f"{raised.value.args[0]} {getattr(raised.value, 'why', '')} " + getattr(
        raised.value, "hint", ""
    )


@pytest.mark.parametrize(
    ("vm", "uri", "may"),
    [
        (BOTH, "kvm:", True),
        (replace(BOTH, nics=BOTH.nics[1:]), "kvm:", True),
        (WEB, "qemu:///system", True),  # its agent tells
        (WEB, "kvm:", False),
        (replace(WEB, nics=(Nic(None, "isolated"),)), "kvm:", False),
        (replace(BOTH, nics=()), "kvm:", False),
        (replace(BOTH, state=State.OFF), "kvm:", False),
        (replace(BOTH, ssh=SshAccess("me", 2222, "127.0.0.1")), "kvm:", False),
    ],
)
def test_an_address_may_come_where_somebody_could_tell_it(vm: VM, uri: str, may: bool) -> None:
    assert may_find_a_way(replace(vm, addresses=("fe80::1",)), uri) is may
    assert not may_find_a_way(replace(vm, addresses=("10.0.0.7",)), uri)


TOML = {"version": 1, "uuid": ID, "vcpus": 1, "memory": "256M", "boot": "micro"}
MAC = "52:54:00:00:00:01"


def test_a_definition_says_how_ssh_gets_in() -> None:
    nic = {"mac": MAC, "forward": ["8080:80", "2222:22"]}
    definition = convert({**TOML, "nic": [nic], "ssh": {"user": "admin"}})
    assert definition.ssh_access == SshAccess("admin", 2222, "127.0.0.1")
    assert convert({**TOML, "ssh": {"port": 2022}}).ssh_access == SshAccess("", 2022)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nic": [{"mac": MAC, "forward": ["22"]}]},
        {"nic": [{"mac": MAC, "forward": ["2222:22,id=x"]}]},
        {"nic": [{"mac": MAC, "forward": ["0:22"]}]},
        {"nic": [{"mac": MAC, "forward": ["70000:22"]}]},
        {"nic": [{"mac": MAC, "network": "tap", "tap": "tap0", "forward": ["2222:22"]}]},
        {"ssh": {"user": "-oProxyCommand=x"}},
        {"ssh": {"port": 0}},
    ],
)
def test_a_definition_that_ssh_can_not_use_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"nic|ssh"):
        convert({**TOML, **wrong})


def test_vmtuis_own_metadata_of_a_domain_says_who_ssh_is() -> None:
    xml = (
        "<domain type='qemu'><metadata><v:vm xmlns:v='urn:vmtui:domain:1' {}/></metadata></domain>"
    )
    read = domain_facts.read(ID, "web", xml.format("ssh-user='me' ssh-port='2200'"))
    assert read.vm.ssh == SshAccess("me", 2200)
    wrong = domain_facts.read(ID, "web", xml.format("ssh-port='x'"))
    assert wrong.vm.ssh == SshAccess()

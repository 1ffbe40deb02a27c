from pathlib import Path
from subprocess import run

import pytest

from vmtui.cloud_problems import TEXT_LIMIT_BYTES, cloud_problems, is_public_key
from vmtui.parts import CloudInit


def found(cloud: CloudInit) -> list[tuple[str, str]]:
    return [(problem.field, problem.text) for problem in cloud_problems(cloud)]


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_that_ssh_keygen_makes_are_taken(tmp_path: Path, kind: str) -> None:
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me @ desk", "-f", str(tmp_path / "k")]
    run(argv, check=True)
    key = (tmp_path / "k.pub").read_text().strip()
    assert found(CloudInit(ssh_keys=(key,))) == []
    assert is_public_key(" ".join(key.split()[:2]))
    assert not is_public_key(key.replace("ssh-", "sk-ssh-", 1).replace("ecdsa-", "sk-ecdsa-", 1))
    assert not is_public_key(f"{key}\n{key}")
    private = (tmp_path / "k").read_text()
    assert found(CloudInit(ssh_keys=(private,))) == [("ssh_keys", "That is a private key.")]


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa !! me", "hello"])
def test_other_texts_are_no_keys(key: str) -> None:
    assert [field for field, _ in found(CloudInit(ssh_keys=(key,)))] == ["ssh_keys"]


def test_hashes_are_taken_and_passwords_are_not() -> None:
    for how in ("-5", "-6"):
        argv = ["openssl", "passwd", how, "-stdin"]
        made = run(argv, input="secret", capture_output=True, text=True, check=True).stdout.strip()
        assert found(CloudInit(password_hash=made)) == []
        assert found(CloudInit(password_hash=made[:-1])) != []
    yescrypt = "$y$j9T$vF4YsDfpHUzlgF1ApNVt40$sZ3dgGVqxQKdcIcd3iXcHZw/mMbQwyTvYVO0qWg0DR6"
    assert found(CloudInit(password_hash=yescrypt)) == []
    for password in ("secret", "$ecret$", "$6$secret", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"):
        assert [field for field, _ in found(CloudInit(password_hash=password))] == ["password_hash"]


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\npackages: [vim]\n",
        "#!/bin/sh\n: not yaml: [",
        "## template: jinja\n#cloud-config\n{% if 1 %}\n",
        "MIME-Version: 1.0\n",
        "#cloud-config-archive\n- type: text/plain\n",
    ],
)
def test_user_data_of_every_kind_is_taken(text: str) -> None:
    assert found(CloudInit(user_data=text)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("packages: [vim]", "starts with"),
        ("#cloud-config\npackages: [vim", "line 3: did not find expected"),
        ("#cloud-config\n- a\n", "no `key: value`"),
        ("#cloud-config\n", "no `key: value`"),
        ("#cloud-config\na: \x1b[31m\n", "no valid YAML"),
        ("#cloud-config\n" + "[" * 10_000, "no valid YAML"),
        ("#cloud-config\na: " + "x" * TEXT_LIMIT_BYTES, "is the limit"),
    ],
)
def test_user_data_that_cloud_init_would_not_read_is_refused(text: str, words: str) -> None:
    [(field, told)] = found(CloudInit(user_data=text))
    assert field == "user_data"
    assert words in told
    assert "\x1b" not in told


def test_a_network_config_is_yaml() -> None:
    assert found(CloudInit(network_config="version: 2\nethernets: {}\n")) == []
    assert [field for field, _ in found(CloudInit(network_config="x"))] == ["network_config"]

"""vmtui killed at any moment of what changes something: nothing is lost, and nothing left over.

`make hard` does it 200 times, each run of the tests a few.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fault.hard import KILLS
from tests.fault.operations import OPERATIONS, Edit, Operation, Site, content
from tests.fault.warm import Warm
from tests.guest.sector import write_image
from tests.loopback import serving
from vmtui.units import MIB

pytestmark = pytest.mark.slow

IMAGE_BYTES = 24 * MIB
OTHERS = ("vms/keep", "images/tiny")
"""What is of no concern to any of the commands."""


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as made:
        root = Path(made)
        folders = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "XDG_DATA_HOME": "data",
            "XDG_STATE_HOME": "state",
            "XDG_CONFIG_HOME": "config",
            "XDG_CACHE_HOME": "cache",
            "XDG_RUNTIME_DIR": "run",
        }
        for name in folders.values():
            (root / name).mkdir(mode=0o700)
        proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
        kept = {name: value for name, value in os.environ.items() if name not in proxies}
        environment = kept | {name: str(root / folder) for name, folder in folders.items()}
        disk = os.urandom(IMAGE_BYTES)
        (root / "foreign.raw").write_bytes(disk)
        async with serving() as server:
            url = server.serve("/published.raw", disk)
            sum_ = hashlib.sha256(disk).hexdigest()
            (root / "config" / "vmtui").mkdir()
            (root / "config" / "vmtui" / "config.toml").write_text('connections = ["kvm:"]')
            (root / "config" / "vmtui" / "images.toml").write_text(
                f'[published]\nurl.amd64 = "{url}"\nurl.arm64 = "{url}"\nkind = "disk"\n'
                f'sum = {{amd64 = "{sum_}", arm64 = "{sum_}"}}\n'
            )
            with Warm({**environment, "VMTUI_ACCEL": "tcg"}) as warm:
                site = Site(root, warm)
                tiny = write_image(root / "tiny.raw", "this is tiny")
                await site.run("images", "import", str(tiny), "--name", "tiny")
                for name in ("keep", "web"):
                    await site.run("create", name, "--image", "tiny", "--full-copy")
                yield site


@pytest.mark.parametrize("kind", OPERATIONS)
async def test_killed_at_any_moment(
    site: Site, kind: type[Operation], capsys: pytest.CaptureFixture[str]
) -> None:
    operation = kind(site)
    moments = random.Random(kind.__name__)
    await whole_s(operation)  # which also makes what is made once
    took_s = min([await whole_s(operation) for _ in range(2)])
    await operation.prepare()
    before = site.names()
    others = {name: content(site.root / "data" / "vmtui" / name) for name in OTHERS}
    outcomes = Counter[tuple[bool, bool]]()  # whether it was killed, and has come to its end
    wanted = -(-KILLS // len(OPERATIONS))
    while sum(times for (killed, _), times in outcomes.items() if killed) < wanted:
        await operation.prepare()
        ran = await site.may_fail(
            *operation.argv,
            # Most of what is written is written towards the end.
            kill_after_s=moments.triangular(0, 1.1 * took_s, took_s),
            environment=operation.environment(),
        )
        assert ran.killed or ran.status == 0, ran.output
        listed = await site.run("list", "--json")
        await site.run("images", "list")
        assert {(vm["state"], vm["problem"]) for vm in json.loads(listed.output)} == {("off", "")}
        assert {name: content(site.root / "data" / "vmtui" / name) for name in OTHERS} == others
        done = operation.is_done()
        if done:
            await operation.finish()
        left = [path for path in site.names() - before if not path.startswith(operation.may_leave)]
        assert not left
        assert before <= site.names(), "something was lost"
        outcomes[ran.killed, done] += 1
    await whole_s(operation)
    await operation.prepare()
    assert site.names() == before or kind is Edit
    with capsys.disabled():
        print(
            f"\n{kind.__name__}, {1000 * took_s:.0f} ms: "
            f"killed before it had an effect {outcomes[True, False]} times, after that "
            f"{outcomes[True, True]}; {outcomes[False, True]} times it was quicker"
        )


async def whole_s(operation: Operation) -> float:
    """The seconds that it takes when it is left alone."""
    await operation.prepare()
    ran = await operation.site.run(*operation.argv, environment=operation.environment())
    assert operation.is_done()
    await operation.finish()
    return ran.took_s

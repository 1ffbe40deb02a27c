"""`balance`: moves memory between VMs without the interface."""

from __future__ import annotations

import argparse
import sys

import msgspec

from vmtui.balance.balancer import Balancer
from vmtui.balance.journal import Entry
from vmtui.errors import EXIT_DONE, EXIT_FAILED
from vmtui.opening import Losses, complain, supervised
from vmtui.output import until_nobody_reads


async def balance(options: argparse.Namespace) -> int:
    """`vmtui balance`: until it is interrupted."""
    async with supervised(options) as fleet:
        fleet.watch(Losses().tell)
        tell = _tell_json if options.json else _tell
        balancer = Balancer(fleet, dry=options.dry_run, on_entry=tell, on_failure=complain)
        async with until_nobody_reads():
            await balancer.run()
    return EXIT_FAILED if balancer.gave_up else EXIT_DONE


def _tell(entry: Entry) -> None:
    print(entry, flush=True)


def _tell_json(entry: Entry) -> None:
    decision = entry.decision
    line = msgspec.json.encode(
        {
            "time_s": entry.at_s,
            "connection": entry.connection,
            "name": decision.name,
            "uuid": decision.id,
            "move": decision.move.value,
            "from_bytes": decision.from_bytes,
            "target_bytes": decision.target_bytes,
            "reason": decision.reason,
            "failure": entry.failure,
        }
    )
    sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()

"""`make bench`: every benchmark, its figure beside its bar; names choose some of them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

from benchmarks import (
    attach_throughput,
    balance_policy,
    balloon_step,
    console_flood,
    console_memory,
    console_screen,
    create_overlay,
    day_of_samples,
    direct_sampling,
    first_paint,
    fleet_1000,
    import_vmdk,
    keys,
    libvirt_sampling,
    listing,
    ssh_ready,
    terminal_engine,
    time_to_prompt,
    tour,
)
from benchmarks.result import Broken, Result, table

BENCHMARKS: dict[str, Callable[[], Sequence[Result]]] = {
    "time_to_prompt": lambda: [time_to_prompt.run()],
    "create_overlay": create_overlay.run,
    "listing": lambda: [listing.run()],
    "tour": tour.run,
    "first_paint": first_paint.run,
    "fleet_1000": fleet_1000.run,
    "direct_sampling": direct_sampling.run,
    "libvirt_sampling": libvirt_sampling.run,
    "console_flood": console_flood.run,
    "console_memory": console_memory.run,
    "day_of_samples": day_of_samples.run,
    "console_screen": console_screen.run,
    "terminal_engine": terminal_engine.run,
    "attach_throughput": attach_throughput.run,
    "balance_policy": balance_policy.run,
    "balloon_step": balloon_step.run,
    "ssh_ready": lambda: [ssh_ready.run()],
    "import_vmdk": lambda: [import_vmdk.run()],
    "keys": keys.run,
}


def main(chosen: Sequence[str]) -> int:
    """Run all, or those chosen; 1 if a bar is missed, 2 for a name that there is not."""
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there is: {', '.join(BENCHMARKS)}")
        return 2
    results: list[Result | Broken] = []
    for name in chosen or BENCHMARKS:
        print(f"{name} …", flush=True)
        try:
            results += BENCHMARKS[name]()
        except Exception as error:
            # What the others took an hour for is still to be seen.
            traceback.print_exc()
            results.append(Broken(name, type(error).__name__))
    print()
    print("\n".join(table(results)))
    return 0 if all(isinstance(result, Result) and result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

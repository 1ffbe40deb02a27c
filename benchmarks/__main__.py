"""`make bench`: every benchmark, its figure beside its bar; names choose some of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    attach_throughput,
    balance_policy,
    balloon_step,
    console_flood,
    console_memory,
    console_screen,
    create_overlay,
    direct_sampling,
    first_paint,
    fleet_1000,
    import_vmdk,
    libvirt_sampling,
    listing,
    ssh_ready,
    terminal_engine,
    time_to_prompt,
    tour,
)
from benchmarks.result import Result

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
    "console_screen": console_screen.run,
    "terminal_engine": terminal_engine.run,
    "attach_throughput": attach_throughput.run,
    "balance_policy": balance_policy.run,
    "balloon_step": balloon_step.run,
    "ssh_ready": lambda: [ssh_ready.run()],
    "import_vmdk": lambda: [import_vmdk.run()],
}


def main(chosen: Sequence[str]) -> int:
    """Run all, or those chosen; 1 if a bar is missed, 2 for a name that there is not."""
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there is: {', '.join(BENCHMARKS)}")
        return 2
    results: list[Result] = []
    for name in chosen or BENCHMARKS:
        print(f"{name} …", flush=True)
        results += BENCHMARKS[name]()
    width = max(len(result.name) for result in results)
    print(f"\n{'benchmark':{width}}  measured   bar")
    for result in results:
        verdict = "ok" if result.ok else "MISSED"
        print(f"{result.name:{width}}  {result.ratio:8.3f}  {result.bar:4.2f}  {verdict}")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make bench`: every benchmark, its figure beside its bar."""

from __future__ import annotations

import sys

from benchmarks import listing, time_to_prompt, tour


def main() -> int:
    """Run all; 1 if a bar is missed."""
    results = [time_to_prompt.run(), listing.run(), *tour.run()]
    width = max(len(result.name) for result in results)
    print(f"\n{'benchmark':{width}}  measured   bar")
    for result in results:
        verdict = "ok" if result.ok else "MISSED"
        print(f"{result.name:{width}}  {result.ratio:8.3f}  {result.bar:4.2f}  {verdict}")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

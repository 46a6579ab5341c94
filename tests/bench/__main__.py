"""``python -m tests.bench``: measure, print the tables, write docs/benchmarks.md.

Nothing passes or fails by the time it takes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.bench import report
from tests.bench.run import run
from tests.support.servers import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before each")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    load, _, _ = os.getloadavg()
    rates = run(options.rounds, options.warm_up, options.seconds)
    print(report.ratios(rates), report.absolutes(rates), report.targets(rates), sep="\n\n")
    print(f"\nload generator alone: {report.ceiling(rates)} replies a second")
    options.output.write_text(report.page(rates, options.seconds, load), "utf-8")


if __name__ == "__main__":
    main()

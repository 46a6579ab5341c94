"""``python -m tests.bench``: measure, print the tables, write docs/benchmarks.md.

With ``--against REVISION`` Countersign is measured against itself as it was there, and nothing is
written. Nothing passes or fails by the time it takes.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from server import logs
from tests.bench import report
from tests.bench.earlier import command, exported
from tests.bench.run import EARLIER, run
from tests.support.servers import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before each")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--against", metavar="REVISION", help="measure an earlier Countersign")
    options = parser.parse_args()
    logs.configure(logging.WARNING)  # the events of making the users are nobody's business
    if options.against:
        _compare(options)
    else:
        _publish(options)


def _compare(options: argparse.Namespace) -> None:
    with exported(options.against) as folder:
        programs = {"countersign": None, EARLIER: command(folder)}
        rates = run(options.rounds, options.warm_up, options.seconds, programs)
    print(report.against(rates, options.against))


def _publish(options: argparse.Namespace) -> None:
    load, _, _ = os.getloadavg()
    rates = run(options.rounds, options.warm_up, options.seconds)
    print(report.ratios(rates), report.absolutes(rates), report.targets(rates), sep="\n\n")
    print(f"\nload generator alone: {report.ceiling(rates)} replies a second")
    options.output.write_text(report.page(rates, options.seconds, load), "utf-8")


if __name__ == "__main__":
    main()

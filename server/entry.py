"""Where the console script begins.

SIGTERM ends a server with exit status 0 at any time, and reading the program in takes a second or
more: the signals are heard before that begins. SIGHUP waits for whoever takes it. Worker processes
run this module again at their start, which therefore stays light.
"""

from __future__ import annotations

import signal
import sys

HANGUP = frozenset({signal.SIGHUP})
"""Blocked until it is asked for; threads and worker processes inherit that, and workers never ask."""


def main() -> None:
    """Run the command line; ``serve`` and ``mock`` end quietly on a signal from here on."""
    if sys.argv[1:2] in (["serve"], ["mock"]):
        end_quietly_on_signals()
        signal.pthread_sigmask(signal.SIG_BLOCK, HANGUP)
    from server.cli import main as command_line

    command_line()


def end_quietly_on_signals() -> None:
    """Until a server takes the signals over, SIGTERM and SIGINT end with status 0 all the same."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))


if __name__ == "__main__":
    main()

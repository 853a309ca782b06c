"""pause: does nothing until it is told to stop."""

from __future__ import annotations

import signal


def main(arguments: list[str]) -> int:
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0

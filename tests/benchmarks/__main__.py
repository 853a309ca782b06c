"""`python -m tests.benchmarks NAME`: run one benchmark."""

from __future__ import annotations

import sys

from . import api, control_plane, draw, kubectl, node, startup, story, why

BENCHMARKS = {
    "api": api.main,
    "control-plane": control_plane.main,
    "draw": draw.main,
    "kubectl": kubectl.main,
    "node": node.main,
    "startup": startup.main,
    "story": story.main,
    "why": why.main,
}


def main() -> int:
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in BENCHMARKS:
        print(f"usage: python -m tests.benchmarks {'|'.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    BENCHMARKS[name]()
    return 0


sys.exit(main())

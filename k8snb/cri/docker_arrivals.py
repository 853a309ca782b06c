"""Docker images that a lesson needs: whether they are there, or can be had within a short time.

Interface: `why_missing(refs, seconds)`.
The rule not to break: it answers within the time given, and at once when one image cannot be had at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from k8snb.cri import RuntimeFailure
from k8snb.cri.docker_engine import has_images, pull


def why_missing(refs: Sequence[str], seconds: float) -> str:
    """Pull what is missing, all at once. Returns "" when all is there, else what stands in the way.

    What takes longer goes on in the engine, for the next time.
    """
    missing = [ref for ref in refs if not has_images([ref])]
    if not seconds:
        return f"it lacks {', '.join(missing)}, which the quick start uses" if missing else ""
    problems: SimpleQueue[str] = SimpleQueue()

    def fetch(ref: str) -> None:
        try:
            pull(None, ref, silence=seconds)
            problems.put("")
        except RuntimeFailure as failure:
            problems.put(failure.message)

    for ref in missing:
        threading.Thread(target=fetch, args=(ref,), daemon=True).start()
    return _first_problem(problems, len(missing), seconds)


def _first_problem(problems: SimpleQueue[str], count: int, seconds: float) -> str:
    end = time.monotonic() + seconds
    try:
        answers = (problems.get(timeout=max(end - time.monotonic(), 0.0)) for _ in range(count))
        return next((problem for problem in answers if problem), "")
    except Empty:
        return f"its images did not come within {seconds:.0f} s"

"""Docker images that a lesson needs: whether they are there, or can be had within a short time.

Interface: `arrive_within(refs, seconds)`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from k8snb.cri import RuntimeFailure
from k8snb.cri.docker_engine import has_images, pull


def arrive_within(refs: Sequence[str], seconds: float) -> bool:
    """Pull what is missing, all at once, and say whether all is there after at most `seconds`.

    What takes longer goes on in the engine, for the next time.
    """

    def fetch(ref: str) -> None:
        with suppress(RuntimeFailure):
            pull(None, ref, seconds)

    threads = [threading.Thread(target=fetch, args=(ref,), daemon=True) for ref in refs if not has_images([ref])]
    for thread in threads:
        thread.start()
    waiter = threading.Thread(target=lambda: [thread.join() for thread in threads], daemon=True)
    waiter.start()
    waiter.join(seconds)
    return has_images(refs)

"""fortune: writes another saying to /var/htdocs/index.html every $INTERVAL seconds (10), for a web server beside it."""

from __future__ import annotations

import os
import random
import time

from k8snb.cri.images import pod

FILE = "/var/htdocs/index.html"
SAYINGS = (
    "A pod that is never replaced was never tested.",
    "Whoever names a server mourns it; whoever labels it replaces it.",
    "Say what you want, not what to do.",
    "The loop that does nothing has done its work.",
    "Two clocks agree only while nobody looks.",
)


def main(arguments: list[str]) -> int:
    seconds = float((arguments or [os.environ.get("INTERVAL") or "10"])[0])
    os.makedirs(os.path.dirname(pod.root(FILE)), exist_ok=True)
    print(f"Configured to generate a fortune every {seconds:g} seconds", flush=True)
    while True:
        print(f"Writing fortune to {FILE}", flush=True)
        with open(pod.root(FILE), "w", encoding="utf-8") as file:
            file.write(random.choice(SAYINGS) + "\n")
        time.sleep(seconds)

"""Simulated usage: what a simulated container would use, as data, so that autoscaling can be learned without a load.

Interface: `container_stats(container, now)`; `serve(container, now)` counts a request that the container answers;
`change_limits(container, resources, now)`.
The rule not to break: what was used up to a moment follows from times and requests alone, so that a run repeats.
Real numbers come from cgroups.

The image's row says what its program uses. A pod's annotations say otherwise, for each of its containers:
`k8snb.io/usage-cpu: 100m` and `k8snb.io/usage-memory: 64Mi`, or a course over the container's age:
`50m, 60s: 400m, 5m: 50m`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from math import inf

from k8snb.apimachinery import quantity
from k8snb.cri import RUNNING, ContainerResources, ContainerStats, RuntimeFailure
from k8snb.cri.simulated_machine import Container, command_line, option, size

USAGE_CPU, USAGE_MEMORY = "k8snb.io/usage-cpu", "k8snb.io/usage-memory"
BACKLOG = 1.0  # seconds of work that wait at most: what comes beyond costs nothing
_STEP = re.compile(r"(?:(\d+(?:\.\d+)?)([smh]):)?(\S+)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

Course = Sequence[tuple[float, float]]  # from an age in seconds on, this much


def container_stats(container: Container, now: float) -> ContainerStats:
    """Raises RuntimeFailure NotFound where the container does not run."""
    if container.state(now) != RUNNING:
        raise RuntimeFailure("NotFound", f'container "{container.config.name}" is not running')
    age, limit = now - container.started_at, container.config.cpu_limit
    base = [(start, min(cores, limit or inf)) for start, cores in _cores(container)]
    return ContainerStats(
        cpu_seconds=_total(base, age) + _worked(container, now),
        memory_bytes=int(_value(_memory(container), age)),
        timestamp=now,
    )


def change_limits(container: Container, resources: ContainerResources, now: float) -> None:
    """From now on the container may use this much; what it has used before stays."""
    running = container.state(now) == RUNNING
    before = container_stats(container, now).cpu_seconds if running else 0.0
    container.config = replace(container.config, **asdict(resources))
    if running:
        container.worked += before - container_stats(container, now).cpu_seconds


def serve(container: Container, now: float) -> None:
    """A request costs processor time, at most as fast as the container's limit lets it be spent."""
    cost = container.image.request_cpu
    if cost and container.busy_until - now < BACKLOG:
        container.worked += cost
        container.busy_until = max(container.busy_until, now) + cost / _speed(container)


def _worked(container: Container, now: float) -> float:
    return container.worked - max(container.busy_until - now, 0.0) * _speed(container)


def _speed(container: Container) -> float:
    """Cores that a program of one thread gets."""
    return min(container.config.cpu_limit or 1.0, 1.0)


def _cores(container: Container) -> Course:
    words, image = command_line(container.config, container.image), container.image
    own = next((value for flag in image.cpu_flags if (value := option(flag, words))), "")
    return _course(container, USAGE_CPU) or [(0.0, float(own) if own.isdecimal() else image.cpu)]


def _memory(container: Container) -> Course:
    words, image = command_line(container.config, container.image), container.image
    return _course(container, USAGE_MEMORY) or [(0.0, size(option(image.memory_flag, words)) or image.memory)]


def _course(container: Container, annotation: str) -> Course:
    """What an annotation says, oldest first; what is no amount counts as nothing, and a note says so."""
    text = container.pod.config.annotations.get(annotation, "")
    course = []
    for step in text.replace(": ", ":").split(",") if text else ():
        match = _STEP.fullmatch(step.strip())
        try:
            amount = quantity.parse(match[3] if match else "").nanos / quantity.NANO
        except quantity.QuantityError:
            container.note(f'annotation {annotation}: "{text}" is not an amount: write 100m, or 50m, 60s: 400m')
            return [(0.0, 0.0)]
        course.append((float(match[1] or 0) * _UNITS[match[2] or "s"] if match else 0.0, amount))
    return sorted(course)


def _value(course: Course, age: float) -> float:
    return next((amount for start, amount in reversed(course) if start <= age), 0.0)


def _total(course: Course, age: float) -> float:
    """The amount summed up over time."""
    steps = pairwise([*course, (inf, 0.0)])
    return sum(amount * (min(end, age) - start) for (start, amount), (end, _) in steps if start < age)

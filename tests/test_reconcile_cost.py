"""What an event costs does not grow with the objects that it does not concern; counted in calls, whatever the load."""

from __future__ import annotations

import cProfile
import pstats

from controllers_lab import Lab, container

from k8snb.apimachinery.meta import Object, name_of
from k8snb.controllers import CONTROLLERS


def deployment(name: str, replicas: int) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container()]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def service(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}


def calls_to_replace_a_pod(others: int) -> int:
    """How many calls all controllers together make when a pod is deleted and another one takes its place."""
    one = Lab(*CONTROLLERS.values()).start()
    for name in ["web", *(f"other-{number}" for number in range(others))]:
        one.client.create("services", service(name), "default")
        one.client.create("deployments", deployment(name, 3 if name == "web" else 1), "default")
    one.run()
    first, second = (name_of(pod) for pod in one.client.items("pods", "default", labelSelector="app=web")[:2])
    _delete(one, first)
    profile = cProfile.Profile()
    with profile:
        _delete(one, second)
    assert len(one.client.items("pods", "default", labelSelector="app=web")) == 3
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(int(row[1]) for (path, _, _), row in stats.items() if "k8snb" in path)


def _delete(one: Lab, name: str) -> None:
    one.client.delete("pods", name, "default", gracePeriodSeconds=0)
    one.pump.settle(limit=5.0)


def test_an_event_costs_the_same_among_many_objects_as_among_few() -> None:
    """k8snb: index instead of scanning."""
    few, many = calls_to_replace_a_pod(5), calls_to_replace_a_pod(150)
    assert many <= few * 1.1

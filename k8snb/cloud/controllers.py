"""cloud-controller-manager's controllers, on one screen.

Interface: `cloud_controllers(provider)`: name → what makes one; only those that the provider has something for.
The rule not to break: they know the provider and the apiserver, not each other.
Source: `cloud-provider/names/controller_names.go`; the names are those of the `--controllers` flag.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.cloud import Provider
from k8snb.cloud.node import CloudNodeController
from k8snb.cloud.nodelifecycle import CloudNodeLifecycleController
from k8snb.cloud.route import RouteController
from k8snb.cloud.service import ServiceController

Make = Callable[[Context, Informers], Controller]


def cloud_controllers(provider: Provider) -> dict[str, Make]:
    """What cloud-controller-manager runs for a provider."""
    made: dict[str, Make] = {}
    instances, balancers, routes = provider.instances(), provider.load_balancers(), provider.routes()
    if instances is not None:
        made["cloud-node-controller"] = partial(CloudNodeController, instances=instances)
        made["cloud-node-lifecycle-controller"] = partial(CloudNodeLifecycleController, instances=instances)
    if balancers is not None:
        made["service-lb-controller"] = partial(ServiceController, balancers=balancers)
    if routes is not None:
        made["node-route-controller"] = partial(RouteController, routes=routes)
    return made

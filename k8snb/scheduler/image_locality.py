"""ImageLocality: a pod would rather run where its images are, the larger the better.

Interface: the plug-in.
The rule not to break: an image that few nodes have counts for little, or all pods of a template would go to one node.
Source: `pkg/scheduler/framework/plugins/imagelocality` in the kubernetes repository. Images are known by the names that
the node's status gives them; as upstream, `nginx` is not taken for `docker.io/library/nginx`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.framework import MAX_SCORE, Cycle, Plugin

MEBIBYTE = 1024 * 1024
LEAST, MOST_PER_CONTAINER = 23 * MEBIBYTE, 1000 * MEBIBYTE  # what counts as nothing, and as all of one container


class ImageLocality(Plugin):
    name = "ImageLocality"

    def __init__(self) -> None:
        self._cache = Cache()
        self._images: tuple[str, ...] = ()

    def begin(self, cycle: Cycle) -> bool:
        self._cache = cycle.cache
        if not cycle.cache.images:
            return False
        self._images = tuple(_images(cycle.pod))
        return any(image in cycle.cache.images for image in self._images)

    def alike_by(self, pod: Object) -> Hashable:
        """Nodes that have the same of the pod's images, of the same size."""
        return self._images

    def likeness(self, node: NodeInfo) -> Hashable:
        return tuple([node.images.get(image, 0) for image in self._images])

    def score(self, pod: Object, node: NodeInfo) -> int:
        nodes, spread = len(self._cache.nodes), self._cache.images
        there = sum(node.images[image] * spread[image] // nodes for image in self._images if image in node.images)
        most = MOST_PER_CONTAINER * len(self._images)
        return MAX_SCORE * (min(max(there, LEAST), most) - LEAST) // (most - LEAST)


def _images(pod: Object) -> Iterator[str]:
    """A name without a tag means the latest."""
    spec = pod["spec"]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        image = container.get("image") or ""
        yield image if image.rfind(":") > image.rfind("/") else f"{image}:latest"

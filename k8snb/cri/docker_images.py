"""Docker images: the image service of one engine.

Interface: `Images`: `pull`, `status`, `list`, `remove`, as the calls of the CRI's ImageService; `pulls` tells of those
under way.
The rule not to break: an image that the engine had before is somebody's own: it is never removed.
Source: `pkg/kubelet/dockershim/docker_image.go` of Kubernetes 1.23.
"""

from __future__ import annotations

from typing import Any

from k8snb.cri import Credential, Image, RuntimeFailure
from k8snb.cri.docker_engine import ignoring, pull, translated
from k8snb.cri.docker_pulls import Pulls

PULL_SILENCE = 30.0  # seconds without any progress


class Images:
    """Those of the engine at `url`."""

    def __init__(self, api: Any, url: str) -> None:
        self._api, self._url = api, url
        self._pulled: set[str] = set()  # what the engine did not have before
        self.pulls = Pulls()

    def pull(self, image: str, credential: Credential | None) -> Image:
        here = self.status(image)
        with self.pulls.under_way(image) as tell:
            pull(self._url, image, silence=PULL_SILENCE, credential=credential, tell=tell)
        found = self.status(image)
        if here is None:
            self._pulled.add(image)
        if found is None:
            raise RuntimeFailure("ErrImagePull", f'failed to pull image "{image}": it is not there after the pull')
        return found

    def status(self, image: str) -> Image | None:
        with translated("ImageInspectError", f'cannot inspect image "{image}"'), ignoring(400, 404):
            found = self._api.inspect_image(image)
            user = str((found.get("Config") or {}).get("User") or "")
            return Image(ref=image, id=found["Id"], size=found["Size"], user=user)
        return None

    def list(self) -> list[Image]:
        with translated("ImageInspectError", "cannot list images"):
            rows = self._api.images()
        return [
            Image(ref=ref, id=row["Id"], size=row["Size"])
            for row in rows
            for ref in row.get("RepoTags") or ()
            if "<none>" not in ref
        ]

    def remove(self, image: str) -> None:
        if image not in self._pulled:
            raise RuntimeFailure("ImageInUse", f'image "{image}" was not pulled by this cluster')
        with translated("ImageInUse", f'cannot remove image "{image}"'), ignoring(404):
            self._api.remove_image(image)
        self._pulled.discard(image)

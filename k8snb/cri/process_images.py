"""The process runtime's image service: what has been pulled of the catalogue.

Interface: the image calls of `cri.Runtime`, and `entry` for an image that is there.
The rule not to break: pulling is instant but not skipped: what was not pulled is not there.
"""

from __future__ import annotations

import threading

from k8snb.cri import Image, RuntimeFailure, images


class ImageService:
    """The images of one machine; all nodes of a cluster share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulled: dict[str, Image] = {}

    def pull(self, image: str) -> Image:
        """Raises RuntimeFailure InvalidImageName or ErrImagePull."""
        try:
            entry = images.find(image)
        except ValueError:
            text = f'couldn\'t parse image name "{image}": it is written as in nginx:1.25 or example.com/web/nginx:v1'
            raise RuntimeFailure("InvalidImageName", text) from None
        except LookupError as error:
            raise RuntimeFailure("ErrImagePull", str(error.args[0])) from None
        pulled = Image(ref=image, id=images.identify(image), size=images.size(entry))
        with self._lock:
            return self._pulled.setdefault(pulled.id, pulled)

    def status(self, image: str) -> Image | None:
        try:
            return self._pulled.get(images.identify(image))
        except ValueError:
            return None

    def list(self) -> list[Image]:
        with self._lock:
            return [*self._pulled.values()]

    def remove(self, image: str) -> None:
        with self._lock:
            self._pulled.pop(images.identify(image), None)

    def entry(self, image: str) -> images.Entry:
        """The catalogue's row. Raises RuntimeFailure CreateContainerError for an image that was not pulled."""
        if self.status(image) is None:
            raise RuntimeFailure("CreateContainerError", f'image "{image}" has not been pulled')
        return images.find(image)

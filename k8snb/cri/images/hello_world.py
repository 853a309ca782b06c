"""hello-world: says that it ran, and ends."""

from __future__ import annotations


def main(arguments: list[str]) -> int:
    print("\nHello from k8snb!\nThis line shows that the image was found, a container was made of it, and it ran.\n")
    return 0

"""The process runtime's catalogue: which stand-in an image reference means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k8snb.cri import images


@pytest.mark.parametrize(
    "reference",
    ["nginx", "nginx:1.7.9", "docker.io/library/nginx:latest", "localhost:5000/nginx:1.25-alpine", "nginx:1.9.1"],
)
def test_an_image_is_found_whatever_its_registry(reference: str) -> None:
    assert images.find(reference).names[0] == "nginx"


@pytest.mark.parametrize(
    "reference", ["nginx:nope", "busybox:doesnotexist", "nginx:1.161", "nginx:1.91", "luksa/kubia:v9"]
)
def test_a_tag_that_cannot_exist_is_not_found(reference: str) -> None:
    with pytest.raises(LookupError, match="is not in k8snb's catalogue"):
        images.find(reference)


def test_an_unknown_image_is_refused_with_the_closest_ones_and_the_way_out() -> None:
    with pytest.raises(LookupError) as refusal:
        images.find("ngnix:1.7.9")
    assert re.search(r'image "ngnix:1\.7\.9" is not in .* closest are nginx.* use Docker', str(refusal.value))


def test_every_program_of_the_catalogue_is_a_file_beside_it() -> None:
    folder = Path(images.__file__).parent
    names = {command[0] for entry in images.CATALOGUE for _, command in entry.programs} | set(images.APPLETS)
    assert [name for name in names if not (folder / f"{name.replace('-', '_')}.py").exists()] == []


def test_no_repository_stands_in_two_rows() -> None:
    names = [name for entry in images.CATALOGUE for name in entry.names]
    assert len(names) == len(set(names))

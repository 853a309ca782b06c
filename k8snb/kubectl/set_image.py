"""kubectl set image: another image for containers of what exists.

Interface: `COMMANDS`.
The rule not to break: only the containers that are named change; `*` names them all.
Source: `kubectl/pkg/cmd/set/set_image.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import Arguments, Command, usage_error
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.resources import Found
from k8snb.kubectl.session import Session
from k8snb.kubectl.set_field import named, pod_spec, runner, with_containers, with_pod_spec


def _change(session: Session, args: Arguments, found: Found) -> Object:
    images = _images(args)
    spec = pod_spec(found)
    present = named(spec, "*")
    for name in images:
        if name != "*" and name not in present:
            known = ", ".join(sorted(present))
            raise KubectlError(f'error: unable to find container named "{name}" (it has: {known})')

    def with_image(container: Object) -> Object:
        image = images.get(container["name"], images.get("*", container.get("image", "")))
        return {**container, "image": image}

    return with_pod_spec(found, with_containers(spec, present, with_image))


def _images(args: Arguments) -> dict[str, str]:
    return {name: image for name, _, image in (word.partition("=") for word in args.words if "=" in word)}


def _resources(args: Arguments) -> list[str]:
    if not _images(args):
        raise usage_error("at least one image update is required: CONTAINER=IMAGE", args.command)
    return [word for word in args.words if "=" not in word]


COMMANDS = (
    Command(
        name="set image",
        usage="(-f FILENAME | TYPE NAME) CONTAINER_1=IMAGE_1 ... CONTAINER_N=IMAGE_N [flags]",
        help="Set the images of containers.",
        group="Basic Commands (Beginner)",
        run=runner(_change, "image updated", words=_resources),
        flags=(*flags.FILES, flags.SELECTOR, flags.ALL, flags.LOCAL, *flags.WRITING),
        words="resources",
        examples=(
            "kubectl set image deployment/web nginx=nginx:1.25",
            "kubectl set image deployments,rc '*=nginx:1.25' --all",
        ),
    ),
)

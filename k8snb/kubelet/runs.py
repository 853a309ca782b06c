"""kubelet's runs: which of a container's runs somebody means who asks for its output.

Interface: `run_of(pod, name, state, previous=…)`.
The rule not to break: what a pod's status calls the last state is what `--previous` means.
Source: `validateContainerLogStatus` in pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from k8snb.apimachinery.errors import ApiError, bad_request
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.cri import EXITED, ContainerStatus
from k8snb.kubelet.actions import PodState, reported

WAITING: Mapping[str, str] = MappingProxyType({
    "ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image",
})  # fmt: skip


def run_of(pod: Object, name: str, state: PodState, *, previous: bool) -> ContainerStatus:
    """The newest run, or the last one that has ended and is followed by another or is to be. Raises BadRequest."""
    newest = state.newest(name)
    if not previous:
        if newest is None:
            raise _waiting(pod, name)
        return newest
    waits_again = newest and newest.state == EXITED and get_path(reported(pod, name), "state.waiting") is not None
    ended = [each for each in state.containers if each.name == name and (each is not newest or waits_again)]
    if not ended:
        raise bad_request(f'previous terminated container "{name}" in pod "{name_of(pod)}" not found')
    return max(ended, key=lambda each: each.attempt)


def _waiting(pod: Object, name: str) -> ApiError:
    reason = get_path(reported(pod, name), "state.waiting.reason", "ContainerCreating")
    why = WAITING.get(reason, reason)
    return bad_request(f'container "{name}" in pod "{name_of(pod)}" is waiting to start: {why}')

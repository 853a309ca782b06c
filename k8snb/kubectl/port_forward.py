"""kubectl port-forward: ports of this machine that lead to ports of a pod.

Interface: `COMMANDS`; what is answered is a `Forwarding`: it goes on behind the cell, until `stop()` or the cluster's
end.
The rule not to break: a forwarding belongs to one pod, the one that was chosen when it began.
Source: `kubectl/pkg/cmd/portforward`, `client-go/tools/portforward`. Real kubectl forwards until it is interrupted.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Any, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl import pods
from k8snb.kubectl.forwarding import Forwarding, Listening
from k8snb.kubectl.grammar import STRINGS, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, one
from k8snb.kubectl.session import Session

HIGHEST = 0xFFFF
LOCALHOST = ("127.0.0.1", "::1")


class _Pair(NamedTuple):
    local: str
    remote: str


def run(session: Session, args: Arguments) -> Output:
    if len(args.words) < 2:
        raise usage_error("TYPE/NAME and list of ports are required for port-forward", args.command)
    found = one(session, args, args.words[0])
    pod = pods.attachable(session, args, found)
    ports = [_port(_translated(_pair(word), found, pod), pod) for word in args.words[1:]]
    phase = get_path(pod, "status.phase")
    if phase != "Running":
        raise KubectlError(f"error: unable to forward port because pod is not running. Current status={phase}")
    addresses = [address for word in args.texts("address") for address in _addresses(word)]
    forwarding = Forwarding(_wish(session, pod), pod, addresses, ports)
    session.keep(forwarding)
    with suppress(ApiError):  # who may forward need not be allowed to watch: then connections fail when the pod is gone
        forwarding.end_with_pod(session.client)
    return forwarding


def _wish(session: Session, pod: Object) -> Any:
    try:
        return session.client.create_subresource("pods", name_of(pod), "portforward", {}, namespace_of(pod))
    except ApiError as error:
        raise refused(error) from None


# ports


def _pair(word: str) -> _Pair:
    """`LOCAL:REMOTE`, `REMOTE` (then both are the same) or `:REMOTE` (any local port)."""
    local, colon, remote = word.partition(":")
    if ":" in remote:
        raise KubectlError(f"error: invalid port format '{word}'")
    return _Pair(local or "0", remote) if colon else _Pair(word, word)


def _translated(pair: _Pair, found: Found, pod: Object) -> _Pair:
    """The pair with the pod's port for the Service's, where a Service was named."""
    if found.kind.kind != "Service":
        number = pair.remote if pair.remote.isdecimal() else _named_port(pod, pair.remote)
        return _Pair(number if pair.local == pair.remote else pair.local, number)
    port = next((port for port in found.object["spec"].get("ports") or () if _is_meant(port, pair.remote)), None)
    if port is None:
        raise KubectlError(f"error: Service {found.name} does not have a {_sort(pair.remote)} {pair.remote}")
    target = port.get("targetPort") or port["port"]
    headless = get_path(found.object, "spec.clusterIP") == "None"
    number = str(port["port"]) if headless else _named_port(pod, target) if isinstance(target, str) else str(target)
    return _Pair(str(port["port"]) if pair.local == pair.remote else pair.local, number)


def _sort(port: str) -> str:
    return "service port" if port.isdecimal() else "named port"


def _is_meant(port: Object, word: str) -> bool:
    return str(port["port"]) == word or port.get("name") == word


def _named_port(pod: Object, name: str) -> str:
    containers = pod["spec"]["containers"]
    ports = (port for container in containers for port in container.get("ports") or () if port.get("name") == name)
    port = next(ports, None)
    if port is None:
        raise KubectlError(f"error: Pod '{name_of(pod)}' does not have a named port '{name}'")
    return str(port["containerPort"])


def _port(pair: _Pair, pod: Object) -> Listening:
    numbers = [_number(text, side) for text, side in zip(pair, ("local", "remote"), strict=True)]
    if numbers[1] == 0:
        raise KubectlError("error: remote port must be > 0")
    return Listening(*numbers)


def _number(text: str, side: str) -> int:
    if not text.isdecimal():
        raise KubectlError(f"error: error parsing {side} port '{text}': "
                           f'strconv.ParseUint: parsing "{text}": invalid syntax')  # fmt: skip
    if int(text) > HIGHEST:
        raise KubectlError(f"error: error parsing {side} port '{text}': "
                           f'strconv.ParseUint: parsing "{text}": value out of range')  # fmt: skip
    return int(text)


def _addresses(word: str) -> tuple[str, ...]:
    if word == "localhost":
        return LOCALHOST
    try:
        return (str(ipaddress.ip_address(word)),)
    except ValueError:
        raise KubectlError(f"error: {word} is not a valid IP") from None


COMMANDS = (
    Command(
        name="port-forward",
        usage="TYPE/NAME [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N] [flags]",
        help="Forward local ports to a pod.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("address", STRINGS, "The addresses to listen on: localhost, or IP addresses.", default=("localhost",)),
            pods.RUNNING_TIMEOUT,
        ),
        words="pods",
        examples=("kubectl port-forward pod/web 8080:80", "kubectl port-forward deployment/web :80",
                  "kubectl port-forward service/web 8443:https"),
    ),
)  # fmt: skip

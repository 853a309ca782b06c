"""The image catalogue of the process runtime: which images there are without an engine, and what runs for them.

Interface: `find(reference)` gives an `Entry`, and `parse(reference)` the repository and tag; `CATALOGUE` is the table.
The rule not to break: an entry says what it stands in for, and what is not in the table is refused by name.
Real runtimes pull layers from a registry; here each program is a small file of this folder, run by `__main__.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from typing import NamedTuple

# One rule for tags that may exist: up to four numbers of at most two digits each, or a well-known word, then variants.
_WORD = (
    "latest|stable|mainline|edge|rolling|lts|current|alpine|slim|perl|glibc|musl|uclibc|"
    "bullseye|bookworm|trixie|buster|stretch|jessie|focal|jammy|noble|bionic|xenial|trusty|apache|fpm"
)
_VARIANTS = rf"(-?(rc|beta|b)[.-]?\d{{0,2}}|[-_]r?\d{{1,2}})?(-({_WORD})[\d.]*)*"
_WORDS = rf"({_WORD})[\d.]*(-({_WORD})[\d.]*)*"
VERSIONS = rf"v?\d{{1,2}}(\.\d{{1,2}}){{0,3}}{_VARIANTS}|{_WORDS}"
# The documentation's failing roll-outs use nginx:1.91 and nginx:1.161, which must not be found.
NGINX = rf"0\.\d|1(\.[0-2]?\d(\.\d{{1,2}})?)?{_VARIANTS}|{_WORDS}"

APPLETS = ("wget", "curl", "nslookup", "dig", "hostname", "kill", "nc", "httpd")

SHELL = "the host's sh and commands, with wget, curl, nslookup, dig, nc and hostname of k8snb's own"
WEB = "a small Python web server"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row: the repositories it answers for (without a registry's host), and what an image says of itself.

    `programs` maps a command to one of this folder (and arguments that come before the user's). `host` tells whether
    the image has a shell, which means here: whether the host's commands are found. `paths` are directories of the image
    that a program serves or keeps data in; each container has its own. `stands_in` completes "… is a stand-in, …".
    """

    names: tuple[str, ...]
    stands_in: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    programs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    paths: tuple[str, ...] = ()
    host: bool = True
    tags: str = VERSIONS


class Reference(NamedTuple):
    """An image's name in its parts; `repository` without the registry's host and Docker Hub's `library/`."""

    repository: str
    tag: str
    digest: str


def _one(name: str, module: str, *rest: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ((name, (module, *rest)),)


def _server(names: str, stands_in: str, module: str, port: int, *, tags: str = VERSIONS, host: bool = True) -> Entry:
    """A row for an image that is one server without arguments."""
    return Entry(names=tuple(names.split()), stands_in=stands_in, entrypoint=(module,), ports=(port,),
                 programs=_one(module, module), tags=tags, host=host)  # fmt: skip


CATALOGUE: tuple[Entry, ...] = (
    Entry(names=("nginx", "nginx-slim", "google_containers/nginx", "google_containers/nginx-slim"), stands_in=WEB,
          cmd=("nginx", "-g", "daemon off;"), ports=(80,), programs=_one("nginx", "nginx"),
          paths=("/usr/share/nginx/html",), tags=NGINX),
    Entry(names=("httpd",), stands_in=WEB, cmd=("httpd-foreground",), ports=(80,),
          programs=_one("httpd-foreground", "httpd-foreground"), paths=("/usr/local/apache2/htdocs",)),
    _server("echoserver google_containers/echoserver e2e-test-images/echoserver", WEB, "echoserver", 8080),
    Entry(names=("busybox", "radial/busyboxplus"), stands_in=SHELL, cmd=("sh",)),
    Entry(names=("alpine",), stands_in=SHELL, cmd=("sh",)),
    Entry(names=("debian", "ubuntu", "fedora", "centos", "bash"), stands_in=SHELL, cmd=("bash",)),
    Entry(names=("tutum/curl", "curlimages/curl", "tutum/dnsutils", "e2e-test-images/jessie-dnsutils",
                 "kubernetes-e2e-test-images/dnsutils", "praqma/network-multitool", "nicolaka/netshoot"),
          stands_in=SHELL, cmd=("bash",)),
    Entry(names=("python",), stands_in="the Python that runs this notebook, with its packages", cmd=("python3",),
          programs=(("python", ("python",)), ("python3", ("python",)))),
    Entry(names=("perl",), stands_in="the host's perl, where it has one", cmd=("perl", "-de0")),
    Entry(names=("redis", "google_containers/redis", "google_samples/gb-redis-follower",
                 "google_samples/gb-redisslave", "google-samples/gb-redis-follower"),
          stands_in="a small part of redis in Python, on its own without replication", cmd=("redis-server",),
          ports=(6379,), paths=("/data",), tags=rf"{VERSIONS}|e2e",
          programs=(("redis-server", ("redis-server",)), ("redis-cli", ("redis-cli",)))),
    Entry(names=("hazelcast/hazelcast", "hazelcast", "pires/hazelcast-kubernetes"), entrypoint=("hazelcast",),
          stands_in="one member in Python that keeps maps over HTTP", ports=(5701,),
          programs=_one("hazelcast", "hazelcast")),
    _server("google-samples/hello-app google_samples/hello-app google-samples/containers/gke/hello-app", WEB,
            "hello-app", 8080, tags=r"1\.0|2\.0|latest", host=False),
    _server("google-samples/node-hello google_samples/node-hello hello-minikube-zero-install/hello-node", WEB,
            "hello-node", 8080),
    _server("google-samples/kubernetes-bootcamp google_samples/kubernetes-bootcamp "
            "jocatalin/kubernetes-bootcamp", WEB, "bootcamp", 8080, tags="v1|v2|latest"),
    Entry(names=("google-samples/gb-frontend", "google_samples/gb-frontend"), entrypoint=("guestbook",), ports=(80,),
          stands_in="the guestbook's page in Python", programs=_one("guestbook", "guestbook")),
    Entry(names=("luksa/kubia",), entrypoint=("kubia",), ports=(8080,), programs=_one("kubia", "kubia"),
          stands_in=WEB, tags="v[1-4]|latest"),
    Entry(names=("luksa/kubia-unhealthy",), entrypoint=("kubia",), ports=(8080,), stands_in=WEB,
          programs=_one("kubia", "kubia", "--unhealthy")),
    _server("luksa/kubia-pet luksa/kubia-pet-peers", WEB, "kubia-pet", 8080),
    Entry(names=("luksa/fortune",), entrypoint=("fortune",), stands_in="a small Python program with sayings of its own",
          programs=_one("fortune", "fortune"), paths=("/var/htdocs",), tags="env|args|latest"),
    Entry(names=("e2e-test-images/agnhost", "agnhost"), entrypoint=("/agnhost",), cmd=("pause",), ports=(8080,),
          stands_in="some of agnhost's subcommands in Python", programs=_one("agnhost", "agnhost")),
    Entry(names=("liveness", "google_containers/liveness", "e2e-test-images/liveness"), entrypoint=("/server",),
          ports=(8080,), stands_in=WEB, programs=_one("server", "agnhost", "liveness")),
    Entry(names=("serve_hostname", "google_containers/serve_hostname"), entrypoint=("/serve_hostname",), ports=(9376,),
          stands_in=WEB, programs=_one("serve_hostname", "agnhost", "serve-hostname")),
    _server("traefik/whoami containous/whoami", WEB, "whoami", 80, host=False),
    Entry(names=("hashicorp/http-echo",), entrypoint=("/http-echo",), ports=(5678,), stands_in=WEB,
          programs=_one("http-echo", "http-echo"), host=False),
    Entry(names=("hello-world",), entrypoint=("/hello",), stands_in="a Python program that prints two lines",
          programs=_one("hello", "hello-world"), host=False, tags="latest|linux"),
    Entry(names=("pause", "google_containers/pause", "pause-amd64", "google_containers/pause-amd64"),
          entrypoint=("/pause",), stands_in="a Python program that waits", programs=_one("pause", "pause"), host=False),
    Entry(names=("hpa-example",), cmd=("apache2-foreground",), ports=(80,), stands_in=WEB,
          programs=_one("apache2-foreground", "php-apache")),
    Entry(names=("polinux/stress", "progrium/stress"), stands_in="a small Python program that uses memory and CPU",
          cmd=("stress",), programs=_one("stress", "stress")),
)  # fmt: skip

_BY_NAME = {name: entry for entry in CATALOGUE for name in entry.names}


def parse(text: str) -> Reference:
    """The parts of `[host/]repository[:tag][@digest]`. Raises ValueError for what is no image name."""
    name, at, digest = text.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    path = (head + slash + last).split("/")
    if len(path) > 1 and ("." in path[0] or ":" in path[0] or path[0] == "localhost"):
        path = path[1:]
    repository = "/".join(path).removeprefix("library/")
    if not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", repository) or (colon and not re.fullmatch(r"\w[\w.-]*", tag)):
        raise ValueError(text)
    if at and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(text)
    return Reference(repository, tag or "latest", digest)


def find(text: str) -> Entry:
    """The row for an image. Raises LookupError with a sentence for a beginner, ValueError for what is no image name."""
    reference = parse(text)
    entry = _BY_NAME.get(reference.repository)
    if entry is None:
        raise LookupError(_unknown(text, reference.repository))
    if not reference.digest and not re.fullmatch(entry.tags, reference.tag):
        raise LookupError(
            f'tag "{reference.tag}" of image "{reference.repository}" is not in k8snb\'s catalogue of the process '
            f"runtime: manifest unknown; try {reference.repository}:latest, or a version such as 1.2.3"
        )
    return entry


def identify(text: str) -> str:
    """The image's id: the same for every spelling of one repository and tag."""
    reference = parse(text)
    return "sha256:" + hashlib.sha256(f"{reference.repository}:{reference.tag}".encode()).hexdigest()


def size(entry: Entry) -> int:
    """Bytes of the programs that an image consists of here."""
    modules = {command[0] for _, command in entry.programs} | set(APPLETS if entry.host else ())
    files = (os.path.join(os.path.dirname(__file__), module.replace("-", "_") + ".py") for module in modules)
    return sum(os.path.getsize(file) for file in files)


def _unknown(text: str, repository: str) -> str:
    last = repository.rpartition("/")[2]
    close = [name for name in _BY_NAME if name.rpartition("/")[2] == last]
    close += [name for name in difflib.get_close_matches(repository, _BY_NAME, 3, 0.6) if name not in close]
    hint = f"the closest are {', '.join(close[:3])}; " if close else ""
    return (
        f'image "{text}" is not in k8snb\'s catalogue of the process runtime; {hint}'
        "use Docker, or the simulated runtime, which takes any image"
    )

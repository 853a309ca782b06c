"""Simulated images: what a container of an image does, as data.

Interface: `IMAGES`, a table read from the top; `find(reference)` gives the first row that fits, with names such as
docker.io/library/nginx and nginx taken as one.
The rule not to break: behaviour is a row here, never a branch in the runtime. Any image fits a row: the last is `*`.
A real runtime asks a registry for the layers and starts what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

DECLARED: tuple[int, ...] = (0,)  # in `ports`: whatever the pod declares


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedImage:
    """One row. Times are seconds; `body` may use {pod} {image} {tag} {path} {method} {ip} and {text}, the -text flag.

    The image's own program is what runs when the pod names no command, or names one of `programs`. It stays for ever,
    answering on `ports` (`port_flag` is the option that moves them), or ends after `runs` seconds with `exit_code`; an
    image whose program is only a shell has it in `command`. `missing` is why the image cannot be pulled, `argument` a
    word that the container's arguments must hold for the row to fit, `sick_after` the age from which /healthz answers
    500, `memory_flag` the option that says how much memory the program takes, `cpu_flags` those that say how many
    processors. Without them it uses `cpu` cores and `memory` bytes, and `request_cpu` seconds for each answer.
    """

    glob: str
    user: str = ""  # as the image says it: a number, a name, or "" for root
    pull: float = 1.0
    start: float = 0.1
    missing: str = ""
    argument: str = ""
    ports: Sequence[int] = ()
    programs: Sequence[str] = ()
    command: Sequence[str] = ()
    runs: float | None = None
    exit_code: int = 0
    on_term: int = 143  # exit code of the image's own program after SIGTERM
    says: str = ""
    body: str = ""
    web_root: str = ""
    port_flag: str = ""
    memory_flag: str = ""
    cpu_flags: Sequence[str] = ()
    cpu: float = 0.001
    memory: float = 8 * 2**20
    request_cpu: float = 0.0
    access_log: bool = False
    sick_after: float | None = None


_NGINX_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head><title>Welcome to nginx!</title></head>\n"
    "<body><h1>Welcome to nginx!</h1><p>Simulated by k8snb: image {image}, pod {pod}.</p></body>\n</html>\n"
)
_ECHO = "Hostname: {pod}\n\nRequest:\n\tmethod={method}\n\tpath={path}\n\nServer: {image}, simulated by k8snb\n"
_HELLO = "Hello, world!\nVersion: {tag}\nHostname: {pod}\n"
_ANY = "{pod} ({image}), simulated by k8snb, answers {method} {path}\n"
_HTML = "/usr/share/nginx/html"
_NO_TAG = "manifest unknown: no such tag in the registry"
_NO_REPOSITORY = "repository does not exist or may require 'docker login': denied"

IMAGES: Sequence[SimulatedImage] = (
    # what cannot be pulled, so that ErrImagePull and ImagePullBackOff can be seen
    SimulatedImage(glob="*:doesnotexist", missing=_NO_TAG, pull=0.5),
    SimulatedImage(glob="*:does-not-exist", missing=_NO_TAG, pull=0.5),
    SimulatedImage(glob="*:no-such-tag", missing=_NO_TAG, pull=0.5),
    SimulatedImage(glob="*:nope*", missing=_NO_TAG, pull=0.5),
    SimulatedImage(glob="nginx:1.161*", missing=_NO_TAG, pull=0.5),
    SimulatedImage(glob="*doesnotexist*:*", missing=_NO_REPOSITORY, pull=0.5),
    SimulatedImage(glob="*does-not-exist*:*", missing=_NO_REPOSITORY, pull=0.5),
    SimulatedImage(glob="*no-such-image*:*", missing=_NO_REPOSITORY, pull=0.5),
    SimulatedImage(glob="nope*:*", missing=_NO_REPOSITORY, pull=0.5),
    SimulatedImage(glob="*/nope*:*", missing=_NO_REPOSITORY, pull=0.5),
    # web servers
    SimulatedImage(glob="nginx-unprivileged:*", user="101", ports=(8080,), body=_NGINX_PAGE, web_root=_HTML,
                   access_log=True, on_term=0, programs=("nginx",)),
    SimulatedImage(glob="nginx*:*", ports=(80,), body=_NGINX_PAGE, web_root=_HTML, access_log=True, on_term=0,
                   programs=("nginx", "nginx-debug"), says="nginx (simulated): ready for start up"),
    SimulatedImage(glob="httpd:*", ports=(80,), body="<html><body><h1>It works!</h1>{pod}</body></html>\n", on_term=0,
                   web_root="/usr/local/apache2/htdocs", access_log=True, programs=("httpd", "httpd-foreground")),
    SimulatedImage(glob="echoserver*:*", ports=(8080,), body=_ECHO, access_log=True, on_term=0),
    SimulatedImage(glob="echo-server:*", ports=(8080,), body=_ECHO, access_log=True),
    SimulatedImage(glob="http-echo:*", ports=(5678,), body="{text}\n", port_flag="listen",
                   programs=("http-echo",)),
    SimulatedImage(glob="hello-app:*", user="nonroot:nonroot", ports=(8080,), body=_HELLO),
    SimulatedImage(glob="node-hello:*", ports=(8080,), body="Hello Kubernetes!"),
    SimulatedImage(glob="hello-kubernetes:*", ports=(8080,), body="<h1>Hello world!</h1> pod: {pod}\n"),
    SimulatedImage(glob="kubernetes-bootcamp:*", ports=(8080,),
                   body="Hello Kubernetes bootcamp! | Running on: {pod} | v={tag}\n"),
    SimulatedImage(glob="whoami:*", ports=(80,), body="Hostname: {pod}\nIP: {ip}\n{method} {path}\n"),
    SimulatedImage(glob="hpa-example:*", ports=(80,), body="OK!", request_cpu=0.1, memory=12 * 2**20),
    SimulatedImage(glob="serve_hostname*:*", ports=(9376,), body="{pod}\n"),
    SimulatedImage(glob="serve-hostname*:*", ports=(9376,), body="{pod}\n"),
    SimulatedImage(glob="liveness:*", ports=(8080,), body="ok", sick_after=10.0, programs=("server",)),
    SimulatedImage(glob="agnhost:*", argument="liveness", ports=(8080,), body="ok", sick_after=10.0,
                   programs=("agnhost",)),
    SimulatedImage(glob="agnhost:*", argument="serve-hostname", ports=(9376,), body="{pod}\n", port_flag="port",
                   programs=("agnhost",)),
    SimulatedImage(glob="agnhost:*", argument="pause", programs=("agnhost",)),
    SimulatedImage(glob="agnhost:*", ports=(8080,), body="{pod}\n", port_flag="http-port", programs=("agnhost",)),
    # stores
    SimulatedImage(glob="redis*:*", ports=(6379,), on_term=0, programs=("redis-server",), says="Ready to accept"),
    SimulatedImage(glob="*memcached*:*", ports=(11211,), on_term=0, programs=("memcached",)),
    SimulatedImage(glob="mysql:*", ports=(3306,), start=2.0, on_term=0, programs=("mysqld",), pull=3.0),
    SimulatedImage(glob="postgres:*", ports=(5432,), start=1.0, on_term=0, programs=("postgres",), pull=2.0),
    SimulatedImage(glob="mongo:*", ports=(27017,), start=1.0, on_term=0, programs=("mongod",), pull=3.0),
    # images whose own program ends, or waits for ever
    SimulatedImage(glob="pause:*", pull=0.2, on_term=0, programs=("pause",)),
    SimulatedImage(glob="hello-world:*", runs=0.0, pull=0.3, programs=("hello",),
                   says="Hello from Docker! (simulated by k8snb)"),
    SimulatedImage(glob="busybox:*", command=("sh",), pull=0.3),
    SimulatedImage(glob="alpine:*", command=("sh",), pull=0.3),
    SimulatedImage(glob="debian:*", command=("bash",)),
    SimulatedImage(glob="ubuntu:*", command=("bash",)),
    SimulatedImage(glob="python:*", runs=0.0),
    SimulatedImage(glob="perl:*", runs=5.0, programs=("perl",), says="(simulated: perl is not run)"),
    SimulatedImage(glob="stress*:*", programs=("stress", "stress-ng"), memory_flag="vm-bytes",
                   cpu_flags=("cpu", "cpus"), cpu=1.0),
    # everything else: a server on the ports that the pod declares
    SimulatedImage(glob="*", ports=DECLARED, body=_ANY),
)  # fmt: skip


def find(reference: str, arguments: Sequence[str] = ()) -> SimulatedImage:
    """The first row that fits an image and the container's words (for images that are several programs)."""
    return _find(reference, tuple(arguments))


@lru_cache(maxsize=256)
def _find(reference: str, arguments: tuple[str, ...]) -> SimulatedImage:
    name = canonical(reference)
    short = name.rpartition("/")[2]
    for row in IMAGES:
        fits = fnmatchcase(name, row.glob) or fnmatchcase(short, row.glob)
        if fits and (not row.argument or row.argument in arguments):
            return row
    return IMAGES[-1]


def canonical(reference: str) -> str:
    """`docker.io/library/nginx` and `nginx` are both `nginx:latest`; a digest stands in for a tag."""
    name, _, digest = reference.removeprefix("docker.io/").removeprefix("library/").partition("@")
    if ":" in name.rpartition("/")[2]:
        return name
    return f"{name}:{digest.replace(':', '-') or 'latest'}"

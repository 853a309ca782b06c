"""The Docker engine: finding one that answers, its errors in plain words, and the image that holds a pod open.

Interface: `engine_answers()`, `forbidden()`, `has_images()` for choosing a runtime; `connect()`, `translated()`,
`explain_pull()`, `ensure_pause_image()` for the runtime itself.
The rule not to break: asking whether an engine is there loads no `docker` package and takes no longer than its timeout.
A kubelet is told its runtime's socket by --container-runtime-endpoint; pause images come from registry.k8s.io.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import socket
import ssl
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from k8snb.cri import Credential, RuntimeFailure, RuntimeUnavailable

PAUSE_LABEL = "io.k8snb.pause"
OWN_PAUSE = "k8snb/pause:1"
UPSTREAM_PAUSE = "registry.k8s.io/pause:3.9"
CALL_SECONDS = 30.0  # for a call's answer, beyond what the call itself is to wait for
PULL_SECONDS = 20.0  # for the pause image, before the next way is tried
_WITH_SLEEP = ("busybox", "alpine", "debian", "ubuntu", "nginx", "python", "httpd", "redis")
_STATIC_PROGRAMS = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/lib/busybox/busybox")

_PULL_PROBLEMS: Sequence[tuple[str, str, str]] = (
    (r"no such host|server misbehaving|name resolution", "ErrImagePull",
     "the registry's name is not found: is this machine on the internet?"),
    (r"connection refused|no route to host|network is unreachable", "ErrImagePull",
     "nothing answers at the registry: check the name before the first / of the image"),
    (r"timeout|timed out|deadline exceeded|Client\.Timeout", "ErrImagePull",
     "the registry did not answer in time: try again, or check the proxy"),
    (r"toomanyrequests|rate limit", "ErrImagePull",
     "the registry's limit for pulls without login is reached: wait, or run docker login"),
    (r"pull access denied|unauthorized|authentication required|denied|no basic auth", "ErrImagePull",
     "the repository does not exist or needs a login: check the spelling, or run docker login"),
    (r"manifest unknown|manifest for .* not found|not found", "ErrImagePull",
     "not found: the registry has no such image or tag: check the spelling"),
    (r"no matching manifest|does not match the specified platform", "ErrImagePull",
     "the image has no build for this machine's processor: choose another image"),
    (r"\bEOF\b|connection reset|broken pipe", "ErrImagePull",
     "the registry broke the connection off: it is tried again"),
    (r"no space left", "ErrImagePull", "no space left on the disk: docker system prune makes room"),
    (r"HTTP response to HTTPS client|x509|certificate", "ErrImagePull",
     "the registry speaks no HTTPS that Docker trusts: see insecure-registries in Docker's settings"),
    (r"invalid reference|invalid tag|must be lowercase|invalid repository", "InvalidImageName",
     "this is not an image name: lower case, as in nginx:1.25"),
)  # fmt: skip


# Finding an engine


def default_url() -> str:
    """Where Docker is expected: DOCKER_HOST, or the first socket that exists; empty when there is none."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    if os.name == "nt":
        return "npipe:////./pipe/docker_engine"
    home, runtime = Path.home(), os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")
    places = [
        Path("/var/run/docker.sock"), Path(runtime, "docker.sock"), home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock", home / ".colima/default/docker.sock", home / ".rd/docker.sock",
    ]  # fmt: skip
    return next((f"unix://{place}" for place in places if place.is_socket()), "")


def engine_answers(base_url: str | None = None, timeout: float = 2.0) -> str | None:
    """The version of the Docker engine there, or None when none answers within `timeout` seconds."""
    url = base_url or default_url()
    if not url:
        return None
    if not _is_plain(url):
        return _ask_package(url, timeout)
    try:
        version = json.loads(_get(url, "/version", timeout)).get("Version")
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return None
    return str(version) if version else None


def forbidden(base_url: str | None = None) -> str:
    """A sentence where there is a socket that this user may not use, else nothing."""
    parts = urlsplit(base_url or default_url())
    if parts.scheme != "unix" or not os.path.exists(parts.path) or os.access(parts.path, os.R_OK | os.W_OK):
        return ""
    return f"this user may not use Docker's socket {parts.path}, which root and the members of its group may"


def _is_plain(url: str) -> bool:
    """Whether the engine speaks HTTP on a socket there, without what only the docker package knows to do."""
    return not url.startswith(("npipe:", "ssh:")) and not os.environ.get("DOCKER_TLS_VERIFY")


def _get(url: str, path: str, timeout: float) -> bytes:
    """One GET on the engine's socket, without the docker package, which takes a while to load."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port or 2375, timeout=timeout)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=context)
    try:
        if parts.scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(parts.path)
        connection.request("GET", path, headers={"Host": "docker"})
        return connection.getresponse().read()
    finally:
        connection.close()


def _ask_package(url: str, timeout: float) -> str | None:
    try:
        with connected(url, timeout=timeout) as api:
            return str(api.version()["Version"])
    except RuntimeFailure:
        return None


def has_images(refs: Sequence[str], base_url: str | None = None) -> bool:
    """Whether the engine has all these images already, so that a lesson needs no registry."""
    import docker

    try:
        with connected(base_url) as api:
            for ref in refs:
                api.inspect_image(ref)
    except (RuntimeFailure, docker.errors.APIError):
        return False
    return True


def connect(base_url: str | None = None, *, timeout: float = CALL_SECONDS) -> Any:
    """A `docker.APIClient` on an engine that answers. Raises RuntimeFailure."""
    import docker

    url = base_url or default_url()
    if not url or (_is_plain(url) and engine_answers(url, 10.0) is None):
        raise RuntimeUnavailable("RuntimeNotReady", _no_engine(_why_not(url)))
    options: dict[str, Any] = {"timeout": timeout, "max_pool_size": 32, "version": "auto"}
    if os.environ.get("DOCKER_TLS_VERIFY") and base_url is None:
        options.update(docker.utils.kwargs_from_env())
    try:
        return docker.APIClient(**{"base_url": url, **options})
    except docker.errors.DockerException as error:
        raise RuntimeUnavailable("RuntimeNotReady", _no_engine(first_line(error))) from None


@contextmanager
def connected(base_url: str | None = None, *, timeout: float = CALL_SECONDS) -> Iterator[Any]:
    """`connect`, closed at the end."""
    api = connect(base_url, timeout=timeout)
    try:
        yield api
    finally:
        api.close()


def _why_not(url: str) -> str:
    return forbidden(url) or (f"nothing at {url}" if url else "there is no Docker socket")


def _no_engine(why: str) -> str:
    return f"no Docker engine answers ({why}): start Docker, or use the process runtime, which needs none"


# Errors


@contextmanager
def translated(reason: str, what: str) -> Iterator[None]:
    """Turn what the docker package raises into a RuntimeFailure of one line: `what` and the engine's own words."""
    import docker

    try:
        yield
    except docker.errors.NotFound as error:
        gone = "No such container" in str(error)
        raise RuntimeFailure("NotFound" if gone else reason, f"{what}: {first_line(error)}") from None
    except engine_errors() as error:
        failure = RuntimeUnavailable if _broke_off(error) or _timed_out(error) else RuntimeFailure
        raise failure(reason, f"{what}: {first_line(error)}") from None


@contextmanager
def ignoring(*statuses: int) -> Iterator[None]:
    """Let answers of the engine with these HTTP statuses pass."""
    import docker

    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in statuses:
            raise


def first_line(error: Exception) -> str:
    """The engine's own words, without the HTTP around them."""
    if _timed_out(error):
        return f"the Docker engine has not answered for {CALL_SECONDS:g} s: docker ps shows whether it is well"
    if _broke_off(error):
        return "the Docker engine does not answer: is Docker still running?"
    text = str(getattr(error, "explanation", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def engine_errors() -> tuple[type[Exception], ...]:
    """What a call raises: the docker package's errors, and those of the way to the engine.

    The way is requests' until an answer begins, and urllib3's in the middle of one.
    """
    import docker
    import requests
    import urllib3

    return docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError


def _broke_off(error: Exception) -> bool:
    """Whether the engine went away before its answer was complete, or was not there at all."""
    return _on_the_way(error) and not _timed_out(error)


def _timed_out(error: Exception) -> bool:
    """Whether the engine took too long; in the middle of an answer that is no error of a class of its own."""
    return _on_the_way(error) and "timed out" in str(error)


def _on_the_way(error: Exception) -> bool:
    import docker

    return isinstance(error, engine_errors()) and not isinstance(error, docker.errors.DockerException)


def explain_start(text: str) -> str:
    """What the OCI runtime says when a program cannot be started, without its layers of prefixes."""
    match = re.search(r'exec: "?(.+?)"?: (?:stat .+?: )?(.+?)(?:: unknown)?"?$', text)
    if match is None:
        return text
    return f'cannot run "{match[1]}": {match[2]}: check the container\'s command and args'


def explain_pull(image: str, text: str) -> RuntimeFailure:
    """Why a pull failed, with the way out."""
    for pattern, reason, sentence in _PULL_PROBLEMS:
        if re.search(pattern, text, re.IGNORECASE):
            return RuntimeFailure(reason, f'failed to pull image "{image}": {sentence}')
    return RuntimeFailure("ErrImagePull", f'failed to pull image "{image}": {text}')


def pull(
    base_url: str | None, image: str, *, silence: float, credential: Credential | None = None,
    tell: Callable[[Mapping[str, Any]], None] = lambda progress: None,
) -> None:  # fmt: skip
    """Pull one image. Raises RuntimeFailure, also when the engine reports nothing new for `silence` seconds.

    `tell` hears each line of the engine's progress.
    """
    import docker

    repository, tag = docker.utils.parse_repository_tag(image)
    try:
        with connected(base_url) as api:
            # The package would wait for ever for what a pull has to say.
            api._set_request_timeout = lambda options: {**options, "timeout": silence}
            known = {"username": credential.username, "password": credential.password} if credential else None
            for progress in api.pull(repository, tag=tag or "latest", stream=True, decode=True, auth_config=known):
                if "error" in progress:
                    raise explain_pull(image, str(progress["error"]))
                tell(progress)
    except engine_errors() as error:
        if _broke_off(error):
            message = f'failed to pull image "{image}": {first_line(error)}'
            raise RuntimeUnavailable("ErrImagePull", message) from None
        raise explain_pull(image, "timeout" if _timed_out(error) else first_line(error)) from None


# The pause container


class Pause(NamedTuple):
    """An image, and the words that make it wait for ever."""

    image: str
    command: tuple[str, ...]


def ensure_pause_image(api: Any, base_url: str | None) -> Pause:
    """An image for pause containers: one that is there, one made from this machine's busybox, or the real one pulled.

    Raises RuntimeFailure when none of these can be had.
    """
    present = _present(api)
    if OWN_PAUSE in present:
        return Pause(OWN_PAUSE, ("sleep", "2147483647"))
    if real := next((ref for ref in present if re.fullmatch(r"(\S+/)?pause:\S+", ref)), None):
        return Pause(real, ())
    if _import_busybox(api, base_url):
        return Pause(OWN_PAUSE, ("sleep", "2147483647"))
    with suppress(RuntimeFailure):
        pull(base_url, UPSTREAM_PAUSE, silence=PULL_SECONDS)
        return Pause(UPSTREAM_PAUSE, ())
    for name in _WITH_SLEEP:
        if other := next((ref for ref in present if ref.partition(":")[0] == name), None):
            return Pause(other, ("sleep", "2147483647"))
    message = f"no image to hold pods open: with the internet at hand, run docker pull {UPSTREAM_PAUSE}"
    raise RuntimeFailure("CreatePodSandboxError", message)


def _present(api: Any) -> list[str]:
    return [ref for image in api.images() for ref in image.get("RepoTags") or () if "<none>" not in ref]


def _import_busybox(api: Any, base_url: str | None) -> bool:
    """Make the pause image of a static busybox of this machine. Only where the engine runs on this same machine."""
    program = next((Path(path) for path in _STATIC_PROGRAMS if _is_static(Path(path))), None)
    if program is None or not (base_url or default_url()).startswith("unix:"):
        return False
    import docker

    changes = [f"LABEL {PAUSE_LABEL}=1", "ENV PATH=/bin"]
    name, _, tag = OWN_PAUSE.partition(":")
    try:
        api.import_image_from_data(_layer(program), repository=name, tag=tag, changes=changes)
    except docker.errors.DockerException:
        return False
    return True


def _is_static(path: Path) -> bool:
    """Whether this is a Linux program without a loader (the loader's path stands near the beginning)."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.startswith(b"\x7fELF") and b"/ld-" not in head


def _layer(program: Path) -> bytes:
    """A file system with one program in it, under two names, as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(program.resolve(), "bin/busybox")
        link = tarfile.TarInfo("bin/sleep")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
    return buffer.getvalue()

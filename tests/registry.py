"""A registry of the tests' own on this machine's loopback address, and a relay before it that makes it slow or cuts it.

Interface: `registry(…)`, a context with a `Registry`, Debian's docker-registry; `relay(…)`, one with a `Relay`;
`pushed(api, …)` puts an image with several layers into a registry and takes it away from the engine.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from docker_images import SHELL

PROGRAM = "docker-registry"
USER, PASSWORD = "ann", "open-sesame"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n"  # bcrypt of PASSWORD
CONFIGURATION = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {home}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""


def why_not() -> str:
    return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registry:
    """It keeps its images and its port over a stop."""

    def __init__(self, home: Path, *, private: bool) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        (home / "htpasswd").write_text(HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {home}/htpasswd}}}}" if private else ""
        self._file = home / "config.yml"
        self._file.write_text(CONFIGURATION.format(home=home, port=self.port, auth=auth))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [PROGRAM, "serve", str(self._file)]
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        end = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < end and self._process.poll() is None
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://{self.host}/", timeout=1):
            return True
        return False


@contextmanager
def registry(*, private: bool = False) -> Iterator[Registry]:
    with tempfile.TemporaryDirectory(prefix="k8snb-registry-") as home:
        made = Registry(Path(home), private=private)
        try:
            made.start()
            yield made
        finally:
            made.stop()


class Relay:
    """Passes connections on to a port. `rate` is in bytes per second for each, 0 = as fast as it can; `cuts` tells how
    many connections are still to be broken off, each after `cut_after` bytes of an answer.
    """

    def __init__(self, to: int) -> None:
        self.rate, self.cuts, self.cut_after = 0, 0, 0
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.host = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listening, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                for source, sink, slow in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass_on, args=(source, sink, slow), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(16384):
                passed += len(data)
                if slow and self.cuts > 0 and passed > self.cut_after:
                    self.cuts -= 1
                    break
                sink.sendall(data)
                if slow and self.rate:
                    time.sleep(len(data) / self.rate)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(to: Registry) -> Iterator[Relay]:
    made = Relay(to.port)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def pushed(api: Any, image: str, *, layers: int = 1, size: int = 1000, auth: Mapping[str, str] | None = None) -> Any:
    """A registry has the image: busybox below `layers` of `size` random bytes. The engine has forgotten it."""
    for line in api.build(fileobj=_context(layers, size), custom_context=True, tag=image, decode=True, rm=True):
        assert "error" not in line, line
    for line in api.push(image, stream=True, decode=True, auth_config=dict(auth) if auth else None):
        assert "error" not in line, line
    forget(api, image)
    try:
        yield image
    finally:
        forget(api, image)


def forget(api: Any, *images: str) -> None:
    """The engine has it no longer, if it had it, under no name at all."""
    import docker

    for image in images:
        with suppress(docker.errors.ImageNotFound):
            api.remove_image(api.inspect_image(image)["Id"], force=True)


def _context(layers: int, size: int) -> io.BytesIO:
    names = [f"layer-{number}" for number in range(layers)]
    recipe = "\n".join([f"FROM {SHELL}", *(f"COPY {name} /{name}" for name in names)])
    files = {"Dockerfile": recipe.encode(), **{name: os.urandom(size) for name in names}}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer

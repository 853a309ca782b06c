"""The images that the Docker tests use, made of what Debian's packages put on this machine: no registry is asked.

Interface: `image_layers(api)`, a context in which the engine has `IMAGES`; what it lacked is removed at the end.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
ECHOSERVER, NGINX, SHELL = "k8s.gcr.io/echoserver:1.10", "nginx:1.7.9", "busybox:latest"
IMAGES = (ECHOSERVER, NGINX, SHELL)
PAGE = "<!DOCTYPE html>\n<title>Welcome to nginx!</title>\n<h1>Welcome to nginx!</h1>\n"
PATH = "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin"

CONFIGURATION = """\
worker_processes 1;
error_log /dev/stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
  access_log /dev/stdout;
  client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4;
  scgi_temp_path /tmp/5;
  %s
}
"""
SITE = "server { listen 80; root /usr/share/nginx/html; }"
ECHO = """server { listen 8080; location / { default_type text/plain; return 200
"Hostname: $hostname\\n\\nRequest Information:\\n\\tclient_address=$remote_addr\\n\\tmethod=$request_method\\n\\treal path=$request_uri\\n"; } }"""  # noqa: E501


@contextmanager
def image_layers(api: Any) -> Iterator[None]:
    """The engine has every one of `IMAGES`; one that it had before is left as it was."""
    made = [ref for ref in IMAGES if not _is_there(api, ref)]
    for ref in made:
        layer, changes = _web(ref) if ref != SHELL else (_tar(_shell()), [PATH, 'CMD ["sh"]'])
        name, _, tag = ref.rpartition(":")
        api.import_image_from_data(layer, repository=name, tag=tag, changes=changes)
    try:
        yield
    finally:
        for ref in made:
            api.remove_image(ref, force=True)


def _is_there(api: Any, ref: str) -> bool:
    import docker

    try:
        api.inspect_image(ref)
    except docker.errors.ImageNotFound:
        return False
    return True


def _web(ref: str) -> tuple[bytes, list[str]]:
    """A web server: Debian's nginx with the libraries that it loads; busybox' httpd where nginx is not installed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        return _tar(_shell()), [PATH, f"CMD {json.dumps(['sh', '-c', _HTTPD[ref]])}"]
    site = ECHO if ref == ECHOSERVER else SITE
    files: dict[str, bytes | Path] = {
        "etc/nginx/nginx.conf": (CONFIGURATION % site).encode(),
        "etc/passwd": b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
        "usr/share/nginx/html/index.html": PAGE.encode(),
        "run/nginx.log": b"",
        "var/log/nginx/error.log": b"",
        **{str(library).lstrip("/"): library for library in _loaded(program)},
        program.lstrip("/"): Path(program),
    }
    command = [program, "-c", "/etc/nginx/nginx.conf", "-g", "daemon off; user root;"]
    return _tar({**_shell(), **files}), [PATH, f"CMD {json.dumps(command)}"]


def _loaded(program: str) -> list[Path]:
    """The shared libraries of a program, and its loader."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", text)]


def _shell() -> dict[str, bytes | Path]:
    """busybox under the names of all its commands."""
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return {"bin/busybox": BUSYBOX, **{f"bin/{name}": b"" for name in names if name != "busybox"}}


def _tar(files: Mapping[str, bytes | Path]) -> bytes:
    """A root file system. An empty file in bin/ is a link to busybox."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "etc", "run", "tmp", "root", "lib64", "usr", "var", "var/log"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name, content in files.items():
            _add(archive, name, content)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    if isinstance(content, Path):
        archive.add(content.resolve(), name)
        return
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o644, len(content)
    if name.startswith("bin/"):
        entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "busybox", 0
    archive.addfile(entry, io.BytesIO(content))


_SERVE = "trap 'exit 0' TERM; httpd -f -p {port} -h /www & wait"
_HTTPD = {
    ECHOSERVER: (
        r"mkdir -p /www/cgi-bin; printf '#!/bin/sh\necho Content-Type: text/plain\necho\necho Hostname: $(hostname)\n'"
        " > /www/cgi-bin/index.cgi; chmod 755 /www/cgi-bin/index.cgi; " + _SERVE.format(port=8080)
    ),
    NGINX: f"mkdir -p /www; echo '{PAGE}' > /www/index.html; " + _SERVE.format(port=80),
}

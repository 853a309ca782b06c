"""kubectl cp: files to and from containers.

Interface: `COMMANDS`.
The rule not to break: nothing is written outside the destination, whatever names the archive has.
Source: `kubectl/pkg/cmd/cp`. Like there, the container's own tar packs and unpacks.
"""

from __future__ import annotations

import io
import os
import posixpath
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl import pods, remote
from k8snb.kubectl.grammar import BOOL, INT, Arguments, Command, Flag
from k8snb.kubectl.logs import default_container
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import Session

_FORM = "error: filespec must match the canonical format: [[namespace/]pod:]file/path"


class _Place(NamedTuple):
    """A path, here or with a pod in that pod."""

    path: str
    pod: str = ""
    namespace: str = ""


class _Container(NamedTuple):
    """Where commands run."""

    session: Session
    pod: Object
    name: str

    def run(self, command: list[str], given: bytes | None = None) -> remote.Said:
        return remote.converse(self.session, self.pod, self.name, command=command, given=given)


def run(session: Session, args: Arguments) -> Output:
    if len(args.words) != 2:
        raise KubectlError("error: source and destination are required")
    source, target = (_place(word) for word in args.words)
    if source.pod and target.pod:
        raise KubectlError("error: one of src or dest must be a local file specification")
    if not source.path or not target.path:
        raise KubectlError("error: filepath can not be empty")
    if not source.pod and not target.pod:
        raise KubectlError("error: one of src or dest must be a remote file specification")
    if not source.pod and not Path(source.path).exists():
        raise KubectlError(f"error: {source.path} doesn't exist in local filesystem")
    notes: list[str] = []
    container = _container(session, args, source if source.pod else target, notes)
    if source.pod:
        notes += _from_pod(container, source, target, args.number("retries"))
    else:
        notes += _to_pod(container, source, target, preserve=not args.on("no-preserve"))
    return Output(text="".join(f"{note}\n" for note in notes), objects=[container.pod])


def _place(word: str) -> _Place:
    """`[[namespace/]pod:]path`. Raises KubectlError."""
    pod, colon, path = word.partition(":")
    if not colon:
        return _Place(_without_slash(word))
    *namespace, name = pod.split("/")
    if not pod or len(namespace) > 1:
        raise KubectlError(_FORM)
    return _Place(_without_slash(path.replace("\\", "/")), name, "".join(namespace))


def _without_slash(path: str) -> str:
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def _container(session: Session, args: Arguments, place: _Place, notes: list[str]) -> _Container:
    try:
        pod = session.client.get("pods", place.pod, place.namespace or session.namespace)
    except ApiError as error:
        raise refused(error) from None
    pods.unfinished(pod, "exec into")
    return _Container(session, pod, args.text("container") or default_container(pod, notes))


def _notices(said: remote.Said) -> list[str]:
    """What a command printed beside its output. Raises KubectlError where it failed."""
    notices = said.stderr.decode(errors="replace").splitlines()
    if said.code:
        text = f"command terminated with exit code {said.code}"
        raise KubectlError("\n".join([*notices, text]), exit_code=said.code)
    return notices


# there


def _to_pod(container: _Container, source: _Place, target: _Place, *, preserve: bool) -> list[str]:
    path = posixpath.normpath(target.path)
    if container.run(["test", "-d", target.path]).code == 0:
        path = posixpath.join(path, Path(source.path).resolve().name)
    flags = ["-xmf", "-"] if preserve else ["--no-same-permissions", "--no-same-owner", "-xmf", "-"]
    folder, name = posixpath.split(path)
    where = ["-C", folder or "."]
    said = container.run(["tar", *flags, *where], _packed(Path(source.path), name))
    return [*said.stdout.decode(errors="replace").splitlines(), *_notices(said)]


def _packed(source: Path, name: str) -> bytes:
    """An archive in which the source is called `name`. Raises KubectlError for what cannot be read."""
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            archive.add(source, name)
    except OSError as error:
        raise KubectlError(f"error: open {error.filename}: {(error.strerror or '').lower()}") from None
    return buffer.getvalue()


# and back


def _from_pod(container: _Container, source: _Place, target: _Place, retries: int) -> list[str]:
    notices: list[str] = []
    said = _archive(container, source.path, retries, notices)
    notices += _notices(said)
    prefix = _prefix(source.path)
    try:
        with tarfile.open(fileobj=io.BytesIO(said.stdout)) as archive:
            unpacking = _Unpacking(archive, container.pod, prefix, source, Path(target.path))
            for member in archive:
                unpacking.take(member)
    except tarfile.TarError:
        raise KubectlError("\n".join([*notices, "error: tar contents corrupted"])) from None
    except OSError as error:
        raise KubectlError(f"error: open {error.filename}: {(error.strerror or '').lower()}") from None
    return notices + unpacking.warnings


def _archive(container: _Container, path: str, retries: int, notices: list[str]) -> remote.Said:
    """What tar says of the path; where the connection breaks, the rest is asked for. Raises KubectlError."""
    come, tried = b"", 0
    command = ["tar", "cf", "-", path]
    while True:
        try:
            said = container.run(command)
            return said._replace(stdout=come + said.stdout)
        except remote.BrokenError as error:
            come += error.stdout
            if tried == retries:
                raise
        tried += 1
        of = f"/{retries}" if retries > 0 else ""
        notices.append(f"Resuming copy at {len(come)} bytes, retry {tried}{of}")
        command = ["sh", "-c", f"tar cf - {shlex.quote(path)} | tail -c+{len(come) + 1}"]


def _prefix(path: str) -> str:
    """How the names in an archive of this path begin: tar drops a leading slash, and steps upwards."""
    clean = posixpath.normpath(path.lstrip("/") or ".")
    while clean.startswith("../"):
        clean = clean[3:]
    return "" if clean in (".", "..") else clean


class _Unpacking:
    """Members of an archive on their way to this machine: directories and files, and nothing else."""

    def __init__(self, archive: tarfile.TarFile, pod: Object, prefix: str, source: _Place, target: Path) -> None:
        self._archive, self._pod, self._prefix, self._target = archive, pod, prefix, target
        self._source = source
        self.warnings: list[str] = []
        self._links = 0

    def take(self, member: tarfile.TarInfo) -> None:
        if not member.name.startswith(self._prefix):
            raise tarfile.TarError(member.name)
        rest = member.name[len(self._prefix) :].lstrip("/")
        path = Path(os.path.normpath(self._target / rest)) if rest else self._target
        if not _is_within(self._target, path):
            self.warnings.append(f'warning: file "{path}" is outside target destination, skipping')
            return
        act = next((act for fits, act in _MEMBERS if fits(member)), None)
        if act is not None:
            act(self, member, path)

    def directory(self, member: tarfile.TarInfo, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def file(self, member: tarfile.TarInfo, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self._archive.extractfile(member)
        with path.open("wb") as file:
            while content is not None and (data := content.read(remote.PIECE)):
                file.write(data)

    def link(self, member: tarfile.TarInfo, path: Path) -> None:
        instead = f'(consider using "kubectl exec -n "{namespace_of(self._pod)}" "{name_of(self._pod)}" -- '
        instead += f'tar cf - "{self._source.path}" | tar xf -")'
        hint = "" if self._links else f" {instead}"
        self._links += 1
        self.warnings.append(f'warning: skipping symlink: "{path}" -> "{member.linkname}"{hint}')


_MEMBERS: tuple[tuple[Callable[[tarfile.TarInfo], bool], Callable[[_Unpacking, tarfile.TarInfo, Path], None]], ...] = (
    (tarfile.TarInfo.isdir, _Unpacking.directory),
    (tarfile.TarInfo.issym, _Unpacking.link),
    (tarfile.TarInfo.isfile, _Unpacking.file),
)


def _is_within(folder: Path, path: Path) -> bool:
    """Whether a path is the folder or below it, also by the links that are there already."""
    root = folder.resolve()
    real = path.resolve()
    return real == root or root in real.parents


COMMANDS = (
    Command(
        name="cp",
        usage="FILE-SPEC-SRC FILE-SPEC-DEST [flags]",
        help="Copy files to and from containers.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",)),
            Flag("no-preserve", BOOL, "Do not keep owners and permissions in the container."),
            Flag("retries", INT, "How often to go on with a copy from a container where it broke off; -1: always."),
        ),
        examples=("kubectl cp page.html web:/usr/share/nginx/html/index.html", "kubectl cp web:/etc/hostname name.txt",
                  "kubectl cp default/web:/var/log logs -c nginx"),
    ),
)  # fmt: skip

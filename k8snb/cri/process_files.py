"""A container's place on this machine: its directory, its paths, its commands and its environment.

Interface: `Place`, made of a directory, an image's catalogue entry and the configs; `Programs` keeps the commands.
The rule not to break: a path that belongs to the container never means the machine's own: what is mounted, /tmp and the
image's own directories are found under the container's root, also in its command lines.
A real runtime gives the container a file system of its own by a mount namespace.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from k8snb.cri import ContainerConfig, Mount, PodSandboxConfig, RuntimeFailure, etc_hosts, images

HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELLS = ("sh", "bash", "ash", "dash")
# What the kubelet mounts into every container is not worth a note.
EVERY_CONTAINER = ("/dev/termination-log", "/etc/hosts", "/var/run/secrets/kubernetes.io/serviceaccount")
PASSABLE = 0o711  # a container's user is seldom the one of this process
SCRATCH = ("/tmp", "/var/tmp", "/root")
KILLS_FIRST_PROCESS = re.compile(r"\bkill\b[^;&|\n]*\s1(?!\S)")
Bound = tuple[str, str, bool]  # a path of the machine, where the container sees it, whether it may only read
LAUNCHER = os.path.join(os.path.dirname(images.__file__), "__main__.py")


class NotExecutableError(Exception):
    """A command that cannot be found or run; the text is that of the OCI runtime."""


class Programs:
    """Directories with one small script for each program of an image, ahead of the host's in PATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def install(self, entry: images.Entry) -> Path:
        """The directory of an image's programs, made at the first call."""
        folder = self.directory / entry.names[0].replace("/", "_")
        if not folder.exists():
            fresh = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
            fresh.mkdir(parents=True)
            for name, command in _programs(entry).items():
                script = fresh / name
                script.write_text(_script(command), encoding="utf-8")
                script.chmod(0o755)
            try:
                fresh.rename(folder)
            except OSError:  # somebody else was first
                for script in fresh.iterdir():
                    script.unlink()
                fresh.rmdir()
        return folder


class Place:
    """One container's files under `directory`; `root` stands for its `/`.

    With `private` it gets a mount namespace: what is `bound` there is found at its own path, and `view` is its `/`.
    `owner` is the user and group of its processes, where they are others than this process's own.
    """

    def __init__(
        self, directory: Path, entry: images.Entry, programs: Path, *, private: bool = False,
        owner: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.directory, self.root = directory, directory / "rootfs"
        self.hostname, self._owner = "", owner
        self.doors: tuple[str, ...] = ()  # of the cgroup that its processes are in
        self.entry, self.programs = entry, programs
        self.notes: list[str] = []
        self.private, self.view = private, directory / "view"
        self.bound: list[Bound] = []
        self._paths: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def prepare(self, sandbox: PodSandboxConfig, ip: str, mounts: Sequence[Mount]) -> None:
        """Make the directories, the files a runtime writes into /etc, and the links to what is mounted."""
        self.root.mkdir(parents=True)
        self.hostname = "" if sandbox.host_network else sandbox.hostname or sandbox.name
        for mount in sorted(mounts, key=lambda mount: mount.container_path):
            self._mount(mount)
        for path in (*SCRATCH, *self.entry.paths):
            self._own(path)
        for name, text in _etc_files(sandbox, ip).items():
            self._write(f"/etc/{name}", text)
        if self.private:
            self.view.mkdir()
            self._paths.update({path: path for _, path, _ in self.bound})
        self._pattern = _pattern(self._paths)
        if not self.private and any(not mount.container_path.startswith(EVERY_CONTAINER) for mount in mounts):
            read_only = ", read-only ones writable" if any(mount.readonly for mount in mounts) else ""
            self.notes.append(
                "process runtime: no mount namespace: volumes are found under $K8SNB_ROOT, and paths in command lines "
                f"and variables point there{read_only}"
            )

    def translate(self, text: str) -> str:
        """The same text with the container's paths as they are on this machine."""
        assert self._pattern is not None
        return self._pattern.sub(lambda match: self._paths[match[0]], text)

    def working_directory(self, path: str) -> Path:
        """Where a program starts; made if it is not there."""
        translated = self.translate(path)
        folder = Path(translated) if translated != path else self.root / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line as this machine runs it. Raises NotExecutableError."""
        program = self._find(words[0])
        if os.path.basename(words[0]) == "tar":
            return [program, *self._tar(words[1:])]
        arguments = [self.translate(word) for word in words[1:]]
        if os.path.basename(words[0]) in SHELLS and "-c" in arguments[:-1]:
            script = arguments.index("-c") + 1
            if KILLS_FIRST_PROCESS.search(arguments[script]):
                # The shell's own kill would mean the machine's first process, not the container's.
                kill = shlex.quote(str(self.programs / "kill"))
                arguments[script] = f'kill() {{ {kill} "$@"; }}\n{arguments[script]}'
        return [program, *arguments]

    def _tar(self, words: Sequence[str]) -> list[str]:
        """tar's arguments: what it packs keeps the name that it has in the container, which `kubectl cp` relies on."""
        arguments: list[str] = []
        for before, word in zip(("", *words), words, strict=False):
            inside = os.path.relpath(self.translate(word), self.root)
            packed = word.startswith("/") and not before.endswith(("C", "f", "directory", "file"))
            if packed and self.translate(word) != word and not inside.startswith(".."):
                arguments += ["-C", str(self.root), inside]
            else:
                arguments.append(self.translate(word))
        return arguments

    def environment(self, config: ContainerConfig, settings: Mapping[str, str]) -> dict[str, str]:
        """The variables of the container's processes: the image's, the config's, and k8snb's own last."""
        environment = {"PATH": HOST_PATH, "HOME": str(self.root / "root"), "TMPDIR": str(self.root / "tmp"),
                       "LANG": "C.UTF-8", **dict(self.entry.env)}  # fmt: skip
        environment.update({name: self.translate(value) for name, value in config.env})
        path = environment["PATH"] if self.entry.host else ""
        environment["PATH"] = os.pathsep.join(filter(None, [str(self.programs), path]))
        return {**environment, **settings, "K8SNB_ROOT": str(self.root)}

    def _find(self, name: str) -> str:
        """The file to execute: k8snb's own program of that name, the container's own file, then the host's."""
        own = self.programs / os.path.basename(name)
        if own.exists():
            return str(own)
        if "/" not in name:
            found = self.entry.host and _which(name)
            if not found:
                raise NotExecutableError(f'exec: "{name}": executable file not found in $PATH')
            return found
        translated = self.translate(name)
        inside = translated if translated != name else str(self.root / name.lstrip("/"))
        found = next((place for place in (inside, self.entry.host and name) if place and os.path.isfile(place)), "")
        if self.private and any(name.startswith(path + "/") for _, path, _ in self.bound):
            found = found and name
            if found and os.access(inside, os.X_OK):
                return name
        if not found:
            raise NotExecutableError(f'exec: "{name}": stat {name}: no such file or directory')
        if not os.access(found, os.X_OK):
            raise NotExecutableError(f'exec: "{name}": permission denied')
        return found

    def _own(self, path: str) -> None:
        """Make a directory of the container's own, unless a volume holds the place."""
        folder = self.root / path.lstrip("/")
        if not self._is_mounted(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._paths[path] = str(folder)
            if self._owner is not None:
                os.chown(folder, *self._owner)

    def _write(self, path: str, text: str) -> None:
        """Write a file of the container's own, unless a volume holds the place."""
        file = self.root / path.lstrip("/")
        if not self._is_mounted(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            self._see(path, str(file), str(file), read_only=False)

    def _see(self, path: str, place: str, source: str, *, read_only: bool) -> None:
        """The container finds this there: its paths are rewritten, or in a mount namespace it is really there."""
        self._paths[path] = place
        if self.private:
            self.bound.append((source, path, read_only))

    def _is_mounted(self, place: Path) -> bool:
        return any(folder.is_symlink() for folder in (place, *place.parents) if self.root in folder.parents)

    def _mount(self, mount: Mount) -> None:
        path = "/" + os.path.normpath(mount.container_path).strip("/")
        if path == "/":
            self.notes.append("process runtime: a volume mounted at / is not implemented by k8snb")
            return
        link = self.root / path.lstrip("/")
        inside = self._is_mounted(link)
        self._see(path, mount.host_path if inside else str(link), mount.host_path, read_only=mount.readonly)
        if inside and self.private:
            return
        if inside:
            self.notes.append(f"process runtime: {path} lies in another volume, and is reached by its own path only")
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mount.host_path)


def temporary_directory() -> str:
    """A directory for temporary files in which programs may be started. Raises RuntimeFailure."""
    for folder in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), os.getcwd())):
        try:
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                os.chmod(file.name, 0o700)
                if os.access(file.name, os.X_OK):
                    return folder
        except OSError:
            continue
    text = "no directory for temporary files allows programs in it; set TMPDIR to one that does"
    raise RuntimeFailure("CreatePodSandboxError", text)


def fresh_directory(directory: Path) -> Path:
    """This directory, made. Raises RuntimeFailure where it is there already."""
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        text = f"{directory} is there already: another cluster uses it, or left it; remove it or choose another root"
        raise RuntimeFailure("CreatePodSandboxError", text) from None
    return directory.resolve()


def unused_directory(directory: Path) -> Path:
    """This directory, made; a number is added to the name of one that is there (a pod's sandbox was made anew)."""
    for number in range(1000):
        try:
            candidate = directory if number == 0 else directory.with_name(f"{directory.name}.{number}")
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            continue
    raise RuntimeFailure("CreateContainerError", f"{directory} is there already, a thousand times over")


def _pattern(paths: Mapping[str, str]) -> re.Pattern[str]:
    """Matches one of the paths where it begins a path: not in the middle of a longer name or of a URL."""
    alternatives = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.compile(rf"(?<![\w./~$}}-])(?:{alternatives})(?![\w.-])")


def _programs(entry: images.Entry) -> dict[str, tuple[str, ...]]:
    applets = {name: (name,) for name in images.APPLETS} if entry.host else {}
    return {**applets, **dict(entry.programs)}


def _script(command: tuple[str, ...]) -> str:
    interpreter = [sys.executable, "-S", "-E", "-I", "-u", LAUNCHER, *command]
    library = os.environ.get("LD_LIBRARY_PATH")
    setting = f"LD_LIBRARY_PATH={shlex.quote(library)}\nexport LD_LIBRARY_PATH\n" if library else ""
    return f'#!/bin/sh\n{setting}exec {shlex.join(interpreter)} "$@"\n'


def _which(name: str) -> str:
    places = (os.path.join(folder, name) for folder in HOST_PATH.split(":"))
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), "")


def _etc_files(sandbox: PodSandboxConfig, ip: str) -> dict[str, str]:
    name = sandbox.hostname or sandbox.name
    servers = [f"nameserver {server.partition(':')[0]}" for server in sandbox.dns_servers]
    searches = [f"search {' '.join(sandbox.dns_searches)}"] if sandbox.dns_searches else []
    choices = [f"options {' '.join(sandbox.dns_options)}"] if sandbox.dns_options else []
    files = {"hostname": f"{name}\n", "hosts": _hosts(sandbox, ip)}
    if servers:
        files["resolv.conf"] = "\n".join([*searches, *servers, *choices]) + "\n"
    return files


def _hosts(sandbox: PodSandboxConfig, ip: str) -> str:
    if not sandbox.host_network:
        return etc_hosts.managed(sandbox, ip)
    try:
        return etc_hosts.on_the_host(sandbox, Path("/etc/hosts").read_text(encoding="utf-8"))
    except OSError:
        return etc_hosts.on_the_host(sandbox, "")

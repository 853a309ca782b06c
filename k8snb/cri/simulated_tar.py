"""tar, for simulated containers: what `kubectl cp` runs on the other side.

Interface: `tar`, a command of `simulated_commands.COMMANDS`.
The rule not to break: an archive never writes above the directory it is unpacked in.
A real image brings its own tar; without one, kubectl cp fails there as well.
"""

from __future__ import annotations

import io
import posixpath
import tarfile

from k8snb.cri.simulated_shell import Shell, Streams

_FLAGS = frozenset("cxtfmpvz")


def tar(shell: Shell, argv: list[str], streams: Streams) -> int:
    """`tar cf - PATH...` and `tar xf - [-C DIRECTORY]`, also with files instead of `-`."""
    flags, archive, directory, names = _options(argv[1:])
    sorts = flags & set("cxt")
    if len(sorts) != 1 or flags - _FLAGS or "f" not in flags:
        return streams.refuse("tar other than cf, xf or tf")
    shell_path = shell.path(directory) if directory else shell.directory
    try:
        if "c" in sorts:
            return _pack(shell, streams, archive, shell_path, names)
        return _unpack(shell, streams, archive, shell_path, listed="t" in sorts)
    except (tarfile.TarError, OSError) as error:
        return streams.fail(f"tar: {error.strerror if isinstance(error, OSError) and error.strerror else error}")


def _options(words: list[str]) -> tuple[set[str], str, str, list[str]]:
    """Flags, the archive's name, -C, and the other words."""
    flags: set[str] = set()
    archive, directory, names = "-", "", list[str]()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-C":
            directory = rest.pop(0) if rest else ""
        elif word == "-" or (not word.startswith("-") and (flags or names)):
            names.append(word)
        else:
            flags |= set(word.lstrip("-"))
            if "f" in word and rest:
                archive = rest.pop(0)
    return flags, archive, directory, names


def _pack(shell: Shell, streams: Streams, archive: str, directory: str, names: list[str]) -> int:
    buffer, code = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for name in names:
            path = posixpath.normpath(posixpath.join(directory, name))
            if not _add(shell, packed, path, name.lstrip("/") or "."):
                streams.err(f"tar: {name}: No such file or directory\n".encode())
                code = 1
    if archive == "-":
        streams.out(buffer.getvalue())
    else:
        shell.machine.files.write(shell.path(archive), buffer.getvalue())
    return code


def _add(shell: Shell, packed: tarfile.TarFile, path: str, name: str) -> bool:
    """Add a file, or a directory and what is in it."""
    files, entry = shell.machine.files, tarfile.TarInfo(name)
    entry.mtime = int(shell.machine.now())
    inside = files.names(path)
    if inside is not None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        packed.addfile(entry)
        for each in inside:
            _add(shell, packed, posixpath.join(path, each), posixpath.join(name, each))
        return True
    data = files.read(path)
    if data is None:
        return False
    entry.size = len(data)
    packed.addfile(entry, io.BytesIO(data))
    return True


def _unpack(shell: Shell, streams: Streams, archive: str, directory: str, *, listed: bool) -> int:
    files = shell.machine.files
    data = streams.stdin if archive == "-" else files.read(shell.path(archive))
    if data is None:
        raise FileNotFoundError(2, f"can't open '{archive}': No such file or directory")
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        for entry in packed:
            if listed:
                streams.out(f"{entry.name}\n".encode())
                continue
            inside = posixpath.normpath("/" + entry.name).lstrip("/")
            path = posixpath.join(directory, inside)
            content = packed.extractfile(entry) if entry.isfile() else None
            if entry.isdir():
                files.make_directory(path)
            elif content is not None:
                files.make_directory(posixpath.dirname(path))
                files.write(path, content.read())
            else:
                streams.err(f"tar: {entry.name}: links: not implemented by k8snb's simulated containers\n".encode())
    return 0

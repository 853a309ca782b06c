"""kustomize, remote: bases in git repositories, and files at URLs.

Interface: `is_remote(name)`; `fetch(url)`, a file's text; `Clones`, a context in which repositories are fetched:
`Clones.directory(url)`.
The rule not to break: what was fetched reads no file of this machine outside of its own clone, and is gone afterwards.
Source: `api/internal/git` (`repospec.go`, `cloner.go`) and `api/internal/loader/fileloader.go` in the kustomize
repository. Like there, the program git does the fetching.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from k8snb.kustomize.errors import KustomizeError

SCHEMES = ("http://", "https://", "ssh://", "file://", "git@", "git::", "github.com/", "gh:")
PATIENCE = 27.0  # seconds for git, unless ?timeout= says otherwise; upstream's own
_FILES = (".yaml", ".yml", ".json")
_SECONDS = re.compile(r"(\d+)(s|m)?")


class Repository(NamedTuple):
    """A repository, the directory in it, and the revision that is meant."""

    url: str
    path: str
    ref: str
    timeout: float
    submodules: bool


def is_remote(name: str) -> bool:
    return name.startswith(SCHEMES)


def is_file(name: str) -> bool:
    """Whether a URL names one file, and no repository."""
    plain, _, query = name.partition("?")
    return plain.startswith(("http://", "https://")) and plain.endswith(_FILES) and not query


def fetch(url: str) -> bytes:
    """What lies at a URL. Raises KustomizeError."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise KustomizeError(f"accumulating resources from '{url}': HTTP Error: status code {error.code} "
                             f"({error.reason})") from None  # fmt: skip
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise KustomizeError(f'accumulating resources from \'{url}\': Get "{url}": {getattr(error, "reason", error)}') \
            from None  # fmt: skip


def parse(name: str) -> Repository:
    """`https://host/org/repo.git//path?ref=v1`, and what else kustomize takes. Raises KustomizeError."""
    plain, _, query = name.removeprefix("git::").partition("?")
    options = {key: values[-1] for key, values in parse_qs(query).items()}
    plain = "https://github.com/" + plain.removeprefix("gh:") if plain.startswith("gh:") else plain
    plain = f"https://{plain}" if plain.startswith("github.com/") else plain
    start = plain.find("://") + 3 if "://" in plain else 0
    body, head = plain[start:], plain[:start]
    repository, path = _parted(body)
    if not repository.strip("/"):
        raise KustomizeError(f"url lacks repository: {name}")
    match = _SECONDS.fullmatch(options.get("timeout", ""))
    timeout = int(match[1]) * (60.0 if match[2] == "m" else 1.0) if match else PATIENCE
    ref = options.get("ref") or options.get("version") or ""
    if ref.startswith("-"):
        raise KustomizeError(f"{name}: a ref does not begin with a dash")
    return Repository(head + repository, path, ref, timeout, options.get("submodules", "true") != "false")


def _parted(body: str) -> tuple[str, str]:
    """The repository and the directory in it: behind `//` or `.git/`, else behind HOST/ORG/REPO."""
    if "//" in body:
        repository, _, path = body.partition("//")
        return repository, path
    if ".git/" in body:
        repository, _, path = body.partition(".git/")
        return f"{repository}.git", path
    if body.endswith(".git"):
        return body, ""
    parts = body.split("/")
    return "/".join(parts[:3]), "/".join(parts[3:])


class Clones:
    """The repositories of one build, each fetched once; leaving the context removes them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._roots: dict[Repository, Path] = {}

    def __enter__(self) -> Clones:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def directory(self, name: str) -> Path:
        """The directory that a URL means, on this machine. Raises KustomizeError."""
        wanted = parse(name)
        whole = wanted._replace(path="")
        if whole not in self._roots:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kustomize-"))
            self._roots[whole] = Path(folder).resolve()
            _clone(wanted, self._roots[whole])
        root = self._roots[whole]
        found = (root / wanted.path).resolve()
        if not found.is_relative_to(root):
            raise KustomizeError(f"{name}: the directory is outside of the repository")
        if not found.is_dir():
            raise KustomizeError(f"'{wanted.path}' is no directory of the repository {wanted.url}")
        return found

    def around(self, path: Path) -> Path | None:
        """The clone that a path is in."""
        return next((root for root in self._roots.values() if path.is_relative_to(root)), None)


def _clone(wanted: Repository, root: Path) -> None:
    _git(wanted, root, "init", "--quiet")
    _git(wanted, root, "fetch", "--depth=1", wanted.url, wanted.ref or "HEAD")
    _git(wanted, root, "checkout", "--quiet", "FETCH_HEAD")
    if wanted.submodules and (root / ".gitmodules").exists():
        _git(wanted, root, "submodule", "update", "--init", "--recursive")


def _git(wanted: Repository, root: Path, *words: str) -> None:
    """Raises KustomizeError where git fails, or is not there. Nobody is asked for a password."""
    command = ["git", *words]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=wanted.timeout)  # fmt: skip
    except FileNotFoundError:
        raise KustomizeError("no 'git' program on path: it fetches remote kustomizations") from None
    except subprocess.TimeoutExpired:
        shown = f"{wanted.timeout:g}s: {' '.join(command)}"
        raise KustomizeError(f"hit {shown} timeout; ?timeout=60s behind the URL gives it longer") from None
    if done.returncode:
        raise KustomizeError(f"failed to run '{' '.join(command)}': {done.stderr.strip()}")

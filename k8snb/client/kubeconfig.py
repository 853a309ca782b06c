"""clientcmd: kubeconfig files: which clusters there are, who to be there, and which context is meant.

Interface: `Kubeconfig(paths)` with `load() -> Config`, `modify(config)`; `Config` holds the entries by name;
`from_environment(explicit, environment)` finds the files as kubectl does.
The rule not to break: a changed entry is written to the file that it came from, and nobody but its owner may read that.
Source: `client-go/tools/clientcmd`: `loader.go` (the merging), `config.go` (where a change goes).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.yaml_text import to_yaml

CLUSTERS, USERS, CONTEXTS = "clusters", "users", "contexts"
SECTIONS: Mapping[str, str] = {CLUSTERS: "cluster", USERS: "user", CONTEXTS: "context"}
# The fields of each entry in upstream's order, with the type that each must have.
FIELDS: Mapping[str, Mapping[str, type]] = {
    CLUSTERS: {
        "server": str, "tls-server-name": str, "insecure-skip-tls-verify": bool, "certificate-authority": str,
        "certificate-authority-data": str, "proxy-url": str, "disable-compression": bool, "extensions": list,
    },
    USERS: {
        "client-certificate": str, "client-certificate-data": str, "client-key": str, "client-key-data": str,
        "token": str, "tokenFile": str, "as": str, "as-uid": str, "as-groups": list, "as-user-extra": dict,
        "username": str, "password": str, "auth-provider": dict, "exec": dict, "extensions": list,
    },
    CONTEXTS: {"cluster": str, "user": str, "namespace": str, "extensions": list},
}  # fmt: skip
ALWAYS: Mapping[str, tuple[str, ...]] = {CLUSTERS: ("server",), USERS: (), CONTEXTS: ("cluster", "user")}
EXEC = ("command", "args", "env", "apiVersion", "installHint", "provideClusterInfo", "interactiveMode")
EXEC_ALWAYS: Mapping[str, Any] = {"command": "", "args": None, "env": None, "provideClusterInfo": False}
PATHS: Mapping[str, tuple[str, ...]] = {
    CLUSTERS: ("certificate-authority",),
    USERS: ("client-certificate", "client-key", "tokenFile"),
    CONTEXTS: (),
}
DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_WORDS = {str: "a string", bool: "true or false", list: "a list", dict: "an object with fields"}
Entries = Mapping[str, Object]


class KubeconfigError(Exception):
    """A kubeconfig that cannot be read, or does not say enough; in kubectl's words."""


@dataclass(frozen=True)
class Config:
    """What the files say together. `origins` has the file of each entry, by section and name."""

    clusters: Entries = field(default_factory=dict)
    users: Entries = field(default_factory=dict)
    contexts: Entries = field(default_factory=dict)
    current_context: str = ""
    preferences: Object = field(default_factory=dict)
    origins: Mapping[tuple[str, str], Path] = field(default_factory=dict)

    def section(self, name: str) -> Entries:
        entries: Entries = getattr(self, name)
        return entries

    def with_entry(self, section: str, name: str, entry: Object) -> Config:
        """The same with an entry more, or another one of this name."""
        return self.with_section(section, {**self.section(section), name: entry})

    def without_entry(self, section: str, name: str) -> Config:
        return self.with_section(section, {key: row for key, row in self.section(section).items() if key != name})

    def with_section(self, section: str, entries: Entries) -> Config:
        change: dict[str, Any] = {section: entries}
        return replace(self, **change)

    def document(self) -> Object:
        """The config as one object, its fields in upstream's order and its entries sorted by name."""
        listed = {section: _listed(section, self.section(section)) for section in SECTIONS}
        return {"kind": "Config", "apiVersion": "v1", "preferences": self.preferences, CLUSTERS: listed[CLUSTERS],
                USERS: listed[USERS], CONTEXTS: listed[CONTEXTS], "current-context": self.current_context}  # fmt: skip

    def file_of(self, section: str, name: str) -> Path | None:
        return self.origins.get((section, name))

    def minified(self, context: str = "") -> Config:
        """Only what the current context needs. Raises KubeconfigError."""
        context = context or self.current_context
        if not context:
            raise KubeconfigError("current-context must exist in order to minify")
        if context not in self.contexts:
            raise KubeconfigError(f"cannot locate context {context}")
        entry = self.contexts[context]
        return replace(
            self, current_context=context, contexts={context: entry},
            clusters=_only(self.clusters, entry.get("cluster")), users=_only(self.users, entry.get("user")),
        )  # fmt: skip

    def flattened(self) -> Config:
        """With the contents of the files that it names. Raises KubeconfigError where one cannot be read."""
        found = self
        for section in (CLUSTERS, USERS):
            entries = {name: self._inlined(section, name, entry) for name, entry in self.section(section).items()}
            found = found.with_section(section, entries)
        return found

    def _inlined(self, section: str, name: str, entry: Object) -> Object:
        inlined = dict(entry)
        for path_field in PATHS[section]:
            data_field = f"{path_field}-data"
            if path_field in entry and data_field in FIELDS[section]:
                del inlined[path_field]
                content = read_file(self.path(section, name, entry[path_field]), f'"{entry[path_field]}"')
                if content:
                    inlined[data_field] = base64.b64encode(content).decode()
        return inlined

    def path(self, section: str, name: str, path: str) -> Path:
        """A path in an entry: relative ones are so to the entry's file."""
        origin = self.file_of(section, name)
        return origin.absolute().parent / path if origin is not None else Path(path).absolute()

    def redacted(self) -> Config:
        """Without what must not be shown: tokens, passwords, keys."""
        users = {name: _redacted(entry, "token", "password") for name, entry in self.users.items()}
        return replace(self, clusters={name: _redacted(entry) for name, entry in self.clusters.items()}, users=users)


def _only(entries: Entries, name: str | None) -> Entries:
    return {name: entries[name]} if name in entries and name is not None else {}


def _redacted(entry: Object, *secret: str) -> Object:
    hidden = {**dict.fromkeys(DATA, "DATA+OMITTED"), **dict.fromkeys(secret, "REDACTED")}
    return {name: hidden.get(name, value) for name, value in entry.items()}


def _listed(section: str, entries: Entries) -> list[Object] | None:
    word = SECTIONS[section]
    return [{"name": name, word: tidy(section, entry)} for name, entry in sorted(entries.items())] or None


def tidy(section: str, entry: Object) -> Object:
    """An entry with the fields that upstream knows, in its order, without those that say nothing."""
    kept: Object = {name: entry.get(name) for name in FIELDS[section]}
    tidied: Object = {name: value for name, value in kept.items() if value or name in ALWAYS[section]}
    tidied |= {name: "" for name in ALWAYS[section] if not tidied[name]}
    if "exec" in tidied:
        plugin: Object = {**EXEC_ALWAYS, **tidied["exec"]}
        tidied["exec"] = {name: plugin[name] for name in EXEC if plugin.get(name) or name in EXEC_ALWAYS}
    return tidied


def read_file(path: Path, shown: str) -> bytes:
    """Raises KubeconfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"open {path}: {(error.strerror or shown).lower()}") from None


# files


class Kubeconfig:
    """The files to read, the first of which counts. With `explicit` there is one, which has to be there."""

    def __init__(self, paths: Sequence[Path], *, explicit: bool = False) -> None:
        self.paths, self.explicit = list(dict.fromkeys(paths)), explicit

    @property
    def default_path(self) -> Path:
        """The file that new entries go to: the first one that exists, else the last one named."""
        return next((path for path in self.paths if path.exists()), self.paths[-1])

    @property
    def shown(self) -> str:
        """The name of that file in kubectl's sentences."""
        return str(self.default_path)

    def require(self) -> None:
        """Raises KubeconfigError where the file that --kubeconfig names is not there."""
        if self.explicit and not self.paths[0].exists():
            raise KubeconfigError(f"stat {self.paths[0]}: no such file or directory")

    def load(self) -> Config:
        """All files merged: of several values the first one counts. Raises KubeconfigError."""
        merged = Config()
        for path in self.paths:
            merged = _merged(merged, read(path))
        return merged

    def load_whole(self) -> Config:
        """The same, with all that is only worked out when it is to be shown."""
        return self.load()

    def modify(self, config: Config) -> None:
        """Write what is different from what the files say, each entry where it came from. Raises KubeconfigError."""
        before = self.load()
        changed: dict[Path, Config] = {}
        for section in SECTIONS:
            old, new = before.section(section), config.section(section)
            for name in dict.fromkeys((*old, *new)):
                if old.get(name) != new.get(name):
                    path = before.file_of(section, name) or self.default_path
                    changed[path] = _changed(changed.get(path) or read(path), section, name, new.get(name))
        changed |= self._scalars(before, config, changed)
        for path, value in changed.items():
            write(path, value)

    def _scalars(self, before: Config, config: Config, changed: Mapping[Path, Config]) -> dict[Path, Config]:
        """The files whose current context or preferences change."""
        found: dict[Path, Config] = {}
        if before.preferences != config.preferences:
            path = self.default_path
            found[path] = replace(changed.get(path) or read(path), preferences=config.preferences)
        if before.current_context != config.current_context:
            path = self._path_of_current_context(clearing=not config.current_context)
            whole = found.get(path) or changed.get(path) or read(path)
            found[path] = replace(whole, current_context=config.current_context)
        return found

    def _path_of_current_context(self, *, clearing: bool) -> Path:
        setting = (path for path in self.paths if path.exists() and read(path).current_context)
        return next(setting, self.default_path) if clearing else self.default_path


def from_environment(explicit: str = "", environment: Mapping[str, str] | None = None) -> Kubeconfig:
    """The files that `--kubeconfig`, else $KUBECONFIG, else the home directory mean."""
    environment = os.environ if environment is None else environment
    if explicit:
        return Kubeconfig([Path(explicit)], explicit=True)
    named = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = Path(environment.get("HOME") or Path.home())
    return Kubeconfig(named or [home / ".kube" / "config"])


def read(path: Path) -> Config:
    """One file; an empty config where there is none. Raises KubeconfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", "") or str(error)
        raise KubeconfigError(f'error loading config file "{path}": {said.lower()}') from None
    try:
        document = yaml.safe_load(text) or {}
        return parse(document, path)
    except (yaml.YAMLError, ValueError) as error:
        line = " ".join(str(error).split())
        raise KubeconfigError(f'error loading config file "{path}": {line}') from None


def parse(document: Any, path: Path | None = None) -> Config:
    """A file's contents. Raises ValueError for what is no kubeconfig."""
    if not isinstance(document, dict):
        raise ValueError("a kubeconfig is an object with fields, such as clusters, users and contexts")
    if document.get("kind", "Config") != "Config":
        raise ValueError(f'no kind "{document["kind"]}" is registered: a kubeconfig has kind: Config')
    sections: dict[str, Any] = {section: _entries(section, document.get(section)) for section in SECTIONS}
    origins = {(section, name): path for section, entries in sections.items() for name in entries if path}
    return Config(
        **sections,
        current_context=_typed("current-context", document.get("current-context") or "", str),
        preferences=_typed("preferences", document.get("preferences") or {}, dict), origins=origins,
    )  # fmt: skip


def _entries(section: str, listed: Any) -> dict[str, Object]:
    found: dict[str, Object] = {}
    for row in _typed(section, listed or [], list):
        name = _typed(f"{section}.name", _typed(section, row, dict).get("name", ""), str)
        if name in found:
            raise ValueError(f'{section}: there are two entries with the name "{name}"')
        entry = _typed(f"{section}.{SECTIONS[section]}", row.get(SECTIONS[section]) or {}, dict)
        types = FIELDS[section]
        found[name] = {key: _typed(f"{section}.{name}.{key}", value, types[key]) for key, value in entry.items()
                       if key in types and value is not None}  # fmt: skip
    return found


def _typed(place: str, value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"{place}: {_WORDS[wanted]} is wanted, not {json.dumps(value, default=str)}")
    return value


def _merged(first: Config, second: Config) -> Config:
    """Both; where both say something, the first counts, and an entry counts as a whole."""
    sections: dict[str, Any] = {name: {**second.section(name), **first.section(name)} for name in SECTIONS}
    return Config(
        **sections,
        current_context=first.current_context or second.current_context,
        preferences={**second.preferences, **first.preferences},
        origins={**second.origins, **first.origins},
    )


def _changed(config: Config, section: str, name: str, entry: Object | None) -> Config:
    return config.without_entry(section, name) if entry is None else config.with_entry(section, name, entry)


def write(path: Path, config: Config) -> None:
    """Write a file whole or not at all, for its owner only. Raises KubeconfigError."""
    target = Path(os.path.realpath(path))
    own: dict[str, Any] = {section: _relative(section, config.section(section), target.parent) for section in SECTIONS}
    text = to_yaml(replace(config, **own).document())
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise KubeconfigError(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def _relative(section: str, entries: Entries, folder: Path) -> Entries:
    """Paths below the file's own directory are written from there on, so that the directory can be moved."""
    return {name: {key: _from(folder, value) if key in PATHS[section] else value for key, value in entry.items()}
            for name, entry in entries.items()}  # fmt: skip


def _from(folder: Path, path: str) -> str:
    return str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else path

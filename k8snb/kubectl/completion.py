"""Completion: what the word before the cursor could become.

Interface: `complete(words, commands, client, namespace)`.
The rule not to break: completion never fails and never changes anything; what cannot be known is left out.
Real kubectl answers the shell through its hidden command `__complete`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of
from k8snb.client import Client
from k8snb.kubectl.grammar import BOOL, Command, Flag, find_command, flags_of
from k8snb.kubectl.output import KubectlError

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATES = ("spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec")


def complete(words: Sequence[str], commands: Mapping[str, Command], client: Client, namespace: str) -> list[str]:
    """Whole words that could stand in the place of the last one, which may be empty."""
    *before, last = list(words) or [""]
    try:
        found = list(_Completer(before, commands, client, namespace).candidates(last))
    except (KubectlError, ApiError):
        return []
    return sorted({word for word in found if word.startswith(last) and word != last})


class _Completer:
    """The words before the one to complete, and where to look things up."""

    def __init__(self, before: Sequence[str], commands: Mapping[str, Command], client: Client, namespace: str) -> None:
        self._commands, self._client = commands, client
        self._before = list(before)
        self._command, places = find_command(before, commands)
        self._rest = [word for place, word in enumerate(before) if place not in places]
        self._flags = {form: flag for flag in flags_of(self._command) for form in _forms(flag)}
        self._namespace = self._value_of("namespace", namespace)

    def candidates(self, last: str) -> Iterable[str]:
        if "--" in self._before:
            return ()
        previous = self._flags.get(self._before[-1]) if self._before else None
        if previous is not None and previous.takes_value:
            return self._values(previous, last)
        if last.startswith("--") and "=" in last:
            name = last.partition("=")[0]
            flag = self._flags.get(name)
            return (f"{name}={value}" for value in self._values(flag, last.partition("=")[2])) if flag else ()
        if last.startswith("-"):
            return (f"--{flag.name}" for flag in flags_of(self._command))
        return [*self._subcommands(), *self._words(last)]

    def _value_of(self, name: str, default: str) -> str:
        """What a flag among the words before says: `-n x`, `-nx`, `-n=x`, `--namespace=x`."""
        for place, word in enumerate(self._rest):
            form = word.partition("=")[0]
            joined = word[2:].removeprefix("=") if not word.startswith("--") and word[:2] in self._flags else ""
            flag = self._flags.get(word[:2] if joined else form)
            if flag is not None and flag.name == name:
                following = self._rest[place + 1] if place + 1 < len(self._rest) else default
                return joined or word.partition("=")[2] or following
        return default

    def _subcommands(self) -> Iterator[str]:
        prefix = f"{self._command.name} " if self._command.name else ""
        for name, command in self._commands.items():
            if name.startswith(prefix) and name != prefix.strip() and not command.hidden:
                own = name.removeprefix(prefix)
                if " " not in own and not self._positional():
                    yield own

    def _positional(self) -> list[str]:
        """The words before that are neither flags nor their values."""
        found, skip = [], False
        for word in self._rest:
            flag = self._flags.get(word)
            if not skip and not word.startswith("-"):
                found.append(word)
            skip = not skip and flag is not None and flag.takes_value
        return found

    # positional words

    def _words(self, last: str) -> Iterable[str]:
        look_up: dict[str, Callable[[str], Iterable[str]]] = {
            "resources": self._resources,
            "pods": self._pods,
            "nodes": self._nodes,
            "services": self._services,
            "fields": self._fields,
            "commands": lambda _: self._helped(),
        }
        sort = self._command.words.partition(":")[0]
        if sort.startswith("one of "):
            return () if self._positional() else sort.removeprefix("one of ").split()
        find = look_up.get(sort)
        return find(last) if find else ()

    def _helped(self) -> list[str]:
        """The commands, and below one of them its own."""
        return list(_Completer(self._positional(), self._commands, self._client, self._namespace)._subcommands())

    def _resources(self, last: str) -> Iterable[str]:
        typed = self._positional()
        if "/" in last:
            word = last.partition("/")[0]
            return (f"{word}/{name}" for name in self._names(self._kind(word)))
        if not typed:
            head, comma, _ = last.rpartition(",")
            return (head + comma + word for word in self._kind_words())
        if "/" in typed[0]:
            return (f"{kind.singular}/" for kind in self._kinds())
        return (name for word in typed[0].split(",") for name in self._names(self._kind(word)) if name not in typed[1:])

    def _kinds(self) -> Iterable[Kind]:
        """The kinds that the command is about."""
        wanted = self._command.words.partition(":")[2].split(",")
        kinds = self._client.kinds()
        return [kind for kind in kinds if kind.plural in wanted] if wanted != [""] else kinds

    def _kind_words(self) -> list[str]:
        kinds = self._kinds()
        every = [] if ":" in self._command.words else sorted({name for kind in kinds for name in kind.categories})
        return [*every, *(word for kind in kinds for word in (kind.plural, kind.singular, *kind.short_names))]

    def _pods(self, last: str) -> Iterable[str]:
        if "/" in last:
            return self._resources(last)
        return () if self._positional() else self._names(self._kind("pods"))

    def _services(self, _: str) -> Iterable[str]:
        return () if self._positional() else self._names(self._kind("services"))

    def _nodes(self, _: str) -> Iterable[str]:
        return (name for name in self._names(self._kind("nodes")) if name not in self._positional())

    def _fields(self, last: str) -> Iterable[str]:
        """`pods.spec.con` → `pods.spec.containers`."""
        if "." not in last:
            return self._kind_words()
        head = last.rpartition(".")[0]
        word, _, path = head.partition(".")
        kind = self._kind(word)
        shape = schema.load().definition(kind.api_version, kind.kind) if kind else None
        for part in path.split(".") if path else ():
            field = shape.fields.get(part) if shape else None
            shape = field.type if field else None
        return (f"{head}.{name}" for name in (shape.fields if shape else ()))

    def _kind(self, word: str) -> Kind | None:
        return next((kind for kind in self._client.kinds() if word.lower() in kind.words()), None)

    def _names(self, kind: Kind | None) -> list[str]:
        return [name_of(obj) for obj in self._objects(kind)]

    def _objects(self, kind: Kind | None) -> Sequence[Object]:
        if kind is None or "list" not in kind.verbs:
            return ()
        everywhere = not kind.namespaced or "-A" in self._rest or "--all-namespaces" in self._rest
        return self._client.items(kind, "" if everywhere else self._namespace)

    # flag values

    def _values(self, flag: Flag, last: str) -> Iterable[str]:
        look_up: dict[str, Callable[[str], Iterable[str]]] = {
            ":namespaces": lambda _: self._names(self._kind("namespaces")),
            ":nodes": lambda _: self._names(self._kind("nodes")),
            ":labels": self._labels,
            ":label-keys": lambda _: self._label_pairs(keys=True),
            ":containers": lambda _: self._containers(),
            ":resources": self._resource,
        }
        values = ("true", "false") if flag.sort == BOOL else flag.values
        return [found for value in values for found in (look_up[value](last) if value in look_up else (value,))]

    def _resource(self, last: str) -> Iterable[str]:
        """`pod/web`, kind first."""
        kind, slash, _ = last.partition("/")
        if not slash:
            return (f"{each.singular}/" for each in self._client.kinds())
        return (f"{kind}/{name}" for name in self._names(self._kind(kind)))

    def _labels(self, last: str) -> Iterable[str]:
        """After a comma, the next requirement."""
        head, comma, _ = last.rpartition(",")
        return (head + comma + pair for pair in self._label_pairs(keys="=" not in last.rpartition(",")[2]))

    def _label_pairs(self, *, keys: bool) -> set[str]:
        typed = self._positional()
        kind = self._kind(typed[0].partition(",")[0].partition("/")[0]) if typed else self._kind("pods")
        pairs = [pair for obj in self._objects(kind) for pair in labels_of(obj).items()]
        return {key for key, _ in pairs} if keys else {f"{key}={value}" for key, value in pairs}

    def _containers(self) -> list[str]:
        """Those of the pod that was named, or of the template of a workload."""
        typed = self._positional()
        thing = typed[0] if typed and (self._command.words == "pods" or "/" in typed[0]) else "/".join(typed[:2])
        word, _, name = thing.rpartition("/")
        kind = self._kind(word or "pods")
        obj = self._client.find(kind, name, self._namespace) if kind and name else None
        specs = [get_path(obj, path) or {} for path in _TEMPLATES] if obj else []
        return [each["name"] for spec in specs for field in _CONTAINERS for each in spec.get(field) or ()]


def _forms(flag: Flag) -> list[str]:
    return [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]

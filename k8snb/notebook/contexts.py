"""Contexts: the notebook's clusters and those that a kubeconfig names, and which one the cells speak to.

Interface: `Contexts(clusters)`: `kubectl_for(words)`, and a kubeconfig's `load` and `modify` for `%kconfig`;
`RemoteCluster`, a cluster of another process, as far as cells need one; `namespace(contexts, words)` is `%kns`.
The rule not to break: the notebook changes which context it means for itself alone; a file changes only when one of its
own entries does.
Real kubectl keeps the current context in the file, and every terminal with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from k8snb.client import Client
from k8snb.client.kubeconfig import (
    CLUSTERS,
    CONTEXTS,
    SECTIONS,
    USERS,
    Config,
    Kubeconfig,
    KubeconfigError,
    from_environment,
    parse,
)
from k8snb.clock import RealClock
from k8snb.kubectl import Kubectl
from k8snb.kubectl.commands import COMMANDS
from k8snb.kubectl.connection import WHOEVER, FromKubeconfig, Later, Reached
from k8snb.kubectl.grammar import CONNECTION_FLAGS, Arguments, find_command
from k8snb.kubectl.grammar import parse as parse_line
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport
    from k8snb.cluster import Cluster
    from k8snb.notebook.clusters import Clusters

IN_KERNEL = "in this kernel"  # the server of a cluster whose door nobody has opened


class _Running(NamedTuple):
    """What stands for the loop of a cluster that somebody else runs."""

    running: bool = True


class RemoteCluster:
    """A context of a kubeconfig, where cells expect a cluster. What only this kernel's clusters can do is refused."""

    runtime_name, why = "remote", "a context of your kubeconfig"
    running = True
    pump = _Running()

    def __init__(self, name: str, files: Kubeconfig) -> None:
        self.name, self.clock = name, RealClock()
        self._reach = FromKubeconfig(lambda explicit: files)
        reached = self._reach(_meaning(name))
        self._server = reached.server
        self.client, self.wait = reached.client, reached.wait
        self.kubectl = Kubectl(self.client, namespace=reached.namespace, wait=self.wait, server=self._fresh)

    def _fresh(self) -> HttpsTransport:
        assert self._server is not None
        return self._server()

    def refresh(self) -> None:
        """Ask anew what the server serves."""
        self._fresh().refresh()

    def pulls(self) -> dict[str, Any]:
        """The API does not say how far pulls are."""
        return {}

    def close(self) -> None:
        self.kubectl.close()
        self._reach.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise KubectlError(f"{name.replace('_', ' ')}: only for clusters of this notebook, and the magics mean the "
                           f'context "{self.name}": %kconfig use-context NAME')  # fmt: skip


def _meaning(context: str) -> Arguments:
    """The arguments of a line that names a context and no more."""
    return parse_line(["get", f"--context={context}"], COMMANDS)


class Contexts(Kubeconfig):
    """The kubeconfig of a notebook: its clusters first, then the files."""

    def __init__(self, clusters: Clusters, files: Kubeconfig | None = None) -> None:
        self._files = files or from_environment()
        super().__init__(self._files.paths, explicit=self._files.explicit)
        self._clusters = clusters
        self._remote: RemoteCluster | None = None
        self._reach = FromKubeconfig(lambda explicit: from_environment(explicit) if explicit else _Whole(self))

    # which cluster is meant

    @property
    def remote(self) -> RemoteCluster | None:
        """The cluster of another process that the magics mean, if they do."""
        return self._remote

    @property
    def name(self) -> str:
        """The current context."""
        return self._remote.name if self._remote is not None else self._clusters.name

    def use(self, name: str) -> None:
        """Mean another context from now on. Raises KubectlError."""
        self.leave()
        if name in self._clusters.names:
            self._clusters.use(name)
        else:
            self._remote = RemoteCluster(name, self._files)
            self._remote.kubectl.on_change = self._clusters.changes.append

    def leave(self) -> None:
        """Mean a cluster of this notebook again, and end the connections to others."""
        self._reach.close()
        remote, self._remote = self._remote, None
        if remote is not None:
            remote.close()

    def kubectl_for(self, words: Sequence[str]) -> tuple[Cluster, Kubectl]:
        """The kubectl that a line means, and the cluster that it speaks to. Raises KubectlError."""
        if words[:1] == ["config"]:
            return cast("Cluster", _Nowhere()), Kubectl(Client(Later(_nowhere), WHOEVER), reach=self._for_config)
        named = _flags_in(words)
        context = _context_in(words)
        if named == {"context"} and context in self._clusters.names:
            cluster = self._clusters.named(context)
            return cluster, Kubectl(cluster.client, wait=cluster.wait, clock_now=cluster.clock.now,
                                    reach=lambda args: _within(cluster))  # fmt: skip
        if named:
            return self._elsewhere()
        if self._remote is not None:
            self._remote.refresh()
        cluster = self._clusters.current
        return cluster, cluster.kubectl

    def _elsewhere(self) -> tuple[Cluster, Kubectl]:
        """Wherever the line's own flags lead, over HTTPS even to a cluster of this notebook."""
        waiting = _Nowhere()

        def reached(args: Arguments) -> Reached:
            found = self._reach(args)
            waiting.wait = found.wait
            return found

        return cast("Cluster", waiting), Kubectl(Client(Later(_nowhere), WHOEVER), reach=reached)

    def _for_config(self, args: Arguments) -> Reached:
        files: Kubeconfig = self
        if args.text("kubeconfig") and "kubeconfig" in args.given:
            files = from_environment(args.text("kubeconfig"))
        namespaces = self._clusters.chosen.kubectl.namespace if self._clusters.names else "default"
        return Reached(client=Client(Later(_nowhere), WHOEVER), namespace=namespaces, wait=_never, files=files)

    # as a kubeconfig

    def load(self) -> Config:
        return self._loaded(open_doors=False)

    def load_whole(self) -> Config:
        """The same with addresses and keys, which opens the doors of the notebook's clusters."""
        return self._loaded(open_doors=True)

    def _loaded(self, *, open_doors: bool) -> Config:
        found = replace(self._files.load(), current_context=self.name)
        if self._remote is not None and self._remote.name in found.contexts:
            entry = {**found.contexts[self._remote.name], "namespace": self._remote.kubectl.namespace}
            found = found.with_entry(CONTEXTS, self._remote.name, entry)
        for name in self._clusters.names:
            own = _entries(self._clusters.named(name), open_doors=open_doors)
            for section in SECTIONS:
                found = found.with_entry(section, name, own[section])
        return found

    def modify(self, config: Config) -> None:
        """Carry a change out: where it is the file's, in the file. Raises KubeconfigError."""
        before = self.load()
        for name in self._clusters.names:
            self._modify_own(name, before, config)
        self._modify_file(config)
        if config.current_context != before.current_context:
            if not config.current_context:
                raise KubeconfigError("a notebook always means one of its contexts: %kconfig use-context NAME")
            self.use(config.current_context)
        elif self._remote is not None:
            entry = config.contexts.get(self._remote.name, {})
            self._remote.kubectl.namespace = entry.get("namespace") or "default"

    def _modify_own(self, name: str, before: Config, config: Config) -> None:
        """Of a cluster of this notebook only the namespace can be changed here."""
        kept = {**config.contexts.get(name, {}), "namespace": before.contexts[name]["namespace"]}
        same = (config.clusters.get(name), config.users.get(name), kept if name in config.contexts else None)
        if same != (before.clusters[name], before.users[name], before.contexts[name]):
            raise KubeconfigError(f'"{name}" is a cluster of this notebook: %kcluster changes and deletes it')
        self._clusters.named(name).kubectl.namespace = config.contexts[name].get("namespace") or "default"

    def _modify_file(self, config: Config) -> None:
        in_file = self._files.load()
        own = set(self._clusters.names)
        changed = replace(config, current_context=in_file.current_context)
        for section in SECTIONS:
            entries = {name: entry for name, entry in config.section(section).items() if name not in own}
            hidden = {name: entry for name, entry in in_file.section(section).items() if name in own}
            changed = changed.with_section(section, {**hidden, **entries})
        self._files.modify(changed)


def _entries(cluster: Cluster, *, open_doors: bool) -> dict[str, Any]:
    """A cluster of this notebook as a kubeconfig has it."""
    name, namespace = cluster.name, cluster.kubectl.namespace
    own: dict[str, Any] = {CONTEXTS: {"cluster": name, "user": name, "namespace": namespace}}
    if open_doors and cluster.running:
        import yaml

        config = parse(yaml.safe_load(cluster.kubeconfig))
        return {**own, CLUSTERS: config.clusters[name], USERS: config.users[name]}
    return {**own, CLUSTERS: {"server": IN_KERNEL}, USERS: {}}


class _Whole(Kubeconfig):
    """A notebook's contexts with open doors."""

    def __init__(self, contexts: Contexts) -> None:
        super().__init__(contexts.paths)
        self._contexts = contexts

    def load(self) -> Config:
        return self._contexts.load_whole()


class _Nowhere:
    """Where a line that speaks to no cluster of the notebook waits."""

    clock, pump = RealClock(), _Running()
    wait: Callable[[Callable[[], bool], float], bool]

    def __init__(self) -> None:
        self.wait = _never


def _never(until: Callable[[], bool], timeout: float) -> bool:
    return until()


def _nowhere() -> HttpsTransport:
    raise KubectlError("error: the line says where to go")


def _within(cluster: Cluster) -> Reached:
    return Reached(client=cluster.client, namespace=cluster.kubectl.namespace, wait=cluster.wait)


def _flags_in(words: Sequence[str]) -> set[str]:
    """The line's own flags that say which server is meant, and as whom."""
    plain = words[: words.index("--")] if "--" in words else words
    written = {flag.name for flag in CONNECTION_FLAGS for word in plain if word.partition("=")[0] == f"--{flag.name}"}
    return written - {flag.name for flag in find_command(words, COMMANDS)[0].flags} if written else written


def _context_in(words: Sequence[str]) -> str:
    for place, word in enumerate(words):
        if word == "--context" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--context="):
            return word.partition("=")[2]
    return ""


def complete(clusters: Clusters, words: Sequence[str]) -> list[str]:
    """What the last word of a %kconfig line can become."""
    line = ["config", *words]
    if find_command(line[:-1], COMMANDS)[0].words == "contexts" and not words[-1].startswith("-"):
        return sorted(name for name in clusters.contexts.load().contexts if name.startswith(words[-1]))
    return clusters.current.kubectl.complete(line)


# %kns


def namespace(cluster: Cluster, words: Sequence[str]) -> Output:
    """`%kns`: the namespaces, and which one is meant without `-n`; `%kns NAME` means another one."""
    if len(words) > 1 or any(word.startswith("-") for word in words):
        raise KubectlError(f"error: %kns [NAME]: {words[-1]} is one word too many")
    kubectl = cluster.kubectl
    if words:
        kubectl.run(["get", "namespace", words[0], "-o", "name"])
        kubectl.namespace = words[0]
        return Output(text=f'the magics now work in namespace "{words[0]}"\n')
    found = cluster.client.items("namespaces")
    names = [str(each["metadata"]["name"]) for each in found]
    rows = [("*" if name == kubectl.namespace else "", name, str((each.get("status") or {}).get("phase", "")))
            for name, each in zip(names, found, strict=True)]  # fmt: skip
    table = Table(columns=tuple(map(Column, ("CURRENT", "NAME", "STATUS"))),
                  rows=tuple(Row(row, each) for row, each in zip(rows, found, strict=True)))  # fmt: skip
    return Output(text=table.text, tables=[table], objects=found)

"""%kcluster: what minikube is on a laptop: start, look at, pause and end the cluster itself.

Interface: `COMMANDS`, rows as kubectl has them; `run(clusters, words)`; `complete(clusters, words)`.
The rule not to break: whatever a row does, `k8snb.Cluster` can do in Python.
minikube's clusters outlive it; these live in the process that started them, and with a data directory in the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8snb import __version__
from k8snb.kubectl import completion, grammar
from k8snb.kubectl.grammar import BOOL, INT, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.notebook import (
    component,
    kcluster_addons,
    kcluster_dashboard,
    kcluster_faults,
    kcluster_life,
    kcluster_logs,
    kcluster_nodes,
    kcluster_services,
    kcluster_status,
)
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.defaults import PROPERTIES, RUNTIMES
from k8snb.notebook.kcluster_answers import Url, said
from k8snb.notebook.results import Result

Run = Callable[[Clusters, Arguments], Output | Result | Url]

PROFILE = Flag("profile", help="The cluster that is meant, as %kcluster profile list has it.", short="p")
_OUTPUT = Flag("output", help="json, or text.", short="o", values=("json",))
_CPUS = Flag("cpus", help="How many processors a node counts as having: 2, or max.")
_MEMORY = Flag("memory", help="How much memory a node counts as having: 4096mb, 4g, or max.")
_RUNTIME = Flag("runtime", help="What runs containers.", values=RUNTIMES)
_NODE = Flag("node", help="Only this node.", short="n")
_DRIVER = Flag("driver", help="Another word for --runtime.", values=RUNTIMES)
_START_MISSING = (
    "apiserver-ips", "apiserver-name", "apiserver-names", "apiserver-port", "auto-update-drivers", "base-image",
    "bootstrapper", "cache-images", "cert-expiration", "cni", "container-runtime", "cri-socket", "delete-on-failure",
    "disable-driver-mounts", "disable-metrics", "disk-size", "dns-domain", "dns-proxy", "docker-env", "docker-opt",
    "download-only", "dry-run", "embed-certs", "enable-default-cni", "extra-config", "extra-disks", "feature-gates",
    "force", "force-systemd", "gpus", "ha", "host-dns-resolver", "host-only-cidr", "image-mirror-country",
    "image-repository", "insecure-registry", "install-addons", "interactive", "iso-url", "keep-context",
    "listen-address", "mount", "mount-string", "namespace-dns", "nat-nic-type", "native-ssh", "network",
    "network-plugin", "no-kubernetes", "ports", "preload", "registry-mirror", "rootless", "schedule",
    "service-cluster-ip-range", "static-ip", "subnet", "trace", "uuid", "vm", "wait", "wait-timeout",
)  # fmt: skip

COMMANDS: tuple[Command, ...] = (
    Command(name="start", usage="[--nodes N] [--runtime R] [--addons A,B] [-p NAME]",
            help="Make the cluster, start it.", missing=_START_MISSING,
            flags=(Flag("nodes", INT, "How many nodes beside the control plane.", short="n"), _RUNTIME, _DRIVER,
                   Flag("vm-driver", help="An older word for --driver.", values=RUNTIMES), _CPUS, _MEMORY,
                   Flag("addons", STRINGS, "Enable these as well."),
                   Flag("data-dir", help="Keep the cluster there: a later kernel finds it again, containers and all."),
                   Flag("kubernetes-version", help="k8snb is one version of Kubernetes: refused for any other."),
                   Flag("name", help="The same as --profile."))),
    Command(name="status", usage="[-o json] [-n NODE]", help="What each machine and each component is doing.",
            flags=(_OUTPUT, _NODE), missing=("format", "layout", "watch")),
    Command(name="stop", usage="[--all]", help="Stop everything; what the cluster holds is kept for the next start.",
            flags=(Flag("all", BOOL, "All clusters."),),
            missing=("cancel-scheduled", "keep-context-active", "schedule")),
    Command(name="delete", usage="[--all]", help="Stop everything and forget it.",
            flags=(Flag("all", BOOL, "All clusters."),), missing=("purge",)),
    Command(name="pause", usage="[-A | -n NS]",
            help="The components stand still until step or unpause; containers go on but for these.",
            flags=(Flag("all-namespaces", BOOL, "Hold the containers of all namespaces.", short="A"),
                   Flag("namespaces", STRINGS, "Hold the containers of these.", short="n", values=(":namespaces",)))),
    Command(name="unpause", help="Let the cluster and its containers go on.", missing=("all-namespaces", "namespaces")),
    Command(name="step", usage="[N]", help="In a paused cluster, run the next item of work, or the next N."),
    Command(name="service", usage="NAME [--url] [--https] [-n NS] | --list",
            help="The URL at which a service answers this notebook.", words="resources",
            flags=(Flag("url", BOOL, "Only the URL, to use in Python."), Flag("https", BOOL, "With https."),
                   Flag("list", BOOL, "All of them."), Flag("all", BOOL, "All of them.")),
            missing=("format", "interval", "wait")),
    Command(name="service list", usage="[-n NS]", help="All services with their URLs.",
            flags=(Flag("https", BOOL, "With https."),), missing=("format",)),
    Command(name="node", usage="list|add|delete|stop|start|kill|partition|rejoin|drain",
            help="The machines of the cluster."),
    Command(name="node list", help="The machines and their addresses."),
    Command(name="node add", usage="[NAME] [--cpus N] [--memory SIZE] [--docker-host URL]", help="Add a node.",
            flags=(_CPUS, _MEMORY, Flag("docker-host", help="Put it on this Docker engine: unix://, tcp:// or ssh://.")),
            missing=("control-plane", "worker", "delete-on-failure")),
    Command(name="node delete", usage="NAME", help="Take a node away, with everything on it.", words="nodes"),
    Command(name="node stop", usage="NAME", help="A node falls silent, as if it had lost its power.", words="nodes"),
    Command(name="node start", usage="NAME", help="A stopped node comes back.", words="nodes",
            missing=("delete-on-failure",)),
    *component.COMMANDS,
    *kcluster_faults.COMMANDS,
    Command(name="addons", usage="list|enable|disable", help="What a cluster has besides its own components."),
    Command(name="addons list", usage="[-o json]", help="All add-ons, and which are enabled.", flags=(_OUTPUT,),
            missing=("docs",)),
    Command(name="addons enable", usage="NAME", help="Switch an add-on on, now and at each start.", words="addons",
            missing=("force", "images", "refresh", "registries")),
    Command(name="addons disable", usage="NAME", help="Switch it off, with all that it made.", words="addons"),
    Command(name="addons configure", missing_command=True),
    Command(name="addons images", missing_command=True),
    Command(name="addons open", missing_command=True),
    Command(name="logs", usage="[-f] [-n LINES] [--problems] [--node NODE] [--file FILE]",
            help="What each component did.",
            flags=(Flag("follow", BOOL, "Go on with what is added.", short="f"),
                   Flag("length", INT, "So many lines of each component.", short="n", default=kcluster_logs.LINES),
                   Flag("problems", BOOL, "Only what went wrong."), Flag("node", help="Only this node's."),
                   Flag("file", help="Write them to a file.")),
            missing=("audit", "last-start-only")),
    Command(name="profile", usage="[NAME]", help="Which cluster the cells speak to, or make it NAME."),
    Command(name="profile list", usage="[-o json]", help="The clusters of this notebook.", flags=(_OUTPUT,),
            missing=("light", "detailed")),
    Command(name="config", usage="view|get|set|unset", help="What new clusters of yours are like."),
    Command(name="config view", help="All that was set.", missing=("format",)),
    Command(name="config get", usage="PROPERTY", help="What a property was set to.", words="properties"),
    Command(name="config set", usage="PROPERTY VALUE", help="Set cpus, data-dir, driver, memory, nodes or profile.",
            words="properties"),
    Command(name="config unset", usage="PROPERTY", help="Forget it again.", words="properties"),
    Command(name="config defaults", missing_command=True),
    Command(name="ip", usage="[-n NODE]", help="The address of the control plane's machine, or of a node.",
            flags=(_NODE,)),
    Command(name="ssh", usage="[NODE] -- COMMAND", help="Refused: a node here is no machine of its own.", words="nodes",
            flags=(_NODE,), missing=("native-ssh",)),
    Command(name="kubectl", usage="-- LINE", help="A line of kubectl's: %kcluster kubectl -- get pods -A"),
    Command(name="version", help="Which k8snb this is."),
    Command(name="dashboard", usage="[--url]", help="A web page for the cluster, below the cell.",
            flags=(Flag("url", BOOL, "Only a link, which logs a browser in once."),), missing=("port",)),
    *(Command(name=name, missing_command=True) for name in (
        "cache", "completion", "cp", "docker-env", "image", "license", "mount", "options", "podman-env", "ssh-host",
        "ssh-key", "tunnel", "update-check", "update-context",
    )),
    Command(name="", usage="COMMAND [-p NAME]", help="The cluster itself, as minikube has it."),
)  # fmt: skip
BY_NAME: Mapping[str, Command] = {command.name: command for command in COMMANDS}

INSTEAD: Mapping[str, str] = {
    "addons images": "add-ons run in this kernel and have no images",
    "cache": "images are where the runtime keeps them",
    "cp": "%kcp copies into containers",
    "docker-env": "on the docker runtime the nodes share the engine of this machine",
    "image": "on the docker runtime the nodes share the engine of this machine",
    "mount": "a hostPath volume shows a directory of this machine to a pod",
    "tunnel": "%kcluster service NAME shows where a service answers",
    "update-check": "pip index versions k8snb asks the package index",
}


def complete(clusters: Clusters, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    before, last = " ".join(words[:-1]), words[-1]
    for end, names in _OWN_WORDS.items():
        if before == end or before.endswith(f" {end}"):
            return [name for name in names(clusters) if name.startswith(last)]
    cluster = clusters.current
    if before == "service":
        services = [name for name in cluster.kubectl.complete(["get", "services", last]) if not name.startswith("-")]
        return sorted({*services, *(word for word in ("list",) if word.startswith(last))})
    if words[0] == "kubectl" and len(words) > 1:
        return cluster.kubectl.complete([word for word in words[1:] if word != "--"])
    return completion.complete(list(words), BY_NAME, cluster.client, cluster.kubectl.namespace)


_OWN_WORDS: Mapping[str, Callable[[Clusters], list[str]]] = {
    "profile": lambda clusters: [*clusters.names, "list"],
    "--name": lambda clusters: clusters.names,
    "--profile": lambda clusters: clusters.names,
    "-p": lambda clusters: clusters.names,
    "--addons": lambda clusters: _addons(clusters),
    "--node": lambda clusters: list(clusters.chosen.machines.specs),
    **dict.fromkeys(("component stop", "component kill", "component start"), component.names),
    "addons enable": lambda clusters: _addons(clusters),
    "addons disable": lambda clusters: _addons(clusters),
    **dict.fromkeys(("config set", "config get", "config unset"), lambda clusters: sorted(PROPERTIES)),
}


def _addons(clusters: Clusters) -> list[str]:
    return [status.row.name for status in clusters.chosen.addons.status()]


def run(clusters: Clusters, words: Sequence[str]) -> Result | Url | Stream:
    """Carry out one line of %kcluster. Raises KubectlError."""
    profile, rest = take_profile(words)
    if rest[:1] == ["kubectl"]:
        return _kubectl(clusters, profile, rest[1:])
    try:
        arguments = grammar.parse(rest, BY_NAME)
    except KubectlError as error:
        raise KubectlError(_own_words(error.message)) from None
    command = arguments.command
    if arguments.on("help") or command.name not in _RUN:
        return _help(command)
    arguments.values["profile"] = profile
    try:
        answer = _RUN[command.name](clusters, arguments)
    except ValueError as error:
        raise KubectlError(f"error: {error}") from None
    return answer if isinstance(answer, Result | Url | Stream) else Result(answer)


def take_profile(words: Sequence[str]) -> tuple[str, list[str]]:
    """The cluster that `-p` or `--profile` names, anywhere before `--`, and the other words. Raises KubectlError."""
    kept: list[str] = []
    found, rest = "", iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            return found, [*kept, word, *rest]
        if name not in ("-p", "--profile"):
            kept.append(word)
            continue
        found = value if equals else next(rest, "")
        if not found:
            raise KubectlError(f"error: flag needs an argument: {name}")
    return found, kept


def _kubectl(clusters: Clusters, profile: str, words: Sequence[str]) -> Result | Stream:
    answer = clusters.running(profile).kubectl.run([*words[1:]] if words[:1] == ["--"] else [*words])
    return answer if isinstance(answer, Stream) else Result(answer)


def _own_words(message: str) -> str:
    words = message.replace('"kubectl"', '"%kcluster"').replace("kubectl ", "%kcluster ")
    name = words.removeprefix("error: %kcluster ").partition(":")[0]
    return f"{words}: {INSTEAD[name]}" if words.endswith("not implemented by k8snb") and name in INSTEAD else words


def _help(command: Command) -> Result:
    """A command's help; that of %kcluster itself is the list of its rows."""
    below = [row for row in COMMANDS if row.name and (not command.name or row.name.startswith(command.name + " "))]
    lines = [f"%kcluster {command.name} {command.usage}".replace("  ", " ").rstrip(), f"  {command.help}"]
    lines += [f"  --{flag.name}: {flag.help}" for flag in (*command.flags, PROFILE)]
    wide = max((len(row.name) + len(row.usage) for row in below), default=0) + 3
    lines += [f"  {row.name + ' ' + row.usage:{wide}}{row.help}" for row in below if not row.missing_command]
    return Result(Output(text="\n".join(lines) + "\n"))


def _version(clusters: Clusters, args: Arguments) -> Output:
    return said(f"k8snb version: v{__version__}")


_RUN: Mapping[str, Run] = {
    "start": kcluster_life.start,
    "status": kcluster_status.status,
    "stop": kcluster_life.stop,
    "delete": kcluster_life.delete,
    "pause": kcluster_life.pause,
    "unpause": kcluster_life.unpause,
    "step": kcluster_life.step,
    "service": kcluster_services.service,
    "service list": kcluster_services.service_list,
    "node list": kcluster_nodes.node_list,
    "node add": kcluster_nodes.node_add,
    "node delete": kcluster_nodes.node_delete,
    "node stop": kcluster_nodes.node_stop,
    "node start": kcluster_nodes.node_start,
    **component.RUN,
    **kcluster_faults.RUN,
    "addons list": kcluster_addons.addons_list,
    "addons enable": kcluster_addons.addons_enable,
    "addons disable": kcluster_addons.addons_disable,
    "dashboard": kcluster_dashboard.dashboard,
    "logs": kcluster_logs.logs,
    "profile": kcluster_life.profile,
    "profile list": kcluster_life.profile_list,
    "config view": kcluster_addons.config_view,
    "config get": kcluster_addons.config_get,
    "config set": kcluster_addons.config_set,
    "config unset": kcluster_addons.config_unset,
    "ip": kcluster_nodes.ip,
    "ssh": kcluster_nodes.ssh,
    "version": _version,
}

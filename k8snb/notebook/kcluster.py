"""%kcluster: what minikube is on a laptop: start, look at, pause and end the cluster itself.

Interface: `COMMANDS`, rows as kubectl has them; `run(clusters, words) -> Result`.
The rule not to break: whatever a row does, `k8snb.Cluster` can do in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from http import HTTPStatus

from k8snb.apimachinery.meta import name_of
from k8snb.kubectl import completion, grammar
from k8snb.kubectl.grammar import BOOL, INT, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook import component
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.results import Result, page

RUNTIMES = ("auto", "docker", "process", "simulated")
Visit = Callable[[str], tuple[int, str]]
HTTP_ERROR = 400  # the first status that is a refusal
READY = 60.0  # seconds that `start` waits for the nodes
_NAME = Flag("name", help="The cluster's name, as %kcluster profile knows it.", values=(":profiles",))

COMMANDS: tuple[Command, ...] = (
    Command(name="start", usage="[--nodes N] [--runtime R] [--name NAME]", help="Make the cluster, start it.",
            flags=(Flag("nodes", INT, "How many nodes beside the control plane."),
                   Flag("runtime", help="What runs containers.", values=RUNTIMES), _NAME)),
    Command(name="status", help="What each component is doing."),
    Command(name="stop", help="Stop everything; what the cluster holds is kept for the next start."),
    Command(name="delete", help="Stop everything and forget it."),
    Command(name="service", usage="NAME [--url] [-n NS]", help="The URL at which a service answers this notebook.",
            flags=(Flag("url", BOOL, "Only the URL, to use in Python."),), words="resources"),
    Command(name="service list", usage="[-n NS]", help="All services with their URLs."),
    Command(name="pause", help="Nothing happens in the cluster until step or unpause."),
    Command(name="unpause", help="Let the cluster go on."),
    Command(name="step", usage="[N]", help="In a paused cluster, run the next item of work, or the next N."),
    Command(name="node list", help="The nodes."),
    Command(name="node add", usage="[NAME]", help="Add a node."),
    Command(name="node delete", usage="NAME", help="Take a node away, with everything on it.", words="nodes"),
    Command(name="node stop", usage="NAME", help="A node falls silent, as if it had lost its power.", words="nodes"),
    Command(name="node start", usage="NAME", help="A stopped node comes back.", words="nodes"),
    Command(name="node", usage="list|add|delete|stop|start", help="The machines of the cluster."),
    *component.COMMANDS,
    Command(name="profile", usage="[NAME]", help="The clusters of this notebook, or make NAME the current one."),
    Command(name="ip", help="The first node's address."),
    Command(name="dashboard", help="A web page for the cluster.", missing_command=True),
    Command(name="addons", help="Parts that a cluster can have besides.", missing_command=True),
    Command(name="", usage="COMMAND", help="The cluster itself, as minikube has it."),
)  # fmt: skip
BY_NAME: Mapping[str, Command] = {command.name: command for command in COMMANDS}


def complete(clusters: Clusters, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    cluster = clusters.current
    before = " ".join(words[:-1])
    if before == "profile" or before.endswith("--name"):
        return [name for name in clusters.names if name.startswith(words[-1])]
    if before in ("component stop", "component kill", "component start"):
        return [name for name in component.names(clusters) if name.startswith(words[-1])]
    if before == "service":
        return cluster.kubectl.complete(["get", "services", words[-1]])
    return completion.complete(list(words), BY_NAME, cluster.client, cluster.kubectl.namespace)


class Url(str):
    """A URL: a string for Python, a link in the page."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return page(_link(self))


def run(clusters: Clusters, words: Sequence[str]) -> Result | Url:
    """Carry out one line of %kcluster. Raises KubectlError."""
    try:
        arguments = grammar.parse(list(words), BY_NAME)
    except KubectlError as error:
        raise KubectlError(_own_words(error.message)) from None
    command = arguments.command
    if arguments.on("help") or command.name not in _RUN:
        return _help(command)
    try:
        answer = _RUN[command.name](clusters, arguments)
    except ValueError as error:
        raise KubectlError(f"error: {error}") from None
    return answer if isinstance(answer, Result | Url) else Result(answer)


def _own_words(message: str) -> str:
    return message.replace('"kubectl"', '"%kcluster"').replace("kubectl ", "%kcluster ")


def _help(command: Command) -> Result:
    """A command's help; that of %kcluster itself is the list of its rows."""
    if command.missing_command:
        raise KubectlError(f"error: %kcluster {command.name}: not implemented by k8snb")
    below = [row for row in COMMANDS if row.name and (not command.name or row.name.startswith(command.name + " "))]
    lines = [f"%kcluster {command.name} {command.usage}".replace("  ", " ").rstrip(), f"  {command.help}"]
    lines += [f"  --{flag.name}: {flag.help}" for flag in command.flags]
    wide = max((len(row.name) + len(row.usage) for row in below), default=0) + 3
    lines += [f"  {row.name + ' ' + row.usage:{wide}}{row.help}" for row in below if not row.missing_command]
    return Result(Output(text="\n".join(lines) + "\n"))


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Output:
    """An answer in columns, as kubectl's are."""
    columns = tuple(Column(name) for name in header)
    made = Table(columns=columns, rows=tuple(Row(tuple(line), {}) for line in lines))
    return Output(text=made.text, tables=[made])


def said(text: str, *hints: str) -> Output:
    """An answer in a sentence."""
    return Output(text=text + "\n", hints=list(hints))


# life


def _start(clusters: Clusters, args: Arguments) -> Output:
    runtime = args.text("runtime")
    if runtime and runtime not in RUNTIMES:
        raise KubectlError(f'error: invalid runtime "{runtime}": one of {", ".join(RUNTIMES)}')
    nodes = args.number("nodes")
    if "nodes" in args.given and nodes < 1:
        raise KubectlError(f"error: invalid number of nodes {nodes}: a cluster has at least 1 beside its control plane")
    cluster = clusters.start(_name(args), nodes=nodes, runtime=runtime, wait=READY)
    return said(f'cluster "{cluster.name}" is running: {greeting(clusters)}')


def _name(args: Arguments) -> str:
    """The cluster's name, given as `--name` or bare."""
    return args.text("name") or _word(args, "", optional=True)


def greeting(clusters: Clusters) -> str:
    """`3 nodes and a control plane on the process runtime (no Docker engine answers)`."""
    cluster = clusters.chosen
    nodes = len(cluster.nodes) - 1
    counted = f"{nodes} node{'' if nodes == 1 else 's'}"
    return f"{counted} and a control plane on the {cluster.runtime_name} runtime ({cluster.why})"


def _status(clusters: Clusters, args: Arguments) -> Output:
    return table(("COMPONENT", "STATE", "DETAILS"), clusters.chosen.status())


def _stop(clusters: Clusters, args: Arguments) -> Output:
    clusters.stop()
    return said(f'cluster "{clusters.name}" is stopped', "%kcluster start starts it again, with all that it holds")


def _delete(clusters: Clusters, args: Arguments) -> Output:
    name = clusters.name
    clusters.delete()
    return said(f'cluster "{name}" is deleted')


def _profile(clusters: Clusters, args: Arguments) -> Output:
    name = _word(args, "", optional=True)
    if name:
        clusters.use(name)
        return said(f'the magics now mean cluster "{name}"')
    lines = [("*" if name == clusters.name else "", name, *clusters.describe(name)) for name in clusters.names]
    return table(("CURRENT", "NAME", "STATE", "RUNTIME"), lines)


# time


def _pause(clusters: Clusters, args: Arguments) -> Output:
    clusters.current.pause()
    return said("paused: nothing happens until %kcluster step or %kcluster unpause")


def _unpause(clusters: Clusters, args: Arguments) -> Output:
    clusters.current.unpause()
    return said("the cluster goes on")


def _step(clusters: Clusters, args: Arguments) -> Output:
    text = _word(args, "", optional=True) or "1"
    if not text.isdigit():
        raise KubectlError(f'error: invalid number of steps "{text}": a whole number is wanted')
    cluster, steps = clusters.current, []
    for _ in range(int(text)):
        step = cluster.step()
        if step is None:
            break
        steps.append((step.component, step.sort, step.key))
    return table(("COMPONENT", "SORT", "KEY"), steps) if steps else said("nothing is left to do")


# machines


def _node_list(clusters: Clusters, args: Arguments) -> Result:
    return Result(clusters.current.kubectl.run(["get", "nodes", "-o", "wide"]))


def _node_add(clusters: Clusters, args: Arguments) -> Output:
    name = clusters.current.add_node(_word(args, "", optional=True))
    return said(f"node/{name} added")


def _on_node(verb: str, done: str) -> Callable[[Clusters, Arguments], Output]:
    def act(clusters: Clusters, args: Arguments) -> Output:
        name = _word(args, "a node's name").removeprefix("node/")
        getattr(clusters.current, verb)(name)
        return said(f"node/{name} {done}")

    return act


def _ip(clusters: Clusters, args: Arguments) -> Url:
    for node in clusters.current.client.items("nodes"):
        for address in (node.get("status") or {}).get("addresses") or ():
            if address["type"] == "InternalIP":
                return Url(address["address"])
    raise KubectlError("error: no node has an address yet: %kcluster status")


# services


def _service(clusters: Clusters, args: Arguments) -> Result | Url:
    name, namespace = _word(args, "a service's name").removeprefix("service/").removeprefix("svc/"), _namespace(args)
    cluster = clusters.current
    cluster.client.get("services", name, namespace)
    urls = cluster.service_urls(name, namespace)
    if not urls:
        raise KubectlError(f"error: service {namespace}/{name} has no port that the notebook can reach: "
                           "%kexpose it with --type=NodePort")  # fmt: skip
    return Url(urls[0]) if args.on("url") else ServiceAnswer(urls, cluster.visit)


def _service_list(clusters: Clusters, args: Arguments) -> Output:
    cluster = clusters.current
    lines = []
    for service in cluster.client.items("services", args.text("namespace")):
        name, namespace = name_of(service), service["metadata"]["namespace"]
        ports = ",".join(str(port["port"]) for port in service["spec"].get("ports") or ())
        urls = cluster.service_urls(name, namespace)
        lines.append((namespace, name, ports or "<none>", " ".join(urls) or "<none>"))
    return table(("NAMESPACE", "NAME", "PORTS", "URL"), lines)


class ServiceAnswer(Result):
    """A service's URLs as links, with what the first of them answers to a GET."""

    def __init__(self, urls: Sequence[str], visit: Visit) -> None:
        self.urls = list(urls)
        self.answer = first_lines(visit, urls[0])
        super().__init__(Output(text="\n".join([*urls, "", self.answer]) + "\n"))

    @property
    def url(self) -> Url:
        return Url(self.urls[0])

    def _repr_html_(self) -> str:
        links = "<br>".join(map(_link, self.urls))
        return page(f'<div class="k8snb-note">{links}</div><pre class="k8snb-text">{escape(self.answer)}</pre>')


def first_lines(visit: Visit, url: str, *, lines: int = 12) -> str:
    """The first lines of what a GET answers, or why it does not. `visit(url)` gives status and text."""
    try:
        status, text = visit(url)
    except (OSError, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', error)}"
    if status >= HTTP_ERROR:
        return f"it answers {status} {HTTPStatus(status).phrase}"
    shown = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join([*shown[:lines], *(["…"] if len(shown) > lines else [])])


def _link(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return escape(url)
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(url)}</a>'


# words


def _word(args: Arguments, wanted: str, *, optional: bool = False) -> str:
    """The one bare word of a line. Raises KubectlError for none or several."""
    if len(args.words) > 1:
        raise KubectlError(f"error: one word too many: {args.words[1]}")
    if not args.words and not optional:
        raise KubectlError(f"error: {wanted} is missing: %kcluster {args.command.name} {args.command.usage}")
    return args.words[0] if args.words else ""


def _namespace(args: Arguments) -> str:
    return args.text("namespace") or "default"


_RUN: Mapping[str, Callable[[Clusters, Arguments], Output | Result | Url]] = {
    "start": _start,
    "status": _status,
    "stop": _stop,
    "delete": _delete,
    "service": _service,
    "service list": _service_list,
    "pause": _pause,
    "unpause": _unpause,
    "step": _step,
    "node list": _node_list,
    "node add": _node_add,
    "node delete": _on_node("delete_node", "deleted"),
    "node stop": _on_node("stop_node", "stopped"),
    "node start": _on_node("start_node", "started"),
    **component.RUN,
    "profile": _profile,
    "ip": _ip,
}

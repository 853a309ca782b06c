"""%kproxy rules and %kproxy policies: where connections go, and which are let through.

Interface: `COMMANDS`, rows as kubectl has them; `is_meant(words)`, `show(cluster, words)`; `offers(words)` and
`complete(cluster, words)` for the completer.
The rule not to break: with any other word `%kproxy` is kubectl's own `proxy`.
On a real node one reads `iptables-save`; who is let through, only the network plug-in knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from k8snb.kube_proxy.rules import on_node
from k8snb.kube_proxy.view import iptables_text
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.networkpolicy.view import isolation_rows, talk_rows
from k8snb.notebook.results import Result

if TYPE_CHECKING:
    from k8snb.cluster import Cluster
    from k8snb.networkpolicy.policies import Policy

TABLE, IPTABLES = "table", "iptables"
OUTPUT = Flag("output", help="table, or iptables: what a real node's kernel is told.", short="o", default=TABLE,
              values=(TABLE, IPTABLES))  # fmt: skip
COMMANDS: Mapping[str, Command] = {
    "proxy": Command(name="proxy", usage="rules|policies", help="What kube-proxy and the network plug-in decided."),
    "proxy rules": Command(
        name="proxy rules",
        usage="[SERVICE] [--node NODE] [-n NS | -A] [-o iptables]",
        help="The rules of each node's kube-proxy: where connections go, and why an endpoint gets none.",
        flags=(flags.ALL_NAMESPACES, Flag("node", help="Only this node's.", values=(":nodes",)), OUTPUT),
        words="services",
        examples=("%kproxy rules", "%kproxy rules web --node node-1", "%kproxy rules -o iptables --node node-1"),
    ),
    "proxy policies": Command(
        name="proxy policies",
        usage="[POD] [-n NS | -A]",
        help="Which pods NetworkPolicies isolate; of one pod: who may talk to it, to whom it may, and who decides.",
        flags=(flags.ALL_NAMESPACES,),
        words="pods",
        examples=("%kproxy policies", "%kproxy policies web"),
    ),
}
_RULES = tuple(Column(name) for name in (
    "NODE", "SERVICE", "PORT", "PROTOCOL", "TYPE", "ADDRESS", "ENDPOINTS", "POLICY", "LEFT OUT"))  # fmt: skip
_ISOLATION = tuple(Column(name) for name in ("POD", "INGRESS", "EGRESS"))
_TALK = tuple(Column(name) for name in ("FROM", "TO", "PORT", "ALLOWED", "WHY"))


def is_meant(words: Sequence[str]) -> bool:
    """Whether a line of kubectl's is `proxy rules …` or `proxy policies …`."""
    return len(words) > 1 and " ".join(words[:2]) in COMMANDS


def offers(words: Sequence[str]) -> bool:
    """Whether such a line is being typed."""
    return is_meant(words) or (len(words) == 2 and words[0] == "proxy" and not words[1].startswith("-"))


def show(cluster: Cluster, words: Sequence[str]) -> Result:
    """Carry out the line. Raises KubectlError."""
    try:
        args = grammar.parse(list(words), COMMANDS)
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl proxy", "%kproxy")) from None
    if args.on("help"):
        return Result(Output(text=help.page(args.command, [args.command]).replace("kubectl proxy", "%kproxy")))
    if len(args.words) > 1:
        raise KubectlError(f"error: one word too many: {args.words[1]}")
    return Result(_RUN[args.command.name](cluster, args))


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    return completion.complete(["proxy", *words], COMMANDS, cluster.client, cluster.kubectl.namespace)


def _name(args: Arguments, *kinds: str) -> str:
    word = args.words[0] if args.words else ""
    kind, slash, name = word.partition("/")
    return name if slash and kind in kinds else word


def _namespace(cluster: Cluster, args: Arguments) -> str:
    return "" if args.on("all-namespaces") else args.text("namespace") or cluster.kubectl.namespace


def _rules(cluster: Cluster, args: Arguments) -> Output:
    namespace, name, node = _namespace(cluster, args), _name(args, "service", "services", "svc"), args.text("node")
    if node and (node not in cluster.nodes or cluster.nodes[node].proxy is None):
        raise KubectlError(f'error: no kube-proxy runs on a node "{node}": %kget nodes lists them')
    if name and cluster.client.find("services", name, namespace or "default") is None:
        raise KubectlError(f'Error from server (NotFound): services "{name}" not found')
    if args.text("output") == IPTABLES:
        return Output(text=_iptables(cluster, node, namespace, name))
    if args.text("output") != TABLE:
        raise KubectlError(f'error: --output "{args.text("output")}": one of {TABLE}, {IPTABLES}')
    found = cluster.proxy_rules(name, namespace, node=node)
    rows = tuple(
        Row((each.node or "-", each.service, each.port or "-", each.protocol or "-", each.type, each.address,
             ", ".join(each.endpoints) or each.note, each.policy or "-", ", ".join(each.left_out) or "-"),
            each._asdict())
        for each in found
    )  # fmt: skip
    return _table(_RULES, rows, f"No services found in {namespace or 'any'} namespace.\n")


def _iptables(cluster: Cluster, node: str, namespace: str, name: str) -> str:
    """The rules of one node; without a name, of the first that has a proxy."""
    proxies = [each.proxy for each in cluster.nodes.values() if each.proxy and node in ("", each.spec.name)]
    keys = [key for key in cluster.rule_book.rules
            if (not namespace or key.startswith(f"{namespace}/")) and name in ("", key.partition("/")[2])]  # fmt: skip
    return iptables_text(on_node(rule, each.node, each.address)
                         for each in proxies[:1] for key in keys for rule in cluster.rule_book.rules[key])  # fmt: skip


def _policies(cluster: Cluster, args: Arguments) -> Output:
    namespace, name = _namespace(cluster, args), _name(args, "pod", "pods", "po")
    policies, pods = cluster.policies()
    if not name:
        rows = [
            each for each in isolation_rows(policies, pods) if each.pod.startswith(f"{namespace}/" * bool(namespace))
        ]
        cells = tuple(
            Row((each.pod, ", ".join(each.ingress) or "open", ", ".join(each.egress) or "open"), each._asdict())
            for each in rows
        )
        otherwise = f"No pods found in {namespace or 'any'} namespace.\n"
        return _table(_ISOLATION, cells, otherwise, _limits(cluster, policies))
    pod = next((each for each in pods if (each.namespace, each.name) == (namespace or "default", name)), None)
    if pod is None:
        raise KubectlError(f'Error from server (NotFound): pods "{name}" not found, or it has no address of its own')
    talk = tuple(
        Row((each.source, each.destination, each.port, "yes" if each.verdict.allowed else "no", each.verdict.reason), {
            **each._asdict(), "verdict": each.verdict._asdict()})
        for each in talk_rows(policies, pod, pods)
    )  # fmt: skip
    return _table(_TALK, talk, "", _limits(cluster, policies))


def _limits(cluster: Cluster, policies: Sequence[Policy]) -> list[str]:
    """What the runtime does not hold back, where there is anything to hold back."""
    firewall = cluster.host.firewall
    return [f"policies here: {firewall.why_not}"] if policies and firewall is not None and firewall.why_not else []


def _table(columns: tuple[Column, ...], rows: tuple[Row, ...], otherwise: str, hints: Sequence[str] = ()) -> Output:
    if not rows:
        return Output(text=otherwise)
    made = Table(columns=columns, rows=rows)
    return Output(text=made.text, tables=[made], objects=[row.object for row in rows], hints=list(hints))


_RUN: Mapping[str, Callable[[Cluster, Arguments], Output]] = {"proxy rules": _rules, "proxy policies": _policies}

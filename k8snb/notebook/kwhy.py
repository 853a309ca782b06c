"""%kwhy: what keeps an object from being as its spec says, or from a state that is expected of it.

Interface: `explain(cluster, args)`; `verdict(obj)`; `Why`, a `Result` with `.findings` and `.commands`.
The rule not to break: what is shown is what `k8snb.story` found; a command is shown as it can be run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl.grammar import Arguments, nearest
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.contexts import RemoteCluster
from k8snb.notebook.kcluster_answers import columns
from k8snb.notebook.results import Result, page, remarks
from k8snb.story import trace
from k8snb.story.trace import Step
from k8snb.story.why import Finding, Scene, is_command, is_known, why, word_of
from k8snb.story.why_not import Answer, known_states, why_not

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

Named = Callable[["Cluster", Arguments, Sequence[str]], tuple[Kind, str, str]]
CHAIN = 8  # writes that are shown of how an object came about
EVIDENCE = 12  # pieces of evidence that a finding shows
NODES = 40  # nodes of which the verdict is shown


class Why(Result):
    """Findings with what would help. `.commands` are the fixes that can be run, the best first."""

    def __init__(self, obj: Object, findings: Sequence[Finding], chain: Sequence[Step]) -> None:
        self.findings, self.chain = list(findings), list(chain)[-CHAIN:]
        made = columns(("OBJECT", "ROLE", "WHERE", "MESSAGE"), [line for each in findings for line in _lines(each)])
        super().__init__(Output(text=self._text(), tables=[made], objects=[obj]))

    @property
    def commands(self) -> list[str]:
        """Lines, or cells, to run word for word."""
        return list(dict.fromkeys(command for finding in self.findings for command in finding.commands))

    def _text(self) -> str:
        parts = []
        for finding in self.findings:
            parts.append(f"{finding.word}: {finding.fact}")
            parts += [f"  {node}: {plugin}: {why}{_change(finding, node)}" for node, plugin, why in _nodes(finding)]
            parts += [f"  seen in {each.word}, {each.place}: {each.text}" for each in finding.evidence[:EVIDENCE]]
            parts += [f"  what helps: {_indented(fix)}" for fix in finding.fixes]
        if self.chain:
            parts.append("how it came about:")
            parts += map(_write, self.chain)
        return "\n".join(parts) + "\n"

    def _repr_html_(self) -> str:
        findings = "".join(map(_card, self.findings))
        chain = "".join(
            f"<li><b>{step.revision}</b> {escape(step.actor)}: {escape(step.verb)} <code>{escape(step.word)}</code> "
            f"{escape(step.what)}</li>"
            for step in self.chain
        )
        how = f"<details><summary>how it came about, from the first write on</summary><ol>{chain}</ol></details>"
        notes = "".join(f'<div class="k8snb-note"><b>{word}:</b> {escape(text)}</div>'
                        for word, text in remarks(self.output))  # fmt: skip
        return page(f"{_STYLE}{findings}{f'<div class=k8snb-why>{how}</div>' if chain else ''}{notes}")


def explain(cluster: Cluster, args: Arguments, named: Named) -> Result | None:
    """The answer to a line of %kwhy's that asks about an object; None where it asks about what is gone or was never.

    Raises KubectlError.
    """
    words = list(args.words)
    negated = words[:1] == ["not"]
    asked = words[1:] if negated else words
    size = 1 if asked and "/" in asked[0] else 2
    kind, name, namespace = named(cluster, args, asked[:size] if negated else asked)
    obj = cluster.client.find(kind, name, namespace)
    if obj is None:
        return None
    elsewhere = isinstance(cluster, RemoteCluster)  # where nobody kept the scheduler's decisions, or a history
    scene = Scene(cluster.client, lambda uid: None) if elsewhere else cluster.story_scene()
    chain = [] if elsewhere else came_about(cluster, kind, obj)
    if not negated:
        findings = why(scene, obj)
        well = Result(Output(text=f"{word_of(obj)}: {verdict(obj)}\n", objects=[obj])) if elsewhere else None
        return Why(obj, findings, chain) if findings else well
    try:
        answer = why_not(scene, obj, asked[size:])
    except ValueError as error:
        raise KubectlError(f"error: {error}") from None
    return _told(obj, answer, chain)


def verdict(obj: Object) -> str:
    """What is said of an object of which no reason is told: that it is well, where anything is known of its kind."""
    if is_known(obj["kind"]):
        return "nothing is wrong with it"
    return f"k8snb knows of nothing that could be wrong with a {obj['kind']}, and its deletion waits for nobody"


def _told(obj: Object, answer: Answer, chain: Sequence[Step]) -> Result:
    if not answer.holds:
        return Why(obj, answer.findings, chain)
    story = "".join(f"{_write(step)}\n" for step in chain)
    return Result(Output(text=f"it is: {answer.holds}. Its newest write came about like this:\n{story}", objects=[obj]))


def _write(step: Step) -> str:
    """`  312 deployment-controller: create replicaset/web-1 (for web)`."""
    return f"  {step.revision} {step.actor}: {step.verb} {step.word}" + (f" ({step.what})" if step.what else "")


def came_about(cluster: Cluster, kind: Kind, obj: Object) -> list[Step]:
    """The writes that led to an object's newest one, the learner's command first."""
    changes = cluster.history.of(kind, namespace_of(obj), name_of(obj))
    return trace.chain(cluster.history, changes[-1].revision) if changes else []


def states(cluster: Cluster, word: str) -> list[str]:
    """What may be expected of `pod/web`."""
    plural, _, name = word.partition("/")
    kind = next((kind for kind in cluster.client.kinds() if plural.lower() in kind.words()), None)
    obj = cluster.client.find(kind, name, cluster.kubectl.namespace if kind.namespaced else "") if kind else None
    return [state.partition(" ")[0] for state in known_states(obj)] if obj is not None else []


def near_names(cluster: Cluster, kind: Kind, name: str, namespace: str) -> str:
    """` (did you mean "web"?)`."""
    return nearest(name, [name_of(obj) for obj in cluster.client.items(kind, namespace)])


def _nodes(finding: Finding) -> list[tuple[str, str, str]]:
    return [(node, *verdict) for node, verdict in list((finding.nodes or {}).items())[:NODES]]


def _change(finding: Finding, node: str) -> str:
    """` → kubectl uncordon node-1`: what it takes, where that is no more than lines."""
    changes = finding.changes.get(node, ())
    return f" → {'; and '.join(changes)}" if changes and not any("\n" in change for change in changes) else ""


def _indented(fix: str) -> str:
    return fix.rstrip("\n").replace("\n", "\n    ")


def _lines(finding: Finding) -> list[tuple[str, str, str, str]]:
    lines = [(finding.word, "because", "", finding.fact)]
    lines += [(node, "refuses", plugin, reason + _change(finding, node)) for node, plugin, reason in _nodes(finding)]
    lines += [(each.word, "evidence", each.place, each.text) for each in finding.evidence[:EVIDENCE]]
    return [*lines, *(("", "what helps", "", fix) for fix in finding.fixes)]


def _card(finding: Finding) -> str:
    """A finding: the fact, the verdicts on nodes, the evidence, and what helps."""
    nodes = "".join(
        f"<tr><td><b>{escape(node)}</b></td><td>{escape(plugin)}</td><td>{escape(reason)}</td>"
        f"<td>{''.join(map(_code, finding.changes.get(node, ())))}</td></tr>"
        for node, plugin, reason in _nodes(finding)
    )  # fmt: skip
    head = "".join(f"<th>{name}</th>" for name in ("NODE", "PLUG-IN", "REASON", "SMALLEST CHANGE"))
    table = f'<table class="k8snb-table"><thead><tr>{head}</tr></thead><tbody>{nodes}</tbody></table>' if nodes else ""
    seen = "".join(
        f"<li><code>{escape(each.word)}</code> {escape(each.place)}: {escape(each.text)}"
        + (f" <i>@{each.revision}</i>" if each.revision else "") + "</li>"
        for each in finding.evidence[:EVIDENCE]
    )  # fmt: skip
    helps = "".join(f"<li>{_code(fix)}</li>" for fix in finding.fixes)
    return (
        f'<div class="k8snb-why"><p><b class="k8snb-bad k8snb-sym">✕</b><code>{escape(finding.word)}</code> '
        f"<b>{escape(finding.fact)}</b></p>{table}<div><em>seen in</em><ul>{seen}</ul></div>"
        + (f"<div><em>what helps</em><ol>{helps}</ol></div>" if helps else "") + "</div>"
    )  # fmt: skip


def _code(fix: str) -> str:
    """A command as a line to copy, advice as a sentence."""
    return f'<pre class="k8snb-code">{escape(fix.rstrip())}</pre>' if is_command(fix) else escape(fix)


_STYLE = """<style>
.k8snb .k8snb-why{border-left:3px solid #d55e00;padding:1px 0 4px 12px;margin:4px 0 8px 4px}
.k8snb .k8snb-why p{margin:2px 0;max-width:110ch}
.k8snb .k8snb-why em{font-style:normal;font-size:.82em;letter-spacing:.04em;opacity:.62;text-transform:uppercase}
.k8snb .k8snb-why ul,.k8snb .k8snb-why ol{margin:0 0 4px 1.3em;padding:0;max-width:120ch}
.k8snb .k8snb-why i{font-style:normal;opacity:.55;font-size:.86em}
.k8snb .k8snb-why code{background:none!important;color:inherit;font-size:.95em;padding:0}
.k8snb .k8snb-why pre.k8snb-code{white-space:pre-wrap;word-break:normal;overflow-wrap:break-word;padding:1px 0}
.k8snb .k8snb-why td pre.k8snb-code{white-space:pre}
.k8snb .k8snb-why summary{cursor:pointer;opacity:.75}
</style>"""

"""kubectl auth: who one is, and who may do what.

Interface: `COMMANDS`.
The rule not to break: the answer is the server's own, to the question that it would ask itself.
Source: `kubectl/pkg/cmd/auth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from k8snb.apimachinery.meta import Object, get_path
from k8snb.kubectl import flags
from k8snb.kubectl.auth_reconcile import reconcile
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table, columns_text
from k8snb.kubectl.results import show
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of

_Rule = tuple[str, str, str, str, str]
_Row = tuple[str, str, str, str]
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "escalate",
          "impersonate", "*", "approve", "sign", "attest")  # fmt: skip
_TWO = ("error: you must specify two arguments: verb resource or verb resource/resourceName.\n"
        "See 'kubectl auth can-i -h' for help and examples.")  # fmt: skip


def can_i(session: Session, args: Arguments) -> Output:
    if args.on("list"):
        return _list(session, args)
    if len(args.words) != 2:
        raise KubectlError(_TWO)
    status = session.client.create("selfsubjectaccessreviews", {"metadata": {}, "spec": _question(session, args)})[
        "status"
    ]
    word = "yes" if status.get("allowed") else "no"
    reasons = [f" - {status['reason']}" if status.get("reason") and word == "no" else "",
               f" - {status['evaluationError']}" if status.get("evaluationError") else ""]  # fmt: skip
    text = "" if args.on("quiet") else f"{word}{''.join(reasons)}\n"
    return Output(text=text, exit_code=int(word == "no"))


def _question(session: Session, args: Arguments) -> Object:
    """What a SelfSubjectAccessReview asks. Remarks on words that mean nothing to the server."""
    verb, what = args.words
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    if verb not in _VERBS:
        session.warnings.append(f"verb '{verb}' is not a known verb\n")
    word, _, name = what.partition("/")
    asked: dict[str, Any] = {"verb": verb, "namespace": "" if args.on("all-namespaces") else session.namespace}
    asked |= {key: text for key, text in (("name", name), ("subresource", args.text("subresource"))) if text}
    return {"resourceAttributes": {**asked, **_resource(session, word, asked["namespace"])}}


def _resource(session: Session, word: str, namespace: str) -> Object:
    if word == "*":
        return {"resource": "*", "group": "*"}
    kind = session.find_kind(word)
    if kind is None:
        plain, _, group = word.partition(".")
        where = f" in group '{group}'" if group else ""
        session.warnings.append(f"the server doesn't have a resource type '{plain}'{where}\n")
        return {"resource": plain, "group": group}
    if not kind.namespaced and namespace:
        where = f" in group '{kind.group}'" if kind.group else ""
        session.warnings.append(f"resource '{kind.plural}' is not namespace scoped{where}\n")
    return {"resource": kind.plural, "group": kind.group, "version": kind.version}


def _list(session: Session, args: Arguments) -> Output:
    """Every rule that applies to the user in the namespace, as the server knows them."""
    review = session.client.create(
        "selfsubjectrulesreviews", {"metadata": {}, "spec": {"namespace": session.namespace}}
    )
    status = review["status"]
    apart = [rule for found in status.get("resourceRules") or () for rule in _apart(found)]
    rows = [row for _, row in sorted([*apart, *_urls(status)])]
    head = ("Resources", "Non-Resource URLs", "Resource Names", "Verbs")
    text = columns_text(rows if args.on("no-headers") else [head, *rows])
    table = Table(columns=tuple(map(Column, head)), rows=tuple(Row(row, {}) for row in rows))
    warnings = [f"the list may be incomplete: {status['evaluationError']}"] if status.get("incomplete") else []
    return Output(text=text, tables=[table], objects=[review], warnings=warnings)


def _apart(rule: Object) -> Iterator[tuple[_Rule, _Row]]:
    """A row for each resource of a rule in each group, and what upstream sorts it by."""
    verbs, names = _words(rule.get("verbs")), _words(rule.get("resourceNames"))
    for group in rule.get("apiGroups") or ("",):
        for resource in rule.get("resources") or ():
            plain, slash, below = resource.partition("/")
            qualified = f"{plain}.{group}{slash}{below}" if group else resource
            yield (verbs, group, resource, names, ""), (qualified, "[]", names, verbs)


def _urls(status: Object) -> Iterator[tuple[_Rule, _Row]]:
    for rule in status.get("nonResourceRules") or ():
        verbs = _words(rule.get("verbs"))
        for url in rule.get("nonResourceURLs") or ():
            yield (verbs, "", "", "", f"{url}]"), ("", f"[{url}]", "[]", verbs)


def _words(found: Sequence[str] | None) -> str:
    return f"[{' '.join(found or ())}]"


def whoami(session: Session, args: Arguments) -> Output:
    review = session.client.create("selfsubjectreviews", {"metadata": {}})
    if format_of(args):
        return Output(text=show([review], args), objects=[review], format=format_of(args))
    info = get_path(review, "status.userInfo") or {}
    head, rows = ("ATTRIBUTE", "VALUE"), [("Username", info.get("username", ""))]
    rows += [("UID", info["uid"])] if info.get("uid") else []
    rows += [("Groups", _words(info["groups"]))] if info.get("groups") else []
    rows += [(f"Extra: {key}", _words(values)) for key, values in sorted((info.get("extra") or {}).items())]
    table = Table(columns=tuple(map(Column, head)), rows=tuple(Row(row, {}) for row in rows))
    return Output(text=columns_text([head, *rows]), tables=[table], objects=[review])


_GROUP = "Troubleshooting and Debugging Commands"
COMMANDS = (
    Command(name="auth", usage="SUBCOMMAND [flags]", help="Ask who may do what.", group=_GROUP),
    Command(
        name="auth can-i",
        usage="VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [flags]",
        help="Whether one may do something: yes or no.",
        group=_GROUP,
        run=can_i,
        flags=(
            flags.ALL_NAMESPACES,
            Flag("list", BOOL, "Show all that one may do in the namespace."),
            flags.NO_HEADERS,
            Flag("quiet", BOOL, "Print nothing: the exit code says it.", short="q"),
            Flag("subresource", help="A subresource, such as log or scale."),
        ),
        words="kinds",
        examples=(
            "kubectl auth can-i create pods",
            "kubectl auth can-i list secrets --as=system:serviceaccount:default:robot",
            "kubectl auth can-i --list",
        ),
    ),
    Command(
        name="auth whoami",
        usage="[flags]",
        help="The name and the groups that one is known by.",
        group=_GROUP,
        run=whoami,
        flags=flags.PRINTING,
        examples=("kubectl auth whoami",),
    ),
    Command(
        name="auth reconcile",
        usage="-f FILENAME [flags]",
        help="Make roles and bindings grant at least what manifests say.",
        group=_GROUP,
        run=reconcile,
        flags=(
            *flags.FILES,
            Flag("remove-extra-permissions", BOOL, "Take away what the manifests do not say."),
            Flag("remove-extra-subjects", BOOL, "Take away whom the manifests do not name."),
            flags.DRY_RUN, *flags.PRINTING,
        ),
        examples=("kubectl auth reconcile -f roles.yaml",),
    ),
)  # fmt: skip

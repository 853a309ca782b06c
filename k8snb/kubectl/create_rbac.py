"""kubectl create role, clusterrole, rolebinding, clusterrolebinding and token: who may do what.

Interface: `COMMANDS`.
The rule not to break: a resource is written as the server names it, with its group.
Source: `kubectl/pkg/cmd/create/create_{role,clusterrole,rolebinding,clusterrolebinding,token}.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import SelectorError, parse_selector
from k8snb.kubectl import flags
from k8snb.kubectl.create import generator, make, named, said_namespace
from k8snb.kubectl.grammar import ARRAY, DURATION, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.results import show
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of

GROUP = "rbac.authorization.k8s.io"
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "escalate",
          "impersonate", "approve", "sign", "attest", "*")  # fmt: skip
_BOUND = ("Node", "Pod", "Secret")


# roles


def role(session: Session, args: Arguments) -> Output:
    name, rules = named(args), _rules(session, args)
    return make(session, args, {**_role("Role", name, said_namespace(session, args)), "rules": rules})


def cluster_role(session: Session, args: Arguments) -> Output:
    obj = _role("ClusterRole", named(args), "")
    if args.text("aggregation-rule"):
        if any(args.texts(flag) for flag in ("verb", "resource", "non-resource-url", "resource-name")):
            raise KubectlError("error: aggregation rule must be specified without any other flags")
        selectors = [{"matchLabels": _labels(args.text("aggregation-rule"))}]
        return make(session, args, {**obj, "aggregationRule": {"clusterRoleSelectors": selectors}, "rules": None})
    urls = args.texts("non-resource-url")
    if any(url != "*" and not url.startswith("/") for url in urls):
        raise KubectlError("error: nonResourceURL should start with /")
    if urls and not args.texts("resource"):
        _check_verbs(args)
        return make(session, args, {**obj, "rules": [{"nonResourceURLs": urls, "verbs": args.texts("verb")}]})
    rules = _rules(session, args)
    if urls:
        rules.append({"nonResourceURLs": urls, "verbs": args.texts("verb")})
    return make(session, args, {**obj, "rules": rules})


def _role(kind: str, name: str, namespace: str) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata}


def _labels(text: str) -> dict[str, str]:
    try:
        return parse_selector(text).equality()
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None


def _check_verbs(args: Arguments) -> None:
    if not args.texts("verb"):
        raise KubectlError("error: at least one verb must be specified")


def _rules(session: Session, args: Arguments) -> list[Object]:
    """A rule for each group that one of the resources is in."""
    _check_verbs(args)
    if not args.texts("resource"):
        raise KubectlError("error: at least one resource must be specified")
    verbs = ["*"] if "*" in args.texts("verb") else list(dict.fromkeys(args.texts("verb")))
    session.warnings += [f"'{verb}' is not a standard resource verb" for verb in verbs if verb not in _VERBS]
    groups: dict[str, list[str]] = {}
    for word in dict.fromkeys(args.texts("resource")):
        group, resource = _resource(session, word)
        groups.setdefault(group, []).append(resource)
    only = {"resourceNames": args.texts("resource-name")} if args.texts("resource-name") else {}
    return [{"apiGroups": [group], **only, "resources": found, "verbs": verbs} for group, found in groups.items()]


def _resource(session: Session, word: str) -> tuple[str, str]:
    """Group and plural of `po`, `deployments.apps`, `pods/log`."""
    if word == "*":
        return "*", "*"
    plain, slash, below = word.partition("/")
    kind = session.find_kind(plain)
    if kind is None:
        raise KubectlError(f'the server doesn\'t have a resource type "{plain}"')
    return kind.group, f"{kind.plural}{slash}{below}"


# bindings


def role_binding(session: Session, args: Arguments) -> Output:
    name, (role, cluster_role) = named(args), (args.text("role"), args.text("clusterrole"))
    if bool(role) is bool(cluster_role):
        raise KubectlError("error: exactly one of clusterrole or role must be specified")
    reference = ("Role", role) if role else ("ClusterRole", cluster_role)
    return make(session, args, _binding("RoleBinding", name, said_namespace(session, args), reference, args))


def cluster_role_binding(session: Session, args: Arguments) -> Output:
    reference = ("ClusterRole", args.text("clusterrole"))
    return make(session, args, _binding("ClusterRoleBinding", named(args), "", reference, args))


def _binding(kind: str, name: str, namespace: str, reference: tuple[str, str], args: Arguments) -> Object:
    found = subjects(args.texts("user"), args.texts("group"), args.texts("serviceaccount"))
    role = {"apiGroup": GROUP, "kind": reference[0], "name": reference[1]}
    return {**_role(kind, name, namespace), "roleRef": role, **({"subjects": found} if found else {})}


def subjects(users: Sequence[str], groups: Sequence[str], accounts: Sequence[str]) -> list[Object]:
    """Those whom a binding is for. Raises KubectlError for an account that is no NAMESPACE:NAME."""
    found = [{"kind": kind, "apiGroup": GROUP, "name": name}
             for kind, words in (("User", users), ("Group", groups)) for name in words]  # fmt: skip
    for account in accounts:
        namespace, colon, name = account.partition(":")
        if not (namespace and colon and name):
            raise KubectlError("error: serviceaccount must be <namespace>:<name>")
        found.append({"kind": "ServiceAccount", "namespace": namespace, "name": name})
    return found


# tokens


def token(session: Session, args: Arguments) -> Output:
    """A token of a service account: its text, which is all that is ever seen of it."""
    name, kind = named(args), args.text("bound-object-kind")
    if kind and kind not in _BOUND:
        raise KubectlError(f"error: supported --bound-object-kind values are {', '.join(_BOUND)}")
    if kind and not args.text("bound-object-name"):
        raise KubectlError("error: --bound-object-name is required if --bound-object-kind is provided")
    spec: dict[str, Any] = {"audiences": args.texts("audience")}
    if args.seconds("duration"):
        spec["expirationSeconds"] = int(args.seconds("duration"))
    if kind:
        bound = {"kind": kind, "apiVersion": "v1", "name": args.text("bound-object-name")}
        spec["boundObjectRef"] = {**bound, **({"uid": uid} if (uid := args.text("bound-object-uid")) else {})}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec}
    try:
        answer = session.client.create_subresource("serviceaccounts", name, "token", body, session.namespace)
    except ApiError as error:
        raise KubectlError(f"error: failed to create token: {error.message}") from None
    if format_of(args):
        return Output(text=show([answer], args), objects=[answer], format=format_of(args))
    return Output(text=f"{get_path(answer, 'status.token')}\n", objects=[answer])


_VERB = Flag("verb", STRINGS, "What may be done: get,list,watch,…; repeatable.")
_RESOURCE = Flag("resource", STRINGS, "On what: pods,deployments.apps,pods/log; repeatable.")
_RESOURCE_NAME = Flag("resource-name", ARRAY, "Only on the object of this name; repeatable.")
_SUBJECTS = (
    Flag("user", ARRAY, "A user; repeatable."),
    Flag("group", ARRAY, "A group; repeatable."),
    Flag("serviceaccount", ARRAY, "A service account, NAMESPACE:NAME; repeatable."),
)

COMMANDS = (
    generator("role", "Create a Role: what may be done in a namespace.", role, "NAME --verb=VERB --resource=RESOURCE",
              flags=(_VERB, _RESOURCE, _RESOURCE_NAME),
              examples=("kubectl create role reader --verb=get,list,watch --resource=pods",)),
    generator("clusterrole", "Create a ClusterRole: what may be done in all namespaces.", cluster_role,
              "NAME --verb=VERB --resource=RESOURCE",
              flags=(_VERB, _RESOURCE, _RESOURCE_NAME,
                     Flag("non-resource-url", STRINGS, "A path such as /healthz; repeatable."),
                     Flag("aggregation-rule", help="Take over the rules of ClusterRoles with these labels.")),
              examples=("kubectl create clusterrole nodes --verb=get,list --resource=nodes",)),
    generator("rolebinding", "Create a RoleBinding: who has a role in a namespace.", role_binding,
              "NAME --clusterrole=NAME|--role=NAME",
              flags=(Flag("role", help="The Role."), Flag("clusterrole", help="The ClusterRole."), *_SUBJECTS),
              examples=("kubectl create rolebinding readers --clusterrole=view --user=ann",)),
    generator("clusterrolebinding", "Create a ClusterRoleBinding: who has a role everywhere.", cluster_role_binding,
              "NAME --clusterrole=NAME",
              flags=(Flag("clusterrole", help="The ClusterRole.", required=True), *_SUBJECTS),
              examples=("kubectl create clusterrolebinding admins --clusterrole=cluster-admin --group=team",)),
    Command(
        name="create token",
        usage="SERVICE_ACCOUNT_NAME [flags]",
        help="Ask for a token of a service account.",
        group="Basic Commands (Beginner)",
        run=token,
        flags=(
            Flag("audience", ARRAY, "For whom the token is; repeatable."),
            Flag("duration", DURATION, "How long it is good for; the server may give less."),
            Flag("bound-object-kind", help="Good only while this object lives.", values=_BOUND),
            Flag("bound-object-name", help="The name of that object."),
            Flag("bound-object-uid", help="The UID of that object."),
            *flags.PRINTING,
        ),
        examples=("kubectl create token robot --duration=1h",),
    ),
)  # fmt: skip

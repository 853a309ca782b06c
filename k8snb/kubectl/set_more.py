"""kubectl set resources, selector, serviceaccount and subject.

Interface: `COMMANDS`.
The rule not to break: each command changes one field and leaves the rest alone.
Source: `kubectl/pkg/cmd/set`.
"""

from __future__ import annotations

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, with_path
from k8snb.apimachinery.selectors import EQUALS, SelectorError, parse_selector
from k8snb.kubectl import flags
from k8snb.kubectl.create_rbac import subjects
from k8snb.kubectl.grammar import STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.resources import Found
from k8snb.kubectl.session import Session
from k8snb.kubectl.set_field import named, pod_spec, runner, with_containers, with_pod_spec

_GROUP = "Basic Commands (Beginner)"


def _words(args: Arguments) -> list[str]:
    return args.words


def _but_last(args: Arguments) -> list[str]:
    return args.words[:-1]


# resources


def _resources(session: Session, args: Arguments, found: Found) -> Object:
    wanted = {field: amounts for field in ("limits", "requests") if (amounts := _amounts(args.text(field)))}
    if not wanted:
        raise KubectlError("error: you must specify an update to requests or limits (in the form of "
                           "--requests/--limits)")  # fmt: skip
    spec = pod_spec(found)
    chosen = named(spec, args.text("containers"))
    if not chosen:
        raise KubectlError(f"error: unable to find container named {args.text('containers')}")

    def with_resources(container: Object) -> Object:
        present = container.get("resources") or {}
        merged = {field: {**(present.get(field) or {}), **amounts} for field, amounts in wanted.items()}
        return {**container, "resources": {**present, **merged}}

    return with_pod_spec(found, with_containers(spec, chosen, with_resources))


def _amounts(text: str) -> dict[str, str]:
    """`cpu=100m,memory=1Gi` as a map."""
    found = {}
    for pair in text.split(",") if text else ():
        name, equals, amount = pair.partition("=")
        if not equals or not name:
            raise KubectlError(f"error: Invalid argument syntax {pair}, expected <resource>=<value>")
        try:
            quantity.parse(amount)
        except ValueError as error:
            raise KubectlError(f"error: {pair}: {error}") from None
        found[name] = amount
    return found


# selector


def _selector(session: Session, args: Arguments, found: Found) -> Object:
    if found.kind.kind != "Service":
        raise KubectlError("error: setting a selector is only supported for Services")
    try:
        selector = parse_selector(args.words[-1])
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None
    if any(each.operator != EQUALS for each in selector.requirements):
        raise KubectlError(f"error: match expression {args.words[-1]} not supported on this object: a Service selects "
                           "by KEY=VALUE alone")  # fmt: skip
    return with_path(found.object, "spec.selector", selector.equality())


# serviceaccount


def _account(session: Session, args: Arguments, found: Found) -> Object:
    name = args.words[-1]
    return with_pod_spec(found, {**pod_spec(found), "serviceAccountName": name, "serviceAccount": name})


def _account_words(args: Arguments) -> list[str]:
    if not args.words:
        raise KubectlError("error: serviceaccount is required")
    return args.words[:-1]


# subject


def _subject(session: Session, args: Arguments, found: Found) -> Object:
    if found.kind.kind not in ("RoleBinding", "ClusterRoleBinding"):
        thing = f"{found.kind.plural}/{found.name}"
        raise KubectlError(f"error: {thing} setting subjects is only supported for RoleBinding/ClusterRoleBinding")
    present = found.object.get("subjects") or []
    wanted = subjects(*(args.texts(flag) for flag in ("user", "group", "serviceaccount")))
    return {**found.object, "subjects": [*present, *(each for each in wanted if each not in present)]}


def _subject_words(args: Arguments) -> list[str]:
    if not any(args.texts(flag) for flag in ("user", "group", "serviceaccount")):
        raise KubectlError("error: you must specify at least one value of user, group or serviceaccount")
    return args.words


COMMANDS = (
    Command(
        name="set resources",
        usage="(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS] [flags]",
        help="Set what containers request and may use.",
        group=_GROUP,
        run=runner(_resources, "resource requirements updated", words=_words),
        flags=(
            Flag("containers", help="The containers that are meant; * stands for any letters.", short="c", default="*",
                 values=(":containers",)),
            Flag("limits", help="What they may use: cpu=200m,memory=512Mi."),
            Flag("requests", help="What the scheduler reserves: cpu=100m,memory=256Mi."),
            *flags.FILES, flags.SELECTOR, flags.ALL, flags.LOCAL, *flags.WRITING,
        ),
        words="resources",
        examples=("kubectl set resources deployment web --limits=cpu=200m,memory=512Mi --requests=cpu=100m",),
    ),
    Command(
        name="set selector",
        usage="(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version] [flags]",
        help="Set the selector of a Service.",
        group=_GROUP,
        run=runner(_selector, "selector updated", words=_but_last, always=True),
        flags=(*flags.FILES, flags.ALL, flags.LOCAL, flags.RESOURCE_VERSION, *flags.WRITING),
        words="resources",
        examples=("kubectl set selector service web app=web,tier=front",),
    ),
    Command(
        name="set serviceaccount",
        usage="(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT [flags]",
        help="Set the service account of pods.",
        group=_GROUP,
        aliases=("set sa",),
        run=runner(_account, "serviceaccount updated", words=_account_words, always=True),
        flags=(*flags.FILES, flags.ALL, flags.LOCAL, *flags.WRITING),
        words="resources",
        examples=("kubectl set serviceaccount deployment web robot",),
    ),
    Command(
        name="set subject",
        usage="(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] "
              "[--serviceaccount=namespace:serviceaccountname] [flags]",
        help="Add to those whom a role is bound to.",
        group=_GROUP,
        run=runner(_subject, "subjects updated", words=_subject_words),
        flags=(
            Flag("user", STRINGS, "Users."), Flag("group", STRINGS, "Groups."),
            Flag("serviceaccount", STRINGS, "Service accounts, NAMESPACE:NAME."),
            *flags.FILES, flags.SELECTOR, flags.ALL, flags.LOCAL, *flags.WRITING,
        ),
        words="resources",
        examples=("kubectl set subject clusterrolebinding admin --user=ann --group=team",),
    ),
)  # fmt: skip

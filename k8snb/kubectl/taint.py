"""kubectl taint: what keeps pods away from nodes, unless they tolerate it.

Interface: `COMMANDS`.
The rule not to break: of one key and effect a node has one taint; it is changed only with `--overwrite`.
Source: `kubectl/pkg/cmd/taint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.apimachinery.taints import EFFECTS
from k8snb.client.client import STRATEGIC
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options


class _Taint(NamedTuple):
    key: str
    value: str
    effect: str

    @property
    def place(self) -> tuple[str, str]:
        """What a node has one taint of."""
        return self.key, self.effect

    @property
    def object(self) -> Object:
        return {"key": self.key, "effect": self.effect, **({"value": self.value} if self.value else {})}

    def __str__(self) -> str:
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}" if self.effect or value else self.key


class _Change(NamedTuple):
    add: list[_Taint]
    remove: list[_Taint]


def run(session: Session, args: Arguments) -> Output:
    resources, specs = _split(args)
    if not resources:
        raise usage_error("one or more resources must be specified as <resource> <name>", args.command)
    change = _change(specs, args)
    selection = select(session, Arguments(args.command, resources, args.rest, args.values, args.given), names_only=True)
    if any(kind.builtin != "nodes" for kind in selection.kinds):
        raise KubectlError(f"error: invalid resource type {selection.kinds[0].plural}, only node types are supported")
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        try:
            results.add(*_taint(session, args, found, change))
        except KubectlError as error:
            results.fail(error)
        except ApiError as error:
            results.fail(refused(error))
    return results.output()


def _split(args: Arguments) -> tuple[list[str], list[str]]:
    """The words that name nodes, and those that say which taints."""
    start = next((place for place, word in enumerate(args.words) if _is_taint(word)), len(args.words))
    late = [word for word in args.words[start:] if not _is_taint(word)]
    if late:
        raise KubectlError(f"error: all resources must be specified before taint changes: {late[0]}")
    return args.words[:start], args.words[start:]


def _is_taint(word: str) -> bool:
    return "=" in word or ":" in word or word.endswith("-")


def _change(specs: Sequence[str], args: Arguments) -> _Change:
    """Raises KubectlError for what is no taint, and for two changes of one."""
    if not specs:
        raise usage_error("at least one taint update is required", args.command)
    remove = [_read(spec[:-1], args) for spec in specs if spec.endswith("-")]
    add: list[_Taint] = []
    for spec in specs:
        if spec.endswith("-"):
            continue
        taint = _read(spec, args)
        if not taint.effect:
            why = f"invalid taint spec: {spec}: an effect is missing, as in KEY=VALUE:NoSchedule"
            raise usage_error(why, args.command)
        if taint.place in {other.place for other in add}:
            raise usage_error(f"duplicated taints with the same key and effect: {taint}", args.command)
        add.append(taint)
    both = {taint.place for taint in add} & {taint.place for taint in remove}
    if both:
        raise KubectlError(f"error: can not both modify and remove the following taint(s) in the same command: "
                           f"{', '.join(':'.join(place) for place in sorted(both))}")  # fmt: skip
    return _Change(add, remove)


def _read(spec: str, args: Arguments) -> _Taint:
    """`KEY=VALUE:EFFECT`; the value and, to remove taints, the effect may be missing."""
    pair, colon, effect = spec.partition(":")
    key, _, value = pair.partition("=") if colon else (pair, "", "")
    if ":" in effect or "=" in value:
        raise usage_error(f"invalid taint spec: {spec}", args.command)
    if colon and effect not in EFFECTS:
        why = f"invalid taint effect: {effect}, unsupported taint effect: there are {', '.join(EFFECTS)}"
        raise usage_error(why, args.command)
    complaints = [*names.qualified_name(key), *names.label_value(value)]
    if complaints:
        raise usage_error(f"invalid taint spec: {spec}, {'; '.join(complaints)}", args.command)
    return _Taint(key, value, effect)


def _taint(session: Session, args: Arguments, found: Found, change: _Change) -> tuple[Object, str]:
    """The node as it is then, and what was done to it."""
    present = [_Taint(each["key"], each.get("value", ""), each["effect"])
               for each in get_path(found.object, "spec.taints") or ()]  # fmt: skip
    again = [taint.key for taint in present if taint.place in {new.place for new in change.add}]
    if again and not args.on("overwrite"):
        raise KubectlError(f"error: node {found.name} already has {','.join(again)} taint(s) with same effect(s) and "
                           "--overwrite is false")  # fmt: skip
    kept, added = _laid_over(present, change.add)
    left = [taint for taint in kept if not any(_means(gone, taint) for gone in change.remove)]
    for gone in change.remove:
        if not any(_means(gone, taint) for taint in kept):
            raise KubectlError(f'error: taint "{gone}" not found')
    done = "modified" if (added and change.remove) or args.on("overwrite") else "tainted" if added else "untainted"
    return _write(session, args, found, [taint.object for taint in left]), done


def _laid_over(present: list[_Taint], add: list[_Taint]) -> tuple[list[_Taint], bool]:
    """The new taints before those that they do not replace, as upstream has them; whether there are more of them."""
    places = {taint.place for taint in add}
    whole = [*add, *(taint for taint in present if taint.place not in places)]
    return whole, len(whole) != len(present)


def _means(gone: _Taint, taint: _Taint) -> bool:
    """Whether `KEY-` or `KEY:EFFECT-` removes a taint."""
    return gone.key == taint.key and gone.effect in ("", taint.effect)


def _write(session: Session, args: Arguments, found: Found, taints: list[Object]) -> Object:
    if dry_run(args) == CLIENT:
        return with_path(found.object, "spec.taints", taints or None)
    body = {"spec": {"taints": taints or None}}
    return session.client.patch(found.kind, found.name, body, content_type=STRATEGIC, **options(args))


COMMANDS = (
    Command(
        name="taint",
        usage="NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N [flags]",
        help="Set taints on nodes, or remove them.",
        group="Cluster Management Commands",
        run=run,
        flags=(
            flags.ALL, flags.SELECTOR, Flag("overwrite", BOOL, "Change a taint that is there."), flags.VALIDATE,
            *flags.WRITING,
        ),
        words="resources",
        examples=(
            "kubectl taint nodes node-1 dedicated=team-a:NoSchedule",
            "kubectl taint nodes node-1 dedicated:NoSchedule-",
            "kubectl taint node -l disk=ssd gone=:NoExecute",
        ),
    ),
)  # fmt: skip

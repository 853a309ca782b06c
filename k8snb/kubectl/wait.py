"""kubectl wait: until something is true of objects.

Interface: `COMMANDS`; `test_of(condition)`, what `--for` asks of an object.
The rule not to break: the condition is read from the live objects, and the time from the cluster's clock.
Source: `kubectl/pkg/cmd/wait`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from k8snb.apimachinery import jsonpath
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, uid_of
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, DURATION, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import join
from k8snb.kubectl.resources import Found, Selection, Wanted, select, wanted
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import Session

WEEK = 7 * 86400.0
Test = Callable[[Object], bool]


def run(session: Session, args: Arguments) -> Output:
    condition = args.text("for")
    timeout = args.seconds("timeout")
    timeout = WEEK if timeout < 0 else timeout
    if args.on("local"):
        return _read(session, args, condition)
    if condition.lower() == "create":
        return _created(session, args, timeout)
    if condition.lower() == "delete":
        return _deleted(session, args, timeout)
    return _met(session, args, test_of(condition), timeout)


def test_of(condition: str) -> Test:
    """What `--for` asks of an object. Raises KubectlError."""
    if condition.lower().startswith("condition="):
        name, _, value = condition.partition("=")[2].partition("=")
        return _condition(name, value or "true")
    if condition.lower().startswith("jsonpath="):
        return _jsonpath(condition.partition("=")[2])
    raise KubectlError(f'error: unrecognized condition: "{condition}"')


def _condition(name: str, value: str) -> Test:
    def test(obj: Object) -> bool:
        generation = get_path(obj, "metadata.generation", 0)
        for entry in get_path(obj, "status.conditions") or ():
            if entry.get("type", "").lower() == name.lower():
                seen = entry.get("observedGeneration") or get_path(obj, "status.observedGeneration", generation)
                return seen >= generation and str(entry.get("status", "")).lower() == value.lower()
        return False

    return test


_EXPRESSION = re.compile(r"^\s*'?(\{.*\}|[^={}]+)'?\s*(?:={1,2}(.*))?$", re.DOTALL)


def _jsonpath(text: str) -> Test:
    """`{.status.phase}=Running`, or without a value: that the field is there."""
    match = _EXPRESSION.match(text)
    if not match:
        example = "--for=jsonpath='{.status.readyReplicas}'=3"
        raise KubectlError(f"error: jsonpath wait format must be as in {example}, not {text}")
    path, value = jsonpath.relaxed(match[1]), match[2]
    try:
        template = jsonpath.Template(path)
    except jsonpath.JsonPathError as error:
        raise KubectlError(f"error: {error}") from None
    wanted_value = value.strip().strip("'\"") if value is not None else None

    def test(obj: Object) -> bool:
        values = template.values(obj)
        if wanted_value is None:
            return bool(values)
        return len(values) == 1 and jsonpath.text_of(values[0]).strip() == wanted_value

    return test


def _met(session: Session, args: Arguments, test: Test, timeout: float) -> Output:
    selection = _some(select(session, args, names_only=True))
    objects = {id(found): found.object for found in selection.found}
    results = Results(session, args)
    results.errors = selection.errors

    def all_met() -> bool:
        for found in selection.found:
            live = session.client.find(found.kind, found.name, found.namespace)
            objects[id(found)] = live or {}
        return all(obj and test(obj) for obj in objects.values())

    if selection.found:
        session.wait(all_met, timeout) if timeout else all_met()
    for found in selection.found:
        obj = objects[id(found)]
        if obj and test(obj):
            results.add(obj, "condition met")
        elif obj:
            results.fail(_timed_out(found))
        else:
            results.fail(KubectlError(f'Error from server (NotFound): {found.kind.qualified} "{found.name}" not found'))
    return _lines_first(results)


def _read(session: Session, args: Arguments, condition: str) -> Output:
    """`--local`: what the files say; nothing in them changes while one waits."""
    if condition.lower() in ("create", "delete"):
        raise KubectlError(f"error: --for={condition} asks the cluster, and --local does not")
    test = test_of(condition)
    selection = _some(select(session, args))
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        if test(found.object):
            results.add(found.object, "condition met")
        else:
            results.fail(_timed_out(found))
    return _lines_first(results)


def _lines_first(results: Results) -> Output:
    if results.errors:
        raise join(results.errors, results.lines)
    return results.output()


def _timed_out(found: Found) -> KubectlError:
    return KubectlError(f"error: timed out waiting for the condition on {found.kind.plural}/{found.name}")


def _some(selection: Selection) -> Selection:
    if not selection.found and not selection.errors:
        raise KubectlError("error: no matching resources found")
    return selection


def _deleted(session: Session, args: Arguments, timeout: float) -> Output:
    selection = select(session, args, names_only=True)
    absent = [error for error in selection.errors if "(NotFound)" not in error.message]
    if absent:
        raise join(absent)

    def gone(found: Found) -> bool:
        live = session.client.find(found.kind, found.name, found.namespace)
        return live is None or uid_of(live) != uid_of(found.object)

    if selection.found and timeout:
        session.wait(lambda: all(gone(found) for found in selection.found), timeout)
    results = Results(session, args)
    for found in selection.found:
        if gone(found):
            results.add(found.object, "condition met")
        else:
            results.fail(_timed_out(found))
    return _lines_first(results)


def _created(session: Session, args: Arguments, timeout: float) -> Output:
    asked = wanted(session, args)
    if args.from_files or any(not each.name for each in asked):
        raise KubectlError("error: kubectl wait --for=create needs names: TYPE/NAME")

    def there(each: Wanted) -> bool:
        return session.client.find(each.kind, each.name, each.namespace) is not None

    session.wait(lambda: all(there(each) for each in asked), timeout)
    results = Results(session, args)
    for each in asked:
        try:
            results.add(session.client.get(each.kind, each.name, each.namespace), "condition met")
        except ApiError:
            results.fail(KubectlError("error: timed out waiting for the condition"))
    return _lines_first(results)


COMMANDS = (
    Command(
        name="wait",
        usage="([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) [--for=create|--for=delete|"
              "--for condition=NAME[=VALUE]|--for=jsonpath='{PATH}'[=VALUE]] [flags]",
        help="Wait until something is true of objects.",
        group="Advanced Commands",
        run=run,
        flags=(
            Flag("for", help="What to wait for: condition=Ready, delete, create, jsonpath='{.status.phase}'=Running.",
                 values=("condition=", "create", "delete", "jsonpath=")),
            Flag("timeout", DURATION, "How long: 30s, 5m; 0 looks once; less than 0 waits for a week.", default=30.0),
            flags.ALL, flags.ALL_NAMESPACES, flags.SELECTOR, flags.FIELD_SELECTOR, *flags.FILES, *flags.PRINTING,
            Flag("local", BOOL, "Read what -f names, as it is; the cluster is not asked."),
        ),
        words="resources",
        examples=(
            "kubectl wait --for=condition=Ready pod/web",
            "kubectl wait --for=condition=Available deployment/web --timeout=60s",
            "kubectl wait --for=delete pod/web",
            "kubectl wait --for=jsonpath='{.status.phase}'=Running pod/web",
        ),
    ),
)  # fmt: skip

"""kubectl config: what a kubeconfig says, and which of its contexts is meant.

Interface: `COMMANDS`.
The rule not to break: secrets are shown only to who asks for `--raw`.
Source: `kubectl/pkg/cmd/config`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from k8snb.client.kubeconfig import CLUSTERS, CONTEXTS, USERS, Config
from k8snb.kubectl import config_set, flags, formats
from k8snb.kubectl.connection import given
from k8snb.kubectl.grammar import BOOL, STRING, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of
from k8snb.printers.tabwriter import align

GROUP = "Settings Commands"
LEFT = 'warning: this removed your active context, use "kubectl config use-context" to select a different one\n'
_FORMATS = "json,jsonpath,jsonpath-as-json,jsonpath-file,name,yaml"


def view(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"unexpected arguments: [{' '.join(args.words)}]", args.command)
    files = config_set.files_of(session)
    if not args.on("merge") and not files.explicit:
        raise KubectlError("error: if merge==false a precise file must be specified")
    config = files.load_whole()
    named = args.text("context") if "context" in given(args) else ""
    if args.on("minify"):
        config = config.minified(named)
    if args.on("flatten"):
        config = config.flattened()
    if not args.on("raw") and not args.on("flatten"):
        config = config.redacted()
    document, format = config.document(), format_of(args, "yaml")
    if format == "json":  # the order of upstream's fields, where every other format sorts
        return Output(text=formats.to_json(document, sort=False), objects=[document], format=format)
    if format == "name":
        return Output(text="config/<unknown>\n", objects=[document], format=format)
    if format.partition("=")[0] in ("wide", *formats.COLUMNS):
        text = f'unable to match a printer suitable for the output format "{format}", allowed formats are: {_FORMATS}'
        raise KubectlError(f"error: {text}")
    text = formats.render([document], format, single=True, missing_ok=args.on("allow-missing-template-keys"))
    return Output(text=text, objects=[document], format=format)


def current_context(session: Session, args: Arguments) -> Output:
    config = config_set.files_of(session).load()
    if not config.current_context:
        raise KubectlError("error: current-context is not set")
    return Output(text=config.current_context + "\n")


def get_contexts(session: Session, args: Arguments) -> Output:
    format = args.text("output")
    if format not in ("", "name"):
        raise KubectlError(f"error: --output {format} is not available in kubectl config get-contexts; resetting to "
                           "default output format")  # fmt: skip
    config = config_set.files_of(session).load()
    found = [name for name in sorted(config.contexts) if not args.words or name in args.words]
    errors = [f"context {name} not found" for name in args.words if name not in config.contexts]
    errors = [f"error: {errors[0]}"] if len(errors) == 1 else errors
    if format == "name":
        text = "".join(f"{name}\n" for name in found)
        return Output(text=text, errors=errors, exit_code=1 if errors else 0, format=format)
    columns = tuple(Column(name) for name in ("CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"))
    rows = tuple(_context_row(config, name) for name in found)
    table = Table(columns=columns, rows=rows, headers=not args.on("no-headers"))
    return Output(text=_text(table), tables=[table], errors=errors, exit_code=1 if errors else 0)


def _context_row(config: Config, name: str) -> Row:
    entry = config.contexts[name]
    mark = "*" if name == config.current_context else ""
    return Row((mark, name, *(entry.get(field, "") for field in ("cluster", "user", "namespace"))), {})


def _text(table: Table) -> str:
    lines = [*([table.header] if table.headers else []), *table.cells]
    return align("\n".join("\t".join(line) for line in lines), minwidth=6, padding=3) + "\n" if lines else ""


def _names(section: str) -> Callable[[Session, Arguments], Output]:
    def run(session: Session, args: Arguments) -> Output:
        names = sorted(config_set.files_of(session).load().section(section))
        table = Table(columns=(Column("NAME"),), rows=tuple(Row((name,), {}) for name in names))
        return Output(text=table.text, tables=[table])

    return run


def use_context(session: Session, args: Arguments) -> Output:
    (name,) = _words(args, 1)
    files = config_set.files_of(session)
    config = files.load()
    if name not in config.contexts:
        raise KubectlError(f'error: no context exists with the name: "{name}"')
    files.modify(replace(config, current_context=name))
    return Output(text=f'Switched to context "{name}".\n')


def rename_context(session: Session, args: Arguments) -> Output:
    old, new = _words(args, 2)
    files = config_set.files_of(session)
    config = files.load()
    if old not in config.contexts:
        raise KubectlError(f'error: cannot rename the context "{old}", it\'s not in {files.shown}')
    if new in config.contexts:
        raise KubectlError(f'error: cannot rename the context "{old}", the context "{new}" already exists in '
                           f"{files.shown}")  # fmt: skip
    renamed = config.without_entry(CONTEXTS, old).with_entry(CONTEXTS, new, config.contexts[old])
    if config.current_context == old:
        renamed = replace(renamed, current_context=new)
    files.modify(renamed)
    return Output(text=f'Context "{old}" renamed to "{new}".\n')


def _delete(section: str, word: str) -> Callable[[Session, Arguments], Output]:
    def run(session: Session, args: Arguments) -> Output:
        if len(args.words) != 1:
            raise usage_error(f"{word} to delete is required", args.command)
        (name,) = args.words
        files = config_set.files_of(session)
        config = files.load()
        if name not in config.section(section):
            raise KubectlError(f"error: cannot delete {word} {name}, not in {files.shown}")
        left = LEFT if section == CONTEXTS and name == config.current_context else ""
        files.modify(config.without_entry(section, name))
        said = f"deleted {word} {name} from {files.shown}\n"
        return Output(text=left + said, notices=left, stdout=said)

    return run


def _words(args: Arguments, count: int) -> Sequence[str]:
    if len(args.words) != count:
        raise KubectlError(f"error: Unexpected args: [{' '.join(args.words)}]\n"
                           f"See 'kubectl {args.command.name} -h' for help and examples")  # fmt: skip
    return args.words


_OUTPUT = Flag("output", help=f"Format: {_FORMATS}.", short="o", values=tuple(_FORMATS.split(",")))
COMMANDS = (
    Command(name="config", usage="SUBCOMMAND", help="Change the kubeconfig: which clusters there are and which is "
            "meant.", group=GROUP),
    Command(
        name="config view", usage="[flags]", help="Show the kubeconfig, or what several files say together.",
        group=GROUP, run=view,
        flags=(
            _OUTPUT,
            Flag("raw", BOOL, "Show tokens, passwords, certificates and keys."),
            Flag("minify", BOOL, "Only what the current context needs."),
            Flag("flatten", BOOL, "With the contents of the files that it names, to be carried elsewhere."),
            Flag("allow-missing-template-keys", BOOL, "Do not mind fields that are missing.", default=True),
            flags.TEMPLATE,
            Flag("merge", BOOL, "With =false: only the file that --kubeconfig names, for which that flag is needed.",
                 default=True),
        ),
        missing=("show-managed-fields",),
        examples=("kubectl config view", "kubectl config view --minify --flatten",
                  "kubectl config view -o jsonpath='{.users[0].name}'"),
    ),
    Command(name="config current-context", usage="[flags]", help="Show the current context.", group=GROUP,
            run=current_context, examples=("kubectl config current-context",)),
    Command(
        name="config get-contexts", usage="[NAME...] [-o name] [flags]", help="Show the contexts.", group=GROUP,
        run=get_contexts,
        flags=(Flag("output", STRING, "Format: name.", short="o", values=("name",)),
               Flag("no-headers", BOOL, "Leave the header line out.")),
        examples=("kubectl config get-contexts", "kubectl config get-contexts my-context"),
    ),
    Command(name="config get-clusters", usage="[flags]", help="Show the clusters.", group=GROUP, run=_names(CLUSTERS),
            examples=("kubectl config get-clusters",)),
    Command(name="config get-users", usage="[flags]", help="Show the users.", group=GROUP, run=_names(USERS),
            examples=("kubectl config get-users",)),
    Command(name="config use-context", usage="CONTEXT_NAME [flags]", help="Mean another context from now on.",
            group=GROUP, aliases=("config use",), run=use_context, words="contexts",
            examples=("kubectl config use-context minikube",)),
    Command(name="config rename-context", usage="CONTEXT_NAME NEW_NAME [flags]", help="Give a context another name.",
            group=GROUP, run=rename_context, words="contexts",
            examples=("kubectl config rename-context old-name new-name",)),
    Command(name="config delete-context", usage="NAME [flags]", help="Delete a context.", group=GROUP,
            run=_delete(CONTEXTS, "context"), words="contexts", examples=("kubectl config delete-context minikube",)),
    Command(name="config delete-cluster", usage="NAME [flags]", help="Delete a cluster's entry.", group=GROUP,
            run=_delete(CLUSTERS, "cluster"), examples=("kubectl config delete-cluster minikube",)),
    Command(name="config delete-user", usage="NAME [flags]", help="Delete a user's entry.", group=GROUP,
            run=_delete(USERS, "user"), examples=("kubectl config delete-user minikube",)),
    *config_set.COMMANDS,
)  # fmt: skip

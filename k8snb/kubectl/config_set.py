"""kubectl config set…: changes to the entries of a kubeconfig.

Interface: `COMMANDS`; `files_of(session)`.
The rule not to break: a field that the file format does not have is refused, not written.
Source: `kubectl/pkg/cmd/config/{set,set_cluster,set_context,set_credentials,navigation_step_parser}.go`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.client.kubeconfig import CLUSTERS, CONTEXTS, DATA, FIELDS, SECTIONS, USERS, Config, Kubeconfig
from k8snb.kubectl.grammar import ARRAY, BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

GROUP = "Settings Commands"
MODES = ("IfAvailable", "Never", "Always")
TRUTH = {**dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
         **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)}  # fmt: skip


def files_of(session: Session) -> Kubeconfig:
    """The kubeconfig in use. Raises KubectlError where the client has none."""
    if session.files is None:
        raise KubectlError("error: kubectl config: not implemented by k8snb: a client is made for one cluster")
    return session.files


# set and unset


def set_property(session: Session, args: Arguments) -> Output:
    if len(args.words) != 2:
        raise _unexpected(args)
    path, value = args.words
    files = files_of(session)
    files.modify(_set(files.load(), path, value, raw=args.on("set-raw-bytes")))
    return Output(text=f'Property "{path}" set.\n')


def _set(config: Config, path: str, value: str, *, raw: bool) -> Config:
    if path == "current-context":
        return replace(config, current_context=value)
    if path == "preferences.colors":
        return replace(config, preferences={"colors": True} if _bool(value) else {})
    section, name, field = _place(config, path, whole="can't set a map to a value")
    wanted = FIELDS[section][field]
    if wanted not in (str, bool):
        raise KubectlError(f"error: unable to parse one or more field values of {path}")
    given: Any = _bool(value) if wanted is bool else _bytes(value, raw=raw) if field in DATA else value
    return config.with_entry(section, name, {**config.section(section).get(name, {}), field: given})


def _bool(text: str) -> bool:
    if text not in TRUTH:
        raise KubectlError(f'error: strconv.ParseBool: parsing "{text}": invalid syntax')
    return TRUTH[text]


def _bytes(text: str, *, raw: bool) -> str:
    if raw:
        return base64.b64encode(text.encode()).decode()
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise KubectlError("error: error decoding input value: it is not base64; --set-raw-bytes takes it as it is"
                           ) from None  # fmt: skip
    return text


def _place(config: Config, path: str, *, whole: str) -> tuple[str, str, str]:
    """The section, entry and field that `clusters.NAME.server` names; names may have dots. Raises KubectlError."""
    section, _, rest = path.partition(".")
    if section not in SECTIONS:
        raise KubectlError(f"error: unable to parse {path} after [] at api.Config")
    field = next((name for name in FIELDS[section] if rest.endswith(f".{name}")), "")
    if not field and any(f".{name}." in rest for name in FIELDS[section]):
        raise KubectlError(f"error: unable to parse one or more field values of {path}")
    if not field:
        fields = ", ".join(name for name, wanted in FIELDS[section].items() if wanted in (str, bool))
        raise KubectlError(f"error: {whole}: {section}.NAME.FIELD is wanted, with one of the fields {fields}")
    return section, rest.removesuffix(f".{field}"), field


def unset(session: Session, args: Arguments) -> Output:
    if len(args.words) != 1:
        raise _unexpected(args)
    (path,) = args.words
    files = files_of(session)
    files.modify(_unset(files.load(), path))
    return Output(text=f'Property "{path}" unset.\n')


def _unset(config: Config, path: str) -> Config:
    if path == "current-context":
        return replace(config, current_context="")
    if path in ("preferences", "preferences.colors"):
        return replace(config, preferences={})
    section, _, rest = path.partition(".")
    if section in SECTIONS and not rest:
        return config.with_section(section, {})
    if section in SECTIONS and rest in config.section(section):
        return config.without_entry(section, rest)
    if section in SECTIONS and not any(rest.endswith(f".{name}") for name in FIELDS[section]):
        return config  # upstream, too, calls unset what was not there
    section, name, field = _place(config, path, whole="can't unset")
    if name not in config.section(section):
        raise KubectlError(f"error: current map key `{name}` is invalid")
    entry = {key: value for key, value in config.section(section)[name].items() if key != field}
    return config.with_entry(section, name, entry)


# clusters, users, contexts


def set_cluster(session: Session, args: Arguments) -> Output:
    name = _name(args)
    given = {flag.name: args.values[flag.name] for flag in _CLUSTER_FLAGS if flag.name in args.given}
    embeds = given.pop("embed-certs", False)

    def change(entry: Object) -> Object:
        changed = {**entry, **given}
        if given.get("insecure-skip-tls-verify"):
            changed = _without(changed, "certificate-authority", "certificate-authority-data")
        if given.get("certificate-authority"):
            changed = _without(changed, "insecure-skip-tls-verify")
            changed |= _file(given["certificate-authority"], "certificate-authority", embeds)
        return _tidy(changed, "certificate-authority", embeds)

    _change(session, CLUSTERS, name, change)
    return Output(text=f'Cluster "{name}" set.\n')


def set_context(session: Session, args: Arguments) -> Output:
    files = files_of(session)
    if len(args.words) > 1 or (args.words and args.on("current")):
        if args.on("current"):
            raise KubectlError("error: you cannot specify both a context name and --current")
        raise _unexpected(args)
    name = files.load().current_context if args.on("current") else "".join(args.words)
    if not name:
        words = "no current context is set" if args.on("current") else (
            "you must specify a non-empty context name or --current")  # fmt: skip
        raise KubectlError(f"error: {words}")
    given: Object = {field: args.text(field) for field in ("cluster", "user", "namespace") if field in args.given}
    was_there = name in files.load().contexts
    _change(session, CONTEXTS, name, lambda entry: {**entry, **given})
    return Output(text=f'Context "{name}" {"modified" if was_there else "created"}.\n')


def set_credentials(session: Session, args: Arguments) -> Output:
    name = _name(args)
    methods = [word for word, names in (("--token", ("token",)), ("--username/--password", ("username", "password")))
               if any(args.text(each) for each in names)]  # fmt: skip
    if len(methods) > 1:
        raise KubectlError("error: you cannot specify more than one authentication method at the same time: "
                           + ", ".join(methods))  # fmt: skip
    if args.text("exec-interactive-mode") not in ("", *MODES):
        raise KubectlError(f"error: invalid interactive mode type, can be only {', '.join(MODES)}")
    _change(session, USERS, name, lambda entry: _credentials(entry, args))
    return Output(text=f'User "{name}" set.\n')


def _credentials(entry: Object, args: Arguments) -> Object:
    embeds, changed = args.on("embed-certs"), dict(entry)
    for field in ("client-certificate", "client-key"):
        if field in args.given:
            changed |= {field: args.text(field), **_file(args.text(field), field, embeds)}
            changed = _tidy(changed, field, embeds)
    for field in ("token", "username", "password"):
        if field in args.given:
            changed = {**_without(changed, *_INSTEAD[field]), field: args.text(field)}
    if args.text("auth-provider") or ("auth-provider" in changed and args.texts("auth-provider-arg")):
        changed["auth-provider"] = _auth_provider(changed.get("auth-provider") or {}, args)
    if args.text("exec-command") or "exec" in changed:
        changed["exec"] = _plugin(changed.get("exec") or {}, args)
    return changed


_INSTEAD = {"token": ("username", "password", "tokenFile"), "username": ("token", "tokenFile"),
            "password": ("token", "tokenFile")}  # fmt: skip


def _auth_provider(before: Object, args: Arguments) -> Object:
    name = args.text("auth-provider") or before.get("name", "")
    kept = before.get("config") or {} if before.get("name") == name else {}
    added, gone = _pairs(args, "auth-provider-arg")
    return {"config": {**_without(kept, *gone), **added} or None, "name": name}


def _plugin(before: Object, args: Arguments) -> Object:
    added, gone = _pairs(args, "exec-env")
    env = [each for each in before.get("env") or () if each.get("name") not in {*added, *gone}]
    env += [{"name": name, "value": value} for name, value in added.items()]
    changed = {**before, "env": env or (before.get("env") and [])}
    texts = {"exec-command": "command", "exec-api-version": "apiVersion", "exec-interactive-mode": "interactiveMode"}
    changed |= {field: args.text(flag) for flag, field in texts.items() if args.text(flag)}
    if "exec-arg" in args.given:
        changed["args"] = args.texts("exec-arg")
    if "exec-provide-cluster-info" in args.given:
        changed["provideClusterInfo"] = args.on("exec-provide-cluster-info")
    return changed


def _pairs(args: Arguments, flag: str) -> tuple[dict[str, str], list[str]]:
    """`KEY=VALUE` to set, and `KEY-` to take away. Raises KubectlError."""
    added, gone = {}, []
    for word in args.texts(flag):
        key, equals, value = word.partition("=")
        if not equals and word.endswith("-"):
            gone.append(word[:-1])
        elif not equals:
            raise KubectlError(f"error: invalid {flag} format: {word}")
        else:
            added[key] = value
    return added, gone


def _file(path: str, field: str, embeds: bool) -> Object:
    """The field for a file: its path, or its contents. Raises KubectlError."""
    if not path or not embeds:
        return {field: str(Path(path).absolute()) if path else ""}
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise KubectlError(f"error: could not stat {field} file {path}: stat {path}: {(error.strerror or '').lower()}"
                           ) from None  # fmt: skip
    return {f"{field}-data": base64.b64encode(content).decode()}


def _tidy(entry: Object, field: str, embeds: bool) -> Object:
    """Of a path and the contents only one counts: that which was given last."""
    return _without(entry, field if embeds else f"{field}-data") if entry.get(field) else entry


def _without(entry: Object, *fields: str) -> Object:
    return {key: value for key, value in entry.items() if key not in fields}


def _change(session: Session, section: str, name: str, change: Callable[[Object], Object]) -> None:
    files = files_of(session)
    config = files.load()
    entry = {key: value for key, value in change(config.section(section).get(name, {})).items() if value is not False}
    files.modify(config.with_entry(section, name, entry))


def _name(args: Arguments) -> str:
    if len(args.words) != 1 or not args.words[0]:
        raise _unexpected(args)
    return args.words[0]


def _unexpected(args: Arguments) -> KubectlError:
    return KubectlError(f"error: Unexpected args: [{' '.join(args.words)}]\n"
                        f"See 'kubectl {args.command.name} -h' for help and examples")  # fmt: skip


_CLUSTER_FLAGS = (
    Flag("server", help="The server's URL."),
    Flag("certificate-authority", help="A file with the authority's certificate."),
    Flag("embed-certs", BOOL, "Put the file's contents into the kubeconfig."),
    Flag("insecure-skip-tls-verify", BOOL, "Do not check the server's certificate."),
    Flag("tls-server-name", help="The name to check the server's certificate for."),
    Flag("proxy-url", help="The proxy on the way to the server, http://HOST:PORT."),
)
COMMANDS = (
    Command(
        name="config set", usage="PROPERTY_NAME PROPERTY_VALUE [flags]", help="Set one value, such as "
        "clusters.NAME.server.", group=GROUP, run=set_property,
        flags=(Flag("set-raw-bytes", BOOL, "Take a value of bytes as it is, where it would have to be base64."),),
        examples=("kubectl config set clusters.my-cluster.server https://1.2.3.4",
                  "kubectl config set contexts.my-context.cluster my-cluster"),
    ),
    Command(name="config unset", usage="PROPERTY_NAME [flags]", help="Take one value away.", group=GROUP, run=unset,
            examples=("kubectl config unset current-context", "kubectl config unset contexts.foo.namespace")),
    Command(
        name="config set-cluster", usage="NAME [--server=URL] [--certificate-authority=FILE] [flags]",
        help="Add or change a cluster's entry.", group=GROUP, run=set_cluster, flags=_CLUSTER_FLAGS,
        examples=("kubectl config set-cluster e2e --server=https://1.2.3.4",
                  "kubectl config set-cluster e2e --insecure-skip-tls-verify=true"),
    ),
    Command(
        name="config set-context", usage="[NAME | --current] [--cluster=NAME] [--user=NAME] [--namespace=NAME] [flags]",
        help="Add or change a context.", group=GROUP, run=set_context, words="contexts",
        flags=(Flag("current", BOOL, "The current context."), Flag("cluster", help="The cluster's entry."),
               Flag("user", help="The user's entry."),
               Flag("namespace", help="The namespace that is meant without -n.", values=(":namespaces",))),
        examples=("kubectl config set-context gce --user=cluster-admin",
                  "kubectl config set-context --current --namespace=dev"),
    ),
    Command(
        name="config set-credentials", usage="NAME [--client-certificate=FILE --client-key=FILE] [--token=TOKEN] "
        "[--username=NAME --password=PASSWORD] [flags]", help="Add or change a user's entry.", group=GROUP,
        run=set_credentials,
        flags=(
            Flag("client-certificate", help="A file with the client's certificate."),
            Flag("client-key", help="A file with the client's key."),
            Flag("embed-certs", BOOL, "Put the files' contents into the kubeconfig."),
            Flag("token", help="A bearer token."), Flag("username", help="A user name."),
            Flag("password", help="A password."), Flag("auth-provider", help="An auth provider's name."),
            Flag("auth-provider-arg", ARRAY, "KEY=VALUE for the auth provider; KEY- takes one away."),
            Flag("exec-command", help="The program that says who one is."),
            Flag("exec-api-version", help="The plug-in's API version."),
            Flag("exec-arg", ARRAY, "An argument of the command; repeatable."),
            Flag("exec-env", ARRAY, "KEY=VALUE for the command's environment; KEY- takes one away."),
            Flag("exec-interactive-mode", help="Whether the command may ask.", values=MODES),
            Flag("exec-provide-cluster-info", BOOL, "Whether the command is told of the cluster."),
        ),
        examples=("kubectl config set-credentials cluster-admin --client-key=~/.kube/admin.key",
                  "kubectl config set-credentials cluster-admin --username=admin --password=uXFGweU9l35qcif"),
    ),
)  # fmt: skip

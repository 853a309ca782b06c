"""kubectl create poddisruptionbudget, ingress, secret tls and secret docker-registry.

Interface: `COMMANDS`.
The rule not to break: what is made here can be printed with `--dry-run=client -o yaml` and applied as it is.
Source: `kubectl/pkg/cmd/create/create_{pdb,ingress,secret_tls,secret_docker}.go`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import SelectorError, parse_selector
from k8snb.kubectl import generators
from k8snb.kubectl.create import HASH, generator, make, named, said_namespace
from k8snb.kubectl.grammar import ARRAY, STRINGS, Arguments, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

_DOCKER_HUB = "https://index.docker.io/v1/"


def _object(session: Session, args: Arguments, api_version: str, kind: str) -> Object:
    namespace = said_namespace(session, args)
    metadata = {"name": named(args), **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


# poddisruptionbudget


def budget(session: Session, args: Arguments) -> Output:
    least, most = args.text("min-available"), args.text("max-unavailable")
    if not args.text("selector"):
        raise KubectlError("error: a selector must be specified")
    if not least and not most:
        raise KubectlError("error: one of min-available or max-unavailable must be specified")
    if least and most:
        raise KubectlError("error: min-available and max-unavailable cannot be both specified")
    try:
        selector = {"matchLabels": parse_selector(args.text("selector")).equality()}
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None
    amount = generators.number_or_name(least or most)
    spec = {"minAvailable" if least else "maxUnavailable": amount, "selector": selector}
    status = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    return make(session, args, {**_object(session, args, "policy/v1", "PodDisruptionBudget"), "spec": spec,
                                "status": status})  # fmt: skip


# ingress

_RULE = re.compile(
    r"(?P<host>[\w*.-]*)(?P<path>/[^=]*)=(?P<service>[\w-]+):(?P<port>[\w-]+)(?P<tls>,tls(=(?P<secret>[\w.-]+))?)?"
)
_BACKEND = re.compile(r"(?P<service>[\w-]+):(?P<port>[\w-]+)")


def ingress(session: Session, args: Arguments) -> Output:
    rules, default = args.texts("rule"), args.text("default-backend")
    if not rules and not default:
        raise KubectlError("error: not enough information provided: every ingress has to either specify a "
                           "default-backend (which catches all traffic) or a list of rules (which catch specific "
                           "paths)")  # fmt: skip
    obj = _object(session, args, "networking.k8s.io/v1", "Ingress")
    if args.texts("annotation"):
        pairs = (text.partition("=") for text in args.texts("annotation"))
        obj["metadata"]["annotations"] = {key: value for key, _, value in pairs}
    read = [_read_rule(text) for text in rules]
    spec: Object = {"ingressClassName": args.text("class")} if args.text("class") else {}
    if default:
        spec["defaultBackend"] = _default_backend(default)
    spec |= {field: found for field, found in (("rules", _rules(read)), ("tls", _tls(read))) if found}
    return make(session, args, {**obj, "spec": spec, "status": {"loadBalancer": {}}})


def _read_rule(text: str) -> re.Match[str]:
    match = _RULE.fullmatch(text)
    if match is None:
        raise KubectlError(f"error: rule {text} is invalid and should be in format "
                           "host/path=svcname:svcport[,tls[=secret]]")  # fmt: skip
    return match


def _default_backend(text: str) -> Object:
    match = _BACKEND.fullmatch(text)
    if match is None:
        raise KubectlError("error: default-backend should be in format servicename:serviceport")
    return _backend(match)


def _backend(match: re.Match[str]) -> Object:
    port = match["port"]
    return {"service": {"name": match["service"], "port": {"number": int(port)} if port.isdigit() else {"name": port}}}


def _rules(read: Sequence[re.Match[str]]) -> list[Object]:
    """A rule for each host, in the order in which they are named. A path that ends with * is a prefix."""
    hosts: dict[str, list[Object]] = {}
    for match in read:
        path = match["path"]
        sort = "Prefix" if path.endswith("*") else "Exact"
        entry = {"backend": _backend(match), "path": path.removesuffix("*"), "pathType": sort}
        hosts.setdefault(match["host"], []).append(entry)
    return [{**({"host": host} if host else {}), "http": {"paths": paths}} for host, paths in hosts.items()]


def _tls(read: Sequence[re.Match[str]]) -> list[Object]:
    secrets: dict[str, list[str]] = {}
    for match in read:
        if match["tls"]:
            hosts = secrets.setdefault(match["secret"] or "", [])
            hosts += [match["host"]] if match["host"] and match["host"] not in hosts else []
    return [{**({"hosts": hosts} if hosts else {}), **({"secretName": secret} if secret else {})}
            for secret, hosts in secrets.items()]  # fmt: skip


# secrets


def tls_secret(session: Session, args: Arguments) -> Output:
    if not args.text("cert") or not args.text("key"):
        raise KubectlError("error: key and cert must be specified")
    data = {"tls.crt": _file(args.text("cert")), "tls.key": _file(args.text("key"))}
    obj = generators.secret(named(args), data, type="kubernetes.io/tls", namespace=said_namespace(session, args))
    return make(session, args, obj)


def _file(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise KubectlError(f"error: Cannot read file {path}, open {path}: {why}") from None


def registry_secret(session: Session, args: Arguments) -> Output:
    """What pulls from a registry that wants to know who asks."""
    data: dict[str, bytes] = {}
    if args.texts("from-file"):
        key, equals, path = args.texts("from-file")[0].rpartition("=")
        data[key if equals else ".dockerconfigjson"] = _file(path)
    elif not (args.text("docker-username") and args.text("docker-password") and args.text("docker-server")):
        raise KubectlError("error: either --from-file or the combination of --docker-username, --docker-password and "
                           "--docker-server is required")  # fmt: skip
    else:
        data[".dockerconfigjson"] = _docker_config(args)
    sort, namespace = "kubernetes.io/dockerconfigjson", said_namespace(session, args)
    return make(session, args, generators.secret(named(args), data, type=sort, namespace=namespace))


def _docker_config(args: Arguments) -> bytes:
    user, password = args.text("docker-username"), args.text("docker-password")
    entry = {"username": user, "password": password}
    if args.text("docker-email"):
        entry["email"] = args.text("docker-email")
    entry["auth"] = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {args.text("docker-server"): entry}}, separators=(",", ":")).encode()


COMMANDS = (
    generator("poddisruptionbudget", "Create a PodDisruptionBudget: how many pods have to stay.", budget,
              "NAME --selector=SELECTOR --min-available=N", aliases=("create pdb",),
              flags=(Flag("selector", help="The pods that are meant."),
                     Flag("min-available", help="How many have to stay: a number, or a percentage."),
                     Flag("max-unavailable", help="How many may be missing: a number, or a percentage.")),
              examples=("kubectl create poddisruptionbudget web --selector=app=web --min-available=50%",)),
    generator("ingress", "Create an Ingress: which requests go to which Service.", ingress,
              "NAME --rule=HOST/PATH=SERVICE:PORT[,tls[=SECRET]]", aliases=("create ing",),
              flags=(Flag("rule", ARRAY, "HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; repeatable."),
                     Flag("default-backend", help="SERVICE:PORT for all other requests."),
                     Flag("class", help="The IngressClass."),
                     Flag("annotation", ARRAY, "KEY=VALUE; repeatable.")),
              examples=("kubectl create ingress web --rule='shop.example/*=web:80'",)),
    generator("secret tls", "Create a Secret from a certificate and its key.", tls_secret,
              "NAME --cert=FILE --key=FILE", flags=(
                  HASH, Flag("cert", help="The file of the certificate, PEM."),
                  Flag("key", help="The file of the key.")),
              examples=("kubectl create secret tls web --cert=web.crt --key=web.key",)),
    generator("secret docker-registry", "Create a Secret that pulls images from a registry.", registry_secret,
              "NAME --docker-username=USER --docker-password=PASSWORD", flags=(
                     HASH, Flag("docker-server", help="The registry.", default=_DOCKER_HUB),
                     Flag("docker-username", help="Who asks."), Flag("docker-password", help="The password."),
                     Flag("docker-email", help="An e-mail address."),
                     Flag("from-file", STRINGS, "A Docker configuration file with credentials.")),
              examples=("kubectl create secret docker-registry hub --docker-username=ann --docker-password=s3cr3t",)),
)  # fmt: skip

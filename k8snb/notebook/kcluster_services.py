"""%kcluster service: where this notebook finds a Service.

Interface: `service`, `service_list`; `ServiceAnswer`, what one of them answers.
The rule not to break: a URL is one that this machine can open, or the answer says why it cannot.
Source: `cmd/minikube/cmd/service.go` and `service_list.go` in the minikube repository.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from http import HTTPStatus

from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import Url, running, table, word
from k8snb.notebook.results import Result, link, page

Visit = Callable[[str], tuple[int, str]]
HTTP_ERROR = 400  # the first status that is a refusal


def service(clusters: Clusters, args: Arguments) -> Result | Url | Output:
    if args.on("list") or args.on("all"):
        return service_list(clusters, args)
    cluster = running(clusters, args)
    namespace = args.text("namespace") or cluster.kubectl.namespace
    name = word(args, "a service's name").removeprefix("service/").removeprefix("svc/")
    if cluster.client.find("services", name, namespace) is None:
        raise KubectlError(f"error: Service '{name}' was not found in '{namespace}' namespace: try another by "
                           f"%kcluster service {name} -n NAMESPACE, or list all: %kcluster service list")  # fmt: skip
    urls = _urls(args, cluster.service_urls(name, namespace))
    if not urls:
        raise KubectlError(f"error: service {namespace}/{name} has no node port, and no cluster IP that the notebook "
                           "can reach: %kexpose it with --type=NodePort")  # fmt: skip
    return Url(urls[0]) if args.on("url") else ServiceAnswer(urls, cluster.visit)


def _urls(args: Arguments, urls: Sequence[str]) -> list[str]:
    found = (url.replace("http://", "https://", 1) if args.on("https") else url for url in urls)
    return list(dict.fromkeys(found))


def service_list(clusters: Clusters, args: Arguments) -> Output:
    cluster = running(clusters, args)
    lines = []
    for found in cluster.client.items("services", args.text("namespace")):
        urls = _urls(args, cluster.service_urls(name_of(found), namespace_of(found)))
        lines.append((namespace_of(found), name_of(found), _ports(found), " ".join(urls) or "<none>"))
    return table(("NAMESPACE", "NAME", "TARGET PORT", "URL"), lines)


def _ports(found: Object) -> str:
    """`http/80,443`: each port with its name, as minikube writes them."""
    ports = found["spec"].get("ports") or ()
    return (
        ",".join("/".join(str(part) for part in (port.get("name"), port["port"]) if part) for port in ports) or "<none>"
    )


class ServiceAnswer(Result):
    """A service's URLs as links, with what the first of them answers to a GET."""

    def __init__(self, urls: Sequence[str], visit: Visit) -> None:
        self.urls = list(urls)
        self.answer = first_lines(visit, urls[0])
        super().__init__(Output(text="\n".join([*urls, "", self.answer]) + "\n"))

    @property
    def url(self) -> Url:
        return Url(self.urls[0])

    def _repr_html_(self) -> str:
        links = "<br>".join(map(link, self.urls))
        return page(f'<div class="k8snb-note">{links}</div><pre class="k8snb-text">{escape(self.answer)}</pre>')


def first_lines(visit: Visit, url: str, *, lines: int = 12) -> str:
    """The first lines of what a GET answers, or why it does not. `visit(url)` gives status and text."""
    try:
        status, text = visit(url)
    except (OSError, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', error)}"
    if status >= HTTP_ERROR:
        return f"it answers {status} {HTTPStatus(status).phrase}"
    shown = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join([*shown[:lines], *(["…"] if len(shown) > lines else [])])

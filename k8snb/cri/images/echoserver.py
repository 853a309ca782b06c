"""echoserver: tells a client what it asked, on port 8080.

Stands in for k8s.gcr.io/echoserver, the image of minikube's quick start.
"""

from __future__ import annotations

from k8snb.cri.images import pod, web

PORT = 8080


def main(arguments: list[str]) -> int:
    return web.serve(PORT, answer, program="echoserver", server="echoserver")


def answer(request: web.Request) -> web.Reply:
    return web.Reply(200, describe(request))


def describe(request: web.Request) -> str:
    """The request, section by section, in echoserver's order."""
    host = request.header("Host", pod.IP).partition(":")[0]
    asked = {
        "client_address": request.client,
        "method": request.method,
        "real path": request.target,
        "query": request.query,
        "request_version": request.version.removeprefix("HTTP/"),
        "request_scheme": "http",
        "request_uri": f"http://{host}:{PORT}{request.target}",
    }
    return "\n".join([
        f"\n\nHostname: {pod.NAME}\n",
        "Pod Information:\n\t-no pod information available-\n",
        "Server values:\n\tserver_version=k8snb: a stand-in for echoserver, in Python\n",
        "Request Information:\n" + "".join(f"\t{name}={value}\n" for name, value in asked.items()),
        "Request Headers:\n" + "".join(f"\t{name.lower()}={value}\n" for name, value in sorted(request.headers)),
        "Request Body:\n" + (request.body.decode("utf-8", "replace") or "\t-no body in request-") + "\n",
    ])  # fmt: skip

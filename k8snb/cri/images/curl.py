"""curl: asks a URL, with the names and services of the cluster. A part of the real one."""

from __future__ import annotations

import os
import socket
import sys
import time

from k8snb.cri.images import http_client, options

OPTIONS = {
    "-s": "silent", "--silent": "silent", "-S": "show-error", "--show-error": "show-error", "-f": "fail",
    "--fail": "fail", "-o=": "output", "--output=": "output", "-O": "remote-name", "--remote-name": "remote-name",
    "-i": "include", "--include": "include", "-I": "head", "--head": "head", "-v": "verbose", "--verbose": "verbose",
    "-X=": "request", "--request=": "request", "-d=": "data", "--data=": "data", "--data-raw=": "data",
    "--data-binary=": "data", "-H=": "header", "--header=": "header", "-k": "insecure", "--insecure": "insecure",
    "-L": "location", "--location": "location", "-m=": "max-time", "--max-time=": "max-time",
    "--connect-timeout=": "max-time", "-w=": "write-out", "--write-out=": "write-out", "-A=": "agent",
    "--user-agent=": "agent", "--cacert=": "cacert",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    parsed = options.parse("curl", arguments, OPTIONS)
    if not parsed.words:
        options.refuse("curl", "no URL specified")
    return max(_transfer(parsed, url) for url in parsed.words)


def _transfer(parsed: options.Parsed, text: str) -> int:
    began = time.monotonic()
    try:
        answer = _ask(parsed, text)
    except ValueError as error:
        return _complain(parsed, 1, str(error))
    except TimeoutError:
        return _complain(parsed, 28, f"Connection timed out after {round((time.monotonic() - began) * 1000)} ms")
    except OSError as error:
        return _complain(parsed, *_explain(error, http_client.split(text)))
    if parsed.has("fail") and answer.status >= 400:
        return _complain(parsed, 22, f"The requested URL returned error: {answer.status}")
    _show(parsed, answer)
    _write_out(parsed.last("write-out"), answer, time.monotonic() - began)
    return 0


def _ask(parsed: options.Parsed, text: str) -> http_client.Answer:
    data = "&".join(parsed.values.get("data", ()))
    if data.startswith("@"):
        options.refuse("curl", "data from a file (@name) is not implemented by k8snb")
    headers = [("User-Agent", parsed.last("agent", "curl/8.0 (k8snb)"))]
    headers += [_header(given) for given in parsed.values.get("header", ())]
    if parsed.has("data") and all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    method = "HEAD" if parsed.has("head") else "POST" if parsed.has("data") else "GET"
    return http_client.fetch(
        text,
        method=parsed.last("request", method),
        headers=headers,
        body=data.encode(),
        timeout=float(parsed.last("max-time", "0")) or None,
        trust=http_client.Trust(parsed.has("insecure"), parsed.last("cacert")),
        redirects=20 if parsed.has("location") else 0,
    )


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value.strip()


def _show(parsed: options.Parsed, answer: http_client.Answer) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n{head}\r\n"
    if parsed.has("verbose"):
        sys.stderr.write("".join(f"< {line}\n" for line in head.splitlines()))
    shown = head.encode() if parsed.has("include") or parsed.has("head") else b""
    name = os.path.basename(answer.url.path.partition("?")[0]) if parsed.has("remote-name") else parsed.last("output")
    if name and name != "-":
        with open(name, "wb") as file:
            file.write(shown + answer.body)
        return
    sys.stdout.buffer.write(shown + answer.body)
    sys.stdout.buffer.flush()


def _write_out(template: str, answer: http_client.Answer, seconds: float) -> None:
    values = {"http_code": str(answer.status), "response_code": str(answer.status), "time_total": f"{seconds:.6f}",
              "size_download": str(len(answer.body)), "url": template}  # fmt: skip
    for name, value in values.items():
        template = template.replace("%{" + name + "}", value)
    sys.stdout.write(template.replace("\\n", "\n").replace("\\t", "\t"))
    sys.stdout.flush()


def _explain(error: OSError, url: http_client.Url) -> tuple[int, str]:
    """curl's exit code and words for a failure."""
    if isinstance(error, socket.gaierror) or "bad address" in str(error) or "name server" in str(error):
        return 6, f"Could not resolve host: {url.host}"
    if type(error).__module__ == "ssl":
        return 60, f"SSL certificate problem: {getattr(error, 'verify_message', '') or error}"
    return 7, f"Failed to connect to {url.host} port {url.port}: {error.strerror or error}"


def _complain(parsed: options.Parsed, code: int, why: str) -> int:
    if not parsed.has("silent") or parsed.has("show-error"):
        print(f"curl: ({code}) {why}", file=sys.stderr)
    return code

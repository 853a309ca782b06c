"""wget: fetches a URL, with the names and services of the cluster. A part of busybox's."""

from __future__ import annotations

import os
import sys

from k8snb.cri.images import http_client, options

OPTIONS = {
    "-q": "quiet", "--quiet": "quiet", "-O=": "output", "--output-document=": "output", "-T=": "timeout",
    "--timeout=": "timeout", "-S": "headers", "--server-response": "headers", "--spider": "spider",
    "--header=": "header", "--post-data=": "post", "-U=": "agent", "--user-agent=": "agent", "-t=": "tries",
    "--tries=": "tries", "--no-check-certificate": "insecure", "-nv": "quiet", "--no-verbose": "quiet",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    parsed = options.parse("wget", arguments, OPTIONS)
    if not parsed.words:
        options.refuse("wget", "missing URL")
    codes = [_fetch(parsed, url) for url in parsed.words]
    return max(codes)


def _fetch(parsed: options.Parsed, text: str) -> int:
    headers = [("User-Agent", parsed.last("agent", "Wget"))]
    for given in parsed.values.get("header", ()):
        name, _, value = given.partition(":")
        headers.append((name, value.strip()))
    url = http_client.split(text)
    if not parsed.has("quiet"):
        print(f"Connecting to {url.netloc}", file=sys.stderr)
    try:
        answer = _ask(parsed, text, headers)
    except (OSError, ValueError) as error:
        return _complain(str(error.strerror or error) if isinstance(error, OSError) else str(error))
    if parsed.has("headers"):
        lines = [f"  HTTP/1.1 {answer.status} {answer.reason}", *(f"  {n}: {v}" for n, v in answer.headers)]
        print("\n".join(lines), file=sys.stderr)
    if answer.status >= 400:
        return _complain(f"server returned error: HTTP/1.1 {answer.status} {answer.reason}")
    if not parsed.has("spider"):
        _save(parsed, url, answer.body)
    return 0


def _ask(parsed: options.Parsed, text: str, headers: list[tuple[str, str]]) -> http_client.Answer:
    """The answer, after as many tries as the command line allows."""
    post = parsed.has("post")
    tries = max(int(parsed.last("tries", "1")), 1)
    for left in reversed(range(tries)):
        try:
            return http_client.fetch(
                text,
                method="HEAD" if parsed.has("spider") else "POST" if post else "GET",
                headers=headers,
                body=parsed.last("post").encode(),
                timeout=float(parsed.last("timeout", "0")) or None,
                trust=http_client.Trust(insecure=parsed.has("insecure")),
                redirects=5,
            )
        except OSError:
            if not left:
                raise
    raise OSError("no try was allowed")


def _save(parsed: options.Parsed, url: http_client.Url, body: bytes) -> None:
    name = parsed.last("output") or os.path.basename(url.path.partition("?")[0]) or "index.html"
    if name == "-":
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    with open(name, "wb") as file:
        file.write(body)
    if not parsed.has("quiet"):
        print(f"'{name}' saved", file=sys.stderr)


def _complain(why: str) -> int:
    print(f"wget: {why}", file=sys.stderr)
    return 1

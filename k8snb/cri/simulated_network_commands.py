"""busybox's commands on the network, for simulated containers, and curl.

Interface: the functions that `simulated_commands.COMMANDS` names.
The rule not to break: what is asked goes through the container's machine, and so through the virtual network.
Real programs open sockets.
"""

from __future__ import annotations

import re

from k8snb.cri.simulated_shell import Shell, Streams

_HTTP_WORDS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}
_REFUSED, _SILENCE = "Connection refused", "Connection timed out"


def wget(shell: Shell, argv: list[str], streams: Streams) -> int:
    url = next((word for word in reversed(argv[1:]) if not word.startswith("-")), "")
    answer = shell.machine.fetch(url)
    host = re.sub(r"^\w+://|[:/].*", "", url)
    patient = not re.search(r"(^| )(-\w*T|--timeout)", " ".join(argv[1:]))
    problems = {
        "address": f"wget: bad address '{host}'",
        "refused": f"wget: can't connect to remote host: {_REFUSED}",
        "silence": f"wget: can't connect to remote host: {_SILENCE}" if patient else "wget: download timed out",
    }
    if answer.problem:
        return streams.fail(problems[answer.problem])
    if answer.status >= 400:
        word = _HTTP_WORDS.get(answer.status, "Error")
        return streams.fail(f"wget: server returned error: HTTP/1.1 {answer.status} {word}")
    to_stdout = re.search(r"-\w*O ?-(?: |$)|--output-document=-", " ".join(argv[1:]))
    if "--spider" in argv:
        return 0
    if to_stdout:
        streams.out(answer.body)
    else:
        name = re.sub(r"^\w+://[^/]*/?", "", url).rpartition("/")[2] or "index.html"
        shell.machine.files.write(shell.path(name), answer.body)
    return 0


def curl(shell: Shell, argv: list[str], streams: Streams) -> int:
    flags = "".join(word[1:] for word in argv[1:] if re.fullmatch(r"-[a-zA-Z]+", word))
    url = next((word for word in reversed(argv[1:]) if not word.startswith("-")), "")
    answer = shell.machine.fetch(url)
    host = re.sub(r"^\w+://|[:/].*", "", url)
    problems = {
        "address": (6, f"curl: (6) Could not resolve host: {host}"),
        "refused": (7, f"curl: (7) Failed to connect to {host}: {_REFUSED}"),
        "silence": (28, f"curl: (28) Failed to connect to {host}: {_SILENCE}"),
    }
    if answer.problem:
        code, text = problems[answer.problem]
        streams.err((text + "\n").encode())
        return code
    if "f" in flags and answer.status >= 400:
        streams.err(f"curl: (22) The requested URL returned error: {answer.status}\n".encode())
        return 22
    if not re.search(r"-o /dev/null", " ".join(argv)):
        streams.out(answer.body)
    return 0


def nslookup(shell: Shell, argv: list[str], streams: Streams) -> int:
    name = argv[1] if len(argv) > 1 else ""
    address = shell.machine.lookup(name)
    if address is None:
        return streams.fail(f"** server can't find {name}: NXDOMAIN")
    streams.out(f"Name:\t{name}\nAddress: {address}\n".encode())
    return 0


def netcat(shell: Shell, argv: list[str], streams: Streams) -> int:
    """`nc -z HOST PORT` asks whether a port answers; the rest of nc is refused."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not any(word.startswith("-") and "z" in word for word in argv) or len(words) < 2:
        return streams.refuse("nc without -z HOST PORT")
    return int(bool(shell.machine.fetch(f"http://{words[-2]}:{words[-1]}/").problem))

"""redis-server: keys and values on port 6379, over redis' own protocol (RESP).

Interface: `COMMANDS`, one row per command. Data lies in memory; on SAVE, SHUTDOWN and SIGTERM it is written to
/data/dump.json and read again at the next start. Replication, transactions, scripts, publish/subscribe: not
implemented by k8snb.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import BinaryIO

from k8snb.cri.images import pod
from k8snb.cri.images.redis_data import COMMANDS, Database, RedisError, encode

VERSION = pod.TAG.split("-")[0] if pod.TAG[:1].isdigit() else "7.0.0"
DUMP = "/data/dump.json"
FLAGS = ("port", "appendonly", "maxmemory", "maxmemory-policy", "save", "dir", "bind", "protected-mode", "loglevel")


def main(arguments: list[str]) -> int:
    if arguments in (["-v"], ["--version"]):
        print(f"Redis server v={VERSION}, a stand-in by k8snb")
        return 0
    database = Database(VERSION, settings(arguments), pod.root(DUMP))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: _leave(database))
    port = int(database.settings.get("port", "6379"))
    listener = pod.listen(port, "redis-server")
    database.load()
    say(f"Redis {VERSION}, a stand-in by k8snb, is ready to accept connections on port {port}")
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection, database), daemon=True).start()


def settings(arguments: list[str]) -> dict[str, str]:
    """The configuration from a file and from `--name value`. Ends the program on a name it does not know."""
    words = list(arguments)
    found = _read_file(words.pop(0)) if words and not words[0].startswith("--") else {}
    while words:
        name, values = words.pop(0).removeprefix("--"), []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        found[name] = " ".join(values)
    unknown = [name for name in found if name not in FLAGS]
    if unknown:
        print(f"redis-server: {', '.join(unknown)}: not implemented by k8snb", file=sys.stderr, flush=True)
        raise SystemExit(1)
    return found


def converse(connection: socket.socket, database: Database) -> None:
    """Answer one client's commands until it leaves."""
    try:
        with connection, connection.makefile("rb") as stream:
            while (words := read_command(stream)) is not None:
                if words:
                    connection.sendall(answer(database, words))
                    if words[0].upper() == b"QUIT":
                        return
    except (OSError, ValueError):
        return


def answer(database: Database, words: list[bytes]) -> bytes:
    name = words[0].decode("utf-8", "replace").upper()
    if name == "SHUTDOWN":
        os.kill(os.getpid(), signal.SIGTERM)
        return b"+OK\r\n"
    command = COMMANDS.get(name)
    if command is None:
        return f"-ERR unknown command '{name}': not implemented by k8snb\r\n".encode()
    if not command.least <= len(words) - 1 <= command.most:
        return f"-ERR wrong number of arguments for '{name.lower()}' command\r\n".encode()
    try:
        with database.lock:
            return encode(command.run(database, words[1:]))
    except RedisError as error:
        return f"-{error}\r\n".encode()


def read_command(stream: BinaryIO) -> list[bytes] | None:
    """The words of the next command, as an array of RESP or as a plain line; None at the end."""
    line = stream.readline(65536)
    if not line:
        return None
    if not line.startswith(b"*"):
        return line.split()
    words = []
    for _ in range(int(line[1:])):
        size = int(stream.readline(100)[1:])
        words.append(stream.read(size))
        stream.read(2)
    return words


def say(text: str) -> None:
    print(f"1:M * {text}", flush=True)


def _read_file(name: str) -> dict[str, str]:
    path = pod.root(name) if os.path.exists(pod.root(name)) else name
    with open(path, encoding="utf-8") as file:
        lines = [line.split(None, 1) for line in file if line.strip() and not line.startswith("#")]
    return {parts[0]: parts[1].strip().strip('"') if len(parts) > 1 else "" for parts in lines}


def _leave(database: Database) -> None:
    say("User requested shutdown...")
    database.save()
    raise SystemExit(0)

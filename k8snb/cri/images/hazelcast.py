"""hazelcast: maps over HTTP on port 5701: GET and POST /hazelcast/rest/maps/NAME/KEY, GET /hazelcast/health.

A single member; Hazelcast's own protocol and clustering: not implemented by k8snb.
"""

from __future__ import annotations

import json
import os

from k8snb.cri.images import pod, web

PORT = 5701
HEALTH = {
    "nodeState": "ACTIVE",
    "clusterState": "ACTIVE",
    "clusterSafe": True,
    "migrationQueueSize": 0,
    "clusterSize": 1,
}
MAPS: dict[tuple[str, str], tuple[bytes, str]] = {}
PREFIX = ("hazelcast", "rest", "maps")


def main(arguments: list[str]) -> int:
    for name in ("DNS_DOMAIN", "POD_NAMESPACE", "HZ_CLUSTERNAME", "JAVA_OPTS"):
        if name in os.environ:
            print(f"INFO: {name}={os.environ[name]}", flush=True)
    cluster = os.environ.get("HZ_CLUSTERNAME", "dev")
    print(f"INFO: [{pod.IP}]:{PORT} [{cluster}] a stand-in by k8snb, in Python", flush=True)
    print(f"\nMembers {{size:1, ver:1}} [\n\tMember [{pod.IP}]:{PORT} - {pod.NAME} this\n]\n", flush=True)
    print(f"INFO: [{pod.IP}]:{PORT} is STARTED", flush=True)
    return web.serve(PORT, answer, program="hazelcast")


def answer(request: web.Request) -> web.Reply:
    parts = [part for part in request.path.split("/") if part]
    if parts[:2] == ["hazelcast", "health"]:
        return _health(parts[2:])
    if tuple(parts[:3]) == PREFIX and 4 <= len(parts) <= 5:
        return _map(request, parts[3], parts[4] if len(parts) == 5 else "")
    return web.Reply(404)


def _health(parts: list[str]) -> web.Reply:
    if not parts:
        return web.Reply(200, json.dumps(HEALTH), "application/json")
    words = {name: name.replace("S", "-s").replace("Q", "-q").lower() for name in HEALTH}
    found = next((HEALTH[name] for name, word in words.items() if word == parts[0]), None)
    if parts[0] == "ready":
        return web.Reply(200)
    return web.Reply(404) if found is None else web.Reply(200, json.dumps(found), "application/json")


def _map(request: web.Request, name: str, key: str) -> web.Reply:
    if request.method in ("POST", "PUT") and key:
        MAPS[name, key] = request.body, request.header("Content-Type", "text/plain")
        return web.Reply(200)
    if request.method == "DELETE":
        for entry in [entry for entry in MAPS if entry[0] == name and key in ("", entry[1])]:
            del MAPS[entry]
        return web.Reply(200)
    body, sort = MAPS.get((name, key), (b"", ""))
    return web.Reply(200, body, sort) if sort else web.Reply(204)

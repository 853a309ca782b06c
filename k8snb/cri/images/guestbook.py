"""guestbook: the web page of the guestbook tutorial, on port 80. It keeps its entries in redis.

Reads from the host `redis-follower` (then the leader) and writes to `redis-leader`,
or to the older names `redis-slave` and `redis-master`.
"""

from __future__ import annotations

import json
from typing import Any

from k8snb.cri.images import pod, redis_cli, web

LEADERS = ("redis-leader", "redis-master")
FOLLOWERS = ("redis-follower", "redis-slave", *LEADERS)
SCRIPT = """
const show = () => fetch('guestbook.php?cmd=get&key=guestbook').then(r => r.json()).then(answer => {
  const list = document.getElementById('entries'); list.replaceChildren();
  for (const text of (answer.data || '').split(',').filter(Boolean)) {
    const item = document.createElement('li'); item.textContent = text; list.append(item);
  }
  window.entries = answer.data || '';
});
const add = () => { const box = document.getElementById('entry');
  fetch('guestbook.php?cmd=set&key=guestbook&value=' + encodeURIComponent(window.entries + ',' + box.value)).then(show);
  box.value = ''; return false; };
show();
"""


def main(arguments: list[str]) -> int:
    return web.serve(80, answer, program="guestbook", server="guestbook (k8snb's stand-in)", log=log)


def answer(request: web.Request) -> web.Reply:
    if request.path == "/guestbook.php":
        return _command(request.form())
    if request.path not in ("/", "/index.html"):
        return web.Reply(404)
    form = '<form onsubmit="return add()"><input id="entry"> <button>Submit</button></form>'
    return web.Reply(200, web.page("Guestbook", form, f'<ul id="entries"></ul><script>{SCRIPT}</script>'), "text/html")


def _command(form: dict[str, str]) -> web.Reply:
    key = form.get("key", "guestbook")
    try:
        if form.get("cmd") == "set":
            _redis(LEADERS, ["SET", key, form.get("value", "")])
            return web.Reply(200, json.dumps({"message": "Updated"}), "application/json")
        found = _redis(FOLLOWERS, ["GET", key]) or b""
        return web.Reply(200, json.dumps({"data": found.decode("utf-8", "replace")}), "application/json")
    except OSError as error:
        return web.Reply(500, json.dumps({"error": str(error)}), "application/json")


def _redis(hosts: tuple[str, ...], words: list[str]) -> Any:
    """Ask the first of these hosts that answers."""
    for host in hosts:
        try:
            with pod.connect(host, 6379, 3) as connection, connection.makefile("rb") as stream:
                return redis_cli.ask(connection, stream, words)
        except OSError:
            continue
    raise OSError(f"no redis answers at {', '.join(hosts)}: are its Service and its pods there?")


def log(request: web.Request, reply: web.Reply) -> None:
    print(f'{request.client} "{request.method} {request.target}" {reply.status}', flush=True)

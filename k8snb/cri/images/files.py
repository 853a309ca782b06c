"""Static files for the web servers of the catalogue.

Interface: `serve(folder, path)` gives a `Reply`. The rule not to break: nothing outside the folder is served by `..`;
symbolic links are followed, because that is how mounted volumes look.
"""

from __future__ import annotations

import os
import posixpath

from k8snb.cri.images.web import Reply, http_date

TYPES = {
    ".html": "text/html", ".htm": "text/html", ".css": "text/css", ".js": "text/javascript",
    ".json": "application/json", ".txt": "text/plain",
    ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".ico": "image/x-icon",
}  # fmt: skip


def serve(folder: str, path: str, *, index: str = "index.html") -> Reply:
    """The file at a URL's path: 301 for a directory without its slash, 403 without an index, 404 for nothing."""
    name = folder + posixpath.normpath("/" + path.lstrip("/"))
    if os.path.isdir(name):
        if not path.endswith("/"):
            return Reply(301, headers=(("Location", path + "/"),))
        name = os.path.join(name, index)
        if not os.path.exists(name):
            return Reply(403)
    try:
        with open(name, "rb") as file:
            changed = http_date(os.fstat(file.fileno()).st_mtime)
            sort = TYPES.get(os.path.splitext(name)[1], "application/octet-stream")
            return Reply(200, file.read(), sort, (("Last-Modified", changed),))
    except PermissionError:
        return Reply(403)
    except OSError:
        return Reply(404)

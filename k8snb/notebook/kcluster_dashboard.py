"""%kcluster dashboard: the cluster's web page, below the cell or as a link.

Interface: `dashboard(clusters, arguments) -> Dashboard | Url`.
The rule not to break: what stays in a saved notebook says what it was, and lets nobody in: a link logs in once.
minikube opens a browser window; a notebook has its page already.
"""

from __future__ import annotations

import importlib.util
import os
from html import escape
from typing import TYPE_CHECKING

from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import Url, running
from k8snb.notebook.results import Result, page

if TYPE_CHECKING:
    from k8snb.addons.dashboard import DashboardAddon

HEIGHT = 640  # pixels
_HUB = "JUPYTERHUB_SERVICE_PREFIX"
NO_PROXY = (
    "this notebook runs on a JupyterHub or Binder without jupyter-server-proxy, so that no browser reaches the "
    "dashboard: pip install jupyter-server-proxy where the server runs, and start the server again"
)


class Dashboard(Result):
    """The page in a frame, with a link for a window of its own. `url` logs another browser in, once."""

    def __init__(self, addon: DashboardAddon, base: str) -> None:
        self._addon, self._base = addon, base
        self._frame = addon.link(base)
        where = base or "http://{}:{}/".format(*addon.spot)
        hint = "a link that logs a browser in, once: %kcluster dashboard --url"
        super().__init__(Output(text=f"the dashboard is at {where}\n", hints=[hint]))

    @property
    def url(self) -> str:
        return self._addon.link(self._base)

    def _repr_html_(self) -> str:
        own = escape(self.url)
        note = f'<a href="{own}" target="_blank" rel="noopener">open the dashboard in a window of its own</a> (once)'
        frame = f'<iframe src="{escape(self._frame)}" title="Dashboard" width="100%" height="{HEIGHT}"></iframe>'
        return page(f'<div class="k8snb-note">{note}</div>{frame}')


def dashboard(clusters: Clusters, args: Arguments) -> Result | Url:
    """The dashboard of a cluster; enables the add-on where it is not. With --url, a link as a string."""
    from k8snb.addons.dashboard import DashboardAddon

    cluster, base = running(clusters, args), proxy_path()
    cluster.addons.enable("dashboard")
    addon = cluster.addons.get("dashboard")
    if not isinstance(addon, DashboardAddon):
        raise KubectlError("error: the add-on dashboard is not at work: %kcluster addons list")
    base = base and f"{base}proxy/{addon.spot[1]}/"
    return Url(addon.link(base)) if args.on("url") else Dashboard(addon, base)


def proxy_path() -> str:
    """Where a hub shows this server, "" on a machine of one's own. Raises KubectlError where a proxy is missing."""
    prefix = os.environ.get(_HUB, "")
    if prefix and importlib.util.find_spec("jupyter_server_proxy") is None:
        raise KubectlError(f"error: {NO_PROXY}")
    return prefix

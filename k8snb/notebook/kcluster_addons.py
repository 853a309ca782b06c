"""%kcluster addons and config: what a cluster is given besides, and what new clusters are like.

Interface: one function for each row of `kcluster.COMMANDS` that is about this.
The rule not to break: `enabled` says that it works, or the line says why it does not.
Source: `cmd/minikube/cmd/config` in the minikube repository.
"""

from __future__ import annotations

from k8snb.addons import Status
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.defaults import SYNONYMS
from k8snb.notebook.kcluster_answers import json_answer, said, table, target, wants_json, word


def addons_list(clusters: Clusters, args: Arguments) -> Output:
    cluster = target(clusters, args)
    found = cluster.addons.status()
    if wants_json(args, "list"):
        return json_answer({each.row.name: {"Profile": cluster.name, "Status": _state(each)} for each in found})
    lines = [(each.row.name, cluster.name, _state(each), each.row.maintainer, each.row.help) for each in found]
    problems = [f"{each.row.name} does not work: {each.problem}" for each in found if each.problem]
    return table(("ADDON NAME", "PROFILE", "STATUS", "MAINTAINER", "DESCRIPTION"), lines, *problems)


def _state(status: Status) -> str:
    return "failed" if status.problem else "enabled" if status.enabled else "disabled"


def addons_enable(clusters: Clusters, args: Arguments) -> Output:
    cluster, name = target(clusters, args), word(args, "an add-on's name")
    cluster.addons.enable(name)
    later = [] if cluster.running else ["the cluster is stopped: it begins with the next %kcluster start"]
    return said(f"The '{name}' addon is enabled", hints=later)


def addons_disable(clusters: Clusters, args: Arguments) -> Output:
    name = word(args, "an add-on's name")
    target(clusters, args).addons.disable(name)
    return said(f"The '{name}' addon is disabled")


# config


def config_view(clusters: Clusters, args: Arguments) -> Output:
    found = clusters.defaults.all()
    hints = (
        [] if found else [f"nothing is set; %kcluster config set driver simulated would write {clusters.defaults.path}"]
    )
    return said(*(f"- {name}: {value}" for name, value in found.items()), hints=hints)


def config_get(clusters: Clusters, args: Arguments) -> Output:
    value = clusters.defaults.get(word(args, "a property's name"))
    if not value:
        raise KubectlError("Error: specified key could not be found in config")
    return said(value)


def config_set(clusters: Clusters, args: Arguments) -> Output:
    if len(args.words) != 2:
        raise KubectlError("error: a property and its value are wanted: %kcluster config set PROPERTY VALUE")
    name, value = args.words
    clusters.defaults.set(name, value)
    where = f"kept in {clusters.defaults.path}, for all notebooks of yours"
    if SYNONYMS.get(name, name) == "profile":
        return said(f"new notebooks begin with the cluster {value}", hints=[where])
    return said("These changes will take effect upon a %kcluster delete and then a %kcluster start", hints=[where])


def config_unset(clusters: Clusters, args: Arguments) -> Output:
    clusters.defaults.unset(word(args, "a property's name"))
    return said()

"""KubeSchedulerConfiguration: what a scheduler's configuration file says, as profiles.

Interface: `profiles_of(configuration)` for `kubescheduler.config.k8s.io/v1` as a dict.
The rule not to break: what is not understood is refused by name, as kube-scheduler would not start with it.
Source: `pkg/scheduler/apis/config` in the kubernetes repository, "kube-scheduler Configuration (v1)" in its reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8snb.scheduler.plugins import DEFAULT, PLUGINS, Profile, Row

API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
PROFILE_FIELDS = {"schedulerName", "plugins", "pluginConfig"}
POINTS = ("multiPoint", "filter", "score")  # where plug-ins can be switched on and off
EVERYTHING = "*"

# {plug-in: {field of its arguments: keyword of ours}}
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "NodeResourcesFit": {
        "scoringStrategy": "scoring_strategy",
        "ignoredResources": "ignored_resources",
        "ignoredResourceGroups": "ignored_resource_groups",
    },
    "NodeAffinity": {"addedAffinity": "added_affinity"},
    "PodTopologySpread": {"defaultConstraints": "default_constraints", "defaultingType": "defaulting_type"},
    "InterPodAffinity": {"hardPodAffinityWeight": "hard_pod_affinity_weight"},
}


def profiles_of(configuration: Mapping[str, Any]) -> tuple[Profile, ...]:
    """The profiles of a configuration; without any the default one. Raises ValueError, naming the field."""
    for field, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if configuration.get(field) != expected:
            raise ValueError(f"{field}: must be {expected}, not {configuration.get(field)}")
    _only(configuration, {"apiVersion", "kind", "profiles"}, "")
    listed = configuration.get("profiles") or [{}]
    names = [profile.get("schedulerName", DEFAULT) for profile in listed]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'profiles: Duplicate value: schedulerName "{name}"')
    return tuple(_profile(profile, f"profiles[{at}]") for at, profile in enumerate(listed))


def _profile(profile: Mapping[str, Any], path: str) -> Profile:
    _only(profile, PROFILE_FIELDS, path)
    rows = _rows(profile.get("plugins") or {}, f"{path}.plugins")
    args: dict[str, dict[str, Any]] = {}
    for at, each in enumerate(profile.get("pluginConfig") or ()):
        _only(each, {"name", "args"}, f"{path}.pluginConfig[{at}]")
        args[each["name"]] = _arguments(each["name"], each.get("args") or {}, f"{path}.pluginConfig[{at}].args")
    made = Profile(profile.get("schedulerName", DEFAULT), rows, args)
    made.made()
    return made


def _arguments(plugin: str, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    known = ARGUMENTS.get(plugin, {})
    given = {name: value for name, value in given.items() if name not in ("apiVersion", "kind")}
    _only(given, known.keys(), path)
    return {known[name]: value for name, value in given.items()}


def _rows(plugins: Mapping[str, Any], path: str) -> tuple[Row, ...]:
    """The default plug-ins, switched off and on, and weighed, as the profile wants it."""
    _only(plugins, POINTS, path)
    rows = {row.plugin.name: row for row in PLUGINS}
    for point in POINTS:
        wanted = plugins.get(point) or {}
        _only(wanted, {"enabled", "disabled"}, f"{path}.{point}")
        for each in wanted.get("disabled") or ():
            for name in rows if each["name"] == EVERYTHING else (_known(each["name"], f"{path}.{point}.disabled"),):
                rows[name] = _off(rows[name], point)
        for each in wanted.get("enabled") or ():
            name = _known(each["name"], f"{path}.{point}.enabled")
            rows[name] = _on(name, rows[name], point, each.get("weight", 0))
    return tuple(row for row in rows.values() if row.is_at_work)


def _off(row: Row, point: str) -> Row:
    return row._replace(
        filters=row.filters and point == "score",
        weight=row.weight if point == "filter" else 0,
        is_at_work=row.is_at_work and point != "multiPoint",
    )


def _on(name: str, row: Row, point: str, weight: int) -> Row:
    default = next(each for each in PLUGINS if each.plugin.name == name)
    filters = row.filters if point == "score" else default.filters
    scores = row.weight if point == "filter" else weight or default.weight
    return row._replace(filters=filters, weight=scores, is_at_work=True)


def _known(name: str, path: str) -> str:
    if name not in {row.plugin.name for row in PLUGINS}:
        raise ValueError(f'{path}: there is no plug-in "{name}"; one of your own joins by cluster.scheduler.register')
    return name


def _only(given: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    for name in given:
        if name not in known:
            where = f"{path}.{name}".lstrip(".")
            there = ", ".join(sorted(known)) or "nothing"
            raise ValueError(f"{where}: not implemented by k8snb; what there is: {there}")

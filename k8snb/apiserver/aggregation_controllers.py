"""kube-aggregator's controllers: which APIs are registered, and whether those of other servers can be had.

Interface: `AutoRegister` keeps an APIService for every version that this server serves by a CustomResourceDefinition;
`Availability` asks the other servers.
The rule not to break: nobody waits for another server in the pump.
Source: `kube-aggregator/pkg/controllers/{autoregister,status/remote}`.
"""

from __future__ import annotations

import json
from typing import ClassVar

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, labels_of, with_condition
from k8snb.apiserver import aggregation, service_resolver
from k8snb.apiserver.aggregation import AUTOMANAGED, AVAILABLE, Aggregation, identity_headers, kinds_of, wanted
from k8snb.apiserver.dialing import CallError, Reply
from k8snb.client import User
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.executor import Executor

RESYNC, AGAIN = 30.0, 5.0  # seconds between two looks, and after a failure
PATIENCE = 5.0
AGGREGATOR = User("system:kube-aggregator", ("system:masters",))
AUTHENTICATION = "extension-apiserver-authentication"
KNOWN_BY = {"username-headers": "X-Remote-User", "group-headers": "X-Remote-Group",
            "extra-headers-prefix": "X-Remote-Extra-", "allowed-names": aggregation.PROXY_CLIENT}  # fmt: skip
Entry = tuple[str, str, str]  # status, reason, message


class AutoRegister(Controller):
    """An APIService for each version of each custom kind's group, while there is one."""

    name: ClassVar[str] = "autoregister"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.client = context.client("system:apiserver", "system:masters")
        self.services = self.watch("apiservices")
        informers.get("customresourcedefinitions").on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        for crd in filter(None, (old, new)):
            for version in crd["spec"]["versions"]:
                self.queue.add(f"{version['name']}.{crd['spec']['group']}")

    def sync(self, key: str) -> None:
        found, should_be = self.services.get(key), wanted(self.client.kinds()).get(key)
        if found is None:
            if should_be is not None and self.client.find("apiservices", key) is None:
                self.client.create("apiservices", should_be)
        elif should_be is None and labels_of(found).get(AUTOMANAGED) == "true":
            self.client.delete("apiservices", key)
        elif should_be is not None and labels_of(found).get(AUTOMANAGED) and _differs(found, should_be):
            self.client.update("apiservices", {**found, "spec": should_be["spec"]})


def _differs(found: Object, should_be: Object) -> bool:
    return any(found["spec"].get(field) != value for field, value in should_be["spec"].items())


class Availability(Controller):
    """The condition Available of APIServices that lead to a Service, and what those serve."""

    name: ClassVar[str] = "remote-available"

    def __init__(
        self, context: Context, informers: Informers, *, server: aggregation.Server, executor: Executor,
        others: Aggregation,
    ) -> None:  # fmt: skip
        super().__init__(context, informers)
        self.client = context.client("system:apiserver", "system:masters")
        self._server, self._executor, self._others = server, executor, others
        self._checking: set[str] = set()
        self.services = self.watch("apiservices")
        for resource in ("services", "endpointslices"):
            informers.get(resource).on_change(self._service_changed)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        metadata = obj["metadata"]
        name = labels_of(obj).get(service_resolver.SERVICE_NAME) or metadata["name"]
        for api_service in self.services:
            service = api_service["spec"].get("service")
            if service and (service["namespace"], service["name"]) == (metadata["namespace"], name):
                self.enqueue(api_service)

    def sync(self, key: str) -> None:
        api_service = self.services.get(key)
        if api_service is None or not api_service["spec"].get("service"):
            self._others.learn(key, ())
            return
        self._publish_authority()
        self.queue.add_after(key, RESYNC, background=True)
        problem = self._unreachable(api_service)
        if problem is not None:
            self._say(key, problem)
        elif key not in self._checking:
            self._check(key, api_service)

    def _unreachable(self, api_service: Object) -> Entry | None:
        """What is wrong with the Service, as far as it can be seen from here."""
        service = api_service["spec"]["service"]
        name, namespace, port = service["name"], service["namespace"], service.get("port") or 443
        try:
            found, slices = service_resolver.service_and_slices(self._server, namespace, name)
        except ApiError:
            return "False", "ServiceNotFound", f'service/{name} in "{namespace}" is not present'
        if found["spec"].get("type", "ClusterIP") != "ClusterIP":
            return None
        wanted_port = next((each for each in found["spec"].get("ports") or () if each["port"] == port), None)
        if wanted_port is None:
            words = f'service/{name} in "{namespace}" is not listening on port {port}'
            return "False", "ServicePortError", words
        if not slices:
            words = f'cannot find endpointslices for service/{name} in "{namespace}"'
            return "False", "EndpointsNotFound", words
        if not any(service_resolver.ready(slices, wanted_port.get("name", ""))):
            named = json.dumps(wanted_port.get("name", ""))
            words = f'endpointslices for service/{name} in "{namespace}" have no addresses with port name {named}'
            return "False", "MissingEndpoints", words
        return None

    def _check(self, key: str, api_service: Object) -> None:
        """Ask the other server what it serves, on the executor."""
        spec, send = api_service["spec"], self._others.sender(api_service, checks=True)
        path = f"/apis/{spec['group']}/{spec['version']}"
        service = spec["service"]
        url = f"https://{service['name']}.{service['namespace']}.svc:{service.get('port') or 443}{path}"
        headers = [("Accept", "application/json"), *identity_headers(AGGREGATOR)]
        self._checking.add(key)

        def done(reply: Reply | None, error: BaseException | None) -> None:
            self._checking.discard(key)
            entry, kinds = _judged(key, url, reply, error)
            if kinds:
                self._others.learn(key, kinds)
            if entry[0] != "True":
                self.queue.add_after(key, AGAIN, background=True)
            self._say(key, entry)

        self._executor.submit(lambda: send("GET", path, headers, b"", PATIENCE), done, waits=True)

    def _say(self, key: str, entry: Entry) -> None:
        """Write the condition, if it says something new."""
        api_service = self.client.find("apiservices", key)
        if api_service is None:
            return
        conditions = get_path(api_service, "status.conditions") or ()
        status, reason, message = entry
        condition = {"type": AVAILABLE, "status": status, "reason": reason, "message": message}
        after = with_condition(conditions, condition, timestamp(self.clock.now()))
        if after != list(conditions):
            changed = {**api_service, "status": {**(api_service.get("status") or {}), "conditions": after}}
            try:
                self.client.update_status("apiservices", changed)
            except ApiError:
                self.queue.add_rate_limited(key)

    def _publish_authority(self) -> None:
        """How other servers know the aggregator, and the users whose names it hands on."""
        if self.client.find("configmaps", AUTHENTICATION, "kube-system") is not None:
            return
        authority = self._server.identity.root_ca
        named = {f"requestheader-{key}": json.dumps([value]) for key, value in KNOWN_BY.items()}
        data = {"client-ca-file": authority, "requestheader-client-ca-file": authority, **named}
        self.client.create("configmaps", {"metadata": {"name": AUTHENTICATION}, "data": data}, "kube-system")


def _judged(name: str, url: str, reply: Reply | None, error: BaseException | None) -> tuple[Entry, list[Kind]]:
    """What an answer, or none, says of a server, and what it serves."""
    why = ""
    if isinstance(error, CallError):
        why = str(error)
    elif error is not None or reply is None:
        why = f"{type(error).__name__}: {error}"
    elif not 200 <= reply.status < 300:
        why = f"bad status from {url}: {reply.status}"
    if why or reply is None:
        words = f"failing or missing response from {url}: {why}"
        return ("False", "FailedDiscoveryCheck", words), []
    try:
        kinds = kinds_of(name, json.loads(reply.body))
    except (ValueError, AttributeError, TypeError, KeyError):
        kinds = []
    return ("True", "Passed", "all checks passed"), kinds

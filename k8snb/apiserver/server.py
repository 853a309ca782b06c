"""kube-apiserver: one request's way in.

Interface: `ApiServer(store, clock, …).handle(request)`, `kinds()`, `connect_node(name, kubelet)`; `authenticator` says
who asks, `authorizer` whether that user may.
The rule not to break: a request is answered or refused with an ApiError; it never leaves half a write behind.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from k8snb.apimachinery import custom_metrics, errors, kinds
from k8snb.apimachinery.kinds import METRICS, Converter, Kind
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.apiserver import (
    admission,
    admission_priority,
    admission_request,
    crd_finalizer,
    escalation,
    kubernetes_service,
    policy_types,
    rbac_defaults,
    reviews,
    subresources,
    unattended,
    virtual,
)
from k8snb.apiserver.admission_serviceaccount import TokenMounts
from k8snb.apiserver.aggregation import APISERVICE, Aggregation, local_status, register
from k8snb.apiserver.allocators import ServiceAllocator
from k8snb.apiserver.audit import Audit
from k8snb.apiserver.authentication import Authenticator
from k8snb.apiserver.authorization import Authorizer
from k8snb.apiserver.crd import CRD, Definitions
from k8snb.apiserver.crd_conversion import WebhookConverter
from k8snb.apiserver.decode import decode_behind
from k8snb.apiserver.identity import Identity
from k8snb.apiserver.nodes import NodeConnection
from k8snb.apiserver.outcalls import Answer, Outcall, Outcalls, fetch
from k8snb.apiserver.policies import POLICY, Policies
from k8snb.apiserver.registry import Registry
from k8snb.apiserver.subresources import handler_for
from k8snb.apiserver.watch import Postpone
from k8snb.apiserver.webhooks import Hooks
from k8snb.client import ADMIN, Client, Request
from k8snb.clock import Clock, timestamp
from k8snb.etcd import Store

NO_METRICS = "the server is currently unable to handle the request: enable the add-on metrics-server"
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class ApiServer:
    """Holds no data of its own: a second one on the same store would serve the same cluster.

    `service_cidr` is the range that cluster IPs are taken from; several servers of one cluster share its `identity`.
    `admin_token` is a bearer token of the administrator, "" for none.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        dice: random.Random,
        service_cidr: str,
        identity: Identity | None = None,
        admin_token: str = "",
    ) -> None:
        self.store = store
        self.clock = clock
        self.dice = dice
        self.token_mounts = TokenMounts()
        self.identity = identity or Identity(clock)
        self.authorizer = Authorizer(store)
        self.authenticator = Authenticator(self.identity, self, admin_token=admin_token)
        self.nodes: dict[str, NodeConnection] = {}
        self.attended: set[str] = set()  # the kinds that add-ons act on, by qualified name
        self.virtual: dict[Kind, virtual.Provider] = {}
        self.custom_metrics: Callable[[Request], Object] | None = None
        self.registry = Registry(store, clock, dice, self._admit)
        self.registry.check = self._check
        self.registry.allocate = self._allocate
        self.registry.began = self._began
        self.registry.ended = self._ended
        self.registry.authorize = self.authorizer.check
        self.registry.postpone = lambda call, retry: self.postpone(call, retry)
        self.postpone: Postpone = self._ask_now
        self.outcalls = Outcalls(clock)
        self.allow_privileged = True
        self.others = Aggregation(self)
        self._kinds: tuple[tuple[Kind, ...], tuple[Kind, ...], tuple[Kind, ...]] = ((), (), ())
        self.audit = Audit(clock)
        self.hooks = Hooks(store)
        self.policies = Policies(store)
        self.definitions = Definitions(store, self._converter)
        self.registry.fields.kind_of = self.definitions.by_gvk
        self.registry.fields.shape_of = self.definitions.shape_of
        services = [record.value for record in store.range(_kind("services").prefix)[0]]
        self.allocator = ServiceAllocator(service_cidr, dice, services)
        self._verbs: dict[str, Callable[[Request], Any]] = {
            "get": self.registry.get,
            "list": self.registry.list,
            "watch": self.registry.watch,
            "create": self._create,
            "update": self.registry.update,
            "patch": self.registry.patch,
            "delete": self.registry.delete,
            "deletecollection": self.registry.delete_collection,
        }

    def handle(self, request: Request) -> Any:
        """Answer one request. Raises ApiError, or Outcall where others have to be asked first: nothing has happened
        then, and the request is to be handed in again when `keep_answers` has been told what they said.
        """
        self.outcalls.begin()
        self.audit.begin()
        try:
            answer = self._handle(request)
        except Outcall:
            raise
        except BaseException:
            self.outcalls.done()
            self.audit.done()
            raise
        self.outcalls.done()
        self.audit.done()
        return answer

    def keep_answers(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """What others said that a request lacked."""
        for key, answer in answers:
            self.outcalls.keep(key, answer)

    def _ask_now(self, call: Outcall, retry: Callable[[], object]) -> None:
        """Where nobody has said how to ask without waiting: wait."""
        self.keep_answers(fetch(call.questions))
        retry()

    def _handle(self, request: Request) -> Any:
        self.authorizer.check(request)
        if request.kind.custom is not None:
            self.definitions.current(request)
        answer = self._answer(request)
        wants_managers = request.options and request.options.get("managedFields") and isinstance(answer, dict)
        return self.with_managed_fields(answer) if wants_managers else answer

    def _answer(self, request: Request) -> Any:
        if request.kind.remote:
            return self.others.answer(request)
        if request.kind.group in custom_metrics.GROUPS:
            return self._custom_metric(request)
        if request.subresource:
            return handler_for(request)(self, self._admit_question(decode_behind(request)))
        if request.verb not in request.kind.verbs:
            raise errors.method_not_supported(request.kind, request.verb)
        if request.kind in self.virtual:
            return virtual.answer(request, self.virtual[request.kind], self.store.revision)
        if request.kind.group == METRICS:
            raise errors.unavailable(NO_METRICS)
        return self._verbs[request.verb](request)

    def _custom_metric(self, request: Request) -> Object:
        if self.custom_metrics is None:
            raise errors.unavailable(f"nobody serves {request.kind.group}: not implemented by k8snb")
        return self.custom_metrics(request)

    def kinds(self) -> tuple[Kind, ...]:
        """Discovery: what this server serves."""
        if self._kinds[0] is not self.definitions.kinds or self._kinds[1] is not self.others.kinds:
            self._kinds = self.definitions.kinds, self.others.kinds, (*self.definitions.kinds, *self.others.kinds)
        return self._kinds[2]

    def with_managed_fields(self, obj: Object) -> Object:
        """An object or list as clients of the REST API see it: with who owns which fields."""
        return self.registry.fields.with_managed_fields(obj)

    def compact(self, revision: int) -> None:
        """Forget how things were before a revision, but not who owns what."""
        self.store.compact(revision, keep=self.registry.fields.fold)

    def close(self) -> None:
        """Follow the store no longer. Another server may go on with it."""
        self.authorizer.close()
        self.registry.close()
        self.definitions.close()
        self.hooks.close()
        self.policies.close()

    def connect_node(self, name: str, connection: NodeConnection) -> None:
        """A kubelet hands over the way to its containers."""
        self.nodes[name] = connection

    def disconnect_node(self, name: str) -> None:
        self.nodes.pop(name, None)

    def bootstrap(self) -> None:
        """Make the namespaces, the Service and the roles that every cluster has. Doing it again changes nothing."""
        client = Client(self, ADMIN._replace(name="system:apiserver"))
        for namespace in FIRST_NAMESPACES:
            if client.find("namespaces", namespace) is None:
                client.create("namespaces", {"metadata": {"name": namespace}})
        kubernetes_service.ensure_service(client, self.allocator.address(1))
        rbac_defaults.reconcile(client)
        admission_priority.bootstrap(client)
        register(client, kinds.KINDS)

    def answers_at(self, ip: str, port: int) -> None:
        """Let pods know where Service `kubernetes` leads to."""
        kubernetes_service.ensure_endpoints(Client(self, ADMIN._replace(name="system:apiserver")), ip, port)

    def _create(self, request: Request) -> Any:
        if request.kind.builtin == "bindings":
            return self._answer(subresources.as_pod_binding(request))
        if said := unattended.warning(request.kind, self.attended):
            request.warnings.append(said)
        review = reviews.REVIEWS.get(request.kind.kind) if request.kind.custom is None else None
        return self.registry.create(request) if review is None else reviews.answer(self, request, review)

    def _admit_question(self, request: Request) -> Request:
        asked = admission_request.asked_for(request)
        if asked is None:
            return request
        changed = admission.admit_question(self, request, asked)
        return request if changed is asked or request.body is not asked else replace(request, body=changed)

    def _admit(self, request: Request, obj: Object, old: Object | None) -> Object:
        escalation.check(self, request, obj, old)
        return admission.admit(self, request, obj, old)

    def _check(self, request: Request, obj: Object, old: Object | None) -> Object:
        return admission.check(self, request, obj, old)

    def _converter(self, crd: Object) -> Converter | None:
        by_webhook = get_path(crd, "spec.conversion.strategy") == "Webhook"
        return WebhookConverter(self, crd) if by_webhook else None

    def _allocate(self, request: Request, obj: Object, old: Object | None) -> Object:
        if request.kind is CRD:
            return self.definitions.accept(obj, timestamp(self.clock.now()))
        if request.kind is APISERVICE:
            return local_status(obj, timestamp(self.clock.now()))
        if request.kind is POLICY:
            return {**obj, "status": policy_types.status(obj, self.kinds())}
        if request.kind.builtin != "services":
            return obj
        take = self.allocator.try_out if request.options.get("dryRun") else self.allocator.admit
        complete, problems = take(obj, old)
        if problems:
            raise errors.invalid(request.kind, name_of(obj), problems)
        return complete

    def _began(self, kind: Kind, obj: Object) -> None:
        if kind is CRD:
            crd_finalizer.began(self, obj)

    def _ended(self, kind: Kind, obj: Object) -> None:
        crd_finalizer.ended(self, kind, obj)
        if kind.builtin == "services":
            self.allocator.release(obj)


def _kind(word: str) -> Kind:
    kind = kinds.find(word)
    assert kind is not None
    return kind

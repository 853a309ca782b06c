"""client-go's leader election: one leads, the others wait for as long as upstream's do.

Restates `client-go/tools/leaderelection/leaderelection_test.go` and the document "Leases" (concepts/architecture).
"""

from __future__ import annotations

from controllers_lab import Lab

from k8snb.apimachinery.errors import unavailable
from k8snb.apimachinery.meta import Object
from k8snb.client import Client
from k8snb.client.leaderelection import LeaderElector
from k8snb.clock import parse_timestamp

NAME = "kube-scheduler"


class Voter:
    """One instance that stands for election, and what it has been told."""

    def __init__(self, lab: Lab, identity: str) -> None:
        self.told: list[str] = []
        self.client = Client(lab.server)
        self.elector = LeaderElector(
            lab.context, self.client, name=NAME, identity=identity, on_started=lambda: self.told.append("started"),
            on_stopped=lambda: self.told.append("stopped"),
        )  # fmt: skip
        self.elector.start()

    def lose_the_apiserver(self) -> None:
        def refuse(request: object) -> None:
            raise unavailable("connection refused")

        self.client.transport = Broken(refuse)


class Broken:
    def __init__(self, handle: object) -> None:
        self.handle = handle

    def kinds(self) -> tuple[()]:
        return ()


def lease(lab: Lab) -> Object:
    spec: Object = lab.get("leases", NAME, "kube-system")["spec"]
    return spec


def test_the_first_instance_leads_at_once_and_says_so() -> None:
    """docs: concepts/architecture/leases (Leader election); client-go/tools/leaderelection: tryAcquireOrRenew."""
    lab = Lab().start()
    one = Voter(lab, "one")
    assert one.told == ["started"]
    spec = lease(lab)
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("one", 15, 0)
    [event] = lab.client.items("events", "kube-system")
    assert (event["reason"], event["message"]) == ("LeaderElection", "one became leader")
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Lease", NAME)


def test_a_leader_renews_every_two_seconds() -> None:
    """upstream: client-go/tools/leaderelection: retryPeriod."""
    lab = Lab().start()
    Voter(lab, "one")
    before = parse_timestamp(lease(lab)["renewTime"])
    lab.wait(2)
    assert parse_timestamp(lease(lab)["renewTime"]) == before + 2
    assert lease(lab)["acquireTime"] != lease(lab)["renewTime"]


def test_a_second_instance_stands_by_while_the_first_renews() -> None:
    """upstream: client-go/tools/leaderelection: tryAcquireOrRenew."""
    lab = Lab().start()
    one, two = Voter(lab, "one"), Voter(lab, "two")
    lab.wait(300)
    assert (one.told, two.told) == (["started"], [])


def test_a_lease_that_is_given_back_is_taken_over_at_the_next_try() -> None:
    """upstream: Upstream's ReleaseOnCancel; a try is due after 2 to 4.4 seconds."""
    lab = Lab().start()
    one, two = Voter(lab, "one"), Voter(lab, "two")
    one.elector.release()
    assert lease(lab)["holderIdentity"] == ""
    lab.wait(4.4)
    assert two.told == ["started"]
    assert (lease(lab)["holderIdentity"], lease(lab)["leaseTransitions"]) == ("two", 1)


def test_who_cannot_renew_gives_up_before_another_takes_over() -> None:
    """upstream: renewDeadline 10 s, leaseDuration 15 s: at no moment do two lead."""
    lab = Lab().start()
    one, two = Voter(lab, "one"), Voter(lab, "two")
    lab.wait(20)
    one.lose_the_apiserver()
    lab.wait(11)
    assert (one.told, two.told) == (["started"], [])
    lab.wait(3)
    assert (one.told, two.told) == (["started", "stopped"], [])
    lab.wait(10)
    assert two.told == ["started"]


def test_the_times_in_a_lease_are_compared_with_no_clock() -> None:
    """upstream: A lease whose renewTime lies far back, by a clock that is wrong, is held until nobody has touched it
    for 15 s."""
    lab = Lab().start()
    long_ago = "2001-01-01T00:00:00.000000Z"
    spec = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": long_ago, "acquireTime": long_ago}
    lab.client.create("leases", {"metadata": {"name": NAME, "namespace": "kube-system"}, "spec": spec})
    one = Voter(lab, "one")
    lab.wait(14)
    assert one.told == []
    lab.wait(6)
    assert one.told == ["started"]


def test_a_leader_whose_lease_somebody_edited_keeps_it() -> None:
    """upstream: The short way meets a conflict; the long way reads the lease again in the same try."""
    lab = Lab().start()
    one = Voter(lab, "one")
    lab.apply("leases", NAME, {"metadata": {"labels": {"seen": "yes"}}}, "kube-system")
    lab.wait(30)
    assert one.told == ["started"]
    assert lab.get("leases", NAME, "kube-system")["metadata"]["labels"] == {"seen": "yes"}

"""kube-proxy's rules and NetworkPolicies as netfilter has them, its health checks, and the port that is kept for them.

Rules: `pkg/proxy/iptables/proxier.go`, `pkg/proxy/healthcheck/service_health.go` and `pkg/registry/core/service` in the
kubernetes repository.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from shutil import which

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kube_proxy.healthcheck import answer
from k8snb.kube_proxy.netfilter import nat_table
from k8snb.kube_proxy.rules import CLUSTER_IP, HEALTH, NODE_PORT, Rule, Target
from k8snb.networkpolicy import PodRules
from k8snb.networkpolicy.netfilter import filter_table
from k8snb.networkpolicy.policies import Block, Opening

ONE, TWO = Target("10.244.1.5", 8080, "n1"), Target("10.244.2.5", 8080, "n2")
RULE = Rule(service="default/web", port_name="", protocol="TCP", listen=("10.96.0.9", 80), sort=CLUSTER_IP,
            targets=(ONE, TWO))  # fmt: skip
CHAINS = ("IN", "OUT")


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("-A")]


def test_each_endpoint_takes_its_share_of_what_is_left() -> None:
    where = "-A S -d 10.96.0.9/32 -p tcp --dport 80"
    assert lines(nat_table([RULE], "S")) == [
        f"{where} -m statistic --mode random --probability 0.5000000000 -j DNAT --to-destination 10.244.1.5:8080",
        f"{where} -j DNAT --to-destination 10.244.2.5:8080",
    ]


@pytest.mark.parametrize(
    "rule",
    [
        replace(RULE, protocol="UDP"), replace(RULE, affinity_seconds=10), replace(RULE, local=True),
        replace(RULE, sort=NODE_PORT), replace(RULE, source_ranges=("10.0.0.0/8",)), replace(RULE, targets=()),
        replace(RULE, targets=(Target("127.0.0.1", 80),)),
    ],
)  # fmt: skip
def test_what_a_pod_s_kernel_cannot_know_is_left_to_the_listener(rule: Rule) -> None:
    assert not lines(nat_table([rule], "S"))


def test_a_filter_lets_in_the_node_and_what_is_opened_and_drops_the_rest() -> None:
    openings = (Opening(Block("10.244.1.9/32"), "TCP", 80, 81), Opening(Block("10.0.0.0/8", ("10.1.0.0/16",)), "UDP"))
    text = filter_table(PodRules(openings, None), node="10.244.0.1", reach_out=("10.96.0.0/16",), chains=CHAINS)
    assert lines(text) == [
        "-A IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A IN -i lo -j ACCEPT",
        "-A IN -s 10.244.0.1/32 -j ACCEPT", "-A IN -s 10.244.1.9/32 -p tcp --dport 80:81 -j ACCEPT",
        "-A IN -s 10.0.0.0/8 -p udp -j IN-1", "-A IN-1 -s 10.1.0.0/16 -j RETURN", "-A IN-1 -j ACCEPT", "-A IN -j DROP",
    ]  # fmt: skip


def test_a_pod_that_may_not_go_out_reaches_services_whose_pods_are_judged_there() -> None:
    text = filter_table(PodRules(None, ()), node="10.244.0.1", reach_out=("10.96.0.0/16",), chains=CHAINS)
    assert lines(text)[1:] == [
        "-A OUT -o lo -j ACCEPT", "-A OUT -d 10.244.0.1/32 -j ACCEPT", "-A OUT -d 10.96.0.0/16 -j ACCEPT",
        "-A OUT -j DROP",
    ]  # fmt: skip


@pytest.mark.process
def test_netfilter_takes_what_is_written() -> None:
    openings = (Opening(Block("0.0.0.0/0", ("10.1.0.0/16",)), "SCTP", 1, 9), Opening(Block("10.0.0.0/8")))
    text = nat_table([RULE], "S") + filter_table(
        PodRules(openings, openings), node="10.244.0.1", reach_out=(), chains=CHAINS)  # fmt: skip
    program = which("iptables-restore", path="/usr/sbin:/sbin:/usr/bin")
    if program is None or which("unshare") is None:
        pytest.skip("optional: no iptables here")
    command = ["unshare", "-n", program]
    if subprocess.run(command, input="", text=True, capture_output=True, check=False).returncode:
        pytest.skip("optional: this user may not make a network namespace")
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert not done.returncode, done.stderr


def test_a_health_check_counts_the_node_s_own_endpoints() -> None:
    rule = replace(RULE, sort=HEALTH, local=True)
    status, body = answer(rule, "n1")
    assert (status, json.loads(body)) == (200, {
        "service": {"namespace": "default", "name": "web"}, "localEndpoints": 1, "serviceProxyHealthy": True,
    })  # fmt: skip
    assert answer(rule, "n3")[0] == 503
    assert answer(replace(rule, targets=(ONE._replace(ready=False),)), "n1")[0] == 503


def test_a_health_check_port_comes_and_goes_with_the_policy() -> None:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock()) as cluster:
        client = cluster.client
        spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
        made = client.create("services", {"metadata": {"name": "web"}, "spec": spec}, "default")
        number = made["spec"]["healthCheckNodePort"]
        assert number in range(30000, 32768) and number != made["spec"]["ports"][0]["nodePort"]
        with pytest.raises(ApiError, match=r"healthCheckNodePort: Invalid value: 30999: field is immutable"):
            client.patch("services", "web", {"spec": {"healthCheckNodePort": 30999}}, "default")
        changed = client.patch("services", "web", {"spec": {"externalTrafficPolicy": "Cluster"}}, "default")
        assert "healthCheckNodePort" not in changed["spec"]
        with pytest.raises(ApiError, match="may only be set when `type` is 'LoadBalancer'"):
            client.create("services", {"metadata": {"name": "no"}, "spec": {
                "type": "NodePort", "healthCheckNodePort": number, "ports": [{"port": 80}]}}, "default")  # fmt: skip

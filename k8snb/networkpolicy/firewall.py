"""Firewalls: what stands in the way of connections that k8snb does not carry itself.

Interface: `Unfiltered(why_not)`, a `Firewall` that holds nothing back and says so; `netfilter` has one that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8snb.networkpolicy import PodRules


@dataclass(frozen=True)
class Unfiltered:
    """`why_not`: what is not held back, and why."""

    why_not: str

    def program(self, rules: Callable[[], Mapping[str, PodRules]]) -> None:
        """There is nowhere to put them."""

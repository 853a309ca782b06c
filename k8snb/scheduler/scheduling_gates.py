"""SchedulingGates: a pod with a gate (`spec.schedulingGates`) is not looked at until somebody takes the gate away.

Source: `pkg/scheduler/framework/plugins/schedulinggates` in the kubernetes repository. The condition PodScheduled with
the reason SchedulingGated is the apiserver's (`applySchedulingGatedCondition` in `pkg/registry/core/pod/strategy.go`).
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.framework import Plugin


class SchedulingGates(Plugin):
    name = "SchedulingGates"

    def pre_enqueue(self, pod: Object) -> str:
        gates = pod["spec"].get("schedulingGates") or ()
        return f"waiting for scheduling gates: [{' '.join(gate['name'] for gate in gates)}]" if gates else ""

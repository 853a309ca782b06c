"""What cannot become of a volume whose claim has gone, and why.

Interface: `why_not_deleted(volume)`, `why_not_recycled(volume)`: the message of the event and of `status.message`.
The rule not to break: nobody's data is deleted by the controller; a provisioner deletes what it has made itself.
Source: `findDeletablePlugin`, `findRecyclablePluginBySpec` in `pkg/controller/volume/persistentvolume`, the deleter of
`pkg/volume/hostpath`. Upstream deletes host paths below /tmp and recycles host paths and NFS with a pod that scrubs.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, name_of


def why_not_deleted(volume: Object) -> str:
    path = get_path(volume, "spec.hostPath.path")
    if path is None:
        return f'error getting deleter volume plugin for volume "{name_of(volume)}": no deletable volume plugin matched'
    if not path.startswith("/tmp/"):
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    return f"host_path deleter: not implemented by k8snb: remove {path} on the node, then the PersistentVolume"


def why_not_recycled(volume: Object) -> str:
    if "hostPath" not in volume["spec"] and "nfs" not in volume["spec"]:
        return "No recycler plugin found for the volume!"
    return (
        "Recycle: not implemented by k8snb: the policy is deprecated; empty the volume and remove spec.claimRef to "
        "make it Available again, or use dynamic provisioning"
    )

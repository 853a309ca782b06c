"""kubectl: what a user can say: a client and a command line → tables, text or objects.

Interface: `Kubectl(client).run(argv) -> Output`; `KubectlError` for what failed; `Table` and `Stream` inside outputs.
The rule not to break: kubectl knows its client and nothing of the cluster, the notebook or the screen.
Real kubectl is `kubernetes/kubectl`: one folder per command under `pkg/cmd`, as here one file.
"""

from k8snb.kubectl.kubectl import Kubectl
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Stream, Table

__all__ = ["Column", "Kubectl", "KubectlError", "Output", "Row", "Stream", "Table"]

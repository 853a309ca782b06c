"""python: the Python that runs this notebook, taught the pod's address and the cluster's names.

The rule not to break: the program sees an ordinary Python; what k8snb changes lies in `sitecustomize`.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
    path = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    os.execv(sys.executable, ["python", *arguments])

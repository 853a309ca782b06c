"""The one way into a program of the catalogue: `python -S -E -I …/images/__main__.py nginx -g 'daemon off;'`.

The rule not to break: neither the package `k8snb` nor the catalogue itself is imported here. Empty stand-ins take their
places, so that a program pays only for the modules it names.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = {"k8snb": "../..", "k8snb.cri": "..", "k8snb.cri.images": "."}


def main(arguments: list[str]) -> int:
    """Run a program by its name; its exit code."""
    for name, folder in PACKAGES.items():
        package = ModuleType(name)
        package.__path__ = [os.path.normpath(os.path.join(HERE, folder))]
        sys.modules[name] = package
    program, *rest = arguments
    module = import_module("k8snb.cri.images." + program.replace("-", "_").replace(".", "_"))
    code: int = module.main(rest)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)

"""kustomize's errors.

Interface: `KustomizeError`.
The rule not to break: one line that a beginner can act on.
"""

from __future__ import annotations


class KustomizeError(ValueError):
    """A kustomization that cannot be built."""

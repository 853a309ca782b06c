"""Benchmarks: measured figures beside their targets. They print; they pass and fail nothing.

Interface: `python -m tests.benchmarks startup` from the top of the checkout.
"""

import sys
from pathlib import Path

# What tests and benchmarks share lies beside them, where pytest finds it by itself.
sys.path.insert(0, str(Path(__file__).parent.parent))

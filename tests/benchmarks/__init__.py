"""Benchmarks: measured figures beside their targets. They print; they pass and fail nothing.

Interface: `python -m tests.benchmarks startup` from the top of the checkout.
"""

"""Add-ons: what a cluster is given besides its own components.

Interface: `metrics_server`.
The rule not to break: an add-on is a client like any other; the cluster runs without it.
"""

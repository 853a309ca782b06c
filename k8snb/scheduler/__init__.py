"""kube-scheduler: queue → filter → score → bind.

Interface: `Scheduler`; `PLUGINS`, `Profile`, `profiles_of` a configuration, and `Plugin` to write one of one's own.
The rule not to break: the scheduler decides where a pod may run and does nothing to make it run there.
Source: `pkg/scheduler` in the kubernetes repository.
"""

from k8snb.scheduler.configuration import profiles_of
from k8snb.scheduler.framework import Plugin
from k8snb.scheduler.plugins import PLUGINS, Profile
from k8snb.scheduler.scheduler import Scheduler

__all__ = ["PLUGINS", "Plugin", "Profile", "Scheduler", "profiles_of"]

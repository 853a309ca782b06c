"""kubectl's commands: the table of all of them.

Interface: `COMMANDS`, by name and by alias; `""` is kubectl itself.
The rule not to break: a command is a row and a function; what is not here, kubectl does not know either.
Source: `kubectl/pkg/cmd/cmd.go`.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.kubectl import (
    apply,
    attach,
    auth,
    autoscale,
    certificate,
    completion_script,
    config,
    cp,
    create,
    create_batch,
    create_limits,
    create_more,
    create_rbac,
    debug,
    delete,
    describe,
    diff,
    drain,
    edit,
    exec,
    explain,
    expose,
    get,
    help,
    info,
    kustomize_command,
    label,
    logs,
    nodes,
    patch,
    plugin,
    port_forward,
    proxy,
    rollout,
    run_pod,
    scale,
    set_env,
    set_image,
    set_more,
    taint,
    top,
    wait,
)
from k8snb.kubectl.events import COMMANDS as EVENTS
from k8snb.kubectl.grammar import Command


def _absent(group: str, **commands: str) -> tuple[Command, ...]:
    """Commands of kubectl that k8snb does not have, so that it can say so by name."""
    return tuple(Command(name=name.replace("_", "-"), help=help, group=group, missing_command=True)
                 for name, help in commands.items())  # fmt: skip


ROWS: tuple[Command, ...] = (
    Command(name="", usage="COMMAND [flags]", help="kubectl controls the cluster."),
    *create.COMMANDS,
    *create_batch.COMMANDS,
    *create_limits.COMMANDS,
    *create_rbac.COMMANDS,
    *create_more.COMMANDS,
    *expose.COMMANDS,
    *run_pod.COMMANDS,
    Command(name="set", usage="SUBCOMMAND [flags]", help="Set one feature of objects that exist.",
            group="Basic Commands (Beginner)"),
    *set_env.COMMANDS,
    *set_image.COMMANDS,
    *set_more.COMMANDS,
    *explain.COMMANDS,
    *get.COMMANDS,
    *delete.COMMANDS,
    *edit.COMMANDS,
    *rollout.COMMANDS,
    *scale.COMMANDS,
    *autoscale.COMMANDS,
    *info.CLUSTER,
    *nodes.COMMANDS,
    *certificate.COMMANDS,
    *top.COMMANDS,
    *drain.COMMANDS,
    *taint.COMMANDS,
    *describe.COMMANDS,
    *logs.COMMANDS,
    *exec.COMMANDS,
    *attach.COMMANDS,
    *port_forward.COMMANDS,
    *cp.COMMANDS,
    *debug.COMMANDS,
    *EVENTS,
    *proxy.COMMANDS,
    *auth.COMMANDS,
    *apply.COMMANDS,
    *patch.COMMANDS,
    *wait.COMMANDS,
    *diff.COMMANDS,
    *kustomize_command.COMMANDS,
    *label.COMMANDS,
    *completion_script.COMMANDS,
    *info.OTHER,
    *config.COMMANDS,
    *help.COMMANDS,
    *plugin.COMMANDS,
)  # fmt: skip

COMMANDS: Mapping[str, Command] = {
    name: command for command in reversed(ROWS) for name in (command.name, *command.aliases)
}

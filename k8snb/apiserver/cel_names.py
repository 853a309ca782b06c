"""kube-apiserver's names in CEL: what the expressions of policies and webhooks may speak of.

Interface: `VARIABLES`, `ABOUT_RIGHTS`; `of_policy(spec, …)`.
The rule not to break: what an expression may speak of when it is written is what it is given when it is run.
Source: `mustBuildEnvs` in `apiserver/pkg/admission/plugin/cel/compile.go`, `apiserver/pkg/cel/library/authz.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object

VARIABLES = ("object", "oldObject", "request", "authorizer")
# functions of `authorizer`, and of what comes of it; the first five name parts of what is asked for
ABOUT_RIGHTS = ("group", "resource", "subresource", "namespace", "name", "path", "check", "allowed", "reason",
                "errored", "error", "serviceAccount")  # fmt: skip


def of_policy(spec: Object, *, authorizer: bool = True, variables: bool = True) -> tuple[str, ...]:
    """The variables that a policy's expressions know; some are without `authorizer`, or without the policy's own."""
    params = ("params",) if spec.get("paramKind") else ()
    given = [name for name in VARIABLES if authorizer or name != "authorizer"]
    return (*given, "namespaceObject", *params, *(("variables",) if variables else ()))

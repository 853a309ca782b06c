"""The story of a cluster: what happened, who did it, why, and what is missing.

Interface: `trace`, `blame` and `why`, each a function of the history or of the cluster that answers rows of plain data;
`moments` and `then`, to ask of the past; `compared`, `scenes` and `futures`, what changed, what mattered and what is
unlike. What shows them is the notebook.
The rule not to break: a reason is told with its evidence, an object and field, a revision or a line of a log, or it is
not told.
Real Kubernetes has no such thing: people put it together from events, audit logs and experience.
"""

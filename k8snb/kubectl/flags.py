"""Flags that several of kubectl's commands share.

Interface: one `Flag` each, for the rows of the commands.
The rule not to break: a flag that stands in a row has an effect in that command.
"""

from __future__ import annotations

from k8snb.kubectl.grammar import ARRAY, BOOL, DURATION, INT, STRINGS, Flag

FILENAME = Flag("filename", STRINGS, "File, directory, glob or URL with manifests; - is the cell's body.", short="f")
RECURSIVE = Flag("recursive", BOOL, "Read directories named with -f with all that is below them.", short="R")
KUSTOMIZE = Flag("kustomize", help="A directory with a kustomization; not together with -f.", short="k")
SELECTOR = Flag("selector", help="Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.", short="l",
                values=(":labels",))  # fmt: skip
FIELD_SELECTOR = Flag("field-selector", help="Selector on fields, such as status.phase=Running.")
ALL = Flag("all", BOOL, "All objects of these kinds in the namespace.")
ALL_NAMESPACES = Flag("all-namespaces", BOOL, "Objects of all namespaces.", short="A")
DRY_RUN = Flag("dry-run", help="client: only print what would be sent; server: send it, and let nothing be kept.",
               default="none", bare="client", values=("none", "client", "server"))  # fmt: skip
OUTPUT = Flag("output", help="Format: json, yaml, name, jsonpath=…, go-template=…", short="o",
              values=("json", "yaml", "name", "jsonpath=", "go-template="))  # fmt: skip
OUTPUT_TABLE = Flag("output", help="Format: wide, json, yaml, name, jsonpath=…, go-template=…, custom-columns=…",
                    short="o", values=("wide", "json", "yaml", "name", "jsonpath=", "go-template=",
                                       "custom-columns="))  # fmt: skip
OUTPUT_NAME = Flag("output", help="Format: name prints type/name and no more.", short="o", values=("name",))
MANAGED_FIELDS = Flag("show-managed-fields", BOOL, "Keep managedFields in JSON and YAML.")
MISSING_KEYS = Flag("allow-missing-template-keys", BOOL, "Print nothing for fields that an object does not have.",
                    default=True)  # fmt: skip
TEMPLATE = Flag("template", help="The text (or for the -file formats the file) of a template; alone a Go template.")
FIELD_MANAGER = Flag("field-manager", help="The name under which the server notes who owns the fields.")
VALIDATE = Flag("validate", help="strict: refuse unknown fields; warn: say so; ignore: drop them.", default="strict",
                bare="strict", values=("strict", "warn", "ignore"))  # fmt: skip
SAVE_CONFIG = Flag("save-config", BOOL, "Keep the manifest in the last-applied annotation, for a later apply.")
IGNORE_NOT_FOUND = Flag("ignore-not-found", BOOL, "No error for objects that do not exist.")
NO_HEADERS = Flag("no-headers", BOOL, "Leave the line of column names out.")
SHOW_LABELS = Flag("show-labels", BOOL, "Show all labels in a last column.")
RESOURCE_VERSION = Flag("resource-version", help="Only if the object is at this resourceVersion.")
OVERRIDES = Flag("overrides", help="JSON that is merged over the generated object.")
OVERRIDE_TYPE = Flag("override-type", help="How --overrides is read: as a merge patch, a strategic or a JSON one.",
                     default="merge", values=("json", "merge", "strategic"))  # fmt: skip
LOCAL = Flag("local", BOOL, "Change what -f names and print it; the cluster is not asked.")
CHUNK_SIZE = Flag("chunk-size", INT, "How many objects of a long list are asked for at a time; 0: all.", default=500)
SUBRESOURCE = Flag("subresource", help="The part of the object that is meant.", values=("status", "scale", "resize"))
WINDOWS = Flag("windows-line-endings", BOOL, "In the editor, lines end as Windows has them.")
CASCADE = Flag("cascade", help="What becomes of dependents: background, foreground or orphan.", default="background",
               bare="background", values=("background", "foreground", "orphan"))  # fmt: skip
GRACE_PERIOD = Flag("grace-period", INT, "Seconds that a pod gets to end; 0 needs --force.", default=-1)
FORCE = Flag("force", BOOL, "Remove at once, without waiting for the pod to end.")
WAIT = Flag("wait", BOOL, "Wait until the objects are gone.", default=True)
TIMEOUT = Flag("timeout", DURATION, "How long to wait: 30s, 5m; 0 means as long as it needs.")
REPLICAS = Flag("replicas", INT, "How many pods are wanted.", short="r", default=1)
PORT = Flag("port", help="The port that is exposed.")
ENV = Flag("env", ARRAY, "An environment variable, NAME=VALUE; repeatable.")

PRINTING = (OUTPUT, MANAGED_FIELDS, MISSING_KEYS, TEMPLATE)
FILES = (FILENAME, RECURSIVE, KUSTOMIZE)
WRITING = (DRY_RUN, FIELD_MANAGER, *PRINTING)

"""kubectl's commands as methods, from the grammar's rows. Made by methods_build.py; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from typing_extensions import Unpack

from k8snb.kubectl.output import Output

Word = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
Text = str | int | float | Mapping[str, Any]
Texts = str | Sequence[str] | Mapping[str, Any]

class Everywhere(TypedDict, total=False):
    """What every command may be given besides."""

    as_: Text | None
    as_group: Texts | None
    as_uid: Text | None
    kubeconfig: Text | None
    context: Text | None
    disable_compression: bool | None
    request_timeout: Text | None
    warnings_as_errors: bool | None
    match_server_version: bool | None
    v: int | None

class Methods:
    def run(self, argv: str | Sequence[str], stdin: str | None = None, *, asks: bool = False) -> Output: ...
    def annotate(
        self,
        *words: Word,
        all: bool | None = None,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        field_selector: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        list: bool | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        overwrite: bool | None = None,
        recursive: bool | None = None,
        resource_version: Text | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set or remove annotations.

        kubectl annotate [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N
        [--resource-version=VERSION] [flags]

        overwrite: Change annotations that have a value.
        list: Only show the annotations.
        all: All objects of these kinds in the namespace.
        all_namespaces: Objects of all namespaces.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        resource_version: Only if the object is at this resourceVersion.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def api_resources(
        self,
        *words: Word,
        api_group: Text | None = None,
        categories: Texts | None = None,
        namespace: Text | None = None,
        namespaced: bool | None = None,
        no_headers: bool | None = None,
        output: Text | None = None,
        sort_by: Text | None = None,
        verbs: Texts | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List the kinds that the server serves.

        kubectl api-resources [flags]

        output: Format: wide or name.
        namespaced: Only kinds that are (or with =false are not) namespaced.
        api_group: Only kinds of this group.
        categories: Only kinds in these categories.
        verbs: Only kinds that know these verbs.
        sort_by: Sort by name or kind.
        no_headers: Leave the line of column names out.
        """
    def api_versions(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List the groups and versions that the server serves.

        kubectl api-versions [flags]
        """
    def apply(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        cascade: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        force: bool | None = None,
        force_conflicts: bool | None = None,
        grace_period: int | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        overwrite: bool | None = None,
        prune: bool | None = None,
        prune_allowlist: Texts | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        server_side: bool | None = None,
        show_managed_fields: bool | None = None,
        subresource: Text | None = None,
        template: Text | None = None,
        timeout: Text | None = None,
        validate: Text | None = None,
        wait: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Bring the cluster to what manifests say: create what is missing, change what differs.

        kubectl apply -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        server_side: Let the server merge, and keep who wrote which field.
        force_conflicts: With --server-side: take fields over from other managers.
        prune: Delete what was applied once and is in the manifests no longer. Needs -l or --all.
        prune_allowlist: The kinds that --prune may delete, GROUP/VERSION/KIND; repeatable.
        all: With --prune: whatever its labels.
        cascade: What becomes of dependents: background, foreground or orphan.
        grace_period: Seconds that a pod gets to end; 0 needs --force.
        force: Delete and create anew what cannot be changed.
        overwrite: With =false: leave fields alone that others have changed since.
        wait: With --prune: wait until what was deleted is gone.
        timeout: How long to wait: 30s, 5m; 0 means as long as it needs.
        subresource: The part of the object that is meant.
        """
    def apply_edit_last_applied(
        self,
        *words: Word,
        all: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        windows_line_endings: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Edit the manifest that an object remembers as applied last.

        kubectl apply edit-last-applied (RESOURCE/NAME | -f FILENAME) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        output: Edit as yaml or as json.
        field_manager: The name under which the server notes who owns the fields.
        windows_line_endings: In the editor, lines end as Windows has them.
        """
    def apply_set_last_applied(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        create_annotation: bool | None = None,
        dry_run: Text | None = None,
        filename: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Remember a manifest as applied, without changing anything else.

        kubectl apply set-last-applied -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        create_annotation: Make the annotation where the object has none.
        """
    def apply_view_last_applied(
        self,
        *words: Word,
        all: bool | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the manifest that was applied last.

        kubectl apply view-last-applied (TYPE NAME | TYPE/NAME | -f FILENAME) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        output: Format: yaml or json.
        """
    def attach(
        self,
        *words: Word,
        container: Text | None = None,
        namespace: Text | None = None,
        pod_running_timeout: Text | None = None,
        quiet: bool | None = None,
        stdin: bool | None = None,
        tty: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Attach to a running container.

        kubectl attach (POD | TYPE/NAME) [-c CONTAINER] [flags]

        container: The container; the first one if not given.
        stdin: Pass on what is given to read: a cell's body, or what is typed.
        tty: Use the container's terminal, where somebody types.
        quiet: Print only what the program prints.
        pod_running_timeout: How long to wait for a pod of a workload: 5s, 2m, 3h.
        """
    def auth(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Ask who may do what.

        kubectl auth SUBCOMMAND [flags]
        """
    def auth_can_i(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        list: bool | None = None,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        quiet: bool | None = None,
        subresource: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Whether one may do something: yes or no.

        kubectl auth can-i VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [flags]

        all_namespaces: Objects of all namespaces.
        list: Show all that one may do in the namespace.
        no_headers: Leave the line of column names out.
        quiet: Print nothing: the exit code says it.
        subresource: A subresource, such as log or scale.
        """
    def auth_reconcile(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        remove_extra_permissions: bool | None = None,
        remove_extra_subjects: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Make roles and bindings grant at least what manifests say.

        kubectl auth reconcile -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        remove_extra_permissions: Take away what the manifests do not say.
        remove_extra_subjects: Take away whom the manifests do not name.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def auth_whoami(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""The name and the groups that one is known by.

        kubectl auth whoami [flags]

        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def autoscale(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        cpu_percent: int | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        max: int | None = None,
        min: int | None = None,
        name: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Let the number of pods follow their load.

        kubectl autoscale (-f FILENAME | TYPE NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU] [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        max: The most pods there may be.
        min: The fewest pods there shall be.
        cpu_percent: The share of the requested processor time that pods shall use.
        name: The autoscaler's name; that of its target if none is given.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def certificate(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Approve or deny certificate requests.

        kubectl certificate SUBCOMMAND
        """
    def certificate_approve(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        filename: Texts | None = None,
        force: bool | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Approve a certificate request.

        kubectl certificate approve (-f FILENAME | NAME) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        force: Write the decision again where it was taken before.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def certificate_deny(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        filename: Texts | None = None,
        force: bool | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Deny a certificate request.

        kubectl certificate deny (-f FILENAME | NAME) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        force: Write the decision again where it was taken before.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def cluster_info(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Say where the control plane and its services are.

        kubectl cluster-info [flags]
        """
    def cluster_info_dump(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        namespace: Text | None = None,
        namespaces: Texts | None = None,
        output: Text | None = None,
        output_directory: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Print, or write to files, what is in the cluster.

        kubectl cluster-info dump [flags]

        output_directory: A directory for the files; without, or with -, all is printed.
        namespaces: The namespaces to dump; kube-system and the one in use if not given.
        all_namespaces: Objects of all namespaces.
        output: Format: json, yaml, name, jsonpath=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def completion(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Print what a shell has to read so that Tab completes `k8snb kubectl`; no test ever ran powershell's.

        kubectl completion (bash|zsh|fish|powershell)
        """
    def config(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Change the kubeconfig: which clusters there are and which is meant.

        kubectl config SUBCOMMAND
        """
    def config_current_context(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the current context.

        kubectl config current-context [flags]
        """
    def config_delete_cluster(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Delete a cluster's entry.

        kubectl config delete-cluster NAME [flags]
        """
    def config_delete_context(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Delete a context.

        kubectl config delete-context NAME [flags]
        """
    def config_delete_user(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Delete a user's entry.

        kubectl config delete-user NAME [flags]
        """
    def config_get_clusters(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the clusters.

        kubectl config get-clusters [flags]
        """
    def config_get_contexts(
        self,
        *words: Word,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        output: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the contexts.

        kubectl config get-contexts [NAME...] [-o name] [flags]

        output: Format: name.
        no_headers: Leave the header line out.
        """
    def config_get_users(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the users.

        kubectl config get-users [flags]
        """
    def config_rename_context(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Give a context another name.

        kubectl config rename-context CONTEXT_NAME NEW_NAME [flags]
        """
    def config_set(
        self,
        *words: Word,
        namespace: Text | None = None,
        set_raw_bytes: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set one value, such as clusters.NAME.server.

        kubectl config set PROPERTY_NAME PROPERTY_VALUE [flags]

        set_raw_bytes: Take a value of bytes as it is, where it would have to be base64.
        """
    def config_set_cluster(
        self,
        *words: Word,
        certificate_authority: Text | None = None,
        embed_certs: bool | None = None,
        insecure_skip_tls_verify: bool | None = None,
        namespace: Text | None = None,
        proxy_url: Text | None = None,
        server: Text | None = None,
        tls_server_name: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Add or change a cluster's entry.

        kubectl config set-cluster NAME [--server=URL] [--certificate-authority=FILE] [flags]

        server: The server's URL.
        certificate_authority: A file with the authority's certificate.
        embed_certs: Put the file's contents into the kubeconfig.
        insecure_skip_tls_verify: Do not check the server's certificate.
        tls_server_name: The name to check the server's certificate for.
        proxy_url: The proxy on the way to the server, http://HOST:PORT.
        """
    def config_set_context(
        self,
        *words: Word,
        cluster: Text | None = None,
        current: bool | None = None,
        namespace: Text | None = None,
        user: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Add or change a context.

        kubectl config set-context [NAME | --current] [--cluster=NAME] [--user=NAME] [--namespace=NAME] [flags]

        current: The current context.
        cluster: The cluster's entry.
        user: The user's entry.
        namespace: The namespace that is meant without -n.
        """
    def config_set_credentials(
        self,
        *words: Word,
        auth_provider: Text | None = None,
        auth_provider_arg: Texts | None = None,
        client_certificate: Text | None = None,
        client_key: Text | None = None,
        embed_certs: bool | None = None,
        exec_api_version: Text | None = None,
        exec_arg: Texts | None = None,
        exec_command: Text | None = None,
        exec_env: Texts | None = None,
        exec_interactive_mode: Text | None = None,
        exec_provide_cluster_info: bool | None = None,
        namespace: Text | None = None,
        password: Text | None = None,
        token: Text | None = None,
        username: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Add or change a user's entry.

        kubectl config set-credentials NAME [--client-certificate=FILE --client-key=FILE] [--token=TOKEN]
        [--username=NAME --password=PASSWORD] [flags]

        client_certificate: A file with the client's certificate.
        client_key: A file with the client's key.
        embed_certs: Put the files' contents into the kubeconfig.
        token: A bearer token.
        username: A user name.
        password: A password.
        auth_provider: An auth provider's name.
        auth_provider_arg: KEY=VALUE for the auth provider; KEY- takes one away.
        exec_command: The program that says who one is.
        exec_api_version: The plug-in's API version.
        exec_arg: An argument of the command; repeatable.
        exec_env: KEY=VALUE for the command's environment; KEY- takes one away.
        exec_interactive_mode: Whether the command may ask.
        exec_provide_cluster_info: Whether the command is told of the cluster.
        """
    def config_unset(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Take one value away.

        kubectl config unset PROPERTY_NAME [flags]
        """
    def config_use_context(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Mean another context from now on.

        kubectl config use-context CONTEXT_NAME [flags]
        """
    def config_view(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        flatten: bool | None = None,
        merge: bool | None = None,
        minify: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        raw: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show the kubeconfig, or what several files say together.

        kubectl config view [flags]

        output: Format: json,jsonpath,jsonpath-as-json,jsonpath-file,name,yaml.
        raw: Show tokens, passwords, certificates and keys.
        minify: Only what the current context needs.
        flatten: With the contents of the files that it names, to be carried elsewhere.
        allow_missing_template_keys: Do not mind fields that are missing.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        merge: With =false: only the file that --kubeconfig names, for which that flag is needed.
        """
    def cordon(
        self,
        *words: Word,
        dry_run: Text | None = None,
        namespace: Text | None = None,
        selector: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Mark a node so that no pod is scheduled to it.

        kubectl cordon NODE [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        """
    def cp(
        self,
        *words: Word,
        container: Text | None = None,
        namespace: Text | None = None,
        no_preserve: bool | None = None,
        retries: int | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Copy files to and from containers.

        kubectl cp FILE-SPEC-SRC FILE-SPEC-DEST [flags]

        container: The container; the first one if not given.
        no_preserve: Do not keep owners and permissions in the container.
        retries: How often to go on with a copy from a container where it broke off; -1: always.
        """
    def create(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        edit: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        raw: Text | None = None,
        recursive: bool | None = None,
        save_config: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        windows_line_endings: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create objects from manifests, or with a generator.

        kubectl create -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        edit: Change the manifest in an editor first.
        windows_line_endings: In the editor, lines end as Windows has them.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        raw: A path on the server, to be asked as it is.
        """
    def create_clusterrole(
        self,
        *words: Word,
        aggregation_rule: Text | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        non_resource_url: Texts | None = None,
        output: Text | None = None,
        resource: Texts | None = None,
        resource_name: Texts | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        verb: Texts | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a ClusterRole: what may be done in all namespaces.

        kubectl create clusterrole NAME --verb=VERB --resource=RESOURCE [flags]

        verb: What may be done: get,list,watch,…; repeatable.
        resource: On what: pods,deployments.apps,pods/log; repeatable.
        resource_name: Only on the object of this name; repeatable.
        non_resource_url: A path such as /healthz; repeatable.
        aggregation_rule: Take over the rules of ClusterRoles with these labels.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_clusterrolebinding(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        clusterrole: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        group: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        serviceaccount: Texts | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        user: Texts | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a ClusterRoleBinding: who has a role everywhere.

        kubectl create clusterrolebinding NAME --clusterrole=NAME [flags]

        clusterrole: The ClusterRole.
        user: A user; repeatable.
        group: A group; repeatable.
        serviceaccount: A service account, NAMESPACE:NAME; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_configmap(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        append_hash: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        from_env_file: Texts | None = None,
        from_file: Texts | None = None,
        from_literal: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a ConfigMap from literals, files or directories.

        kubectl create configmap NAME [flags]

        from_literal: KEY=VALUE; repeatable.
        from_file: A file, KEY=FILE, or a directory whose files become keys; repeatable.
        from_env_file: A file with KEY=VALUE lines; repeatable.
        append_hash: End the name with a hash of the content.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_cronjob(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        image: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        restart: Text | None = None,
        save_config: bool | None = None,
        schedule: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a CronJob that runs an image by a schedule.

        kubectl create cronjob NAME --image=IMAGE --schedule='0/5 * * * ?' [-- COMMAND ARGS...] [flags]

        image: The image to run.
        schedule: When to run it, in cron's words.
        restart: The pods' restartPolicy: OnFailure or Never.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_deployment(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        image: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        port: int | None = None,
        replicas: int | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Deployment that runs an image.

        kubectl create deployment NAME --image=IMAGE [-- COMMAND ARGS...] [flags]

        image: The image to run; repeatable.
        replicas: How many pods are wanted.
        port: The port that the container listens on.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_ingress(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        annotation: Texts | None = None,
        class_: Text | None = None,
        default_backend: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        rule: Texts | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create an Ingress: which requests go to which Service.

        kubectl create ingress NAME --rule=HOST/PATH=SERVICE:PORT[,tls[=SECRET]] [flags]

        rule: HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; repeatable.
        default_backend: SERVICE:PORT for all other requests.
        class_: The IngressClass.
        annotation: KEY=VALUE; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_job(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        from_: Text | None = None,
        image: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Job that runs an image, or what a CronJob runs.

        kubectl create job NAME --image=IMAGE [--from=cronjob/NAME] [-- COMMAND ARGS...] [flags]

        image: The image to run.
        from_: The CronJob to make a Job of: cronjob/NAME.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_namespace(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Namespace.

        kubectl create namespace NAME [flags]

        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_poddisruptionbudget(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        max_unavailable: Text | None = None,
        min_available: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a PodDisruptionBudget: how many pods have to stay.

        kubectl create poddisruptionbudget NAME --selector=SELECTOR --min-available=N [flags]

        selector: The pods that are meant.
        min_available: How many have to stay: a number, or a percentage.
        max_unavailable: How many may be missing: a number, or a percentage.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_priorityclass(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        description: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        global_default: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        preemption_policy: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        value: int | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a PriorityClass.

        kubectl create priorityclass NAME --value=VALUE [flags]

        value: The number: pods with a greater one go first.
        global_default: The class of pods that name none.
        description: When this class should be used.
        preemption_policy: Whether pods of the class drive others out.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_quota(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        hard: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        scopes: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a ResourceQuota.

        kubectl create quota NAME [--hard=KEY=VALUE,...] [--scopes=SCOPE,...] [flags]

        hard: The limits: RESOURCE=QUANTITY, separated by commas.
        scopes: Which pods the quota is for: scopes, separated by commas.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_role(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        resource: Texts | None = None,
        resource_name: Texts | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        verb: Texts | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Role: what may be done in a namespace.

        kubectl create role NAME --verb=VERB --resource=RESOURCE [flags]

        verb: What may be done: get,list,watch,…; repeatable.
        resource: On what: pods,deployments.apps,pods/log; repeatable.
        resource_name: Only on the object of this name; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_rolebinding(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        clusterrole: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        group: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        role: Text | None = None,
        save_config: bool | None = None,
        serviceaccount: Texts | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        user: Texts | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a RoleBinding: who has a role in a namespace.

        kubectl create rolebinding NAME --clusterrole=NAME|--role=NAME [flags]

        role: The Role.
        clusterrole: The ClusterRole.
        user: A user; repeatable.
        group: A group; repeatable.
        serviceaccount: A service account, NAMESPACE:NAME; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_secret(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Secret.

        kubectl create secret (docker-registry|generic|tls) NAME [flags]
        """
    def create_secret_docker_registry(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        append_hash: bool | None = None,
        docker_email: Text | None = None,
        docker_password: Text | None = None,
        docker_server: Text | None = None,
        docker_username: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        from_file: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Secret that pulls images from a registry.

        kubectl create secret docker-registry NAME --docker-username=USER --docker-password=PASSWORD [flags]

        append_hash: End the name with a hash of the content.
        docker_server: The registry.
        docker_username: Who asks.
        docker_password: The password.
        docker_email: An e-mail address.
        from_file: A Docker configuration file with credentials.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_secret_generic(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        append_hash: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        from_env_file: Texts | None = None,
        from_file: Texts | None = None,
        from_literal: Texts | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        type: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Secret from literals, files or directories.

        kubectl create secret generic NAME [flags]

        from_literal: KEY=VALUE; repeatable.
        from_file: A file, KEY=FILE, or a directory whose files become keys; repeatable.
        from_env_file: A file with KEY=VALUE lines; repeatable.
        append_hash: End the name with a hash of the content.
        type: The type of the secret.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_secret_tls(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        append_hash: bool | None = None,
        cert: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        key: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Secret from a certificate and its key.

        kubectl create secret tls NAME --cert=FILE --key=FILE [flags]

        append_hash: End the name with a hash of the content.
        cert: The file of the certificate, PEM.
        key: The file of the key.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_service(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Service over the pods labelled app=NAME.

        kubectl create service (clusterip|nodeport|loadbalancer|externalname) NAME [flags]
        """
    def create_service_clusterip(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        clusterip: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        tcp: Texts | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Service with an IP of its own.

        kubectl create service clusterip NAME [flags]

        tcp: PORT or PORT:TARGET; repeatable.
        clusterip: The IP to take; None for a headless service.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_service_externalname(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        external_name: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        tcp: Texts | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Service that is another name for a host.

        kubectl create service externalname NAME [flags]

        external_name: The host's DNS name.
        tcp: PORT or PORT:TARGET; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_service_loadbalancer(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        tcp: Texts | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Service with a load balancer before it.

        kubectl create service loadbalancer NAME [flags]

        tcp: PORT or PORT:TARGET; repeatable.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_service_nodeport(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        node_port: int | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        tcp: Texts | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a Service with a port on every node.

        kubectl create service nodeport NAME [flags]

        tcp: PORT or PORT:TARGET; repeatable.
        node_port: The port to take on the nodes.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_serviceaccount(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Create a ServiceAccount.

        kubectl create serviceaccount NAME [flags]

        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def create_token(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        audience: Texts | None = None,
        bound_object_kind: Text | None = None,
        bound_object_name: Text | None = None,
        bound_object_uid: Text | None = None,
        duration: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Ask for a token of a service account.

        kubectl create token SERVICE_ACCOUNT_NAME [flags]

        audience: For whom the token is; repeatable.
        duration: How long it is good for; the server may give less.
        bound_object_kind: Good only while this object lives.
        bound_object_name: The name of that object.
        bound_object_uid: The UID of that object.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def debug(
        self,
        *words: Word,
        arguments_only: bool | None = None,
        attach: bool | None = None,
        container: Text | None = None,
        copy_to: Text | None = None,
        custom: Text | None = None,
        env: Texts | None = None,
        filename: Texts | None = None,
        image: Text | None = None,
        image_pull_policy: Text | None = None,
        keep_annotations: bool | None = None,
        keep_init_containers: bool | None = None,
        keep_labels: bool | None = None,
        keep_liveness: bool | None = None,
        keep_readiness: bool | None = None,
        keep_startup: bool | None = None,
        namespace: Text | None = None,
        profile: Text | None = None,
        quiet: bool | None = None,
        replace: bool | None = None,
        same_node: bool | None = None,
        set_image: Texts | None = None,
        share_processes: bool | None = None,
        stdin: bool | None = None,
        target: Text | None = None,
        tty: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Start containers to look into others.

        kubectl debug (POD | TYPE/NAME) [flags] [-- COMMAND [args...]]

        image: The image of the debugging container.
        container: The name of the debugging container; with --copy-to also of one that is there.
        target: The container whose processes it is to see.
        profile: What it may do.
        custom: A file, JSON or YAML, with fields of a container to lay over the debugging one.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        env: An environment variable, NAME=VALUE; repeatable.
        image_pull_policy: When to pull the image.
        arguments_only: What follows -- are the arguments of the image's own command.
        attach: Listen to the container when it runs; with -i that is so anyway.
        stdin: Pass on what is given to read: a cell's body, or what is typed.
        tty: Give the container a terminal.
        quiet: Print only what the program prints.
        copy_to: Make a copy of the pod with this name instead.
        replace: With --copy-to: delete the original.
        same_node: With --copy-to: put the copy on the original's node.
        set_image: With --copy-to: other images, container=image; * means all.
        share_processes: With --copy-to: the containers see each other's processes.
        keep_annotations: With --copy-to: keep the annotations.
        keep_labels: With --copy-to: keep the labels.
        keep_init_containers: With --copy-to: keep the init containers.
        keep_liveness: With --copy-to: keep the liveness probes.
        keep_readiness: With --copy-to: keep the readiness probes.
        keep_startup: With --copy-to: keep the startup probes.
        """
    def delete(
        self,
        *words: Word,
        all: bool | None = None,
        all_namespaces: bool | None = None,
        cascade: Text | None = None,
        dry_run: Text | None = None,
        field_selector: Text | None = None,
        filename: Texts | None = None,
        force: bool | None = None,
        grace_period: int | None = None,
        ignore_not_found: bool | None = None,
        interactive: bool | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        now: bool | None = None,
        output: Text | None = None,
        raw: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        timeout: Text | None = None,
        wait: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Delete objects by manifest, by name, by selector, or all of a kind.

        kubectl delete ([-f FILENAME] | TYPE [(NAME | -l label | --all)]) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        all: All objects of these kinds in the namespace.
        all_namespaces: Objects of all namespaces.
        cascade: What becomes of dependents: background, foreground or orphan.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        force: Remove at once, without waiting for the pod to end.
        grace_period: Seconds that a pod gets to end; 0 needs --force.
        ignore_not_found: No error for objects that do not exist.
        now: The same as --grace-period=1.
        output: Format: name prints type/name and no more.
        timeout: How long to wait: 30s, 5m; 0 means as long as it needs.
        wait: Wait until the objects are gone.
        raw: A path on the server, to be asked as it is.
        interactive: Ask before anything is deleted.
        """
    def describe(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        chunk_size: int | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_events: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show all that is known of objects, with the events about them.

        kubectl describe (-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all_namespaces: Objects of all namespaces.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        chunk_size: How many objects of a long list are asked for at a time; 0: all.
        show_events: End with the events about the object.
        """
    def diff(
        self,
        *words: Word,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        force_conflicts: bool | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        prune: bool | None = None,
        prune_allowlist: Texts | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        server_side: bool | None = None,
        show_managed_fields: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show what apply would change. Exit code 0: nothing, 1: something, 2: it cannot be told.

        kubectl diff -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_manager: The name under which the server notes who owns the fields.
        show_managed_fields: Keep managedFields in JSON and YAML.
        server_side: As apply --server-side would change it.
        force_conflicts: With --server-side: as if fields were taken over from other managers.
        prune: Show also what apply --prune would delete.
        prune_allowlist: The kinds that --prune may delete, GROUP/VERSION/KIND; repeatable.
        """
    def drain(
        self,
        *words: Word,
        chunk_size: int | None = None,
        delete_emptydir_data: bool | None = None,
        disable_eviction: bool | None = None,
        dry_run: Text | None = None,
        force: bool | None = None,
        grace_period: int | None = None,
        ignore_daemonsets: bool | None = None,
        namespace: Text | None = None,
        pod_selector: Text | None = None,
        selector: Text | None = None,
        skip_wait_for_delete_timeout: int | None = None,
        timeout: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Empty a node for maintenance: cordon it, and evict its pods.

        kubectl drain NODE [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        pod_selector: Evict only pods with these labels.
        ignore_daemonsets: Leave pods of DaemonSets where they are.
        delete_emptydir_data: Go on even where data in emptyDir volumes are lost.
        force: Go on even where nobody makes a pod anew.
        disable_eviction: Delete pods without asking budgets.
        grace_period: Seconds that a pod gets to end; -1 leaves it to the pod.
        timeout: How long to try: 30s, 5m; 0 means as long as it needs.
        skip_wait_for_delete_timeout: Do not wait for pods that have been ending for so many seconds.
        chunk_size: How many objects of a long list are asked for at a time; 0: all.
        """
    def edit(
        self,
        *words: Word,
        all: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        output_patch: bool | None = None,
        recursive: bool | None = None,
        save_config: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        subresource: Text | None = None,
        validate: Text | None = None,
        windows_line_endings: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Edit objects as text, in an editor of one's choice.

        kubectl edit (RESOURCE/NAME | -f FILENAME) [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        output: Edit as yaml or as json.
        output_patch: Show the patch that was sent.
        subresource: Edit a subresource: status, scale.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        field_manager: The name under which the server notes who owns the fields.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        show_managed_fields: Keep managedFields in JSON and YAML.
        windows_line_endings: In the editor, lines end as Windows has them.
        """
    def events(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        chunk_size: int | None = None,
        for_: Text | None = None,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        output: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        types: Texts | None = None,
        watch: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List events, the latest last.

        kubectl events [(-o|--output=)json|yaml|name|...] [--for TYPE/NAME] [--types=Normal,Warning] [flags]

        all_namespaces: Objects of all namespaces.
        for_: Only events about TYPE/NAME.
        types: Only events of these types.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        no_headers: Leave the line of column names out.
        watch: Go on and show what is said from here on.
        chunk_size: How many objects of a long list are asked for at a time; 0: all.
        """
    def exec(
        self,
        *words: Word,
        container: Text | None = None,
        filename: Texts | None = None,
        namespace: Text | None = None,
        pod_running_timeout: Text | None = None,
        quiet: bool | None = None,
        stdin: bool | None = None,
        tty: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Run a command in a container.

        kubectl exec (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]

        container: The container; the first one if not given.
        stdin: Pass on what is given to read: a cell's body, or what is typed.
        tty: Give the command a terminal, where somebody types.
        quiet: Print only what the command prints.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        pod_running_timeout: How long to wait for a pod of a workload: 5s, 2m, 3h.
        """
    def explain(
        self,
        *words: Word,
        api_version: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Say what a kind or one of its fields is for.

        kubectl explain TYPE [--recursive=false] [--api-version=VERSION] [flags]

        recursive: All fields below, without their descriptions.
        api_version: The group and version, such as apps/v1.
        output: The page as it is, or as kubectl wrote it before 1.27.
        """
    def expose(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        cluster_ip: Text | None = None,
        dry_run: Text | None = None,
        external_ip: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        labels: Text | None = None,
        load_balancer_ip: Text | None = None,
        name: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        override_type: Text | None = None,
        overrides: Text | None = None,
        port: Text | None = None,
        protocol: Text | None = None,
        recursive: bool | None = None,
        save_config: bool | None = None,
        selector: Text | None = None,
        session_affinity: Text | None = None,
        show_managed_fields: bool | None = None,
        target_port: Text | None = None,
        template: Text | None = None,
        type: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Make a Service over a pod, service, replicationcontroller, replicaset or deployment.

        kubectl expose (-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP]
        [--target-port=number-or-name] [--name=name] [--external-ip=ip] [--type=type] [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        port: The port that is exposed.
        target_port: The container's port, by number or name; the same as --port if not given.
        protocol: TCP, UDP or SCTP.
        name: The Service's name; that of the object if not given.
        type: The sort of Service.
        external_ip: An IP outside of the cluster that leads to the Service too.
        load_balancer_ip: The IP to ask of the load balancer.
        cluster_ip: The IP to take; None for a headless Service.
        session_affinity: Whether a client keeps its pod.
        selector: Labels to select by, KEY=VALUE only; those of the object if not given.
        labels: The Service's own labels.
        overrides: JSON that is merged over the generated object.
        override_type: How --overrides is read: as a merge patch, a strategic or a JSON one.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def get(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        chunk_size: int | None = None,
        field_selector: Text | None = None,
        filename: Texts | None = None,
        ignore_not_found: bool | None = None,
        kustomize: Text | None = None,
        label_columns: Texts | None = None,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        output: Text | None = None,
        output_watch_events: bool | None = None,
        raw: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        server_print: bool | None = None,
        show_kind: bool | None = None,
        show_labels: bool | None = None,
        show_managed_fields: bool | None = None,
        sort_by: Text | None = None,
        subresource: Text | None = None,
        template: Text | None = None,
        watch: bool | None = None,
        watch_only: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show objects: one line each, or whole.

        kubectl get [-o FORMAT] (TYPE[,TYPE...] [NAME...] | TYPE/NAME... | -f FILE) [flags]

        output: Format: wide, json, yaml, name, jsonpath=…, go-template=…, custom-columns=…
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        all_namespaces: Objects of all namespaces.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        watch: Go on and show what changes.
        watch_only: Show only what changes from here on.
        output_watch_events: With --watch: a column with ADDED, MODIFIED or DELETED.
        sort_by: JSONPath of the field to sort by, such as .metadata.creationTimestamp.
        show_labels: Show all labels in a last column.
        label_columns: A label to show as a column; repeatable.
        show_kind: Put the kind before each name.
        no_headers: Leave the line of column names out.
        ignore_not_found: No error for objects that do not exist.
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        raw: A path on the server, to be asked as it is.
        chunk_size: How many objects of a long list are asked for at a time; 0: all.
        subresource: The part of the object that is meant.
        server_print: With =false: names and ages alone, without the columns of the server.
        """
    def help(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show what a command does.

        kubectl help [COMMAND]
        """
    def kustomize(
        self,
        *words: Word,
        enable_helm: bool | None = None,
        load_restrictor: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Print the objects that a directory with a kustomization.yaml describes.

        kubectl kustomize DIR [flags]

        output: A file for the objects, or a directory that is there: one file for each.
        load_restrictor: Whether files may lie outside of the directories of their kustomizations.
        enable_helm: Inflate Helm charts, for which the program helm is needed.
        """
    def label(
        self,
        *words: Word,
        all: bool | None = None,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        field_selector: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        list: bool | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        overwrite: bool | None = None,
        recursive: bool | None = None,
        resource_version: Text | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set or remove labels.

        kubectl label [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=VERSION]
        [flags]

        overwrite: Change labels that have a value.
        list: Only show the labels.
        all: All objects of these kinds in the namespace.
        all_namespaces: Objects of all namespaces.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        resource_version: Only if the object is at this resourceVersion.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def logs(
        self,
        *words: Word,
        all_containers: bool | None = None,
        all_pods: bool | None = None,
        container: Text | None = None,
        follow: bool | None = None,
        ignore_errors: bool | None = None,
        insecure_skip_tls_verify_backend: bool | None = None,
        limit_bytes: int | None = None,
        max_log_requests: int | None = None,
        namespace: Text | None = None,
        pod_running_timeout: Text | None = None,
        prefix: bool | None = None,
        previous: bool | None = None,
        selector: Text | None = None,
        since: Text | None = None,
        since_time: Text | None = None,
        tail: int | None = None,
        timestamps: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Print what a container wrote.

        kubectl logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [flags]

        follow: Go on and print what is written.
        previous: The container as it ran before its last restart.
        container: The container; the first one if not given.
        all_containers: All containers of the pod.
        all_pods: All pods of the workload; each line says which.
        prefix: Begin each line with the pod and container.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        tail: How many of the last lines; -1 for all, 10 with a selector.
        since: Only what is not older: 5s, 2m, 3h.
        since_time: Only what was written after an RFC 3339 time.
        timestamps: Begin each line with its time.
        limit_bytes: At most so many bytes of each container.
        max_log_requests: How many logs may be followed at once.
        ignore_errors: A log that cannot be had is told of in its place, and the others go on.
        pod_running_timeout: How long to wait for a workload's first pod.
        insecure_skip_tls_verify_backend: The apiserver need not check the kubelet's certificate.
        """
    def options(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List the flags that every command has.

        kubectl options [flags]
        """
    def patch(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        patch: Text | None = None,
        patch_file: Text | None = None,
        recursive: bool | None = None,
        show_managed_fields: bool | None = None,
        subresource: Text | None = None,
        template: Text | None = None,
        type: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Change some fields of an object.

        kubectl patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [flags]

        patch: The patch, as JSON or YAML.
        patch_file: A file with the patch.
        type: The format of the patch.
        subresource: The part of the object that is meant.
        local: Change what -f names and print it; the cluster is not asked.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def plugin(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Programs that extend the real kubectl.

        kubectl plugin SUBCOMMAND
        """
    def plugin_list(
        self,
        *words: Word,
        name_only: bool | None = None,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List the plug-ins on the PATH; k8snb does not run them.

        kubectl plugin list [flags]

        name_only: Only their names.
        """
    def port_forward(
        self,
        *words: Word,
        address: Texts | None = None,
        namespace: Text | None = None,
        pod_running_timeout: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Forward local ports to a pod.

        kubectl port-forward TYPE/NAME [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N] [flags]

        address: The addresses to listen on: localhost, or IP addresses.
        pod_running_timeout: How long to wait for a pod of a workload: 5s, 2m, 3h.
        """
    def proxy(
        self,
        *words: Word,
        accept_hosts: Text | None = None,
        accept_paths: Text | None = None,
        address: Text | None = None,
        api_prefix: Text | None = None,
        append_server_path: bool | None = None,
        disable_filter: bool | None = None,
        namespace: Text | None = None,
        port: int | None = None,
        reject_methods: Text | None = None,
        reject_paths: Text | None = None,
        unix_socket: Text | None = None,
        www: Text | None = None,
        www_prefix: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Serve the apiserver on a port of this machine.

        kubectl proxy [--port=PORT] [--api-prefix=PREFIX] [--www=DIRECTORY] [--www-prefix=PREFIX] [flags]

        port: The port to listen on; 0 for any free one.
        address: The IP address to listen on.
        unix_socket: A Unix socket to listen on instead.
        api_prefix: Where the API begins.
        www: A directory with files to serve as well.
        www_prefix: Where those files begin.
        accept_hosts: Expressions for the host names that may be asked by.
        accept_paths: Expressions for the paths that may be asked for.
        reject_paths: Expressions for paths that may not, even so.
        reject_methods: Expressions for HTTP methods that may not be used.
        disable_filter: Accept everything. Other programs, and pages, can then use the port.
        append_server_path: Begin each path with that of the server's URL in the kubeconfig.
        """
    def replace(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        cascade: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        force: bool | None = None,
        grace_period: int | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        raw: Text | None = None,
        recursive: bool | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        subresource: Text | None = None,
        template: Text | None = None,
        timeout: Text | None = None,
        validate: Text | None = None,
        wait: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Put the object of a manifest in the place of the one that is there.

        kubectl replace -f FILENAME [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        force: Remove at once, without waiting for the pod to end.
        cascade: What becomes of dependents: background, foreground or orphan.
        grace_period: Seconds that a pod gets to end; 0 needs --force.
        timeout: How long to wait: 30s, 5m; 0 means as long as it needs.
        subresource: The part of the object that is meant.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        raw: A path on the server, to be asked as it is.
        wait: With --force: wait until the old object is gone, which has to be so anyway.
        """
    def rollout(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Follow, pause and take back changes of a workload.

        kubectl rollout SUBCOMMAND [flags]
        """
    def rollout_history(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        revision: int | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""List the revisions, or show one.

        kubectl rollout history (TYPE NAME | TYPE/NAME) [flags]

        revision: The revision to show in full.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def rollout_pause(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Let changes of the template wait.

        kubectl rollout pause (TYPE NAME | TYPE/NAME) [flags]

        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def rollout_restart(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Replace all pods, template unchanged.

        kubectl rollout restart (TYPE NAME | TYPE/NAME) [flags]

        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def rollout_resume(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Roll out what has waited.

        kubectl rollout resume (TYPE NAME | TYPE/NAME) [flags]

        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def rollout_status(
        self,
        *words: Word,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        recursive: bool | None = None,
        revision: int | None = None,
        selector: Text | None = None,
        timeout: Text | None = None,
        watch: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Wait until a rollout is over, and say how it goes.

        kubectl rollout status (TYPE NAME | TYPE/NAME) [flags]

        watch: Wait until it is over.
        timeout: How long to wait; 0 means to its end.
        revision: Only while this revision is the newest.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def rollout_undo(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        to_revision: int | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Go back to an earlier revision.

        kubectl rollout undo (TYPE NAME | TYPE/NAME) [flags]

        to_revision: The revision to go back to; the one before if not given.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        """
    def run_pod(
        self,
        *words: Word,
        allow_missing_template_keys: bool | None = None,
        annotations: Texts | None = None,
        attach: bool | None = None,
        cascade: Text | None = None,
        command: bool | None = None,
        dry_run: Text | None = None,
        env: Texts | None = None,
        expose: bool | None = None,
        field_manager: Text | None = None,
        force: bool | None = None,
        grace_period: int | None = None,
        image: Text | None = None,
        image_pull_policy: Text | None = None,
        labels: Text | None = None,
        leave_stdin_open: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        override_type: Text | None = None,
        overrides: Text | None = None,
        pod_running_timeout: Text | None = None,
        port: Text | None = None,
        privileged: bool | None = None,
        quiet: bool | None = None,
        replicas: Text | None = None,
        restart: Text | None = None,
        rm: bool | None = None,
        save_config: bool | None = None,
        show_managed_fields: bool | None = None,
        stdin: bool | None = None,
        template: Text | None = None,
        timeout: Text | None = None,
        tty: bool | None = None,
        wait: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Run an image in a pod.

        kubectl run NAME --image=IMAGE [--env="NAME=VALUE"] [--port=PORT] [--command -- COMMAND] [ARGS...] [flags]

        image: The image to run.
        annotations: An annotation, KEY=VALUE; repeatable.
        command: What follows -- replaces the image's command, not its arguments.
        env: An environment variable, NAME=VALUE; repeatable.
        expose: Make a Service for the pod too; needs --port.
        image_pull_policy: When to pull the image.
        labels: Labels of the pod: a=1,b=2.
        port: The port that the container listens on.
        privileged: Let the container do what the node's root may.
        replicas: Gone from kubectl run: create a Deployment.
        restart: When to start the container again.
        attach: Listen to the container when it runs; with -i or -t that is so anyway.
        stdin: Pass on what is given to read: a cell's body, or what is typed.
        tty: Give the container a terminal.
        leave_stdin_open: Let others type to the container after the first session.
        quiet: Print only what the container prints.
        rm: Delete the pod when the session is over.
        cascade: What becomes of dependents: background, foreground or orphan.
        grace_period: Seconds that a pod gets to end; 0 needs --force.
        force: Remove at once, without waiting for the pod to end.
        wait: With --rm: wait until the pod is gone.
        timeout: How long to wait: 30s, 5m; 0 means as long as it needs.
        pod_running_timeout: How long to wait for a pod of a workload: 5s, 2m, 3h.
        overrides: JSON that is merged over the generated object.
        override_type: How --overrides is read: as a merge patch, a strategic or a JSON one.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        save_config: Keep the manifest in the last-applied annotation, for a later apply.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def scale(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        current_replicas: int | None = None,
        dry_run: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        replicas: int | None = None,
        resource_version: Text | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        timeout: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set how many pods a deployment, replicaset, replicationcontroller or statefulset wants.

        kubectl scale [--resource-version=VERSION] [--current-replicas=COUNT] --replicas=COUNT (-f FILENAME | TYPE
        NAME) [flags]

        replicas: How many pods are wanted.
        current_replicas: Only if so many are wanted at present.
        resource_version: Only if the object is at this resourceVersion.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        timeout: How long to wait: 30s, 5m; 0 means as long as it needs.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set one feature of objects that exist.

        kubectl set SUBCOMMAND [flags]
        """
    def set_env(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        containers: Text | None = None,
        dry_run: Text | None = None,
        env: Texts | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        from_: Text | None = None,
        keys: Texts | None = None,
        kustomize: Text | None = None,
        list: bool | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        overwrite: bool | None = None,
        prefix: Text | None = None,
        recursive: bool | None = None,
        resolve: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set environment variables of containers, or remove them (KEY-).

        kubectl set env RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N [flags]

        containers: The containers that are meant; * stands for any letters.
        env: A variable, NAME=VALUE; repeatable.
        from_: A ConfigMap or Secret whose keys become variables.
        keys: Take only these keys of --from.
        prefix: Put before the names that --from gives.
        list: Only show the variables.
        resolve: With --list, show the values behind references.
        overwrite: Change variables that have a value.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set_image(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set the images of containers.

        kubectl set image (-f FILENAME | TYPE NAME) CONTAINER_1=IMAGE_1 ... CONTAINER_N=IMAGE_N [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set_resources(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        containers: Text | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        limits: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        requests: Text | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set what containers request and may use.

        kubectl set resources (-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS] [flags]

        containers: The containers that are meant; * stands for any letters.
        limits: What they may use: cpu=200m,memory=512Mi.
        requests: What the scheduler reserves: cpu=100m,memory=256Mi.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set_selector(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        resource_version: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set the selector of a Service.

        kubectl set selector (-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version] [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        resource_version: Only if the object is at this resourceVersion.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set_serviceaccount(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set the service account of pods.

        kubectl set serviceaccount (-f FILENAME | TYPE NAME) SERVICE_ACCOUNT [flags]

        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def set_subject(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        filename: Texts | None = None,
        group: Texts | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        serviceaccount: Texts | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        user: Texts | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Add to those whom a role is bound to.

        kubectl set subject (-f FILENAME | TYPE NAME) [--user=username] [--group=groupname]
        [--serviceaccount=namespace:serviceaccountname] [flags]

        user: Users.
        group: Groups.
        serviceaccount: Service accounts, NAMESPACE:NAME.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        all: All objects of these kinds in the namespace.
        local: Change what -f names and print it; the cluster is not asked.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def taint(
        self,
        *words: Word,
        all: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        dry_run: Text | None = None,
        field_manager: Text | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        overwrite: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        validate: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Set taints on nodes, or remove them.

        kubectl taint NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N [flags]

        all: All objects of these kinds in the namespace.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        overwrite: Change a taint that is there.
        validate: strict: refuse unknown fields; warn: say so; ignore: drop them.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        field_manager: The name under which the server notes who owns the fields.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        """
    def top(
        self,
        *words: Word,
        namespace: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show what nodes and pods use.

        kubectl top SUBCOMMAND [flags]
        """
    def top_node(
        self,
        *words: Word,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        selector: Text | None = None,
        show_capacity: bool | None = None,
        sort_by: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show what nodes use.

        kubectl top node [NAME | -l label] [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        sort_by: Sort by cpu or memory.
        no_headers: Leave the line of column names out.
        show_capacity: Shares of the node's capacity, not of what it has to give.
        """
    def top_pod(
        self,
        *words: Word,
        all_namespaces: bool | None = None,
        containers: bool | None = None,
        field_selector: Text | None = None,
        namespace: Text | None = None,
        no_headers: bool | None = None,
        selector: Text | None = None,
        sort_by: Text | None = None,
        sum: bool | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Show what pods use.

        kubectl top pod [NAME | -l label] [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        all_namespaces: Objects of all namespaces.
        sort_by: Sort by cpu or memory.
        no_headers: Leave the line of column names out.
        containers: Show each container.
        sum: Add a line with the sum.
        """
    def uncordon(
        self,
        *words: Word,
        dry_run: Text | None = None,
        namespace: Text | None = None,
        selector: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Let pods be scheduled to a node again.

        kubectl uncordon NODE [flags]

        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        dry_run: client: only print what would be sent; server: send it, and let nothing be kept.
        """
    def version(
        self,
        *words: Word,
        client: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Print the versions of client and server.

        kubectl version [flags]

        client: Only the client's version.
        output: Format: json or yaml.
        """
    def wait(
        self,
        *words: Word,
        all: bool | None = None,
        all_namespaces: bool | None = None,
        allow_missing_template_keys: bool | None = None,
        field_selector: Text | None = None,
        filename: Texts | None = None,
        for_: Text | None = None,
        kustomize: Text | None = None,
        local: bool | None = None,
        namespace: Text | None = None,
        output: Text | None = None,
        recursive: bool | None = None,
        selector: Text | None = None,
        show_managed_fields: bool | None = None,
        template: Text | None = None,
        timeout: Text | None = None,
        **everywhere: Unpack[Everywhere],
    ) -> Output:
        r"""Wait until something is true of objects.

        kubectl wait ([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) [--for=create|--for=delete|--for
        condition=NAME[=VALUE]|--for=jsonpath='{PATH}'[=VALUE]] [flags]

        for_: What to wait for: condition=Ready, delete, create, jsonpath='{.status.phase}'=Running.
        timeout: How long: 30s, 5m; 0 looks once; less than 0 waits for a week.
        all: All objects of these kinds in the namespace.
        all_namespaces: Objects of all namespaces.
        selector: Label selector: a=b, a!=b, a in (b, c), a, !a; commas mean AND.
        field_selector: Selector on fields, such as status.phase=Running.
        filename: File, directory, glob or URL with manifests; - is the cell's body.
        recursive: Read directories named with -f with all that is below them.
        kustomize: A directory with a kustomization; not together with -f.
        output: Format: json, yaml, name, jsonpath=…, go-template=…
        show_managed_fields: Keep managedFields in JSON and YAML.
        allow_missing_template_keys: Print nothing for fields that an object does not have.
        template: The text (or for the -file formats the file) of a template; alone a Go template.
        local: Read what -f names, as it is; the cluster is not asked.
        """

"""The rows that kubectl is tried by: what to type, and what must come of it.

A row is a command, the stdin it is given, what stdout must be (text: exactly; a pattern: somewhere in it), a piece of
stderr and the exit code. The rows of one scenario run in order in a namespace of their own; `$NS` stands for it, `$DIR`
for a directory that holds `file`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    words: str
    out: str | re.Pattern[str] = ""
    given: str = ""
    err: str = ""
    code: int = 0
    runtimes: tuple[str, ...] = ("process", "simulated")
    since: str = "1.0"  # the first kubectl that has the command, or says it in these words


def like(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | re.DOTALL)


ANY = like("")

POD = """apiVersion: v1
kind: Pod
metadata:
  name: bare
  labels: {app: bare, tier: one}
spec:
  containers:
  - {name: web, image: "nginx:1.25", ports: [{containerPort: 80, name: http}]}
"""
MAPS = """apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {set: "yes"}}
data: {a: before}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, labels: {set: "yes"}}
data: {a: before}
"""
CONTROLLER = """{"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"}, "spec": {
"replicas": 1, "selector": {"app": "rc"}, "template": {"metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [
{"name": "c", "image": "nginx:1.25"}]}}}}"""
TWO_CONTAINERS = """apiVersion: apps/v1
kind: Deployment
metadata: {name: pair}
spec:
  replicas: 1
  selector: {matchLabels: {app: pair}}
  template:
    metadata: {labels: {app: pair}}
    spec:
      containers:
      - {name: web, image: "nginx:1.25"}
      - {name: side, image: busybox, command: [sleep, "9999"]}
"""
ODD_SELECTOR = TWO_CONTAINERS.replace(
    "{matchLabels: {app: pair}}", "{matchExpressions: [{key: app, operator: Exists}]}"
)
MISSPELT = POD.replace("containers:", "nodeNmae: here\n  containers:")

SET = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "nginx:1.25"}]}
"""
DAEMON = (
    SET.replace("StatefulSet", "DaemonSet").replace("  serviceName: db\n  replicas: 2\n", "").replace("db", "agent")
)

SCENARIOS: dict[str, list[Row]] = {
    "run": [
        Row("run web --image=nginx:1.25 --port=80 --env=A=b --env=C=d", "pod/web created"),
        Row("wait --for=condition=Ready pod/web --timeout=30s", "pod/web condition met"),
        Row("get pod web -o jsonpath={.spec.containers[0].env}", '[{"name":"A","value":"b"},{"name":"C","value":"d"}]'),
        Row("run web --image=nginx", err='Error from server (AlreadyExists): pods "web" already exists', code=1),
        Row("run dry --image=nginx --dry-run=client", "pod/dry created (dry run)"),
        Row("run dry --image=nginx --dry-run=server", "pod/dry created (server dry run)"),
        Row("get pod dry", err='Error from server (NotFound): pods "dry" not found', code=1),
        Row("""run over --image=nginx --overrides='{"metadata":{"labels":{"a":"b"}}}'""", "pod/over created"),
        Row("get pod over -L a --no-headers", like(r"^over +\d/1 .* b$")),
        Row("run sleeper --image=busybox --command -- sleep 9999", "pod/sleeper created"),
        Row("get pod sleeper -o jsonpath={.spec.containers[0].command}", '["sleep","9999"]'),
        Row("run argued --image=busybox --restart=Never -- echo hello", "pod/argued created"),
        Row(
            "wait --for=jsonpath={.status.phase}=Succeeded pod/argued --timeout=30s",
            "pod/argued condition met",
            since="1.23",
        ),
        Row("logs argued", "hello", since="1.23"),
        Row("run x --image=nginx --replicas=2", err="unknown flag: --replicas", code=1, since="1.24"),
        Row("run Bad_Name --image=nginx", err='metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123', code=1),
        Row("run once --image=busybox --restart=Never --rm -i --quiet -- sh -c 'sleep 1; echo once'", like(r"once")),
    ],
    "expose": [
        Row("create deployment web --image=nginx:1.25 --port=80", "deployment.apps/web created"),
        Row("expose deployment web", "service/web exposed"),
        Row("expose deployment web --name=node --type=NodePort --port=8080 --target-port=80", "service/node exposed"),
        Row("get service node --no-headers", like(r"^node +NodePort +[\d.]+ +<none> +8080:3\d{4}/TCP +\d+s$")),
        Row("expose service web --name=ext --port=80 --external-ip=192.0.2.7", "service/ext exposed"),
        Row("get service ext -o jsonpath={.spec.externalIPs}", '["192.0.2.7"]'),
        Row("create -f -", "pod/bare created", POD),
        Row("expose pod bare --target-port=http --port=80", "service/bare exposed"),
        Row("expose -f - --name=filed --protocol=UDP --port=53", "service/filed exposed", POD),
        Row("create -f -", "replicationcontroller/rc created", CONTROLLER),
        Row("expose rc rc --port=80", "service/rc exposed"),
        Row("apply -f -", "deployment.apps/odd created", ODD_SELECTOR.replace("name: pair", "name: odd", 1)),
        Row("expose deployment odd --port=80", err="no selectors, therefore cannot be exposed", code=1),
        Row("wait --for=condition=Available deployment/web --timeout=30s", "deployment.apps/web condition met"),
        Row("get endpoints web --no-headers", like(r"^web +[\d.]+:80 ")),
        Row("describe service web", like(r"^Name: +web$.*^Selector: +app=web$.*^Endpoints: +[\d.]+:80$")),
    ],
    "create": [
        Row("create -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("create -f - -o name", "pod/bare", POD),
        Row("create configmap cm --from-literal=a=b --from-literal=c=d", "configmap/cm created"),
        Row("create secret generic s --from-literal=a=b", "secret/s created"),
        Row("get secret s -o jsonpath={.data.a}", "Yg=="),
        Row(
            "create secret docker-registry reg --docker-server=x --docker-username=u --docker-password=p",
            "secret/reg created",
        ),
        Row("create serviceaccount bob", "serviceaccount/bob created"),
        Row("create token bob", like(r"^ey[\w-]+\.[\w-]+\.[\w-]+$"), since="1.24"),
        Row("create role r --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/r created"),
        Row(
            "create rolebinding rb --role=r --serviceaccount=$NS:bob",
            "rolebinding.rbac.authorization.k8s.io/rb created",
        ),
        Row("auth can-i list pods --as=system:serviceaccount:$NS:bob", "yes"),
        Row("auth can-i delete pods --as=system:serviceaccount:$NS:bob", "no", code=1),
        Row("create service clusterip c --tcp=80:80", "service/c created"),
        Row("create service nodeport n --tcp=80:80 --node-port=31999", "service/n created"),
        Row("create service externalname e --external-name=example.com", "service/e created"),
        Row(
            "create deployment d --image=nginx --replicas=0 --dry-run=server -o jsonpath={.spec.strategy.type}",
            "RollingUpdate",
        ),
        Row(
            "create -f -",
            err='unknown field "spec.nodeNmae"',
            given=MISSPELT.replace("bare", "wrong"),
            code=1,
            since="1.25",
        ),
        Row(
            "create -f - --validate=warn",
            "pod/wrong created",
            MISSPELT.replace("bare", "wrong"),
            err='Warning: unknown field "spec.nodeNmae"',
            since="1.25",
        ),
        Row("create -f -", err="error validating data", given="apiVersion: v1\ndata: {}\n", code=1),
        Row("create clusterrole $NS --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/$NS created"),
        Row("delete clusterrole $NS", 'clusterrole.rbac.authorization.k8s.io "$NS" deleted'),
        Row("create -f - --edit", "configmap/edited-one created", MAPS.split("---")[0].replace("one", "before-one")),
    ],
    "get": [
        Row("create -f -", "pod/bare created", POD),
        Row("wait --for=condition=Ready pod/bare --timeout=30s", "pod/bare condition met"),
        Row("get pods", like(r"^NAME +READY +STATUS +RESTARTS +AGE\nbare +1/1 +Running +0 +\d+s\n$")),
        Row(
            "get pods -o wide",
            like(
                r"^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$"
                r".*^bare +1/1 +Running +0 +\d+s +[\d.]+ +node-\d +<none> +<none>$"
            ),
        ),
        Row("get pod bare -o json", like(r'"kind": "Pod".*"phase": "Running"')),
        Row("get pod bare -o yaml", like(r"^kind: Pod$.*^  phase: Running$")),
        Row("get pods -o name", "pod/bare"),
        Row("get pods -o jsonpath={.items[*].metadata.name}", "bare"),
        Row("get pods -o go-template='{{range .items}}{{.metadata.name}}{{end}}'", "bare"),
        Row("get pods -o template --template='{{len .items}}'", "1"),
        Row("get pods -o custom-columns=N:.metadata.name,I:.spec.containers[0].image", "N      I\nbare   nginx:1.25"),
        Row("get pods --show-labels --no-headers", like(r" app=bare,tier=one$")),
        Row("get pods -L app,tier", like(r"^NAME .* APP +TIER$.*^bare .* bare +one$")),
        Row("get pods -l app=bare,tier!=two -o name", "pod/bare"),
        Row("get pods -l 'tier in (two)'", err="No resources found in $NS namespace."),
        Row("get pods --field-selector status.phase=Running -o name", "pod/bare"),
        Row("get pods --field-selector spec.color=red", code=1, err="field label not supported: spec.color"),
        Row("get pods -A -o name", like(r"^pod/bare$")),
        Row("get -f - -o name", "pod/bare", POD),
        Row("create configmap b --from-literal=a=1 -o name", "configmap/b"),
        Row("create configmap a --from-literal=a=1 -o name", "configmap/a"),
        Row("get cm --sort-by=.metadata.name -o name", "configmap/a\nconfigmap/b\nconfigmap/kube-root-ca.crt"),
        Row("get cm a", like(r"^NAME +DATA +AGE\na +1 +\d+s\n$")),
        Row("get pods,cm -o name", like(r"^pod/bare\nconfigmap/a\n")),
        Row("get pods/bare configmap/a -o name", "pod/bare\nconfigmap/a"),
        Row("get all", like(r"^NAME .*^pod/bare +1/1 ")),
        Row("get --raw /api/v1/namespaces/$NS/pods/bare", like(r'"name":"bare"')),
        Row("get pods nobody", err='Error from server (NotFound): pods "nobody" not found', code=1),
        Row("get thing", err='error: the server doesn\'t have a resource type "thing"', code=1),
        Row("get pods --chunk-size=1 -A -o name", like(r"^pod/bare$")),
        Row("get nodes", like(r"^NAME +STATUS +ROLES +AGE +VERSION\ncontrol-plane +Ready +control-plane ")),
        Row("get ns $NS --no-headers", like(r"^$NS +Active ")),
        Row(
            "describe pod bare",
            like(
                r"^Name: +bare$.*^Status: +Running$.*^Containers:$.*^  web:$.*^Conditions:$"
                r".*^Events:$.* Started "
            ),
        ),
        Row("describe node node-1", like(r"^Name: +node-1$.*^Capacity:$.*^Allocated resources:$")),
        Row("describe cm a", like(r"^Name: +a$.*^Data$")),
        Row(
            "events --for pod/bare",
            like(r"^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$.* Scheduled +Pod/bare "),
            since="1.26",
        ),
        Row("get events --field-selector involvedObject.name=bare,reason=Started", like(r" Started +pod/bare +")),
    ],
    "label": [
        Row("create -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("label cm one a=b", "configmap/one labeled"),
        Row("label cm one a=c", code=1, err="already has a value (b), and --overwrite is false"),
        Row("label cm one a=c --overwrite", "configmap/one labeled"),
        Row("label cm one a=c", "configmap/one not labeled", since="1.22"),
        Row("label cm one a=d --overwrite --resource-version=1", code=1, err="Conflict"),
        Row("label cm one a-", "configmap/one unlabeled", since="1.22"),
        Row("label cm -l set=yes b=1", "configmap/one labeled\nconfigmap/two labeled"),
        Row("label cm --all x=y", "configmap/kube-root-ca.crt labeled\nconfigmap/one labeled\nconfigmap/two labeled"),
        Row("label --list cm one", like(r"^b=1$")),
        Row("annotate cm one note='a b'", like("^configmap/one annotated?$")),
        Row("annotate cm one note=c --overwrite", like("^configmap/one annotated?$")),
        Row("get cm one -o jsonpath={.metadata.annotations.note}", "c"),
        Row("annotate cm one note-", like("^configmap/one annotated?$")),
        Row("label cm one 'bad key=1'", code=1, err="name part must consist of alphanumeric characters"),
        Row("label cm one k='not valid'", code=1, err="a valid label must be"),
        Row("label -f - y=z", "configmap/one labeled\nconfigmap/two labeled", MAPS),
    ],
    "delete": [
        Row("create -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("delete -f -", 'configmap "one" deleted\nconfigmap "two" deleted', MAPS),
        Row("create -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("delete cm -l set=yes", 'configmap "one" deleted\nconfigmap "two" deleted'),
        Row("create -f -", "pod/bare created", POD),
        Row("create cm x", "configmap/x created"),
        Row("delete pod/bare cm/x --grace-period=1", 'pod "bare" deleted\nconfigmap "x" deleted'),
        Row("create -f -", "pod/bare created", POD),
        Row("delete pod bare --grace-period=0 --force", 'pod "bare" force deleted', err="Immediate deletion"),
        Row("create deployment d --image=nginx", "deployment.apps/d created"),
        Row("wait --for=condition=Available deployment/d --timeout=30s", "deployment.apps/d condition met"),
        Row("delete deployment d --cascade=orphan", 'deployment.apps "d" deleted'),
        Row("get rs -o name", like(r"^replicaset.apps/d-\w+$")),
        Row("delete rs --all --cascade=foreground", like(r'^replicaset.apps "d-\w+" deleted$')),
        Row("get pods", err="No resources found in $NS namespace."),
        Row("delete pod nobody", code=1, err='Error from server (NotFound): pods "nobody" not found'),
        Row("delete pod nobody --ignore-not-found"),
        Row("delete pods,services --all", "No resources found"),
        Row("create ns $NS-gone", "namespace/$NS-gone created"),
        Row("delete ns $NS-gone", 'namespace "$NS-gone" deleted', err="deleting cluster-scoped resources"),
    ],
    "edit": [
        Row("create -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("edit cm/one", "configmap/one edited"),
        Row("get cm one -o jsonpath={.data.a}", "edited"),
        Row("edit cm one", err="Edit cancelled, no changes made."),
        Row("edit cm two -o json --save-config", like('^    "apiVersion": "v1"')),
        Row("get cm two -o jsonpath={.metadata.annotations}", like(r"last-applied-configuration.*edited")),
    ],
    "set": [
        Row("create -f -", "deployment.apps/pair created", TWO_CONTAINERS),
        Row("set image deployment/pair web=nginx:1.26 side=busybox:1.36", "deployment.apps/pair image updated"),
        Row("get deployment pair -o jsonpath={..image}", "nginx:1.26 busybox:1.36"),
        Row("set image deployment/pair *=nginx:1.27", "deployment.apps/pair image updated"),
        Row("get deployment pair -o jsonpath={..image}", "nginx:1.27 nginx:1.27"),
        Row("set image deployment/pair nobody=nginx", code=1, err='unable to find container named "nobody"'),
        Row("set env deployment/pair A=1 -c web", "deployment.apps/pair env updated"),
        Row("set env deployment/pair --list", like(r"^# Deployment pair, container web\nA=1\n")),
        Row("set env deployment/pair A-", "deployment.apps/pair env updated"),
        Row(
            "set resources deployment pair --limits=cpu=200m,memory=64Mi",
            "deployment.apps/pair resource requirements updated",
        ),
        Row("set serviceaccount deployment pair default", "deployment.apps/pair serviceaccount updated"),
        Row("create service clusterip s --tcp=80:80", "service/s created"),
        Row("set selector service s app=pair", "service/s selector updated"),
        Row("get service s -o jsonpath={.spec.selector}", '{"app":"pair"}'),
    ],
    "apply": [
        Row("apply -f -", "configmap/one created\nconfigmap/two created", MAPS),
        Row("apply -f -", "configmap/one unchanged\nconfigmap/two unchanged", MAPS),
        Row("diff -f -", like(r"^-  a: before$.*^\+  a: after$"), MAPS.replace("before", "after", 1), code=1),
        Row("apply -f -", "configmap/one configured\nconfigmap/two unchanged", MAPS.replace("before", "after", 1)),
        Row(
            "apply -f - --dry-run=server",
            "configmap/one configured (server dry run)\nconfigmap/two unchanged (server dry run)",
            MAPS,
        ),
        Row(
            "apply -f - --prune -l set=yes --prune-allowlist=core/v1/ConfigMap",
            "configmap/one configured\nconfigmap/two pruned",
            MAPS.split("---")[0],
            since="1.26",
        ),
        Row("apply -f -", ANY, MAPS.split("---")[0]),
        Row("apply view-last-applied cm one", like(r"^  a: before$")),
        Row(
            "apply --server-side -f - --field-manager=me",
            "configmap/ssa serverside-applied",
            MAPS.split("---")[0].replace("one", "ssa"),
        ),
        Row(
            "apply --server-side -f - --field-manager=you",
            code=1,
            err='conflict with "me": .data.a',
            given=MAPS.split("---")[0].replace("one", "ssa").replace("before", "mine"),
        ),
        Row(
            "apply --server-side --force-conflicts -f - --field-manager=you",
            "configmap/ssa serverside-applied",
            MAPS.split("---")[0].replace("one", "ssa").replace("before", "mine"),
        ),
        Row("get cm ssa -o yaml --show-managed-fields", like(r"manager: you$"), since="1.21"),
        Row('patch cm one -p \'{"data":{"b":"1"}}\'', "configmap/one patched"),
        Row('patch cm one -p \'{"data":{"b":"1"}}\'', "configmap/one patched (no change)"),
        Row('patch cm one --type=merge -p \'{"data":{"b":null}}\'', "configmap/one patched"),
        Row('patch cm one --type=json -p \'[{"op":"add","path":"/data/c","value":"2"}]\'', "configmap/one patched"),
        Row("get cm one -o jsonpath={.data}", '{"a":"before","c":"2"}'),
        Row("replace -f -", "configmap/one replaced", MAPS.split("---")[0]),
        Row("get cm one -o jsonpath={.data}", '{"a":"before"}'),
        Row("replace --force -f -", like('configmap "one" deleted.*configmap/one replaced'), MAPS.split("---")[0]),
        Row("apply -f -", "pod/bare created", POD),
        Row(
            "apply -f -",
            code=1,
            given=POD.replace("name: web", "name: other"),
            err='The Pod "bare" is invalid: spec: Forbidden: pod updates may not change fields other than',
        ),
    ],
    "rollout": [
        Row("create deployment web --image=nginx:1.25 --replicas=2", "deployment.apps/web created"),
        Row("rollout status deployment/web --timeout=60s", like('deployment "web" successfully rolled out')),
        Row("get deployment", like(r"^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2/2 +2 +2 +\d+s\n$")),
        Row("set image deployment/web nginx=nginx:1.26", "deployment.apps/web image updated"),
        Row("annotate deployment/web kubernetes.io/change-cause='to 1.26'", like("^deployment.apps/web annotated?$")),
        Row("rollout status deployment/web --timeout=60s", like('deployment "web" successfully rolled out')),
        Row("rollout history deployment/web", like(r"^REVISION +CHANGE-CAUSE\n1 +<none>\n2 +to 1.26$")),
        Row("rollout history deployment/web --revision=2", like(r"Image:\s+nginx:1.26")),
        Row("rollout undo deployment/web", like("^deployment.apps/web rolled back")),
        Row("get deployment web -o jsonpath={..image}", "nginx:1.25"),
        Row("rollout pause deployment/web", "deployment.apps/web paused"),
        Row("rollout pause deployment/web", code=1, err="is already paused"),
        Row("rollout resume deployment/web", "deployment.apps/web resumed"),
        Row("rollout restart deployment/web", "deployment.apps/web restarted"),
        Row("rollout status deployment/web --timeout=60s", like('deployment "web" successfully rolled out')),
        Row("scale deployment web --replicas=3", "deployment.apps/web scaled"),
        Row("scale deployment web --replicas=4 --current-replicas=1", code=1, err="Expected replicas to be 1, was 3"),
        Row(
            "wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=30s",
            "deployment.apps/web condition met",
            since="1.23",
        ),
        Row("scale deployment/web --replicas=1", "deployment.apps/web scaled"),
        Row("wait --for=delete pod -l nothing=here --timeout=5s", ANY, since="1.23"),
        Row("describe deployment web", like(r"^Replicas: +1 desired.*^NewReplicaSet: +web-\w+ .*^Events:")),
        Row("logs deployment/web --tail=1", ANY),
        Row("delete deployment web --wait=true", 'deployment.apps "web" deleted'),
    ],
    "containers": [
        Row("run web --image=nginx:1.25 --port=80", "pod/web created"),
        Row("wait --for=condition=Ready pod/web --timeout=30s", "pod/web condition met"),
        Row("exec web -- sh -c 'echo hi; exit 3'", "hi", code=3, err="command terminated with exit code 3"),
        Row("exec -i web -- cat", "from stdin", "from stdin\n"),
        Row("exec pod/web -- hostname", "web"),
        Row("exec nobody -- true", code=1, err='pods "nobody" not found'),
        Row("cp $DIR/file web:/tmp/copied", ANY, runtimes=("process",)),
        Row("exec web -- cat /tmp/copied", "copied text", runtimes=("process",)),
        Row("cp web:/tmp/copied $DIR/back", ANY, runtimes=("process",)),
        Row(
            "run talk --image=busybox -- sh -c 'for i in 1 2 3 4 5; do echo line $i; done; sleep 9999'",
            "pod/talk created",
        ),
        Row("wait --for=condition=Ready pod/talk --timeout=30s", "pod/talk condition met"),
        Row("logs talk", "line 1\nline 2\nline 3\nline 4\nline 5"),
        Row("logs talk --tail=2", "line 4\nline 5"),
        Row("logs talk --tail=1 --timestamps", like(r"^\d{4}-\d\d-\d\dT[\d:.]+Z line 5$")),
        Row("logs talk --limit-bytes=6", "line 1"),
        Row("logs talk --since=1h --tail=1 -c talk", "line 5"),
        Row("logs talk -c nobody", code=1, err="container nobody is not valid for pod talk"),
        Row("logs -l run=talk --prefix --tail=1", "[pod/talk/talk] line 5"),
        Row("logs talk --previous", code=1, err='previous terminated container "talk" in pod "talk" not found'),
    ],
    "nodes": [
        Row("create deployment web --image=nginx --replicas=2", "deployment.apps/web created"),
        Row("rollout status deployment/web --timeout=60s", like("successfully rolled out")),
        Row("cordon node-1", "node/node-1 cordoned"),
        Row("cordon node-1", "node/node-1 already cordoned"),
        Row("get node node-1 --no-headers", like(r"^node-1 +Ready,SchedulingDisabled ")),
        Row("uncordon node-1", "node/node-1 uncordoned"),
        Row(
            "drain node-2 --ignore-daemonsets --force --pod-selector=app=web --timeout=60s",
            like(r"^node/node-2 cordoned\n.*^node/node-2 (drained|deleted)$"),
        ),
        Row("uncordon node-2", "node/node-2 uncordoned"),
        Row("taint node node-3 a=b:NoSchedule", "node/node-3 tainted"),
        Row("taint node node-3 a=b:NoSchedule", code=1, err="already has a taint"),
        Row("taint node node-3 a-", "node/node-3 untainted"),
    ],
    "about": [
        Row("version", like(r"Server Version: v1\.33\.0\+k8snb"), since="1.28"),
        Row("cluster-info", like("Kubernetes control plane.* is running at .*https://127.0.0.1")),
        Row("api-resources --namespaced=true -o name", like(r"^configmaps$.*^deployments.apps$")),
        Row(
            "api-resources --verbs=list,watch --api-group=apps --no-headers",
            like(r"^deployments +deploy +apps/v1 +true "),
        ),
        Row("api-versions", like(r"^apps/v1$.*^v1$")),
        Row("explain pod.spec.containers", like(r"KIND: +Pod.*VERSION: +v1.*name\t.*-required-")),
        Row("explain deployments.spec.replicas", like(r"(?i)replicas.*<integer>.*Number of desired pods")),
        Row("explain pod.spec --recursive", like("terminationGracePeriodSeconds")),
        Row("explain pod.nothing", ANY, code=1, err='field "nothing" does not exist'),
        Row(
            "auth whoami",
            like(r"^Username +kubernetes-admin\nGroups +\[system:masters system:authenticated\]"),
            since="1.28",
        ),
        Row("auth can-i '*' '*'", "yes"),
        Row("auth can-i --list", like(r"^\*\.\* +\[\] +\[\] +\[\*\]$")),
        Row(
            "get pods --as=jane",
            code=1,
            err='pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "$NS"',
        ),
        Row(
            "auth reconcile -f -",
            like("role.rbac.authorization.k8s.io/r reconciled"),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: $NS}\n"
            "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n",
        ),
        Row("config current-context", "real"),
        Row("config get-contexts -o name", "real"),
        Row("config set-context --current --namespace=other", 'Context "real" modified.'),
        Row("config view --minify -o jsonpath={..namespace}", "other"),
    ],
    "workloads": [
        Row("create job once --image=busybox -- true", "job.batch/once created"),
        Row("wait --for=condition=complete job/once --timeout=60s", "job.batch/once condition met"),
        Row("get job once", like(r"^once +.*1/1 ")),
        Row("create cronjob tick --image=busybox --schedule='*/5 * * * *'", "cronjob.batch/tick created", since="1.21"),
        Row("create job now --from=cronjob/tick", "job.batch/now created", since="1.21"),
        Row("get cronjob tick", like(r"^tick +\*/5 \* \* \* \* "), since="1.21"),
        Row("apply -f -", "statefulset.apps/db created", given=SET),
        Row(
            "rollout status statefulset/db --timeout=60s", like("partitioned roll out complete|rolling update complete")
        ),
        Row("get pods -l app=db -o name", "pod/db-0\npod/db-1"),
        Row("scale statefulset db --replicas=1", "statefulset.apps/db scaled"),
        Row("wait --for=delete pod/db-1 --timeout=60s", ANY),
        Row("apply -f -", "daemonset.apps/agent created", given=DAEMON),
        Row("rollout status daemonset/agent --timeout=60s", like('daemon set "agent" successfully rolled out')),
        Row("rollout history daemonset/agent", like(r"REVISION +CHANGE-CAUSE\n1 ")),
        Row("delete statefulset,daemonset,cronjob,job --all", like('"agent" deleted'), since="1.21"),
    ],
    "limits": [
        Row("create quota small --hard=pods=1", "resourcequota/small created"),
        Row("run one --image=nginx:1.25", "pod/one created"),
        Row(
            "run two --image=nginx:1.25",
            err="exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1",
            code=1,
        ),
        Row("get quota small -o jsonpath={.status.used.pods}", "1"),
        Row("delete quota small", 'resourcequota "small" deleted'),
        Row("create priorityclass high-$NS --value=1000", "priorityclass.scheduling.k8s.io/high-$NS created"),
        Row("delete priorityclass high-$NS", 'priorityclass.scheduling.k8s.io "high-$NS" deleted'),
        Row("label namespace $NS pod-security.kubernetes.io/enforce=restricted", ANY),
        Row("run free --image=nginx:1.25", err='violates PodSecurity "restricted:latest"', code=1),
        Row("label namespace $NS pod-security.kubernetes.io/enforce-", ANY),
    ],
    "load": [
        Row("create deployment web --image=nginx:1.25 --replicas=1", "deployment.apps/web created"),
        Row("set resources deployment web --requests=cpu=100m", "deployment.apps/web resource requirements updated"),
        Row(
            "autoscale deployment web --min=1 --max=3 --cpu-percent=50",
            "horizontalpodautoscaler.autoscaling/web autoscaled",
        ),
        Row("get hpa web", like(r"^web +Deployment/web +.*1 +3 ")),
        Row("describe hpa web", like("Reference: +Deployment/web")),
        Row(
            "create poddisruptionbudget web --selector=app=web --min-available=1",
            "poddisruptionbudget.policy/web created",
            since="1.21",
        ),
        Row("get pdb web", like(r"^web +1 +N/A "), since="1.21"),
        Row("get storageclass", like("^standard ")),
        Row("get pods.metrics.k8s.io", ANY),
    ],
}

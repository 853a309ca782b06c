// What can be looked at, and one object's details: its YAML, its events, a pod's logs, and what can be done to it.

import * as api from "./api.js";
import { $, age, ask, h, note, tone } from "./dom.js";

const MOST_LINES = 5000; // of a log, in the page
const TAIL = 1000;
const LONG = ["Message", "Labels", "Selector", "Images", "Node-Selector"];

const core = "api/v1", apps = "apis/apps/v1", batch = "apis/batch/v1";
const kind = (section, title, word, where, verbs = [], namespaced = true) =>
  ({ section, title, word, api: where, verbs: new Set(verbs), namespaced });

export const KINDS = [
  kind("Workloads", "Deployments", "deployments", apps, ["scale", "restart"]),
  kind("Workloads", "StatefulSets", "statefulsets", apps, ["scale", "restart"]),
  kind("Workloads", "DaemonSets", "daemonsets", apps, ["restart"]),
  kind("Workloads", "ReplicaSets", "replicasets", apps, ["scale"]),
  kind("Workloads", "Jobs", "jobs", batch),
  kind("Workloads", "CronJobs", "cronjobs", batch),
  kind("Workloads", "Pods", "pods", core, ["logs"]),
  kind("Network", "Services", "services", core),
  kind("Network", "Ingresses", "ingresses", "apis/networking.k8s.io/v1"),
  kind("Storage", "ConfigMaps", "configmaps", core),
  kind("Storage", "Claims", "persistentvolumeclaims", core),
  kind("Cluster", "Nodes", "nodes", core, [], false),
  kind("Cluster", "Namespaces", "namespaces", core, [], false),
  kind("Cluster", "Events", "events", core),
];

// One kind's rows, kept up to date.
export class Rows {
  constructor(open) {
    this.open = open;
    this.rows = new Map();
    this.columns = [];
    setInterval(() => this.grow(), 5000);
  }

  show(what, namespace) {
    this.stop?.abort();
    this.stop = new AbortController();
    Object.assign(this, { kind: what, namespace, columns: [] });
    this.rows.clear();
    this.draw();
    $("#title").textContent = what.title;
    api.follow(api.address(what, namespace), {
      columns: (columns) => { this.columns = columns; },
      all: (rows) => { this.rows = new Map(rows.map((row) => [row.object.metadata.uid, row])); this.draw(); },
      event: (sort, row) => {
        if (sort === "DELETED") this.rows.delete(row.object.metadata.uid);
        else this.rows.set(row.object.metadata.uid, row);
        this.drawSoon();
      },
      failed: (error) => { $("#summary").textContent = error.message; },
    }, this.stop.signal);
  }

  // Many events in one moment are drawn once.
  drawSoon() {
    this.waiting ??= requestAnimationFrame(() => { this.waiting = undefined; this.draw(); });
  }

  shown() {
    const wide = $("#wide").checked;
    return this.columns.map((column, index) => ({ ...column, index })).filter((column) => wide || !column.priority);
  }

  found() {
    const wanted = $("#filter").value.toLowerCase();
    const rows = [...this.rows.values()].filter((row) => JSON.stringify(row.cells).toLowerCase().includes(wanted));
    const name = (row) => `${row.object.metadata.namespace}/${row.object.metadata.name}`;
    const newest = (row) => row.object.metadata.creationTimestamp;
    const byName = (a, b) => name(a).localeCompare(name(b), "en", { numeric: true });
    return rows.sort(this.kind.word === "events" ? (a, b) => newest(b).localeCompare(newest(a)) : byName);
  }

  draw() {
    if (!this.kind) return;
    const everywhere = this.kind.namespaced && !this.namespace;
    const columns = this.shown(), rows = this.found();
    const head = [...(everywhere ? ["Namespace"] : []), ...columns.map((column) => column.name)];
    $("#rows thead").replaceChildren(h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name))));
    $("#rows tbody").replaceChildren(...rows.map((row) => this.row(row, columns, everywhere)));
    this.summarize(rows);
  }

  row({ cells, object }, columns, everywhere) {
    const { metadata } = object;
    const made = columns.map(({ name, index }) => {
      const value = `${cells[index] ?? ""}`;
      if (name === "Name") return h("td", {}, h("button", { class: "name", onclick: () => this.choose(metadata) }, value));
      if (name === "Age") return h("td", { "data-since": metadata.creationTimestamp }, age(metadata.creationTimestamp));
      return h("td", { class: `${tone(name, value)} ${LONG.includes(name) ? "long" : ""}`.trim() }, value);
    });
    return h("tr", { "aria-selected": this.chosen === metadata.uid }, ...(everywhere ? [h("td", {}, metadata.namespace)] : []), ...made);
  }

  choose(metadata) {
    this.chosen = metadata.uid;
    this.draw();
    this.open(this.kind, metadata);
  }

  grow() {
    for (const cell of document.querySelectorAll("[data-since]")) cell.textContent = age(cell.dataset.since);
  }

  summarize(rows) {
    const index = this.columns.findIndex((column) => column.name === "Status");
    const counts = new Map();
    for (const { cells } of index < 0 ? [] : rows) counts.set(cells[index], (counts.get(cells[index]) || 0) + 1);
    const parts = [...counts].map(([status, count]) => `${count} ${status}`);
    $("#summary").textContent = rows.length ? [`${rows.length} in all`, ...parts].join(" · ") : this.columns.length ? "none" : "…";
  }
}

// One object, beside the rows.
export class Detail {
  close() {
    this.stop?.abort();
    $("#detail").hidden = true;
  }

  open(what, { namespace, name, uid }) {
    Object.assign(this, { kind: what, namespace, name, uid });
    this.path = api.address(what, namespace, name);
    const tabs = [...(what.verbs.has("logs") ? ["Logs"] : []), "Events", "YAML"];
    this.tabs = tabs.map((tab) => h("button", { role: "tab", type: "button", onclick: () => this.turn(tab) }, tab));
    this.body = h("div", { class: "body", role: "tabpanel" });
    this.tools = h("div", { class: "bar" });
    $("#detail").replaceChildren(
      h("div", { class: "bar" }, h("h2", {}, name), h("button", { onclick: () => this.close(), "aria-label": "Close" }, "✕")),
      h("div", { class: "bar" }, ...this.verbs()),
      h("div", { class: "bar", role: "tablist" }, ...this.tabs), this.tools, this.body);
    $("#detail").hidden = false;
    this.turn(tabs[0]);
  }

  verbs() {
    const { verbs } = this.kind;
    return [
      verbs.has("scale") && h("button", { onclick: () => this.scale() }, "Scale"),
      verbs.has("restart") && h("button", { onclick: () => this.restart() }, "Restart"),
      h("button", { class: "danger", onclick: () => this.remove() }, "Delete"),
    ].filter(Boolean);
  }

  turn(tab) {
    this.stop?.abort();
    this.stop = new AbortController();
    for (const button of this.tabs) button.setAttribute("aria-selected", button.textContent === tab);
    this.tools.replaceChildren();
    this.body.replaceChildren();
    const { signal } = this.stop;
    ({ Logs: () => this.logs(signal), Events: () => this.events(signal), YAML: () => this.yaml() })[tab]().catch((error) => {
      if (!signal.aborted) this.body.replaceChildren(h("p", { class: "bad" }, error.message));
    });
  }

  async yaml() {
    this.body.replaceChildren(h("pre", {}, withoutManagers(await api.text(this.path, "application/yaml"))));
  }

  async events() {
    const where = this.namespace || "default";
    const found = await api.table(`api/v1/namespaces/${where}/events?fieldSelector=involvedObject.name=${this.name}`);
    const columns = found.columnDefinitions.map((column, index) => ({ ...column, index })).filter((column) => !column.priority && column.name !== "Object");
    const rows = (found.rows || []).map(({ cells }) =>
      h("tr", {}, ...columns.map(({ name, index }) => h("td", { class: name === "Message" ? "long" : tone(name, `${cells[index]}`) }, `${cells[index]}`))));
    const head = h("thead", {}, h("tr", {}, ...columns.map(({ name }) => h("th", {}, name))));
    this.body.replaceChildren(rows.length ? h("table", {}, head, h("tbody", {}, ...rows)) : h("p", {}, "no events"));
  }

  async logs() {
    const { spec } = await api.get(this.path);
    const names = [...spec.containers, ...(spec.initContainers || [])].map((container) => container.name);
    const again = () => this.read(box.value, before.checked, wanted, shown);
    const box = h("select", { "aria-label": "Container", onchange: again }, ...names.map((name) => h("option", {}, name)));
    const before = h("input", { type: "checkbox", onchange: again });
    const wanted = h("input", { type: "search", placeholder: "Search lines", oninput: () => shown.refresh() });
    const shown = new Lines(wanted);
    this.tools.replaceChildren(box, wanted, h("label", {}, before, " previous"));
    this.body.replaceChildren(shown.element);
    await again();
  }

  async read(container, previous, wanted, shown) {
    this.reading?.abort();
    const reading = this.reading = new AbortController();
    this.stop.signal.addEventListener("abort", () => reading.abort());
    shown.clear();
    const options = { container, tailLines: TAIL, ...(previous ? { previous } : { follow: true }) };
    try {
      await api.logs(this.namespace, this.name, options, (lines) => shown.add(lines, this.body), reading.signal);
    } catch (error) {
      if (!reading.signal.aborted) shown.add([error.message], this.body);
    }
  }

  async scale() {
    const now = (await api.get(`${this.path}/scale`)).spec.replicas ?? 0;
    const field = { name: "replicas", label: "Replicas", type: "number", min: 0, max: 1000, value: now };
    const answer = await ask(`Scale ${this.name}`, { fields: [field], act: "Scale" });
    if (answer) await this.act(() => api.patch(`${this.path}/scale`, { spec: { replicas: Number(answer.replicas) } }, api.MERGE), `scaled to ${answer.replicas}`);
  }

  async restart() {
    const annotations = { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() };
    const change = { spec: { template: { metadata: { annotations } } } };
    const answer = await ask(`Replace all pods of ${this.name}?`, { act: "Restart" });
    if (answer) await this.act(() => api.patch(this.path, change, api.STRATEGIC), "restarted");
  }

  async remove() {
    const answer = await ask(`Delete ${this.name}?`, { act: "Delete", danger: true });
    if (answer && await this.act(() => api.remove(this.path), "deleted")) this.close();
  }

  async act(work, done) {
    try {
      await work();
      note(`${this.name} ${done}`);
      return true;
    } catch (error) {
      note(error.message);
      return false;
    }
  }
}

// The last lines of a log, those that hold a word.
class Lines {
  constructor(wanted) {
    this.wanted = wanted;
    this.lines = [];
    this.element = h("pre", { class: "log" });
  }

  clear() { this.lines = []; this.refresh(); }

  add(lines, scroller) {
    const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    this.lines = [...this.lines, ...lines].slice(-MOST_LINES);
    this.refresh();
    if (below) scroller.scrollTop = scroller.scrollHeight;
  }

  refresh() {
    const word = this.wanted.value.toLowerCase();
    this.element.textContent = this.lines.filter((line) => line.toLowerCase().includes(word)).join("\n");
  }
}

// The field managers are longer than all the rest, and for nobody's eyes here.
function withoutManagers(text) {
  return text.replace(/^ {2}managedFields:\n(?: {2}- .*\n| {3,}.*\n)*/m, "");
}

// The page: which kind, which namespace, which theme.

import * as api from "./api.js";
import { $, h } from "./dom.js";
import { Detail, KINDS, Rows } from "./views.js";

const detail = new Detail();
const rows = new Rows((kind, metadata) => detail.open(kind, metadata));
const EVERY = "All namespaces";
let kind = KINDS[0];

function show(wanted = kind) {
  kind = wanted;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${kind.word}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const chosen = $("#namespace").value;
  rows.show(kind, chosen === EVERY ? "" : chosen);
}

function drawKinds() {
  for (const section of new Set(KINDS.map((each) => each.section))) {
    const links = KINDS.filter((each) => each.section === section)
      .map((each) => h("a", { href: `#${each.word}` }, each.title));
    $("#kinds").append(h("h3", {}, section), ...links);
  }
}

function namespaces() {
  const box = $("#namespace"), names = new Map();
  const draw = () => {
    const chosen = box.value || "default";
    box.replaceChildren(...[EVERY, ...[...names.values()].sort()].map((name) => h("option", {}, name)));
    box.value = names.size && [...names.values()].includes(chosen) || chosen === EVERY ? chosen : "default";
  };
  return new Promise((ready) => api.follow("api/v1/namespaces", {
    columns: () => {},
    all: (found) => { names.clear(); for (const { object } of found) names.set(object.metadata.uid, object.metadata.name); draw(); ready(); },
    event: (sort, { object }) => {
      if (sort === "DELETED") names.delete(object.metadata.uid); else names.set(object.metadata.uid, object.metadata.name);
      draw();
    },
    failed: (error) => { if (error.status === 401) refuse(error); },
  }, new AbortController().signal));
}

function refuse(error) {
  document.body.replaceChildren(h("p", { class: "refused" }, error.message));
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

async function main() {
  try {
    await api.login();
    const { name, runtime } = await (await api.ask("cluster")).json();
    $("#cluster").textContent = name;
    $("#cluster").title = `${runtime} runtime`;
    document.title = `${name} · Kubernetes`;
  } catch (error) {
    return refuse(error);
  }
  drawKinds();
  $("#namespace").addEventListener("change", () => { detail.close(); show(); });
  $("#filter").addEventListener("input", () => rows.draw());
  $("#wide").addEventListener("change", () => rows.draw());
  $("#theme").addEventListener("click", turnTheme);
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !$("#ask").open) detail.close(); });
  const fromAddress = () => KINDS.find((each) => `#${each.word}` === location.hash) || KINDS[0];
  addEventListener("hashchange", () => { detail.close(); show(fromAddress()); });
  await namespaces();
  show(fromAddress());
}

main();

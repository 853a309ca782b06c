// Making elements. Text always goes in as text: nothing that a cluster says becomes markup.

export const $ = (selector, root = document) => root.querySelector(selector);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value != null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function note(text) {
  const line = h("p", {}, text);
  $("#notes").append(line);
  setTimeout(() => line.remove(), 6000);
}

// Asks in a dialog; resolves to the form's values, or null where the answer is no.
export function ask(title, { fields = [], act = "OK", danger = false } = {}) {
  const dialog = $("#ask");
  const form = h("form", { method: "dialog" },
    h("p", {}, title),
    ...fields.map(({ name, label, ...rest }) => h("label", {}, `${label} `, h("input", { name, required: true, ...rest }))),
    h("div", { class: "bar" },
      h("button", { value: "", formnovalidate: true }, "Cancel"),
      h("button", { value: "yes", class: danger ? "danger" : "" }, act)));
  // Return means yes, although Cancel stands first.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    form.requestSubmit($("button[value=yes]", form));
  });
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue ? Object.fromEntries(new FormData(form)) : null);
  });
}

export function age(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000) | 0;
  if (seconds < 120) return `${seconds}s`;
  const minutes = (seconds / 60) | 0;
  if (minutes < 10) return seconds % 60 ? `${minutes}m${seconds % 60}s` : `${minutes}m`;
  if (minutes < 180) return `${minutes}m`;
  const hours = (minutes / 60) | 0;
  return hours < 48 ? `${hours}h` : `${(hours / 24) | 0}d`;
}

const GOOD = /^(Running|Ready|Active|Bound|Complete|Completed|Succeeded|Available|Normal|True)$/;
const WAIT = /^(Pending|ContainerCreating|PodInitializing|Terminating|Init:.*|NotReady,?.*|Ready,SchedulingDisabled|Released)$/;
const BAD = /(BackOff|Err|Error|Failed|Evicted|OOMKilled|Lost|Unknown|^Warning$|Invalid)/;

export function tone(column, text) {
  if (column === "Ready" && /^\d+\/\d+$/.test(text)) {
    const [some, all] = text.split("/");
    return some === all ? "good" : "wait";
  }
  if (!["Status", "Type", "Reason"].includes(column)) return "";
  return BAD.test(text) ? "bad" : GOOD.test(text) ? "good" : WAIT.test(text) ? "wait" : "";
}

// The apiserver, as any client has it: lists as tables, watches, logs, patches. Paths are relative: a proxy may be in front.

const KEY = "k8snb-session";
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const JSON_TYPE = "application/json";
export const MERGE = "application/merge-patch+json", STRATEGIC = "application/strategic-merge-patch+json";
const RETRY = 2000; // milliseconds until a watch that broke is tried again

let session = "";
const kept = { get: () => quietly(() => sessionStorage.getItem(KEY)), set: (v) => quietly(() => sessionStorage.setItem(KEY, v)) };

function quietly(act) {
  try { return act(); } catch { return null; } // a frame may not be given any storage
}

export class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

// Exchanges the key in the address for a session, and takes it out of the address.
export async function login() {
  const key = new URLSearchParams(location.hash.slice(1)).get("login");
  session = kept.get() || "";
  if (!key) return;
  history.replaceState(null, "", location.pathname + location.search);
  const answer = await fetch("login", { method: "POST", body: key });
  if (answer.ok) {
    session = (await answer.json()).session;
    kept.set(session);
  } else if (!session) {
    throw new Refused(answer.status, (await answer.json()).message);
  }
}

// `stream`: jupyter-server-proxy keeps an answer back until its end, unless this is what is accepted.
export async function ask(path, { method = "GET", body, type = JSON_TYPE, accept = JSON_TYPE, signal, stream } = {}) {
  const wanted = stream ? { Accept: "text/event-stream", "X-K8snb-Accept": accept } : { Accept: accept };
  const headers = { "X-K8snb-Session": session, ...wanted, ...(body ? { "Content-Type": type } : {}) };
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  if (!answer.ok) {
    const text = await answer.text();
    throw new Refused(answer.status, (quietly(() => JSON.parse(text)) || {}).message || text || answer.statusText);
  }
  return answer;
}

export const get = async (path) => (await ask(`k8s/${path}`)).json();
export const text = async (path, accept) => (await ask(`k8s/${path}`, { accept })).text();
export const patch = (path, body, type) => ask(`k8s/${path}`, { method: "PATCH", body, type });
export const remove = (path) => ask(`k8s/${path}`, { method: "DELETE" });
export const table = async (path) => (await ask(`k8s/${path}`, { accept: TABLE })).json();

export function address(kind, namespace, name = "", rest = "") {
  const inside = kind.namespaced && namespace ? `namespaces/${namespace}/` : "";
  return [`${kind.api}/${inside}${kind.word}`, name, rest].filter(Boolean).join("/");
}

async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const pieces = (rest + value).split("\n");
    rest = pieces.pop();
    yield pieces;
  }
  if (rest) yield [rest];
}

// Lists, then watches, then lists again when the watch ends: `on` is told of columns, all rows, and single events.
export async function follow(path, on, signal) {
  while (!signal.aborted) {
    try {
      const listed = await (await ask(`k8s/${path}?includeObject=Metadata`, { accept: TABLE, signal })).json();
      on.columns(listed.columnDefinitions);
      on.all(listed.rows || []);
      const since = listed.metadata.resourceVersion;
      const query = `watch=1&includeObject=Metadata&resourceVersion=${since}`;
      for await (const pieces of lines(await ask(`k8s/${path}?${query}`, { accept: TABLE, signal, stream: true }))) {
        for (const piece of pieces) {
          const event = JSON.parse(piece);
          if (event.type === "ERROR") break;
          for (const row of event.object.rows || []) on.event(event.type, row);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      on.failed(error);
      if (error.status === 401) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

export async function logs(namespace, pod, options, on, signal) {
  const query = new URLSearchParams(options);
  const answer = await ask(`k8s/api/v1/namespaces/${namespace}/pods/${pod}/log?${query}`, { accept: "*/*", signal, stream: true });
  for await (const pieces of lines(answer)) on(pieces);
}

// Puts the page together: the form starts a stream, the viewer shows it, the buttons trouble it.

import { Brief } from "./brief.js";
import { ClientStream, forget, hasStored, load } from "./client.js";
import { Graph, legend } from "./graph.js";
import { KINDS } from "./kinds.js";
import { Log } from "./log.js";
import { NativeStream } from "./native.js";
import { Ribbon } from "./ribbon.js";
import { save, saved } from "./saved.js";
import { Say } from "./say.js";
import * as server from "./server.js";
import { Viewer } from "./viewer.js";
import { Words } from "./words.js";

const at = (id) => document.getElementById(id);
/** How long *go offline* is. */
const OFFLINE = 5000;

const HINTS = {
  native: "The browser’s own. It can only GET, so the brief is part of the address, and with it of history and logs.",
  js: "POST with headers, its own back-off, resumed by token. A reload is no end to it.",
};
const REASONS = {
  unauthorized: "The server no longer takes this stream’s token: it has expired, or the server was started anew with other keys.",
  gone: "The server does not know this draft any more: it was started anew, or the draft was kept as long as it is kept.",
};

const brief = new Brief({ field: at("brief"), error: at("brief-error"), count: at("brief-count"), examples: at("examples") });
const say = new Say(at("said"), at("say"));
const viewer = new Viewer({
  graph: new Graph(at("canvas")),
  log: new Log({ body: at("log"), frame: at("lines"), facts: at("log-facts") }),
  ribbon: new Ribbon(at("ribbon")),
  words: new Words({ summary: at("words-summary"), tables: at("words"), nodes: at("nodes"), edges: at("edges") }),
  say: (text) => say.say(text),
  trouble: (text) => trouble(text),
  pill: at("state"),
  pillText: at("state-text"),
  doing: at("doing"),
  progress: at("progress"),
  facts: at("facts"),
  counters: { received: at("received"), lost: at("lost"), repeated: at("repeated"), reconnects: at("reconnects") },
});

/** The stream that is looked at, its draft, and this page load's name as a viewer. */
let stream = null;
let draft = saved();
const name = crypto.randomUUID();
const following = new URLSearchParams(location.search).get("watch");

function trouble(text, { canStart = false } = {}) {
  at("trouble").hidden = text === "";
  at("trouble-text").textContent = text;
  at("again").hidden = !canStart;
}

function buttons() {
  const runs = stream !== null && Boolean(stream.token);
  at("cut").disabled = at("offline").disabled = !runs;
  at("cancel").disabled = !runs || following !== null;
  at("start").textContent = stream ? "Draft anew" : "Draft the graph";
  const second = at("second");
  const share = following ?? (runs || draft.isOver ? draft.share : undefined);
  second.setAttribute("aria-disabled", share ? "false" : "true");
  if (share) second.href = `/?${new URLSearchParams({ watch: share, client: clientName() })}`;
  else second.removeAttribute("href");
}

const clientName = () => new FormData(at("form")).get("client") ?? "native";

function remember(change) {
  draft = { ...draft, ...change };
  if (following === null) save(draft);
}

/** Opens a stream of the client that is chosen. */
async function open(ask, client) {
  stream?.close();
  stream = null;
  viewer.clear();
  trouble("");
  const module = client === "js" ? await load() : null;
  if (client === "js" && module === null) {
    withoutClient();
    client = "native";
    if (ask.back) ask = { watch: draft.share };
  }
  let mine = null;
  const hands = viewer.hands(() => mine === null || mine === stream);
  mine = client === "js" ? new ClientStream(module, { ...ask, viewer: name }, hands) : new NativeStream({ ...ask, viewer: name }, hands);
  stream = mine;
  viewer.note(client === "js" ? "The JS client" : "The browser’s EventSource");
  buttons();
}

function start() {
  if (!brief.check()) {
    brief.focus();
    return;
  }
  const client = clientName();
  forget();
  const ids = { share: crypto.randomUUID(), key: crypto.randomUUID() };
  draft = {};
  remember({ ...ids, client, brief: brief.value, pace_ms: at("pace").value, isOver: false });
  open({ start: asked() }, client);
}

const asked = () => ({ brief: draft.brief, pace_ms: draft.pace_ms, share: draft.share, key: draft.key });

viewer.onToken = () => {
  // The JS client keeps its own.
  if (draft.client === "native" && stream?.token && stream.token !== draft.token) remember({ token: stream.token });
  buttons();
};

viewer.onOver = ({ failure }) => {
  const wasQuiet = draft.isOver === true;
  stream = null;
  if (failure) {
    if (following !== null) trouble("There is no such draft to follow: it was never started, or it is no longer kept.");
    // What had ended before the page was loaded and is no longer kept is no trouble: there is simply nothing to show.
    else if (!wasQuiet) trouble(REASONS[failure.code] ?? failure.text ?? failure.code, { canStart: Boolean(draft.brief) });
    if (failure.needsNewStart) remember({ token: undefined, isOver: false, client: undefined });
  } else {
    remember({ isOver: true });
  }
  buttons();
};

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
at("again").addEventListener("click", () => {
  brief.value = draft.brief;
  start();
});
at("reload").addEventListener("click", () => location.reload());

at("cut").addEventListener("click", async () => {
  viewer.note("Asked the server to reset this page’s TCP connection");
  if (!(await server.cut(name, stream.token).catch(() => false))) viewer.note("There was no connection to cut");
});
at("offline").addEventListener("click", async () => {
  viewer.note(`Offline for ${OFFLINE / 1000} s: whatever this page connects is reset`);
  viewer.goDark(OFFLINE);
  await server.cut(name, stream.token, OFFLINE).catch(() => false);
});
at("cancel").addEventListener("click", async () => {
  viewer.note("Asked the server to stop the draft");
  const answer = await server.cancel(stream.token).catch(() => "refused");
  if (answer === "refused") trouble("The draft could not be cancelled: the server did not take it.");
});

function hint() {
  at("client-hint").textContent = HINTS[clientName()];
}

function choose(client) {
  const radio = document.querySelector(`input[name=client][value="${CSS.escape(client)}"]:not(:disabled)`);
  if (radio) radio.checked = true;
  hint();
}

function withoutClient() {
  const radio = document.querySelector("input[name=client][value=js]");
  radio.disabled = true;
  choose("native");
  at("client-hint").textContent = "The JS client could not be loaded, so the browser’s EventSource does it.";
}

for (const radio of document.querySelectorAll("input[name=client]")) radio.addEventListener("change", hint);

at("legend").append(legend(KINDS));
choose(new URLSearchParams(location.search).get("client") ?? draft.client ?? "native");
at("pace").value = draft.pace_ms ?? "";
if (draft.brief) brief.value = draft.brief;
server.limits().then((limits) => {
  if (limits) brief.limits = limits;
});

if (following !== null) {
  at("ask").hidden = true;
  at("following").hidden = false;
  at("cancel").hidden = true;
  open({ watch: following }, clientName());
} else if (draft.isOver && draft.share) {
  // It is all there still, for a while; by its name, as its end has been seen.
  open({ watch: draft.share }, draft.client ?? "native");
} else if (draft.client === "native" && draft.token) {
  open({ back: draft.token }, "native");
} else if (draft.client === "js") {
  open(hasStored() ? { back: true } : { start: asked() }, "js");
}
buttons();

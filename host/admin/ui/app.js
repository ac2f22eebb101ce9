// The dashboard: asks the admin API every second and shows what it says.

const $ = (id) => document.getElementById(id);

// el makes an element; children that are strings become text, never markup.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.lines = (problem.problems ?? []).map((p) =>
      `${p.file}:${p.line}:${p.column}: ` + [p.path, p.wrong, p.right].filter(Boolean).join(": "));
  }
  get text() { return this.lines.length ? this.lines.join("\n") : this.message; }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) {
    await login();
    return ask(path, options);
  }
  const json = response.headers.get("content-type")?.includes("json");
  const body = json ? await response.json() : await response.text();
  if (!response.ok) throw new Refused(json ? body : { status: response.status, title: response.statusText });
  return body;
}

const post = (path, body, type = "application/json") =>
  ask(path, { method: "POST", headers: { "Content-Type": type }, body });

// login asks for the token once, however many calls wait for it.
let asking;
function login() {
  asking ??= new Promise((resolve) => {
    $("token").value = "";
    $("login").onclose = () => {
      sessionStorage.setItem("token", $("token").value);
      asking = undefined;
      resolve();
    };
    $("login").showModal();
  });
  return asking;
}

// Metrics come as Prometheus text: name{label="value",...} number.
function parseMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const match = /^(ergo_(?:policy_call|listener_request)[a-z_]*)\{(.*)\} (\S+)$/.exec(line);
    if (!match || match[1].endsWith("_bucket")) continue;
    const labels = {};
    for (const [, key, value] of match[2].matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value;
    samples.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return samples;
}

const total = (samples, name, labels) => samples
  .filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value))
  .reduce((sum, s) => sum + s.value, 0);

// rates compares two looks at the metrics; undefined until there are two.
let before;
function rates(samples) {
  const now = { at: performance.now(), samples };
  const last = before;
  before = now;
  if (!last) return undefined;
  const seconds = (now.at - last.at) / 1000;
  const delta = (name, labels) => Math.max(0, total(now.samples, name, labels) - total(last.samples, name, labels));
  return {
    perSecond: (name, labels) => delta(name, labels) / seconds,
    mean(name, labels) {
      const calls = delta(name + "_count", labels);
      return calls ? delta(name + "_sum", labels) / calls : undefined;
    },
  };
}

const amount = (n) => n >= 100 ? Math.round(n).toLocaleString() : n.toFixed(n >= 10 ? 1 : 2).replace(/\.?0+$/, "");
const bytes = (n) => n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(1)} GiB` : n >= 2 ** 20 ? `${(n / 2 ** 20).toFixed(1)} MiB` : `${Math.round(n / 1024)} KiB`;
const span = (seconds) => seconds >= 1 ? `${seconds.toFixed(2)} s` : seconds >= 1e-3 ? `${(seconds * 1e3).toFixed(1)} ms` : `${(seconds * 1e6).toFixed(0)} µs`;
const time = (text) => new Date(text).toLocaleString();

function showFacts(status, ready, rate) {
  const draining = status.draining ?? [];
  const facts = {
    State: el("span", { class: ready.status === "ok" ? "good" : "bad" }, ready.status === "ok" ? "ready" : ready.status),
    Generation: String(status.generation.id),
    "In flight": String(status.generation.in_flight),
    "Requests/s": rate ? amount(rate.perSecond("ergo_listener_requests_total", {})) : "",
    Draining: draining.length ? draining.map((g) => `${g.id} (${g.in_flight})`).join(", ") : "",
    Tiers: status.mode === "both" ? "" : `${status.mode} alone`,
    Version: ready.version,
  };
  $("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  $("back").disabled = !(status.kept ?? []).length && status.generation.id <= 1;
}

function policyCard(tier, stage, use, rate) {
  const { health } = use;
  const labels = { tier, stage, policy: use.name, version: use.version };
  const ill = health.quarantined || health.load_error || health.failures > 0;
  let state = "";
  if (health.load_error) state = "not loaded";
  else if (health.quarantined) state = `quarantined after ${health.kind}`;
  else if (health.failures > 0) state = `failing: ${health.kind}, ${health.failures} in a row`;
  const took = rate?.mean("ergo_policy_call_duration_seconds", labels);
  return el("div", { class: ill ? "policy ill" : "policy", title: use.digest },
    el("div", { class: "name" }, use.name, el("span", {}, use.version)),
    el("div", { class: "numbers" },
      state && el("span", { class: "bad" }, state),
      rate && el("span", {}, `${amount(rate.perSecond("ergo_policy_calls_total", labels))} calls/s`),
      took && el("span", {}, span(took)),
      rate && el("span", {}, `${amount(rate.perSecond("ergo_policy_calls_total", { ...labels, outcome: "answered" }))} answered/s`),
      el("span", {}, `${health.stats.busy} of ${health.stats.instances} busy`),
      el("span", {}, bytes(health.stats.memory_bytes)),
      rate && el("span", { title: "metered cost: about one for an instruction" }, `${amount(rate.perSecond("ergo_policy_ticks_total", labels))} ticks/s`),
      health.stats.discarded ? el("span", { class: "bad" }, `${health.stats.discarded} discarded`) : ""));
}

function showFlow(status, rate) {
  $("flow").replaceChildren(...(status.tiers ?? []).map((tier) => {
    const { bulkhead, breaker_open: open } = tier.load;
    return el("article", { class: "tier" },
      el("h3", {}, tier.name, el("span", { class: open ? "bad" : "good" }, open ? "breaker open" : "")),
      el("div", { class: "load" },
        `${bulkhead.in_flight} of ${bulkhead.limit} in flight, ${bulkhead.queued} of ${bulkhead.queue} queued, ${bulkhead.shed} shed`),
      ...(tier.stages ?? []).map((stage) => el("div", { class: "stage" },
        el("h4", {}, stage.combine === "any" ? `${stage.name} (any)` : stage.name),
        ...(stage.policies ?? []).map((use) => policyCard(tier.name, stage.name, use, rate)))));
  }));
}

function table(id, heads, rows) {
  $(id).replaceChildren(
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => cell instanceof HTMLTableCellElement ? cell : el("td", {}, cell))))));
}

function showUpstreams(status) {
  table("upstreams", ["Upstream", "Endpoint", "State", "Breaker", "In flight", "Requests", "Failed"],
    (status.upstreams ?? []).map((e) => {
      const well = e.healthy && !e.ejected_until;
      const state = e.ejected_until ? `ejected until ${new Date(e.ejected_until).toLocaleTimeString()}` : e.healthy ? "healthy" : "unhealthy";
      return [e.upstream, e.endpoint, el("td", { class: well ? "good" : "bad" }, state),
        el("td", { class: e.breaker === "closed" ? "" : "bad" }, e.breaker),
        String(e.in_flight), String(e.requests), String(e.failed)];
    }));
}

function showGenerations(status, history) {
  const kept = status.kept ?? [];
  const offered = new Set();
  let marked = false;
  table("generations", ["Time", "Generation", "Cause", "Result", "Took", "What", ""],
    [...history ?? []].reverse().slice(0, 50).map((r) => {
      const running = !marked && !r.refused && r.to === status.generation.id;
      marked ||= running;
      const result = r.refused ? "refused" : running ? "running" : "done";
      const steps = kept.includes(r.to) ? kept.length - kept.indexOf(r.to) : 0;
      let button = "";
      if (!r.refused && steps && !offered.has(r.to)) {
        offered.add(r.to);
        button = el("button", { type: "button" }, "Roll back to it");
        button.onclick = () => rollback(steps);
      }
      const what = (r.refused ? r.problems : r.changes) ?? [];
      return [time(r.time), String(r.to), r.cause, el("td", { class: r.refused ? "bad" : running ? "good" : "" }, result),
        span(r.took_ns / 1e9), el("td", { class: "wrap" }, what.slice(0, 3).join("; "), what.length > 3 ? ` and ${what.length - 3} more` : ""),
        el("td", {}, button)];
    }));
}

let banner;
function say(text, good) {
  clearTimeout(banner);
  $("banner").textContent = text;
  $("banner").className = good ? "good" : "bad";
  $("banner").hidden = false;
  if (good) banner = setTimeout(() => { $("banner").hidden = true; }, 8000);
}

function outcome(change) {
  if (change.from === change.to) return `Nothing is new: generation ${change.to} goes on.`;
  const restart = (change.needs_restart ?? []).map((name) => `after a restart: ${name}`);
  return [`Generation ${change.to} runs, after ${change.from}.`, ...change.changes ?? [], ...change.warnings ?? [], ...restart].join("\n");
}

// act does something to the host and says how it went.
async function act(call) {
  try {
    say(outcome(await call()), true);
  } catch (error) {
    say(error instanceof Refused ? error.text : "The host cannot be reached.", false);
  }
  return refresh();
}

const rollback = (steps) => act(() => post("v1/rollback", JSON.stringify({ steps })));

let lost = false;
async function refresh() {
  try {
    const [status, history] = await Promise.all([ask("v1/status"), ask("v1/history")]);
    const ready = await fetch("readyz").then((r) => r.json());
    const rate = await ask("metrics").then((text) => rates(parseMetrics(text)), () => undefined);
    showFacts(status, ready, rate);
    showFlow(status, rate);
    showUpstreams(status);
    showGenerations(status, history);
    if (lost) $("banner").hidden = true;
    lost = false;
  } catch (error) {
    lost = true;
    say(error instanceof Refused ? error.text : "The host cannot be reached.", false);
  }
}

$("reload").onclick = () => act(() => post("v1/swap", "{}"));
$("back").onclick = () => rollback(1);
$("open").onclick = () => { $("verdict").textContent = ""; $("manifest").showModal(); };
$("file").onchange = async () => { if ($("file").files[0]) $("text").value = await $("file").files[0].text(); };

async function judge(path) {
  $("verdict").className = "soft";
  $("verdict").textContent = "...";
  try {
    const change = await post(path, $("text").value, "application/toml");
    $("verdict").className = "good";
    $("verdict").textContent = path === "v1/check" ? ["It can run.", ...change.changes ?? []].join("\n") : outcome(change);
  } catch (error) {
    $("verdict").className = "bad";
    $("verdict").textContent = error instanceof Refused ? error.text : "The host cannot be reached.";
  }
  refresh();
}
$("check").onclick = () => judge("v1/check");
$("swap").onclick = () => judge("v1/swap");

async function live() {
  if (!document.hidden) await refresh();
  setTimeout(live, 1000);
}
live();

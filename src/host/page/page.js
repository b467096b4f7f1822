// The page to look at: fetches /state every two seconds, while it is seen, and shows it.
// Everything that comes from the device is set as text, never as markup.
"use strict";

const EVERY_MS = 2000;
const KEPT = 150;             // points of a curve: five minutes
const DAYS = 7, DAY_MS = 86400000;
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

let token = sessionStorage.getItem("token") || "";
if (location.hash.length > 1) {
  token = decodeURIComponent(location.hash.slice(1));
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname); // not in bookmarks and screenshots
}
let timer = 0;
const rates = {accepted: [], delivered: [], inbound: []}, waits = [];
let before = null;

function make(name, text, classes) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

function draw(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function span(ms) {
  const s = Math.round(Math.abs(ms) / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

const number = (value) => Number(value ?? 0).toLocaleString("en");
const clock = (ms) => new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC";
const words = (text) => String(text ?? "").replaceAll("_", " ");
function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let i = 0;
  for (; bytes >= 1024 && i < units.length - 1; ++i) bytes /= 1024;
  return `${bytes.toFixed(i && bytes < 10 ? 1 : 0)} ${units[i]}`;
}

function list(id, pairs) {
  at(id).replaceChildren(...pairs.filter(([, value]) => value !== "" && value !== undefined)
    .flatMap(([name, value, tone]) => [make("dt", name), make("dd", value, tone)]));
}

// A table without rows is not shown; what is to be shown otherwise then is.
function rows(id, all, otherwise) {
  const table = at(id);
  table.hidden = all.length === 0;
  if (otherwise) at(otherwise).hidden = all.length > 0;
  table.tBodies[0].replaceChildren(...all.map((cells) => {
    const row = make("tr");
    for (const cell of cells) {
      row.append(make("td", cell, typeof cell === "string" && /^[\d,]+$/.test(cell) ? "number" : ""));
    }
    return row;
  }));
}

function curve(id, points, what) {
  const svg = at(id), most = Math.max(...points, 1);
  const place = (value, i) => `${i * 100 / (KEPT - 1)},${48 - value * 44 / most}`;
  svg.setAttribute("viewBox", "0 0 100 50");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-label",
    `${what}: now ${number(points.at(-1))}, at most ${number(Math.max(...points, 0))}`);
  svg.previousElementSibling.textContent =
    `${what.replace(", a second", "/s")}: ${number(points.at(-1))}, most ${number(Math.max(...points, 0))}`;
  svg.replaceChildren(draw("polyline", {class: "curve", points: points.map(place).join(" ")}));
}

const networkText = (network) => !network?.managed ? network?.problem || ""
  : `${network.connection ? `${network.connection} (${network.device})` : "no connection"}, ` +
    `${network.connectivity}, metered ${network.metered}`;

function connection(status, about) {
  const good = status.state === "connected";
  const calm = good && status.storage === "ok";
  at("name").textContent = status.client_id || "Holdfast";
  document.title = `${good ? "" : "! "}${status.client_id || "Holdfast"}: ${words(status.state)}`;
  at("mark").textContent = good ? "\u25cf" : "\u25b2";
  at("mark").className = calm ? "good" : good ? "warn" : "bad";
  set("word", good ? "Connected" : `Not connected: ${words(status.verdict)}`);
  at("explanation").textContent = good ? "" : status.explanation || "";
  at("detail").textContent = status.detail || "";
  list("connection", [
    ["Endpoint", (status.endpoints ? `${status.endpoint_name}, ` : "") + (status.endpoint || about.endpoint)],
    ...(status.endpoints || []).map((one) => [`${one.current ? "\u25cf " : ""}${one.name}`,
      `${one.address}, health ${one.health}, ${words(one.verdict)}`]),
    ["Network", networkText(status.network)],
    ...(status.network?.modems || []).map((modem) => ["Modem",
      `${modem.operator_name || modem.state} (${modem.registration}), ${modem.technology}, ${modem.signal_percent} %`]),
    ["Held", (status.network?.held_lanes || []).join(", ")],
    ["Moved", status.endpoint_change
      ? `from ${status.endpoint_change.from} to ${status.endpoint_change.to}, ` +
        `${span(status.endpoint_change.ago_ms)} ago: ` +
        (status.endpoint_change.why === "none" ? "to return" : words(status.endpoint_change.why)) : ""],
    ["State", words(status.state)],
    ["Attempts since", good ? "" : number(status.attempts)],
    ["Next attempt in", status.retry_in_ms > 0 ? span(status.retry_in_ms) : ""],
    ["Connects, attempts", `${number(status.connects)} of ${number(status.attempts_total)}`],
    ["Session", good ? (status.session_present ? "remembered by the broker" : "new") : ""],
    ["Verdicts of this run", Object.entries(status.verdicts || {}).filter(([, count]) => count > 0)
      .map(([name, count]) => `${words(name)} ${count}`).join(", ")],
    ["Holdfast", about.version]]);
}

// Announced by screen readers when it changes, not every two seconds.
function set(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function timeline(entries, now) {
  const from = now - DAYS * DAY_MS, place = (ms) => Math.max(0, (ms - from) * 1000 / (DAYS * DAY_MS));
  const starts = entries.filter((e) => e.event === "started");
  const outages = entries.filter((e) => e.event === "outage" && e.began_ms + e.lasted_ms > from);
  const known = Math.min(...entries.map((e) => e.at_ms ?? e.began_ms), now);
  const svg = draw("svg", {viewBox: "0 0 1000 30", preserveAspectRatio: "none"});
  svg.append(draw("rect", {class: "unknown", x: 0, y: 4, width: 1000, height: 22}));
  svg.append(draw("rect", {class: "ok", x: place(known), y: 4, width: 1000 - place(known), height: 22}));
  let away = 0;
  for (const one of outages) {
    const end = one.over ? one.began_ms + one.lasted_ms : Math.max(one.began_ms + one.lasted_ms, now);
    away += end - Math.max(one.began_ms, from);
    const bar = draw("rect", {class: "away", x: place(one.began_ms), y: 4, height: 22,
      width: Math.max(1.5, place(end) - place(one.began_ms))});
    bar.append(draw("title", {}, `${clock(one.began_ms)}, ${span(one.lasted_ms)}: ${words(one.verdict)}`));
    svg.append(bar);
  }
  for (const one of starts.filter((e) => e.at_ms > from)) {
    const tick = draw("rect", {class: "start", x: place(one.at_ms), y: 0, width: 1.5, height: 30});
    tick.append(draw("title", {}, `${clock(one.at_ms)}: started${one.unclean ? ", after an unclean end" : ""}`));
    svg.append(tick);
  }
  const days = make("div", undefined, "days");
  for (let day = Math.ceil(from / DAY_MS) * DAY_MS; day < now - DAY_MS / 3; day += DAY_MS) {
    const label = make("span", new Date(day).toISOString().slice(5, 10));
    label.style.left = `${place(day) / 10}%`;
    days.append(label);
  }
  const some = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;
  const said = `${some(outages.length, "outage")}, ${span(away)} away in all; ` +
    some(starts.filter((e) => e.at_ms > from).length, "start");
  at("timeline").replaceChildren(svg, days);
  at("timeline").setAttribute("aria-label", said);
  at("timeline-words").textContent = said;
  rows("outages", outages.slice().reverse().slice(0, 50).map((one) => [
    clock(one.began_ms), one.over ? span(one.lasted_ms) : `${span(one.lasted_ms)}, or goes on`,
    words(one.verdict), number(one.attempts), number(one.dropped)]));
  at("outages").parentElement.hidden = outages.length === 0;
}

function messages(status, outbox, now) {
  const ledger = status.ledger;
  const counts = {accepted: ledger.accepted, delivered: ledger.delivered, inbound: status.inbound};
  if (before && now > before.now) {
    for (const [name, points] of Object.entries(rates)) {
      points.push(Math.max(0, counts[name] - before[name]) * 1000 / (now - before.now));
    }
  }
  before = {now, ...counts};
  waits.push(ledger.pending);
  for (const kept of [...Object.values(rates), waits]) kept.splice(0, kept.length - KEPT);
  const sum = (object) => Object.values(object || {}).reduce((a, b) => a + b, 0);
  const figures = [["Accepted", ledger.accepted], ["Delivered", ledger.delivered],
    ["Waiting", ledger.pending], ["In flight", status.in_flight], ["Given up", sum(ledger.dropped)],
    ["Not accepted", sum(ledger.rejected)], ["Received", status.inbound]];
  at("figures").replaceChildren(...figures.map(([name, value]) => {
    const box = make("div", name);
    box.prepend(make("b", number(value)));
    return box;
  }));
  const tenths = (points) => points.map((r) => Math.round(r * 10) / 10);
  curve("rate-accepted", tenths(rates.accepted), "Accepted, a second");
  curve("rate", tenths(rates.delivered), "Delivered, a second");
  curve("rate-inbound", tenths(rates.inbound), "Received, a second");
  curve("waiting", waits, "Waiting");
  rows("lanes", Object.entries(outbox?.lanes || {}).map(([lane, count]) => [lane, number(count)]));
  rows("drops", [...Object.entries(ledger.dropped || {}), ...Object.entries(ledger.rejected || {})]
    .filter(([, count]) => count > 0).map(([reason, count]) => [words(reason), number(count)]));
}

// What the updater tells; without one there is no such card.
function jobs(state) {
  at("jobs").hidden = !state;
  if (!state) return;
  const last = state.last, done = last?.status === "SUCCEEDED";
  set("job-now", state.job ? `${state.job}: ${state.words}` : "No job is under way.");
  const bar = at("job-progress");
  bar.hidden = !state.job || !state.steps;
  bar.max = (state.steps || 1) * 100;
  bar.value = Math.max(0, (state.step || 1) - 1) * 100 + (state.percent || 0);
  list("job-facts", [
    ["Of this step", state.percent === undefined ? "" : `${state.percent} %`],
    ["Last job", last ? `${last.job}: ${words(last.status).toLowerCase()}` : "", done ? "good" : "bad"],
    ["Why", last?.words || ""],
    ["Updater", state.gone_ms === undefined ? "connected" : `gone for ${span(state.gone_ms)}`,
      state.gone_ms === undefined ? "good" : "warn"]]);
  rows("versions", Object.entries(state.versions || {}));
}

function identity(state) {
  const slots = Object.entries(state?.slots || {}).filter(([, slot]) => slot.condition !== "missing");
  const days = state?.days_left;
  const tone = days === null || days === undefined ? "" : days < 7 ? "bad" : days < 30 ? "warn" : "good";
  at("identity-words").className = tone;
  at("identity-words").textContent = tone === "" ? "No certificate is in use."
    : days < 0 ? "The certificate has expired." : `The certificate is valid for ${days} more days.`;
  if (state?.clock_suspect) at("identity-words").textContent += " The clock shows a time that is over.";
  rows("slots", slots.map(([name, slot]) => [name + (name === state.in_use ? ", in use" : ""),
    slot.reason ? `${slot.condition}: ${slot.reason}` : slot.condition, slot.subject || "",
    slot.key_type || "", slot.not_after || ""]));
}

function health(answer, status) {
  const parts = answer.ping?.progress || {};
  const moved = health.before && Object.fromEntries(
    Object.entries(parts).map(([part, count]) => [part, count !== health.before[part]]));
  health.before = parts;
  const pairs = Object.keys(parts).map((part) => [`Progress: ${part}`,
    !moved ? "\u2026" : moved[part] ? "goes on" : "stands still", !moved || moved[part] ? "good" : "bad"]);
  const stat = answer.outbox_stat?.outbox;
  list("health", [
    ["Storage", words(status.storage), status.storage === "ok" ? "good" : "bad"],
    ["Outbox on disk", stat ? `${size(stat.bytes)} of ${size(answer.about.outbox_limit)}` : ""],
    ["Disk", answer.about.late ? "does not answer in time" : "answers", answer.about.late ? "bad" : "good"],
    ...pairs,
    ...(status.heartbeats || []).map((one) => [`Heartbeat: ${one.name}`,
      one.phase === "missed" ? `missed, silent for ${span(one.silent_ms)}` : words(one.phase),
      one.phase === "missed" ? "bad" : one.phase === "beating" ? "good" : ""]),
    ["Ledger", status.ledger.balanced ? "balanced" : "NOT balanced: please report this",
      status.ledger.balanced ? "good" : "bad"],
    ["Last run", status.recovered_unclean ? "did not end in order" : "ended in order"],
    ["Slow callbacks", number(status.slow_callbacks)]]);
}

function filters(status) {
  rows("filters", (status.filters || []).map((f) => [f.filter,
    f.granted ? `granted, QoS ${f.qos}` : f.code >= 128 ? `refused, code ${f.code}` : "waiting"]), "no-filters");
  rows("quarantine", (status.quarantine || []).map((q) => [q.name, words(q.reason)]));
}

function log(lines) {
  const box = at("log"), end = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
  box.replaceChildren(...lines.map((line) => {
    const tone = line.level === "error" ? "bad" : line.level === "warning" ? "warn" : "";
    const item = make("li", undefined, tone);
    const time = make("time", line.time);
    item.append(time, ` ${line.level} ${line.area}: ${line.message}`);
    return item;
  }));
  if (end) box.scrollTop = box.scrollHeight;
}

function show(answer) {
  const status = answer.status?.status;
  if (!status) throw new Error("the agent has not told its state");
  const now = Date.now();
  connection(status, answer.about);
  timeline(answer.history?.history || [], now);
  messages(status, answer.outbox_stat?.outbox, now);
  jobs(status.jobs);
  identity(status.identity);
  health(answer, status);
  filters(status);
  log(answer.logs?.lines || []);
}

function say(text, bad) {
  set("fresh", text);
  at("fresh").className = bad ? "bad" : "";
}

function ask_token(why) {
  at("state").hidden = true;
  at("login").hidden = false;
  if (why) at("login-why").textContent = why;
  say("", false);
  document.documentElement.dataset.ready = "yes";
  at("token").focus();
}

async function turn() {
  clearTimeout(timer);
  if (!token) return ask_token();
  if (document.hidden) return; // goes on when it is seen again
  try {
    const answer = await fetch("/state", {headers: {Authorization: `Bearer ${token}`}});
    if (answer.status === 401) {
      token = "";
      sessionStorage.removeItem("token");
      return ask_token("That token is not the one of this agent. holdfast page, on the device, tells it.");
    }
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json());
    at("login").hidden = true;
    at("state").hidden = false;
    say("live", false);
  } catch (error) {
    say(`Not current: the agent does not answer (${error.message}). Trying again.`, true);
  }
  document.documentElement.dataset.ready = "yes";
  timer = setTimeout(turn, EVERY_MS);
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  sessionStorage.setItem("token", token);
  turn();
});
document.addEventListener("visibilitychange", turn);
turn();

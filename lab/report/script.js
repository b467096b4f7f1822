// What a report does besides being read: switch colours, filter cases, zoom the timeline. It needs
// nothing but this page. Text of the run is only ever set as text, never as markup.
"use strict";

window.addEventListener("error", (event) => {
  document.documentElement.dataset.error = event.message;
});

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- colours ---

function setUpTheme() {
  const box = one(".theme");
  box.hidden = false;
  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  let kept = "auto";
  try { kept = localStorage.getItem("holdfast-theme") ?? "auto"; } catch { /* not for this page */ }
  const wanted = one(`input[value="${kept === "light" || kept === "dark" ? kept : "auto"}"]`, box);
  wanted.checked = true;
  apply(wanted.value);
  box.addEventListener("change", (event) => {
    apply(event.target.value);
    try { localStorage.setItem("holdfast-theme", event.target.value); } catch { /* nor kept */ }
  });
}

// --- cases ---

function setUpFilters() {
  const box = one(".filters");
  if (!box) return;
  box.hidden = false;
  const search = one("input", box), chips = all(".chip", box), said = one("output", box);
  const rows = all(".verdicts tr.row"), details = all("details.case");
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const update = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true");
    const verdicts = new Set(pressed.map((chip) => chip.dataset.verdict));
    let shown = 0;
    for (const row of rows) {
      const fits = (!verdicts.size || verdicts.has(row.dataset.verdict)) &&
        wanted.every((word) => words.get(row).includes(word));
      row.hidden = !fits;
      shown += fits;
      const detail = document.getElementById(row.dataset.case);
      if (detail) detail.hidden = !fits;
    }
    for (const body of all(".verdicts tbody")) body.hidden = !one("tr.row:not([hidden])", body);
    said.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} cases`;
    one(".nothing").hidden = shown > 0;
    one("#cases .nothing").hidden = details.some((detail) => !detail.hidden);
  };
  search.addEventListener("input", update);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      update();
    });
  }
}

function setUpLinks() {
  const open = () => {
    const target = location.hash.startsWith("#case-") && document.getElementById(
      location.hash.slice(1));
    if (target) target.open = true;
  };
  window.addEventListener("hashchange", open);
  for (const link of all('a[href^="#case-"]')) {
    link.addEventListener("click", () => {
      document.getElementById(link.hash.slice(1)).open = true;
    });
  }
  open();
}

// Paper shows what went wrong in full: those cases are open, and their packets, too.
function setUpPrint() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = all("details.case:is(.FAIL, .ERROR), details.case:is(.FAIL, .ERROR) details")
      .filter((details) => !details.open);
    for (const details of opened) details.open = true;
    window.timeline?.draw(PAPER);
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    window.timeline?.draw();
  });
}

// --- timeline ---

const STATES = ["connected", "connecting", "waiting", "offline", "down"];
const MAX_ROWS = 4;           // of faults at the same time
const LANE = 18, GAP = 9, TITLE = 20, PANEL = 84, AXIS = 30, MARGIN = 12;
const PAPER = 700;            // width of the timeline on paper

const stateColour = (state) => `var(--state-${STATES.includes(state) ? state : "other"})`;
const seriesColour = (number) => `var(--series-${number % 4 + 1})`;

function clock(seconds, step = 1) {
  const sign = seconds < 0 ? "-" : "", value = Math.abs(seconds);
  const digits = step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step) - 1e-9));
  const unit = 10 ** digits, whole = Math.round(value * unit) / unit;
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = (whole - hours * 3600 - minutes * 60).toFixed(digits)
    .padStart(digits ? digits + 3 : 2, "0");
  return sign + (hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes) + `:${rest}`;
}

function tidy(value) {
  const size = Math.abs(value);
  return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 0 : size >= 1 ? 1 : 3 });
}

// A round step: at most `most` of them fit into `span`.
function niceStep(span, most, steps) {
  const least = span / most;
  const found = steps.find((step) => step >= least);
  if (found) return found;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}
const TIME_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60,
  120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

// The first index whose time is not before `time`.
function lowerBound(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1; else high = middle;
  }
  return low;
}

class Timeline {
  constructor(box, data) {
    this.data = data;
    this.box = box;
    this.plot = one(".plot", box);
    this.readout = one(".read", box);
    this.said = one(".tools output", box);
    this.idle = this.readout.textContent;
    this.begin = data.begin;
    this.end = Math.max(data.end, data.begin + 0.001);
    this.from = this.begin;
    this.to = this.end;
    this.cursor = null;
    this.panels = [];
    data.series.forEach((series, number) => {
      series.colour = seriesColour(number);
      const panel = this.panels.find((other) => other.unit === series.unit);
      if (panel) panel.series.push(series);
      else this.panels.push({ unit: series.unit, series: [series] });
    });
    this.layOutFaults();
    this.listen();
    this.draw();
  }

  // Faults that overlap go into different rows.
  layOutFaults() {
    const ends = [];
    for (const fault of this.data.faults) {
      let row = ends.findIndex((end) => end <= fault[0]);
      if (row < 0) row = ends.length < MAX_ROWS ? ends.length : MAX_ROWS - 1;
      ends[row] = Math.max(ends[row] ?? 0, fault[1]);
      fault[3] = row;
    }
    this.faultRows = ends.length;
  }

  // --- what is seen ---

  show(from, to) {
    const whole = this.end - this.begin;
    const span = Math.min(whole, Math.max(to - from, Math.min(0.02, whole)));
    this.from = Math.min(Math.max(from, this.begin), this.end - span);
    this.to = this.from + span;
    this.schedule();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    this.show(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }
  pan(part) {
    const step = (this.to - this.from) * part;
    this.show(this.from + step, this.to + step);
  }
  get zoomed() { return this.to - this.from < (this.end - this.begin) * 0.9999; }

  schedule() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  x(time) {
    return MARGIN + (time - this.from) / (this.to - this.from) * (this.width - 2 * MARGIN);
  }
  timeAt(clientX) {
    const box = this.plot.getBoundingClientRect();
    const part = (clientX - box.left - MARGIN) / (box.width - 2 * MARGIN);
    return this.from + part * (this.to - this.from);
  }

  // --- drawing ---

  add(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    this.svg.append(element);
    return element;
  }
  rect(x, y, width, height, attributes) {
    return this.add("rect", { x: x.toFixed(2), y, width: Math.max(0, width).toFixed(2), height,
      ...attributes });
  }

  draw(width = this.plot.clientWidth) {
    this.width = Math.max(280, width);
    this.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    let y = 8;
    const later = [];       // drawn above the bands of faults
    const lane = (title, height, draw) => {
      const top = y + TITLE;
      later.push(() => {
        this.add("text", { x: MARGIN, y: top - 6, class: "title" }, title);
        draw(top);
      });
      y = top + height + GAP;
    };
    if (this.data.cases.length) lane("Cases", LANE, (top) => this.drawCases(top));
    if (this.data.faults.length) {
      lane("Faults", this.faultRows * (LANE + 2) - 2, (top) => this.drawFaults(top));
    }
    if (this.data.states.length) lane("Connection", LANE, (top) => this.drawStates(top));
    const panelsFrom = y;
    for (const panel of this.panels) lane("", PANEL, (top) => this.drawPanel(panel, top));
    const panelsTo = y - GAP;
    if (this.data.events.length) lane("Events", 10, (top) => this.drawEvents(top));
    this.height = y + AXIS;
    this.drawAxis(y);
    for (const [begin, end] of this.panels.length ? this.visible(this.data.faults) : []) {
      this.rect(this.x(begin), panelsFrom, this.x(end) - this.x(begin), panelsTo - panelsFrom,
        { class: "band" });
    }
    for (const draw of later) draw();
    this.hair = this.add("line", { y1: 0, y2: y, class: "hair", visibility: "hidden" });
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.plot.replaceChildren(this.svg);
    this.box.dataset.span = `${this.from} ${this.to}`;
    const step = (this.to - this.from) / 100;
    this.said.textContent = `${clock(this.from, step)} – ${clock(this.to, step)}` +
      (this.zoomed ? ` of ${clock(this.end)}` : "");
    this.placeCursor();
  }

  visible(spans) {
    const edge = (this.to - this.from) * 0.05;      // the margins
    return spans.filter((span) => span[1] >= this.from - edge && span[0] <= this.to + edge);
  }

  drawAxis(y) {
    const step = niceStep(this.to - this.from, Math.max(2, this.width / 90), TIME_STEPS);
    for (let n = Math.ceil(this.from / step); n * step <= this.to; n++) {
      const x = this.x(n * step);
      this.add("line", { x1: x, x2: x, y1: 0, y2: y, class: "grid" });
      const anchor = x < 24 ? "start" : x > this.width - 24 ? "end" : "middle";
      this.add("text", { x, y: y + 15, "text-anchor": anchor }, clock(n * step, step));
    }
    const whole = this.end - this.begin;
    this.rect(0, this.height - 5, this.width, 5, { class: "overview" });
    this.rect((this.from - this.begin) / whole * this.width, this.height - 5,
      Math.max(6, (this.to - this.from) / whole * this.width), 5, { class: "window" });
  }

  // One block, named when the name fits. Blocks narrower than a pixel are widened to be seen.
  block(begin, end, top, name, attributes) {
    const left = Math.max(-4, this.x(begin)), right = Math.min(this.width + 4, this.x(end));
    const width = Math.max(1.2, right - left - 1);
    this.rect(left, top, width, LANE, { rx: Math.min(3, width / 3), ...attributes });
    const seen = Math.max(left, 0), room = Math.min(right, this.width) - seen - 10;
    if (name.length * 6.1 < room) {
      this.add("text", { x: seen + 6, y: top + 13, class: "within" }, name);
    }
  }

  // What would fall into the same pixel as the block before it is left out.
  blocks(spans, draw) {
    const last = [];
    for (const span of this.visible(spans)) {
      const row = span[3] ?? 0, right = this.x(span[1]);
      if (right - (last[row] ?? -Infinity) < 0.7 && this.x(span[0]) >= 0) continue;
      last[row] = right;
      draw(span);
    }
  }

  drawCases(top) {
    this.blocks(this.data.cases, ([begin, end, name, verdict]) => {
      this.block(begin, end, top, name, { class: verdict, style: "fill: var(--fill)" });
    });
  }
  drawFaults(top) {
    this.blocks(this.data.faults, ([begin, end, name, row]) => {
      this.block(begin, end, top + row * (LANE + 2), name, { class: "fault" });
    });
  }
  drawStates(top) {
    this.blocks(this.data.states, ([begin, end, state]) => {
      this.block(begin, end, top, state, { style: `fill: ${stateColour(state)}` });
    });
  }
  drawEvents(top) {
    let last = -Infinity;
    for (const [time] of this.data.events) {
      const x = this.x(time);
      if (x < -1 || x > this.width + 1 || x - last < 1.5) continue;
      last = x;
      this.add("line", { x1: x, x2: x, y1: top, y2: top + 10, stroke: "var(--soft)",
        "stroke-width": 1.5 });
    }
  }

  // Series of the same unit share a panel and its scale.
  drawPanel(panel, top) {
    let high = 0, low = 0;
    for (const series of panel.series) {
      const edge = (this.to - this.from) * 0.05;
      series.first = Math.max(0, lowerBound(series.t, this.from - edge) - 1);
      series.last = Math.min(series.t.length, lowerBound(series.t, this.to + edge) + 1);
      for (let at = series.first; at < series.last; at++) {
        high = Math.max(high, series.v[at]);
        low = Math.min(low, series.v[at]);
      }
    }
    const step = niceStep(Math.max(high - low, 1e-9) * 1.04, 3, []);
    high = Math.max(Math.ceil(high / step) * step, low + step);
    low = Math.floor(low / step) * step;
    const y = (value) => top + PANEL - (value - low) / (high - low) * PANEL;
    const ticks = [];
    for (let value = low; value <= high + step / 2; value += step) {
      this.add("line", { x1: 0, x2: this.width, y1: y(value), y2: y(value), class: "grid" });
      ticks.push([y(value) - 3, tidy(value) +
        (value + step > high + step / 2 && panel.unit ? ` ${panel.unit}` : "")]);
    }
    let x = MARGIN;
    for (const series of panel.series) {
      this.add("path", { d: this.line(series, y), style: `stroke: ${series.colour}` });
      this.rect(x, top - 14, 9, 9, { rx: 2, style: `fill: ${series.colour}` });
      this.add("text", { x: x + 14, y: top - 6, class: "title" }, series.name);
      x += 34 + series.name.length * 6.4;
    }
    for (const [height, text] of ticks) {       // last, so that they can be read over the lines
      this.add("text", { x: this.width - MARGIN, y: height, "text-anchor": "end", class: "tick" },
        text);
    }
  }

  // For each pixel its first, lowest, highest and last value, so that no peak is lost.
  line(series, y) {
    let way = "", at = series.first;
    const add = (n) => {
      way += `${way ? "L" : "M"}${this.x(series.t[n]).toFixed(1)} ${y(series.v[n]).toFixed(1)}`;
    };
    while (at < series.last) {
      const pixel = Math.floor(this.x(series.t[at]));
      const first = at;
      let low = at, high = at;
      for (; at < series.last && Math.floor(this.x(series.t[at])) === pixel; at++) {
        if (series.v[at] < series.v[low]) low = at;
        if (series.v[at] > series.v[high]) high = at;
      }
      const picked = [first, low, high, at - 1].sort((a, b) => a - b);
      picked.forEach((n, place) => { if (n !== picked[place - 1]) add(n); });
    }
    return way;
  }

  // --- reading ---

  point(time) {
    this.cursor = time === null ? null : Math.min(this.to, Math.max(this.from, time));
    this.placeCursor();
  }

  placeCursor() {
    if (this.cursor === null || this.cursor < this.from || this.cursor > this.to) {
      this.hair.setAttribute("visibility", "hidden");
      this.readout.textContent = this.idle;
      return;
    }
    const time = this.cursor, parts = [];
    const at = (spans) => spans.filter((span) => span[0] <= time && time < span[1]);
    const say = (name, value, colour) => {
      const item = document.createElement("span"), strong = document.createElement("b");
      if (colour) {
        const swatch = document.createElement("i");
        swatch.style.background = colour;
        item.append(swatch);
      }
      strong.textContent = value;
      item.append(`${name} `, strong);
      parts.push(item);
    };
    say("at", clock(time, (this.to - this.from) / 500));
    for (const [, , state] of at(this.data.states)) say("", state, stateColour(state));
    for (const series of this.data.series) {
      const next = lowerBound(series.t, time);
      const later = next === series.t.length || series.t[next] > time;
      const near = next > 0 && later ? next - 1 : next;
      if (near < series.t.length) {
        say(series.name, `${tidy(series.v[near])} ${series.unit}`, series.colour);
      }
    }
    for (const [, , name] of at(this.data.faults)) say("fault", name, "var(--fault)");
    for (const [, , name] of at(this.data.cases)) say("in", name);
    const reach = (this.to - this.from) / this.width * 4;
    for (const [when, text] of this.data.events.filter(
      (event) => Math.abs(event[0] - time) <= reach).slice(0, 3)) say(clock(when, 0.1), text);
    this.readout.replaceChildren(...parts);
    this.hair.setAttribute("visibility", "visible");
    this.hair.setAttribute("x1", this.x(time));
    this.hair.setAttribute("x2", this.x(time));
  }

  // --- hands ---

  listen() {
    const actions = { in: () => this.zoom(0.5), out: () => this.zoom(2), left: () => this.pan(-0.4),
      right: () => this.pan(0.4), all: () => this.show(this.begin, this.end) };
    for (const button of all(".tools button", this.box)) {
      button.addEventListener("click", actions[button.dataset.do]);
    }
    this.plot.addEventListener("keydown", (event) => this.onKey(event, actions));
    this.plot.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.plot.addEventListener("dblclick", (event) => this.zoom(0.4, this.timeAt(event.clientX)));
    this.plot.addEventListener("pointerdown", (event) => this.onDown(event));
    this.plot.addEventListener("pointermove", (event) => {
      if (!this.drag) this.point(this.timeAt(event.clientX));
    });
    this.plot.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => {
      if (Math.abs(this.plot.clientWidth - this.width) > 1) this.schedule();
    }).observe(this.plot);
    for (const button of all(".link[data-begin]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        const begin = Number(button.dataset.begin), end = Number(button.dataset.end);
        const room = Math.max(0.1, (end - begin) * 0.08);
        this.show(begin - room, end + room);
        this.box.scrollIntoView({ block: "start" });
        this.plot.focus({ preventScroll: true });
      });
    }
  }

  onKey(event, actions) {
    const names = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right",
      "0": "all", Home: "all" };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && event.key.startsWith("Arrow")) {
      const step = (this.to - this.from) / 100 * (event.key === "ArrowLeft" ? -1 : 1);
      this.point((this.cursor ?? (this.from + this.to) / 2) + step);
    } else if (names[event.key]) {
      actions[names[event.key]]();
    } else {
      return;
    }
    event.preventDefault();
  }

  // The wheel scrolls the page until the timeline is clicked or Ctrl is held.
  onWheel(event) {
    const active = event.ctrlKey || event.metaKey || document.activeElement === this.plot;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      if (!this.zoomed) return;
      this.pan(event.deltaX / this.width);
    } else if (active && (this.zoomed || event.deltaY < 0)) {
      const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 240)));
      this.zoom(factor, this.timeAt(event.clientX));
    } else {
      return;
    }
    event.preventDefault();
  }

  onDown(event) {
    if (event.button !== 0) return;
    const from = this.from, to = this.to, x = event.clientX;
    const scale = (to - from) / (this.plot.getBoundingClientRect().width - 2 * MARGIN);
    this.drag = true;
    this.plot.setPointerCapture(event.pointerId);
    this.plot.classList.add("dragging");
    const move = (moved) => this.show(from - (moved.clientX - x) * scale, to -
      (moved.clientX - x) * scale);
    const up = () => {
      this.drag = false;
      this.plot.classList.remove("dragging");
      this.plot.removeEventListener("pointermove", move);
    };
    this.plot.addEventListener("pointermove", move);
    this.plot.addEventListener("pointerup", up, { once: true });
    this.plot.addEventListener("pointercancel", up, { once: true });
  }
}

setUpTheme();
setUpFilters();
setUpLinks();
setUpPrint();
const timelineBox = one("#timeline");
if (timelineBox) {
  window.timeline = new Timeline(timelineBox, JSON.parse(one("#data").textContent));
}
document.documentElement.dataset.ready = "yes";

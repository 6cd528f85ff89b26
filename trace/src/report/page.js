// The page: reads the trace, and connects the views, the lists and the controls.

const byId = (id) => document.getElementById(id);

const MOST_CHOSEN = 100000;
const MOST_LISTED = 100;
const MOST_NAMES = 10;

class Page {
  constructor(model) {
    this.model = model;
    this.view = {
      model,
      from: model.from,
      to: model.to,
      // Changes with everything that changes pixels, other than the place.
      version: 0,
      poll: NONE,
      task: NONE,
      hoverPoll: NONE,
      allArrows: false,
      shown: new Set(MARKERS.filter((marker) => marker.first).map((marker) => marker.kind)),
      palette: new Palette(model.origins),
    };
    this.mode = "workers";
    this.matches = null;
    this.brush = null;
    this.millis = 0;
    this.timeline = new Timeline(this.view, byId("workers"));
    this.states = new States(this.view, byId("tasks-box"), byId("tasks"), byId("tasks-spacer"));
    this.overview = new Overview(this.view, byId("overview"), (from, to) => this.zoomTo(from, to));
    byId("tools").hidden = false;
    byId("main").hidden = false;
    this.writeSummary();
    this.fillChoice();
    this.choose("busiest");
    this.fillLists();
    this.buildHistograms();
    this.buildLegend();
    new Input(this);
    this.fit();
  }

  writeSummary() {
    const { runtime, trace, tracks } = this.model;
    const lost = tracks.reduce((sum, track) => sum + track.lost, 0);
    const written = new Date(runtime.wall / 1e6);
    const parts = [
      runtime.name ? `runtime ${runtime.name}` : "runtime without a name",
      `process ${runtime.process}`,
      `reason: ${runtime.reason}`,
      Number.isNaN(written.getTime()) ? "" : written.toISOString().replace("T", " ").slice(0, 23) + " UTC",
      plural(runtime.workers, "worker"),
      plural(trace.events, "event"),
      `${duration(this.model.to - this.model.from)} long`,
      lost > 0 ? `${plural(lost, "older event")} lost` : "",
      `heist ${runtime.version}`,
    ];
    byId("summary").textContent = parts.filter(Boolean).join(" · ");
    document.title = `heist trace${runtime.name ? ` of ${runtime.name}` : ""}`;
  }

  // Frames.

  // Draws once per frame at most, and only after a change.
  changed() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const begin = performance.now();
    if (this.mode === "workers") this.timeline.draw();
    else this.states.draw();
    this.overview.draw();
    this.millis = performance.now() - begin;
    return this.millis;
  }

  // Zoom.

  // In nanoseconds. Large times have gaps between the numbers that a Number can be.
  leastSpan() {
    return Math.max(100, this.model.to * 2 ** -46);
  }

  zoomTo(from, to) {
    const { model, view } = this;
    const whole = model.to - model.from;
    const span = Math.min(whole * 1.1, Math.max(this.leastSpan(), to - from));
    const middle = (from + to) / 2;
    // Some of the trace stays in sight.
    const least = model.from - span / 2;
    const most = Math.max(least, model.to - span / 2);
    view.from = Math.min(most, Math.max(least, middle - span / 2));
    view.to = view.from + span;
    this.hideTip();
    this.changed();
  }

  fit() {
    const { from, to } = this.model;
    this.zoomTo(from - (to - from) * 0.01, to + (to - from) * 0.01);
  }

  // Keeps the time at `fraction` of the width where it is.
  zoom(factor, fraction = 0.5) {
    const { from, to } = this.view;
    const span = Math.max(this.leastSpan(), (to - from) * factor);
    const fixed = from + (to - from) * fraction;
    this.zoomTo(fixed - span * fraction, fixed + span * (1 - fraction));
  }

  pan(share) {
    const { from, to } = this.view;
    this.zoomTo(from + (to - from) * share, to + (to - from) * share);
  }

  // Selection.

  select(poll) {
    this.view.poll = poll;
    this.view.task = poll === NONE ? NONE : this.model.polls.task[poll];
    this.showDetails(poll === NONE ? null : pollDetails(this, poll));
    this.changed();
  }

  selectTask(task) {
    this.view.poll = NONE;
    this.view.task = task;
    this.showDetails(taskDetails(this, task));
    this.changed();
  }

  showDetails(parts) {
    byId("details").replaceChildren(...(parts ?? [element("p", {}, "Click a poll, or find a task.")]));
  }

  // Selects a poll and shows it together with its wake.
  jump(poll) {
    const { model, view } = this;
    const { polls } = model;
    this.select(poll);
    const begin = Number.isNaN(polls.queued[poll]) ? polls.start[poll] : polls.queued[poll];
    const end = polls.end[poll];
    const length = Math.max(1000, end - begin);
    const span = view.to - view.from;
    // The scale stays if the poll is readable in it.
    const readable = begin > view.from && end < view.to && end - begin > span / 4;
    if (!readable) this.zoomTo(begin - length * 0.6, end + length * 0.6);
    this.timeline.showRow(model.rowOfPoll[poll]);
    if (this.mode === "tasks" && !this.states.showTask(polls.task[poll])) this.choose("selected");
  }

  setMode(mode) {
    this.mode = mode;
    if (mode === "tasks" && this.matches && byId("choice").value === "busiest") this.choose("found");
    byId("workers-box").hidden = mode !== "workers";
    byId("tasks-box").hidden = mode !== "tasks";
    byId("choice-label").hidden = mode !== "tasks";
    byId("show-workers").setAttribute("aria-pressed", String(mode === "workers"));
    byId("show-tasks").setAttribute("aria-pressed", String(mode === "tasks"));
    for (const part of byId("legend").children) part.hidden = ![mode, "both"].includes(part.dataset.mode);
    this.hideTip();
    this.changed();
  }

  showTask(task) {
    this.setMode("tasks");
    if (!this.states.showTask(task)) {
      this.choose("selected");
      this.states.showTask(task);
    }
    this.changed();
  }

  // The tasks of the second view.

  fillChoice() {
    const { origins } = this.model;
    const choice = byId("choice");
    const option = (value, text) => choice.append(element("option", { value }, text));
    option("busiest", "the busiest");
    option("late", "the longest delays");
    option("found", "found by the search");
    option("selected", "the selected and related ones");
    const ranked = origins.map((_, i) => i).sort((x, y) => origins[y].busy - origins[x].busy);
    for (const origin of ranked.slice(0, 200)) {
      const { label, tasks } = origins[origin];
      option(`origin ${origin}`, `${label} (${tasks.toLocaleString("en")})`);
    }
  }

  choose(value) {
    const { model, matches, view } = this;
    const { tasks } = model;
    const every = (accepts) => {
      const list = [];
      for (let task = 0; task < tasks.count; task++) if (accepts(task)) list.push(task);
      return list;
    };
    const polled = (task) => tasks.polls[task] > 0 || tasks.spawn[task] !== NONE || tasks.queued[task] >= 0;
    const firstTime = (task) => (tasks.first[task] === NONE ? Infinity : model.polls.start[tasks.first[task]]);
    const chronological = (x, y) => firstTime(x) - firstTime(y) || x - y;
    let list;
    if (value === "late") {
      list = every(polled).sort((x, y) => tasks.longestDelay[y] - tasks.longestDelay[x]);
    } else if (value === "found") {
      list = every((task) => matches?.[task] === 1).sort(chronological);
    } else if (value === "selected") {
      list = this.related(view.task);
    } else if (value.startsWith("origin ")) {
      const origin = Number(value.slice(7));
      list = every((task) => tasks.origin[task] === origin).sort(chronological);
    } else {
      list = every(polled).sort((x, y) => tasks.busy[y] - tasks.busy[x]);
    }
    byId("choice").value = value;
    this.states.setList(Uint32Array.from(list.slice(0, MOST_CHOSEN)));
    this.changed();
  }

  // The task itself, the tasks that have woken it, and those that it has woken.
  related(task) {
    if (task === NONE) return [];
    const { model } = this;
    const { polls, wakes } = model;
    const found = new Set([task]);
    for (const poll of model.ofTask.of(task)) {
      if (found.size >= 200) break;
      const by = polls.wake[poll] === NONE ? NONE : wakes.by[polls.wake[poll]];
      if (by >= 0) found.add(polls.task[by]);
      for (let wake = polls.firstWoken[poll]; wake !== NONE && found.size < 200; wake = wakes.next[wake]) {
        found.add(wakes.task[wake]);
      }
    }
    return [...found];
  }

  // Search and highlights.

  findTasks(text) {
    const { model } = this;
    const wanted = text.trim().toLowerCase();
    if (wanted === "") return null;
    const id = wanted.replace(/^#/, "");
    const fits = model.origins.map((origin) => !wanted.startsWith("#") && origin.text.includes(wanted));
    const matches = new Uint8Array(model.tasks.count);
    const found = [];
    for (let task = 0; task < matches.length; task++) {
      if (!fits[model.tasks.origin[task]] && String(model.tasks.ids[task]) !== id) continue;
      matches[task] = 1;
      found.push(task);
    }
    return { matches, found };
  }

  search(text) {
    const result = this.findTasks(text);
    this.matches = result?.matches ?? null;
    this.found = result?.found ?? [];
    this.foundAt = NONE;
    byId("found").textContent = result ? plural(this.found.length, "task") : "";
    byId("search-next").disabled = this.found.length === 0;
    this.highlight();
    if (byId("choice").value === "found") this.choose("found");
  }

  nextFound(step) {
    if (!this.found?.length) return;
    const count = this.found.length;
    this.foundAt = this.foundAt === NONE && step < 0 ? count - 1 : (this.foundAt + step + count) % count;
    const task = this.found[this.foundAt];
    byId("found").textContent = `${this.foundAt + 1} of ${plural(count, "task")}`;
    if (this.mode === "tasks" && byId("choice").value !== "found") this.choose("found");
    const first = this.model.tasks.first[task];
    if (first === NONE) this.selectTask(task);
    else this.jump(this.longestOf(task));
    this.states.showTask(task);
  }

  longestOf(task) {
    const { model } = this;
    let best = model.tasks.first[task];
    for (const poll of model.ofTask.of(task)) {
      if (model.length(poll) > model.length(best)) best = poll;
    }
    return best;
  }

  highlight() {
    const { model, matches, brush } = this;
    const { task } = model.polls;
    let isLit = null;
    if (matches && brush) {
      isLit = (poll) => matches[task[poll]] === 1 && brush.bins[poll] >= brush.low && brush.bins[poll] <= brush.high;
    } else if (matches) {
      isLit = (poll) => matches[task[poll]] === 1;
    } else if (brush) {
      isLit = (poll) => brush.bins[poll] >= brush.low && brush.bins[poll] <= brush.high;
    }
    for (const row of model.rows) row.highlight(isLit);
    this.overview.measured = false;
    this.view.version++;
    this.changed();
  }

  // Lists.

  item(poll, value) {
    const { model } = this;
    const title = model.title(model.polls.task[poll]);
    return element(
      "li",
      {},
      element("span", {}, duration(value(poll))),
      link(title, () => this.jump(poll)),
      element("span", { class: "faint" }, placeOf(model, poll)),
    );
  }

  // Delays that have ended, and those of tasks that are queued at the snapshot.
  worstDelays(delay) {
    const { model } = this;
    const worst = model.largest(10, model.delayBin, delay).map((poll) => [delay(poll), poll, NONE]);
    for (let task = 0; task < model.tasks.count; task++) {
      const nanos = model.queuedAtSnapshot(task);
      if (!(nanos > (worst.length < 10 ? -1 : worst[worst.length - 1][0]))) continue;
      worst.push([nanos, NONE, task]);
      worst.sort((x, y) => y[0] - x[0]);
      worst.length = Math.min(worst.length, 10);
    }
    return worst.map(([nanos, poll, task]) => {
      if (poll !== NONE) return this.item(poll, delay);
      return element(
        "li",
        {},
        element("span", {}, duration(nanos)),
        link(model.title(task), () => this.jumpToEnd(task)),
        element("span", { class: "faint" }, "still queued"),
      );
    });
  }

  // Shows the time for which the task has been queued at the snapshot.
  jumpToEnd(task) {
    const { model } = this;
    const since = model.tasks.queued[task];
    const margin = (model.to - since) * 0.6;
    this.selectTask(task);
    this.zoomTo(since - margin, model.to + margin);
    this.showTask(task);
  }

  fillLists() {
    const { model } = this;
    const delay = (poll) => model.delay(poll);
    const length = (poll) => model.length(poll);
    const fill = (id, polls, value) => byId(id).replaceChildren(...polls.map((poll) => this.item(poll, value)));
    byId("worst-delays").replaceChildren(...this.worstDelays(delay));
    fill("longest-polls", model.largest(10, model.lengthBin, length), length);
    if (model.missingDelays > 0) {
      const delays = plural(model.missingDelays, "delay");
      const begin = moment(model.completeFrom);
      byId("unsure").textContent = `${delays} from before ${begin} left out, since events are lost there.`;
    }
  }

  buildHistograms() {
    const { model, view } = this;
    const make = (id, name, bins, value, other) =>
      new Histogram(byId(id), name, bins, view.palette, (range) => {
        if (range) this.histograms[other].range = null;
        this.histograms[other].draw();
        this.setBrush(range && { bins, value, low: range[0], high: range[1] });
      });
    this.histograms = [
      make("poll-times", "Poll times", model.lengthBin, (poll) => model.length(poll), 1),
      make("delays", "Delays in a queue", model.delayBin, (poll) => model.delay(poll), 0),
    ];
    for (const histogram of this.histograms) histogram.draw();
  }

  setBrush(brush) {
    this.brush = brush;
    this.highlight();
    const box = byId("range");
    box.hidden = !brush;
    if (!brush) return;
    const { model } = this;
    let count = 0;
    for (const bin of brush.bins) if (bin >= brush.low && bin <= brush.high) count++;
    const listed = model.largest(MOST_LISTED, brush.bins, brush.value, brush.low, brush.high);
    const bounds = `${duration(binStart(brush.low))} to ${duration(binStart(brush.high + 1))}`;
    const cut = count > listed.length ? `, of which the longest ${listed.length} are listed` : "";
    const list = element("ol", {}, ...listed.map((poll) => this.item(poll, brush.value)));
    const clear = () => this.histograms.forEach((histogram) => histogram.range && histogram.select(null));
    box.replaceChildren(
      element("p", {}, `${bounds}: ${plural(count, "poll")}${cut} `, link("Clear", clear)),
      list,
    );
  }

  buildLegend() {
    const legend = byId("legend");
    const swatch = (variable, thin) =>
      element("span", { class: thin ? "swatch thin" : "swatch", style: `background: var(${variable})` });
    const add = (mode, ...children) => {
      const part = element("span", { "data-mode": mode }, ...children);
      legend.append(part);
    };
    add("workers", swatch("--parked"), "parked");
    add("workers", swatch("--idle"), "awake without a task");
    add("workers", swatch("--stall", true), "stall");
    for (const { kind, letter, name, variable } of MARKERS) {
      const box = element("input", { type: "checkbox" });
      box.checked = this.view.shown.has(kind);
      box.addEventListener("change", () => {
        if (box.checked) this.view.shown.add(kind);
        else this.view.shown.delete(kind);
        this.view.version++;
        this.changed();
      });
      const sign = element("span", { class: "letter", style: `color: var(${variable})` }, letter);
      add("workers", element("label", {}, box, " ", sign, ` ${name}`));
    }
    add("tasks", swatch("--queued"), "queued");
    add("tasks", "runs: the colour of its name");
    for (const { name, variable } of CAUSES) add("tasks", swatch(variable, true), `waits ${name}`);
    add("tasks", swatch("--waiting", true), "waits");
    add("both", element("span", { id: "names" }));
    this.showNames();
    this.setMode("workers");
  }

  // The colours of the names with the most running time. A click finds a name.
  showNames() {
    const { origins } = this.model;
    const ranked = origins.map((_, i) => i).sort((x, y) => origins[y].busy - origins[x].busy);
    const names = new Map();
    for (const origin of ranked) {
      const { label } = origins[origin];
      if (!names.has(label)) names.set(label, css(this.view.palette.origin[origin]));
      if (names.size === MOST_NAMES) break;
    }
    const find = (label) => {
      byId("search").value = label;
      this.search(label);
    };
    const buttons = [...names].map(([label, colour]) =>
      element(
        "button",
        { type: "button", class: "name", title: `Find ${label}`, onclick: () => find(label) },
        element("span", { class: "swatch", style: `background: ${colour}` }),
        label,
      ),
    );
    byId("names").replaceChildren(...buttons);
  }

  hideTip() {
    byId("tip").hidden = true;
    if (this.view.hoverPoll !== NONE) this.changed();
    this.view.hoverPoll = NONE;
  }
}

// What tests use.
function testing(page, begun) {
  const { model, view } = page;
  return {
    ready: true,
    events: model.trace.events,
    loadMillis: performance.now() - begun,
    findTask: (text) => (page.findTasks(text)?.found ?? []).map((task) => String(model.tasks.ids[task])),
    zoomTo: (from, to) => page.zoomTo(from, to),
    whole: () => ({ from: model.from, to: model.to }),
    view: () => ({
      from: view.from,
      to: view.to,
      mode: page.mode,
      task: view.task === NONE ? null : String(model.tasks.ids[view.task]),
      poll: view.poll,
    }),
    select: (id) => {
      const task = model.tasks.ids.findIndex((known) => String(known) === String(id));
      if (task >= 0) page.selectTask(task);
      return task >= 0;
    },
    // All polls in the order of their starts.
    polls: () => {
      const { polls } = model;
      return Array.from({ length: polls.count }, (_, poll) => ({
        task: String(model.tasks.ids[polls.task[poll]]),
        start: polls.start[poll],
        end: polls.end[poll],
        how: polls.how[poll],
        queued: Number.isNaN(polls.queued[poll]) ? null : polls.queued[poll],
        by: polls.wake[poll] === NONE ? null : causeOf(model, polls.wake[poll]),
        row: placeOf(model, poll),
      }));
    },
    frameMillis: () => page.millis,
    drawNow: () => page.draw(),
    // The middle of the widest slice in sight, in the coordinates of the window.
    widestSlice: () => {
      page.draw();
      const box = byId("workers").getBoundingClientRect();
      let best = { width: 0 };
      for (const row of model.rows) {
        const { start, end, count } = row.slices;
        const first = firstAbove(end, view.from, 0, count);
        const behind = firstAbove(start, view.to, first, count);
        if (first === behind) continue;
        const i = row.longestIn(first, behind);
        const x0 = Math.max(GUTTER, page.timeline.x(start[i]));
        const x1 = Math.min(page.timeline.width, page.timeline.x(end[i]));
        const y = page.timeline.middle(model.rowOfPoll[row.poll[i]]);
        if (x1 - x0 <= best.width || y > page.timeline.height) continue;
        const task = String(model.tasks.ids[model.polls.task[row.poll[i]]]);
        best = { width: x1 - x0, x: box.left + (x0 + x1) / 2, y: box.top + y, task };
      }
      return best;
    },
  };
}

function showError(error) {
  const box = byId("error");
  box.hidden = false;
  const what = error instanceof TraceError ? error.message : `the page has a fault (${error.stack ?? error})`;
  box.textContent = `The trace cannot be shown: ${what}.`;
  byId("summary").textContent = "";
  byId("tools").hidden = true;
  byId("main").hidden = true;
}

// Lets the browser show the page first, since a large trace takes a second.
window.heistTrace = { ready: false, events: 0, error: null };
setTimeout(() => {
  const begun = performance.now();
  try {
    const script = byId("trace");
    const trace = decodeTrace(base64Bytes(script.textContent));
    script.textContent = "";
    const model = new Model(trace);
    buildRows(model);
    const page = new Page(model);
    window.heistTrace = testing(page, begun);
  } catch (error) {
    window.heistTrace.error = String(error.message ?? error);
    showError(error);
  }
}, 0);

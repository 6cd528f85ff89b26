// The texts about a poll, a task or a point of the timeline.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  // Strings become text nodes. So a name of a task cannot become HTML.
  made.append(...children);
  return made;
}

function link(text, action) {
  return element("button", { type: "button", class: "link", onclick: action }, text);
}

function placeOf(model, poll) {
  return model.rows[model.rowOfPoll[poll]].label;
}

// What caused a wake, without a link.
function causeOf(model, wake) {
  const by = model.wakes.by[wake];
  if (by >= 0) return model.title(model.polls.task[by]);
  if (by === BY.REACTOR) return "the reactor";
  if (by === BY.TIMER) return "a timer";
  if (by === BY.REACTOR_OR_TIMER) return "the reactor or a timer";
  const thread = model.wakes.thread[wake];
  return thread ? `thread ${thread}` : "another thread";
}

const WAKE_VERB = { [EVENT.SPAWN]: "spawned by", [EVENT.WAKE]: "woken by", [EVENT.JOB_QUEUED]: "queued by" };

function causeNode(page, wake) {
  const { model } = page;
  const by = model.wakes.by[wake];
  const text = causeOf(model, wake);
  if (by < 0) return document.createTextNode(text);
  return link(text, () => page.jump(by));
}

function waitBefore(model, poll) {
  const { polls } = model;
  const before = polls.before[poll];
  if (before === NONE || polls.how[before] !== HOW.PENDING) return null;
  const queued = polls.queued[poll];
  if (Number.isNaN(queued)) return null;
  return Math.max(0, queued - polls.end[before]);
}

// Rows of a list of definitions; a row without a value is left out.
function definitions(rows) {
  const list = element("dl");
  for (const [name, ...values] of rows) {
    if (values[0] === null || values[0] === undefined || values[0] === "") continue;
    const wide = values[0].tagName === "UL";
    list.append(element("dt", {}, name), element("dd", wide ? { class: "wide" } : {}, ...values));
  }
  return list;
}

function taskRows(model, task) {
  const origin = model.originOf(task);
  const spawn = model.tasks.spawn[task];
  return [
    ["Task id", String(model.tasks.ids[task])],
    ["Name", origin.name || "none"],
    ["Group", origin.group],
    ["Spawned at", origin.place || "unknown"],
    ["Spawn time", spawn === NONE ? null : moment(model.wakes.time[spawn])],
  ];
}

function queueingText(model, poll) {
  const { polls } = model;
  if (Number.isNaN(polls.queued[poll])) return "unknown: the wake is not in the trace";
  const delay = duration(polls.start[poll] - polls.queued[poll]);
  return polls.facts[poll] & POLL.UNSURE ? `${delay} at most, since events are lost` : delay;
}

const MOST_WOKEN = 12;

function wokenList(page, poll) {
  const { model } = page;
  const { wakes, polls } = model;
  const items = [];
  let count = 0;
  for (let wake = polls.firstWoken[poll]; wake !== NONE; wake = wakes.next[wake]) {
    count++;
    if (items.length >= MOST_WOKEN) continue;
    const title = model.title(wakes.task[wake]);
    const next = wakes.poll[wake];
    const verb = wakes.kind[wake] === EVENT.WAKE ? "" : " (spawned)";
    const delay = next === NONE ? "not polled yet" : `polled ${duration(polls.start[next] - wakes.time[wake])} later`;
    const target = next === NONE ? title : link(title, () => page.jump(next));
    items.push(element("li", {}, target, `${verb}, ${delay}`));
  }
  if (count === 0) return null;
  if (count > items.length) items.push(element("li", {}, `and ${(count - items.length).toLocaleString("en")} more`));
  return element("ul", {}, ...items);
}

function pollDetails(page, poll) {
  const { model } = page;
  const { polls, wakes } = model;
  const task = polls.task[poll];
  const facts = polls.facts[poll];
  const wake = polls.wake[poll];
  const waited = waitBefore(model, poll);
  const cause = [];
  if (wake !== NONE) cause.push(causeNode(page, wake), ` at ${moment(wakes.time[wake])}`);
  else cause.push(facts & POLL.AFTER_YIELD ? "nothing: it had yielded" : "unknown");
  const word = facts & POLL.JOB ? "Job" : "Poll";
  const behind = facts & POLL.JOB ? null : plural(polls.behind[poll], "task");
  const rows = [
    [`${word} length`, duration(model.length(poll)) + (facts & POLL.CUT ? " at least: its begin is lost" : "")],
    ["Ended", facts & POLL.JOB && polls.how[poll] === HOW.COMPLETED ? "the job returned" : HOW_TEXT[polls.how[poll]]],
    ["Began at", moment(polls.start[poll])],
    ["Worker", placeOf(model, poll)],
    ["Waited", waited === null ? null : `${duration(waited)} before it was woken`],
    ["Queued for", queueingText(model, poll)],
    [wake === NONE ? "Woken by" : capital(WAKE_VERB[wakes.kind[wake]]), ...cause],
    ["Tasks behind it", behind],
    ["Budget", facts & POLL.BUDGET ? "spent in this poll" : null],
    ["Thread", facts & POLL.OFF_WORKER ? "the worker went on with another thread meanwhile" : null],
    ["It woke", wokenList(page, poll)],
  ];
  const step = (name, to) => {
    const button = element("button", { type: "button", onclick: () => page.jump(to) }, name);
    button.disabled = to === NONE;
    return button;
  };
  return [
    element("h3", {}, model.title(task)),
    definitions(rows),
    element("p", { class: "steps" }, step("Previous poll", polls.before[poll]), step("Next poll", polls.after[poll])),
    definitions([...taskRows(model, task), ...taskTotals(model, task)]),
    element("p", { class: "steps" }, statesButton(page, task)),
  ];
}

function statesButton(page, task) {
  return element("button", { type: "button", onclick: () => page.showTask(task) }, "Show its states");
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function taskTotals(model, task) {
  const { tasks } = model;
  return [
    ["Polls", tasks.polls[task].toLocaleString("en")],
    ["Running time", duration(tasks.busy[task])],
    ["Longest poll", duration(tasks.longestPoll[task])],
    ["Still queued", Number.isNaN(tasks.queued[task]) ? null : `for ${duration(model.to - tasks.queued[task])}`],
    ["Longest delay", tasks.longestDelay[task] > 0 ? duration(tasks.longestDelay[task]) : null],
  ];
}

function taskDetails(page, task) {
  const { model } = page;
  const first = model.tasks.first[task];
  const parts = [
    element("h3", {}, model.title(task)),
    definitions([...taskRows(model, task), ...taskTotals(model, task)]),
  ];
  if (first !== NONE) {
    parts.push(
      element(
        "p",
        { class: "steps" },
        element("button", { type: "button", onclick: () => page.jump(first) }, "First poll"),
        element("button", { type: "button", onclick: () => page.jump(model.tasks.last[task]) }, "Last poll"),
        statesButton(page, task),
      ),
    );
  }
  return parts;
}

function pollTip(model, poll) {
  const { polls } = model;
  const wake = polls.wake[poll];
  const lines = [
    model.title(polls.task[poll]),
    `${polls.facts[poll] & POLL.JOB ? "job" : "poll"} of ${duration(model.length(poll))} on ${placeOf(model, poll)}`,
    `queued for ${queueingText(model, poll)}`,
  ];
  if (wake !== NONE) lines.push(`${WAKE_VERB[model.wakes.kind[wake]]} ${causeOf(model, wake)}`);
  else if (polls.facts[poll] & POLL.AFTER_YIELD) lines.push("queued again after a yield");
  lines.push(HOW_TEXT[polls.how[poll]]);
  return lines;
}

function markerTip(model, hit) {
  const track = model.tracks[hit.track];
  const [a, b] = [track.a[hit.event], track.b[hit.event]];
  const at = `at ${moment(track.time[hit.event])}`;
  switch (hit.kind) {
    case EVENT.STEAL:
      return [`steals ${plural(b, "task")} from worker ${a}`, at];
    case EVENT.TIMERS:
      return [`${plural(a, "timer")} fired, ${duration(b)} late at most`, at];
    case EVENT.REACTOR:
      return [`the reactor has been polled: ${plural(a, "event")} in ${duration(b)}`, at];
    case EVENT.GLOBAL:
      return [`takes ${plural(a, "task")} from the global queue`, at];
    case EVENT.WAKE_WORKER:
      return [`wakes worker ${a}, which is parked`, at];
    case EVENT.BUDGET:
      return [`${model.title(a)} has spent its budget`, at];
    default: {
      const verb = { [EVENT.SPAWN]: "spawns", [EVENT.WAKE]: "wakes", [EVENT.JOB_QUEUED]: "queues" }[hit.kind];
      return [`${b ? `thread ${b}` : "another thread"} ${verb} ${model.title(a)}`, at];
    }
  }
}

// The state of a task between two polls.
function gapTip(model, hit) {
  const { polls, tasks } = model;
  const last = hit.next !== NONE ? polls.before[hit.next] : tasks.last[hit.task];
  const since = hit.next !== NONE ? polls.queued[hit.next] : tasks.queued[hit.task];
  const wake = hit.next !== NONE ? polls.wake[hit.next] : tasks.wake[hit.task];
  const title = model.title(hit.task);
  if (last !== NONE && polls.how[last] >= HOW.COMPLETED) return [title, "has ended"];
  const lines = [title];
  if (since <= hit.time) {
    const end = hit.next !== NONE ? polls.start[hit.next] : model.to;
    lines.push(`queued for ${duration(end - since)}${hit.next === NONE ? " at the snapshot" : ""}`);
  } else {
    lines.push("waits");
  }
  if (wake !== NONE) lines.push(`${WAKE_VERB[model.wakes.kind[wake]]} ${causeOf(model, wake)}`);
  return lines;
}

function tipOf(model, hit) {
  switch (hit.type) {
    case "poll":
      return pollTip(model, hit.poll);
    case "marker":
      return markerTip(model, hit);
    case "flag":
      return [hit.flag.text, `at ${moment(hit.flag.time)}`];
    case "park":
      return [`parked for ${duration(hit.to - hit.from)}`];
    case "gap":
      return gapTip(model, hit);
    case "task":
      return [model.title(hit.task), model.originOf(hit.task).place || "its place of spawn is unknown"];
    default:
      return null;
  }
}

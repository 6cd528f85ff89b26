// The rows of the timeline: what one worker, or one lane of blocking jobs, has done. Each row has
// sorted arrays, so that a frame costs its visible pixels and not its events.

// Those with `first` are shown at first. Each worker polls the reactor too often for that.
const MARKERS = [
  { kind: EVENT.STEAL, letter: "S", name: "steal", variable: "--steal", first: true },
  { kind: EVENT.TIMERS, letter: "T", name: "timers", variable: "--timers", first: true },
  { kind: EVENT.GLOBAL, letter: "G", name: "global queue", variable: "--global", first: true },
  { kind: EVENT.WAKE_WORKER, letter: "W", name: "wakes a worker", variable: "--wake-worker", first: true },
  { kind: EVENT.BUDGET, letter: "B", name: "budget spent", variable: "--budget", first: true },
  { kind: EVENT.REACTOR, letter: "R", name: "reactor", variable: "--reactor", first: false },
];

// Kinds that get a labelled flag above the rows.
const FLAGS = [EVENT.STALL, EVENT.RESCUE, EVENT.RESIZE, EVENT.DRAIN, EVENT.MARK, EVENT.RECORDER];

// The first index in [low, high) whose value exceeds `limit`, or `high`.
function firstAbove(values, limit, low, high) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

// The same, if the result is probably close to `low`.
function firstAboveNear(values, limit, low, high) {
  let step = 1;
  let at = low;
  while (at < high && values[at] <= limit) {
    low = at + 1;
    at += step;
    step *= 2;
  }
  return firstAbove(values, limit, low, Math.min(at, high));
}

// Sorted intervals that do not overlap, with sums of their lengths.
class Intervals {
  constructor(count) {
    this.count = count;
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.sum = null;
  }

  finish() {
    this.sum = new Float64Array(this.count + 1);
    for (let i = 0; i < this.count; i++) {
      this.sum[i + 1] = this.sum[i] + Math.max(0, this.end[i] - this.start[i]);
    }
  }

  // The covered time between two times, given the first interval that ends after `from`, and the
  // first that starts at `to` or later.
  covered(first, behind, from, to) {
    if (first >= behind) return 0;
    const early = Math.max(0, from - this.start[first]);
    const late = Math.max(0, this.end[behind - 1] - to);
    return this.sum[behind] - this.sum[first] - early - late;
  }
}

const FAN = 16;

class Row {
  constructor(label, kind, track) {
    this.label = label;
    // "worker", "others" or "jobs".
    this.kind = kind;
    this.track = track;
    this.slices = new Intervals(0);
    this.poll = new Uint32Array(0);
    this.parks = new Intervals(0);
    this.markers = new Map();
    // How many of the first polls are highlighted, and how long these run; null without a highlight.
    this.lit = null;
    this.litSum = null;
  }

  setPolls(polls, list) {
    const slices = new Intervals(list.length);
    for (let i = 0; i < list.length; i++) {
      slices.start[i] = polls.start[list[i]];
      slices.end[i] = polls.end[list[i]];
      // A poll that continues on a thread without the seat must not cover its successor.
      if (i > 0) slices.end[i - 1] = Math.min(slices.end[i - 1], slices.start[i]);
    }
    slices.finish();
    this.slices = slices;
    this.poll = list;
    this.longest = [];
    let below = list.length;
    let length = (i) => slices.end[i] - slices.start[i];
    let candidate = (i) => i;
    while (below > FAN) {
      const level = new Uint32Array(Math.ceil(below / FAN));
      for (let block = 0; block < level.length; block++) {
        let best = candidate(block * FAN);
        for (let i = block * FAN + 1; i < Math.min(below, (block + 1) * FAN); i++) {
          if (length(candidate(i)) > length(best)) best = candidate(i);
        }
        level[block] = best;
      }
      this.longest.push(level);
      below = level.length;
      candidate = (i) => level[i];
    }
  }

  // The index of the longest slice in [low, high), which must not be empty.
  longestIn(low, high) {
    const { start, end } = this.slices;
    let best = low;
    let most = end[low] - start[low];
    if (high - low < 2 * FAN) {
      for (let i = low + 1; i < high; i++) {
        if (end[i] - start[i] > most) [most, best] = [end[i] - start[i], i];
      }
      return best;
    }
    const look = (i) => {
      const length = end[i] - start[i];
      if (length > most) [most, best] = [length, i];
    };
    for (let level = -1; low < high; level++) {
      const at = level < 0 ? (i) => i : (i) => this.longest[level][i];
      if (high - low < 2 * FAN || level + 1 >= this.longest.length) {
        for (let i = low; i < high; i++) look(at(i));
        break;
      }
      while (low % FAN !== 0) look(at(low++));
      while (high % FAN !== 0) look(at(--high));
      low /= FAN;
      high /= FAN;
    }
    return best;
  }

  // The index of the slice at a time, or of the longest within `slack` around it, or NONE.
  at(time, slack) {
    const { start, end, count } = this.slices;
    const low = firstAbove(end, time - slack, 0, count);
    const high = firstAbove(start, time + slack, low, count);
    if (low === high) return NONE;
    const exact = firstAbove(end, time, low, high);
    if (exact < high && start[exact] <= time && high - low <= 3) return exact;
    return this.longestIn(low, high);
  }

  highlight(isLit) {
    this.lit = null;
    if (!isLit) return;
    const { start, end, count } = this.slices;
    this.lit = new Uint32Array(count + 1);
    this.litSum = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) {
      const lit = isLit(this.poll[i]);
      this.lit[i + 1] = this.lit[i] + (lit ? 1 : 0);
      this.litSum[i + 1] = this.litSum[i] + (lit ? end[i] - start[i] : 0);
    }
  }

  // The first highlighted slice in [low, high), which holds one.
  firstLit(low, high) {
    return firstAbove(this.lit, this.lit[low], low + 1, high) - 1;
  }
}

function parksOf(track, to) {
  const { kinds, time, count } = track;
  const starts = [];
  const ends = [];
  let open = null;
  for (let i = 0; i < count; i++) {
    if (kinds[i] === EVENT.PARK) {
      open ??= time[i];
    } else if (kinds[i] === EVENT.UNPARK) {
      // Without its begin the time of parking began before the first event that is left.
      if (open === null && starts.length === 0) open = time[0];
      if (open !== null) {
        starts.push(open);
        ends.push(time[i]);
      }
      open = null;
    }
  }
  if (open !== null) {
    starts.push(open);
    ends.push(to);
  }
  const parks = new Intervals(starts.length);
  parks.start.set(starts);
  parks.end.set(ends);
  parks.finish();
  return parks;
}

function markersOf(track, kinds) {
  const counts = new Map(kinds.map((kind) => [kind, 0]));
  for (let i = 0; i < track.count; i++) {
    const kind = track.kinds[i];
    if (counts.has(kind)) counts.set(kind, counts.get(kind) + 1);
  }
  const markers = new Map();
  for (const [kind, count] of counts) {
    markers.set(kind, { time: new Float64Array(count), event: new Uint32Array(count), count: 0 });
  }
  for (let i = 0; i < track.count; i++) {
    const list = markers.get(track.kinds[i]);
    if (!list) continue;
    list.time[list.count] = track.time[i];
    list.event[list.count++] = i;
  }
  return markers;
}

// Jobs overlap, so each lane holds those that do not.
function assignLanes(polls, jobs) {
  const ends = [];
  return jobs.map((job) => {
    let lane = ends.findIndex((end) => end <= polls.start[job]);
    if (lane < 0) lane = ends.push(0) - 1;
    ends[lane] = polls.end[job];
    return lane;
  });
}

// Sets `model.rows`, `model.rowOfPoll`, `model.rowOfTrack` and `model.flags`.
function buildRows(model) {
  const { tracks, polls } = model;
  const rows = [];
  const jobs = [];
  model.rowOfTrack = new Uint16Array(tracks.length);
  model.rowOfPoll = new Uint16Array(polls.count);
  tracks.forEach((track, t) => {
    model.rowOfTrack[t] = rows.length;
    const row = new Row(track.worker ? `worker ${track.index}` : "other threads", "worker", t);
    if (track.worker) {
      row.parks = parksOf(track, model.to);
      row.markers = markersOf(track, MARKERS.map((marker) => marker.kind));
    } else {
      row.kind = "others";
      row.markers = markersOf(track, [EVENT.SPAWN, EVENT.WAKE, EVENT.JOB_QUEUED]);
    }
    rows.push(row);
  });
  for (let poll = 0; poll < polls.count; poll++) {
    if (polls.facts[poll] & POLL.JOB) jobs.push(poll);
    else model.rowOfPoll[poll] = model.rowOfTrack[polls.track[poll]];
  }
  const workers = rows.length;
  assignLanes(polls, jobs).forEach((lane, i) => {
    const index = workers + Math.min(lane, 999);
    rows[index] ??= new Row(`blocking ${lane}`, "jobs", polls.track[jobs[i]]);
    model.rowOfPoll[jobs[i]] = index;
  });
  const ofRow = groupBy(polls.count, rows.length, (poll) => model.rowOfPoll[poll]);
  rows.forEach((row, i) => row.setPolls(polls, ofRow.of(i)));
  model.rows = rows;

  model.flags = [];
  tracks.forEach((track, t) => {
    for (let i = 0; i < track.count; i++) {
      if (FLAGS.includes(track.kinds[i])) model.flags.push(flagOf(model, track, t, i));
    }
  });
  model.flags.sort((x, y) => x.time - y.time);
  model.flagTimes = Float64Array.from(model.flags, (flag) => flag.time);
}

const DRAIN_TEXT = ["drain begins", "drain deadline", "drain ends"];

function flagOf(model, track, t, i) {
  const kind = track.kinds[i];
  const [time, a, b] = [track.time[i], track.a[i], track.b[i]];
  const flag = { kind, time, label: "", text: "", row: NONE, from: time, task: NONE };
  const rowOfWorker = (worker) => model.tracks.findIndex((other) => other.worker && other.index === worker);
  if (kind === EVENT.STALL) {
    const length = track.third.get(i);
    flag.label = `stall of worker ${a}`;
    flag.text = `The watchdog reports that ${model.title(b)} stalls worker ${a}, for ${duration(length)} so far.`;
    flag.row = rowOfWorker(a);
    flag.from = time - length;
    flag.task = b;
  } else if (kind === EVENT.RESCUE) {
    flag.label = "rescue";
    flag.text = `The watchdog takes what waits behind the stall of worker ${a}.`;
    flag.row = rowOfWorker(a);
  } else if (kind === EVENT.RESIZE) {
    flag.label = `${b} workers`;
    flag.text = `The number of workers changes from ${a} to ${b}.`;
  } else if (kind === EVENT.DRAIN) {
    flag.label = DRAIN_TEXT[a] ?? "drain";
    flag.text = `${flag.label}, ${b} tasks alive.`;
  } else if (kind === EVENT.MARK) {
    flag.label = model.trace.texts[a];
    const where = track.worker ? `by worker ${track.index}` : `by thread ${b}`;
    flag.text = `Mark of the program: ${flag.label} (${where}).`;
  } else {
    flag.label = "recorder starts";
    flag.text = "The recorder starts.";
  }
  return flag;
}

// What the events mean: polls, wakes, the delays between them, and the states of tasks.

// How a poll ended. The first five are the values of the format.
const HOW = { PENDING: 0, YIELD: 1, COMPLETED: 2, PANICKED: 3, CANCELLED: 4, RUNNING: 5 };
const HOW_TEXT = [
  "pending: the task waits",
  "yielded: the task is queued again",
  "the task completed",
  "the task panicked",
  "the task was cancelled",
  "still running at the snapshot",
];

// What caused a wake, if no poll did. A poll is its index, which is not negative.
const BY = { REACTOR: -1, TIMER: -2, REACTOR_OR_TIMER: -3, OTHER_THREAD: -4 };

const NONE = -1;

// Facts about a poll, as bits.
const POLL = { JOB: 1, CUT: 2, OFF_WORKER: 4, AFTER_YIELD: 8, UNSURE: 16, BUDGET: 32 };

// Bins of the histograms: four per power of two.
const BINS = 176;
function binOf(nanos) {
  return nanos < 1 ? 0 : Math.min(BINS - 2, 1 + Math.floor(Math.log2(nanos) * 4));
}
function binStart(bin) {
  return bin === 0 ? 0 : 2 ** ((bin - 1) / 4);
}
// Of polls without a known delay.
const NO_BIN = 255;

// Visits the events of all tracks in the order of time. At equal times the start of a poll comes
// last, since the wake that led to it may have the same time.
function inOrder(tracks, visit) {
  const next = new Uint32Array(tracks.length);
  const late = (track, i) => (track.kinds[i] === EVENT.POLL || track.kinds[i] === EVENT.JOB ? 1 : 0);
  const before = (x, y) => {
    const [a, b] = [tracks[x], tracks[y]];
    const difference = a.time[next[x]] - b.time[next[y]];
    return difference < 0 || (difference === 0 && late(a, next[x]) < late(b, next[y]));
  };
  const heap = [];
  const sink = (at) => {
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && before(heap[child], heap[least])) least = child;
      }
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least], heap[at]];
      at = least;
    }
  };
  tracks.forEach((track, i) => track.count > 0 && heap.push(i));
  for (let at = heap.length >> 1; at >= 0; at--) sink(at);
  while (heap.length > 0) {
    const track = heap[0];
    visit(track, next[track]);
    if (++next[track] === tracks[track].count) heap[0] = heap[heap.length - 1];
    if (next[track] === tracks[track].count) heap.pop();
    sink(0);
  }
}

class Model {
  constructor(trace) {
    this.trace = trace;
    this.runtime = trace.runtime;
    const others = Number.MAX_SAFE_INTEGER;
    const place = (track) => (track.worker ? track.index : others);
    this.tracks = [...trace.tracks].sort((x, y) => place(x) - place(y));
    this.findSpan();
    this.allocate();
    this.follow();
    this.finishTasks();
    this.nameOrigins();
    this.fillBins();
  }

  findSpan() {
    let from = Infinity;
    let to = 0;
    let complete = 0;
    for (const { count, time, lost } of this.tracks) {
      if (count === 0) continue;
      from = Math.min(from, time[0]);
      to = Math.max(to, time[count - 1]);
      if (lost > 0) complete = Math.max(complete, time[0]);
    }
    if (from === Infinity) from = this.runtime.snapshot;
    this.from = from;
    this.to = Math.max(to, Math.min(this.runtime.snapshot, 2 ** 62), from + 1000);
    // Before this time an event may be missing.
    this.completeFrom = Math.max(complete, from);
  }

  allocate() {
    let polls = 0;
    let wakes = 0;
    for (const { count, kinds } of this.tracks) {
      polls++;
      for (let i = 0; i < count; i++) {
        const kind = kinds[i];
        if (kind === EVENT.POLL || kind === EVENT.JOB) polls++;
        if (kind === EVENT.SPAWN || kind === EVENT.WAKE || kind === EVENT.JOB_QUEUED) wakes++;
      }
    }
    const tasks = this.trace.tasks.ids.length;
    this.polls = {
      count: 0,
      start: new Float64Array(polls),
      end: new Float64Array(polls),
      task: new Uint32Array(polls),
      how: new Uint8Array(polls).fill(HOW.RUNNING),
      track: new Uint16Array(polls),
      facts: new Uint8Array(polls),
      behind: new Uint32Array(polls),
      // When the task was queued for this poll.
      queued: new Float64Array(polls).fill(NaN),
      wake: new Int32Array(polls).fill(NONE),
      before: new Int32Array(polls).fill(NONE),
      after: new Int32Array(polls).fill(NONE),
      firstWoken: new Int32Array(polls).fill(NONE),
      lastWoken: new Int32Array(polls).fill(NONE),
    };
    this.wakes = {
      count: 0,
      time: new Float64Array(wakes),
      task: new Uint32Array(wakes),
      track: new Uint16Array(wakes),
      kind: new Uint8Array(wakes),
      thread: new Float64Array(wakes),
      by: new Int32Array(wakes),
      poll: new Int32Array(wakes).fill(NONE),
      // The next wake of the poll that caused this one.
      next: new Int32Array(wakes).fill(NONE),
    };
    this.tasks = {
      count: tasks,
      ids: this.trace.tasks.ids,
      polls: new Uint32Array(tasks),
      busy: new Float64Array(tasks),
      longestPoll: new Float64Array(tasks),
      longestDelay: new Float64Array(tasks),
      first: new Int32Array(tasks).fill(NONE),
      last: new Int32Array(tasks).fill(NONE),
      spawn: new Int32Array(tasks).fill(NONE),
      // Not a number unless the task is queued; at the end, unless it is queued at the snapshot.
      queued: new Float64Array(tasks).fill(NaN),
      wake: new Int32Array(tasks).fill(NONE),
      origin: new Uint32Array(tasks),
    };
    this.missingDelays = 0;
  }

  // One pass over all events. It keeps per track what is open, and per task why it is queued.
  follow() {
    const open = this.tracks.map(() => NONE);
    // Polls that a worker left behind by starting another one: its thread has lost the seat.
    this.left = new Map();
    // Polls and jobs of the other threads: by task, and by thread.
    const jobs = new Map();
    const jobOfThread = new Map();
    // Wakes outside of polls whose cause the next event 9 or 10 tells.
    const unexplained = this.tracks.map(() => []);
    const beginsInPoll = this.tracks.map((track) => {
      for (let i = 0; track.worker && i < track.count; i++) {
        if (track.kinds[i] === EVENT.POLL) return NONE;
        if (track.kinds[i] === EVENT.POLL_END) return track.a[i];
      }
      return NONE;
    });

    inOrder(this.tracks, (t, i) => {
      const track = this.tracks[t];
      const kind = track.kinds[i];
      const time = track.time[i];
      const a = track.a[i];
      if (i === 0 && beginsInPoll[t] !== NONE) {
        open[t] = this.startPoll(t, beginsInPoll[t], time, POLL.CUT, 0);
      }
      switch (kind) {
        case EVENT.SPAWN:
        case EVENT.WAKE:
        case EVENT.JOB_QUEUED: {
          let by = open[t];
          if (!track.worker) by = jobOfThread.get(track.b[i]) ?? BY.OTHER_THREAD;
          else if (by === NONE) by = BY.REACTOR_OR_TIMER;
          const wake = this.addWake(t, kind, a, time, by, track.b[i]);
          if (by === BY.REACTOR_OR_TIMER) unexplained[t].push(wake);
          break;
        }
        case EVENT.REACTOR:
        case EVENT.TIMERS: {
          const by = kind === EVENT.REACTOR ? BY.REACTOR : BY.TIMER;
          for (const wake of unexplained[t]) this.wakes.by[wake] = by;
          unexplained[t].length = 0;
          break;
        }
        case EVENT.POLL:
          unexplained[t].length = 0;
          if (!track.worker) {
            jobs.set(a, this.startPoll(t, a, time, POLL.JOB, track.b[i]));
            break;
          }
          if (open[t] !== NONE) {
            this.polls.facts[open[t]] |= POLL.OFF_WORKER;
            this.left.set(this.polls.task[open[t]], open[t]);
          }
          open[t] = this.startPoll(t, a, time, 0, track.b[i]);
          break;
        case EVENT.POLL_END:
          if (track.worker && open[t] !== NONE && this.polls.task[open[t]] === a) {
            this.endPoll(open[t], time, track.b[i]);
            open[t] = NONE;
            break;
          }
          for (const polls of [this.left, jobs]) {
            const poll = polls.get(a);
            if (poll === undefined) continue;
            this.endPoll(poll, time, track.b[i]);
            polls.delete(a);
            break;
          }
          break;
        case EVENT.JOB: {
          const job = this.startPoll(t, a, time, POLL.JOB, 0);
          jobs.set(a, job);
          jobOfThread.set(track.b[i], job);
          break;
        }
        case EVENT.JOB_END: {
          const job = jobs.get(a);
          if (job !== undefined) this.endPoll(job, time, HOW.COMPLETED);
          jobs.delete(a);
          jobOfThread.delete(track.b[i]);
          break;
        }
        case EVENT.BUDGET:
          if (open[t] !== NONE) this.polls.facts[open[t]] |= POLL.BUDGET;
          break;
      }
    });
  }

  addWake(track, kind, task, time, by, thread) {
    const { wakes, polls, tasks } = this;
    const wake = wakes.count++;
    wakes.time[wake] = time;
    wakes.task[wake] = task;
    wakes.track[wake] = track;
    wakes.kind[wake] = kind;
    wakes.thread[wake] = thread;
    wakes.by[wake] = by;
    if (by >= 0) {
      if (polls.firstWoken[by] === NONE) polls.firstWoken[by] = wake;
      else wakes.next[polls.lastWoken[by]] = wake;
      polls.lastWoken[by] = wake;
    }
    if (kind !== EVENT.WAKE && tasks.spawn[task] === NONE) tasks.spawn[task] = wake;
    // A second wake of a queued task tells that a poll between the two is lost. So the last counts.
    tasks.queued[task] = time;
    tasks.wake[task] = wake;
    return wake;
  }

  startPoll(track, task, time, facts, behind) {
    const { polls, tasks, wakes } = this;
    const poll = polls.count++;
    polls.start[poll] = time;
    polls.end[poll] = this.to;
    polls.task[poll] = task;
    polls.track[poll] = track;
    polls.behind[poll] = behind;
    const last = tasks.last[task];
    polls.before[poll] = last;
    if (last === NONE) tasks.first[task] = poll;
    else polls.after[last] = poll;
    tasks.last[task] = poll;
    tasks.polls[task]++;

    const queued = tasks.queued[task];
    if (queued <= time && !(facts & POLL.CUT)) {
      polls.queued[poll] = queued;
      if (queued < this.completeFrom) facts |= POLL.UNSURE;
      if (last !== NONE && polls.how[last] === HOW.YIELD && polls.end[last] === queued) {
        facts |= POLL.AFTER_YIELD;
      }
      const wake = tasks.wake[task];
      polls.wake[poll] = wake;
      if (wake !== NONE) wakes.poll[wake] = poll;
    }
    polls.facts[poll] = facts;
    tasks.queued[task] = NaN;
    tasks.wake[task] = NONE;
    return poll;
  }

  endPoll(poll, time, how) {
    const { polls, tasks } = this;
    polls.end[poll] = time;
    polls.how[poll] = Math.min(how, HOW.CANCELLED);
    const task = polls.task[poll];
    // A wake in the middle of a poll queues the task at the end of the poll.
    if (how === HOW.YIELD || !Number.isNaN(tasks.queued[task])) tasks.queued[task] = time;
    if (how >= HOW.COMPLETED) {
      tasks.queued[task] = NaN;
      tasks.wake[task] = NONE;
    }
  }

  finishTasks() {
    const { polls, tasks } = this;
    for (let poll = 0; poll < polls.count; poll++) {
      const task = polls.task[poll];
      const length = polls.end[poll] - polls.start[poll];
      tasks.busy[task] += length;
      tasks.longestPoll[task] = Math.max(tasks.longestPoll[task], length);
      const delay = this.delay(poll);
      if (delay > tasks.longestDelay[task]) tasks.longestDelay[task] = delay;
      if (polls.facts[poll] & POLL.UNSURE) this.missingDelays++;
    }
    for (let task = 0; task < tasks.count; task++) {
      const delay = this.queuedAtSnapshot(task);
      if (delay > tasks.longestDelay[task]) tasks.longestDelay[task] = delay;
    }
    // All polls by task: a list in the order of time per task.
    this.ofTask = groupBy(polls.count, tasks.count, (poll) => polls.task[poll]);
  }

  // How long the task has been queued at the snapshot; not a number if it is not queued.
  queuedAtSnapshot(task) {
    const since = this.tasks.queued[task];
    return since >= this.completeFrom ? this.to - since : NaN;
  }

  // From queued until polled; not a number if it is unknown.
  delay(poll) {
    const { start, queued, facts } = this.polls;
    return facts[poll] & POLL.UNSURE ? NaN : start[poll] - queued[poll];
  }

  length(poll) {
    return this.polls.end[poll] - this.polls.start[poll];
  }

  // Tasks with the same name, group and place of spawn have one origin, which determines a colour.
  nameOrigins() {
    const { texts, tasks: described } = this.trace;
    const known = new Map();
    const text = (index) => (index === 0 ? "" : texts[index - 1]);
    this.origins = [];
    for (let task = 0; task < this.tasks.count; task++) {
      const root = this.tasks.ids[task] === 0 ? "block_on" : "";
      let key = root;
      if (task < described.known) {
        const { name, group, file, line, column, flags } = described;
        const place = `${file[task]} ${line[task]} ${column[task]}`;
        key = `${name[task]} ${group[task]} ${place} ${flags[task] & 2} ${root}`;
      }
      let index = known.get(key);
      if (index === undefined) {
        index = this.origins.length;
        known.set(key, index);
        const origin = { name: "", group: "", place: "", job: false, busy: 0, tasks: 0, label: "" };
        if (task < described.known) {
          origin.name = text(described.name[task]);
          origin.group = text(described.group[task]);
          origin.job = (described.flags[task] & 2) !== 0;
          if (described.file[task] > 0) {
            const file = text(described.file[task]);
            origin.place = `${file}:${described.line[task]}:${described.column[task]}`;
          }
        }
        const file = origin.place.replace(/^.*[/\\]/, "").replace(/:\d+$/, "");
        const fallback = origin.job ? "blocking job" : "task";
        origin.label = origin.name || root || file || fallback;
        origin.text = `${origin.name}\n${origin.group}\n${origin.place}\n${root}`.toLowerCase();
        this.origins.push(origin);
      }
      this.tasks.origin[task] = index;
      this.origins[index].busy += this.tasks.busy[task];
      this.origins[index].tasks++;
    }
  }

  originOf(task) {
    return this.origins[this.tasks.origin[task]];
  }

  label(task) {
    return this.originOf(task).label;
  }

  // With the id, which tells tasks of one name apart.
  title(task) {
    return `${this.label(task)} #${this.tasks.ids[task]}`;
  }

  fillBins() {
    const { polls } = this;
    this.lengthBin = new Uint8Array(polls.count);
    this.delayBin = new Uint8Array(polls.count);
    for (let poll = 0; poll < polls.count; poll++) {
      const cut = polls.facts[poll] & POLL.CUT;
      const delay = this.delay(poll);
      this.lengthBin[poll] = cut ? NO_BIN : binOf(this.length(poll));
      this.delayBin[poll] = Number.isNaN(delay) ? NO_BIN : binOf(delay);
    }
  }

  // The polls with the largest values, largest first: from the highest bins, so that no sort of
  // all polls is necessary.
  largest(count, bins, value, low = 0, high = BINS - 1) {
    const counts = new Uint32Array(256);
    for (let poll = 0; poll < this.polls.count; poll++) counts[bins[poll]]++;
    let total = 0;
    let lowest = high;
    for (; lowest >= low; lowest--) {
      total += counts[lowest];
      if (total >= count) break;
    }
    lowest = Math.max(lowest, low);
    const found = [];
    for (let poll = 0; poll < this.polls.count; poll++) {
      if (bins[poll] >= lowest && bins[poll] <= high) found.push(poll);
    }
    return found.sort((x, y) => value(y) - value(x)).slice(0, count);
  }
}

// Sorts the numbers below `count` by their group; stable.
// (see above)
function groupBy(count, groups, groupOf) {
  const offset = new Uint32Array(groups + 1);
  for (let i = 0; i < count; i++) offset[groupOf(i) + 1]++;
  for (let group = 0; group < groups; group++) offset[group + 1] += offset[group];
  const fill = offset.slice(0, groups);
  const items = new Uint32Array(count);
  for (let i = 0; i < count; i++) items[fill[groupOf(i)]++] = i;
  return { offset, items, of: (group) => items.subarray(offset[group], offset[group + 1]) };
}

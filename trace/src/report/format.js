// The decoder of a trace file, which docs/trace-format.md defines.

const EVENT = {
  SPAWN: 1,
  WAKE: 2,
  POLL: 3,
  POLL_END: 4,
  STEAL: 5,
  PARK: 6,
  UNPARK: 7,
  WAKE_WORKER: 8,
  REACTOR: 9,
  TIMERS: 10,
  JOB_QUEUED: 11,
  JOB: 12,
  JOB_END: 13,
  STALL: 14,
  RESCUE: 15,
  RESIZE: 16,
  DRAIN: 17,
  BUDGET: 18,
  MARK: 19,
  GLOBAL: 20,
  RECORDER: 21,
};
const LAST_KIND = EVENT.RECORDER;

// The first field of these events is a task.
const FIRST_IS_TASK = new Uint8Array(LAST_KIND + 1);
for (const kind of [
  EVENT.SPAWN,
  EVENT.WAKE,
  EVENT.POLL,
  EVENT.POLL_END,
  EVENT.JOB_QUEUED,
  EVENT.JOB,
  EVENT.JOB_END,
  EVENT.BUDGET,
]) {
  FIRST_IS_TASK[kind] = 1;
}

const WORKER_TRACK = 0;

class TraceError extends Error {
  constructor(what, offset) {
    super(`${what}, at byte ${offset}`);
    this.name = "TraceError";
  }
}

function base64Bytes(text) {
  let binary;
  try {
    binary = atob(text.trim());
  } catch {
    throw new TraceError("the page holds no base64", 0);
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Reads the fields of one section.
class Reader {
  constructor(bytes, at, end) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  left() {
    return this.end - this.at;
  }

  fail(what, offset = this.at) {
    throw new TraceError(what, offset);
  }

  // A number is a BigInt from 2^53 on, because a Number would round it.
  number() {
    const { bytes, end } = this;
    const first = this.at;
    if (first >= end) this.fail("a number is cut off");
    let byte = bytes[this.at++];
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      if (this.at >= end) this.fail("a number is cut off", first);
      if (this.at - first === 10) this.fail("a number has more than ten bytes", first);
      byte = bytes[this.at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value <= Number.MAX_SAFE_INTEGER ? value : this.large(first);
  }

  large(first) {
    let value = 0n;
    for (let i = this.at - 1; i >= first; i--) {
      value = (value << 7n) | BigInt(this.bytes[i] & 127);
    }
    if (value >> 64n) this.fail("a number exceeds 64 bits", first);
    return value;
  }

  // For times, durations and counts. Rounding is harmless there.
  size() {
    return Number(this.number());
  }

  // A count of things that take `least` bytes each. So a wrong count allocates little.
  count(what, least) {
    const at = this.at;
    const count = this.size();
    if (count * least > this.left()) this.fail(`${count} ${what} do not fit in the section`, at);
    return count;
  }

  text() {
    const length = this.count("bytes of a text", 1);
    const at = this.at;
    this.at += length;
    try {
      return UTF8.decode(this.bytes.subarray(at, this.at));
    } catch {
      return this.fail("a text is not UTF-8", at);
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

// Tasks have dense indices, since their ids are too sparse for arrays. A task that only an event
// names has an index from `known` on.
class Tasks {
  constructor(known) {
    this.index = new Map();
    this.ids = [];
    this.known = known;
    this.flags = new Uint8Array(known);
    this.name = new Uint32Array(known);
    this.group = new Uint32Array(known);
    this.file = new Uint32Array(known);
    this.line = new Uint32Array(known);
    this.column = new Uint32Array(known);
  }

  at(id) {
    let index = this.index.get(id);
    if (index === undefined) {
      index = this.ids.length;
      this.index.set(id, index);
      this.ids.push(id);
    }
    return index;
  }
}

const MAGIC = "HEISTTRC";
const HEADER_LENGTH = 12;
const MOST_TRACKS = 50000;

function decodeTrace(bytes) {
  for (let i = 0; i < MAGIC.length; i++) {
    if (bytes[i] !== MAGIC.charCodeAt(i)) throw new TraceError("this is no trace of heist", i);
  }
  if (bytes.length < HEADER_LENGTH) throw new TraceError("the header is cut off", bytes.length);
  const version = bytes[8] | (bytes[9] << 8);
  if (version !== 1) throw new TraceError(`the version is ${version}, not 1`, 8);

  const trace = { runtime: null, texts: null, tasks: null, tracks: [], events: 0, size: bytes.length };
  let at = HEADER_LENGTH;
  while (at < bytes.length) {
    if (at + 5 > bytes.length) throw new TraceError("the head of a section is cut off", at);
    const tag = bytes[at];
    const length =
      bytes[at + 1] + bytes[at + 2] * 2 ** 8 + bytes[at + 3] * 2 ** 16 + bytes[at + 4] * 2 ** 24;
    const start = at + 5;
    at = start + length;
    if (at > bytes.length) throw new TraceError(`section ${tag} is cut off`, start);
    decodeSection(trace, tag, new Reader(bytes, start, at));
  }
  if (!trace.runtime) throw new TraceError("the section of the runtime is missing", at);
  trace.texts ??= [];
  trace.tasks ??= new Tasks(0);
  return trace;
}

function decodeSection(trace, tag, reader) {
  if (tag >= 1 && tag <= 4 && (tag === 1) !== !trace.runtime) {
    reader.fail(tag === 1 ? "the runtime exists twice" : "a section precedes the runtime");
  }
  if (tag === 1) {
    trace.runtime = decodeRuntime(reader);
  } else if (tag === 2) {
    if (trace.texts) reader.fail("the texts exist twice");
    trace.texts = decodeTexts(reader);
  } else if (tag === 3) {
    // An index of a task must not change once a track has used it.
    if (trace.tasks) reader.fail("the tasks exist twice, or behind a track");
    trace.tasks = decodeTasks(reader, trace.texts ?? []);
  } else if (tag === 4) {
    trace.tasks ??= new Tasks(0);
    // The model numbers tracks and rows in 16 bits.
    if (trace.tracks.length === MOST_TRACKS) reader.fail(`there are more than ${MOST_TRACKS} tracks`);
    const track = decodeTrack(reader, trace);
    trace.tracks.push(track);
    trace.events += track.count;
  }
}

function decodeRuntime(reader) {
  return {
    version: reader.text(),
    name: reader.text(),
    reason: reader.text(),
    process: reader.number(),
    wall: reader.size(),
    snapshot: reader.size(),
    workers: reader.size(),
  };
}

function decodeTexts(reader) {
  const count = reader.count("texts", 1);
  const texts = [];
  for (let i = 0; i < count; i++) texts.push(reader.text());
  return texts;
}

function decodeTasks(reader, texts) {
  const count = reader.count("tasks", 7);
  const tasks = new Tasks(count);
  // Of a text, plus one.
  const textIndex = () => {
    const at = reader.at;
    const index = reader.size();
    if (index > texts.length) reader.fail(`the text ${index - 1} does not exist`, at);
    return index;
  };
  for (let i = 0; i < count; i++) {
    const at = reader.at;
    const id = reader.number();
    if (tasks.at(id) !== i) reader.fail(`the task ${id} exists twice`, at);
    tasks.flags[i] = reader.size();
    tasks.name[i] = textIndex();
    tasks.group[i] = textIndex();
    tasks.file[i] = textIndex();
    tasks.line[i] = reader.size();
    tasks.column[i] = reader.size();
  }
  return tasks;
}

function decodeTrack(reader, trace) {
  const { tasks } = trace;
  const texts = trace.texts?.length ?? 0;
  const role = reader.size();
  const index = reader.size();
  const thread = reader.number();
  const lost = reader.size();
  const capacity = reader.count("events", 2);
  const time = new Float64Array(capacity);
  const kinds = new Uint8Array(capacity);
  // The first two fields. A task is its index.
  const a = new Float64Array(capacity);
  const b = new Float64Array(capacity);
  // Only a stall has a third field.
  const third = new Map();

  let now = 0;
  let count = 0;
  for (let i = 0; i < capacity; i++) {
    const at = reader.at;
    const head = reader.size();
    const kind = Math.floor(head / 8);
    const fields = head % 8;
    now += reader.size();
    if (kind === 0 || kind > LAST_KIND) {
      for (let field = 0; field < fields; field++) reader.number();
      continue;
    }
    let first = fields > 0 ? reader.number() : 0;
    let second = fields > 1 ? reader.number() : 0;
    if (FIRST_IS_TASK[kind]) first = tasks.at(first);
    if (kind === EVENT.STALL) {
      second = tasks.at(second);
      third.set(count, fields > 2 ? reader.size() : 0);
    } else if (fields > 2) {
      reader.number();
    }
    for (let field = 3; field < fields; field++) reader.number();
    if (kind === EVENT.MARK && first >= texts) reader.fail(`the text ${first} does not exist`, at);
    time[count] = now;
    kinds[count] = kind;
    a[count] = Number(first);
    b[count] = Number(second);
    count++;
  }
  return { worker: role === WORKER_TRACK, index, thread, lost, count, time, kinds, a, b, third };
}

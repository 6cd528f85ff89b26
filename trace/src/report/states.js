// The second view: a row per task, with its states: it waits, it is queued, or it runs.

const TASK_GUTTER = 190;
const TASK_ROW = 24;

// Colours of waiting tell what ended it.
const CAUSES = [
  { by: BY.REACTOR, name: "until the reactor wakes it", variable: "--reactor" },
  { by: BY.TIMER, name: "until a timer wakes it", variable: "--timers" },
  { by: 0, name: "until a task wakes it", variable: "--by-task" },
  { by: BY.OTHER_THREAD, name: "until another thread wakes it", variable: "--other" },
];

class States {
  constructor(view, box, canvas, spacer) {
    this.view = view;
    this.model = view.model;
    this.box = box;
    this.canvas = canvas;
    this.spacer = spacer;
    this.surface = new Surface(canvas);
    this.list = new Uint32Array(0);
    this.widths = new Map();
  }

  setList(list) {
    this.list = list;
    this.place = null;
    this.spacer.style.height = `${AXIS + list.length * TASK_ROW}px`;
    this.box.scrollTop = 0;
  }

  // False if the task is not in the list.
  showTask(task) {
    if (!this.place) this.place = new Map(Array.from(this.list, (task, row) => [task, row]));
    const row = this.place.get(task);
    if (row === undefined) return false;
    const room = this.box.clientHeight - AXIS - TASK_ROW;
    const top = row * TASK_ROW;
    if (top < this.box.scrollTop || top > this.box.scrollTop + room) {
      this.box.scrollTop = Math.max(0, top - room / 2);
    }
    return true;
  }

  x(time) {
    const { from, to } = this.view;
    return TASK_GUTTER + ((time - from) / (to - from)) * (this.width - TASK_GUTTER);
  }

  time(x) {
    const { from, to } = this.view;
    return from + ((x - TASK_GUTTER) / (this.width - TASK_GUTTER)) * (to - from);
  }

  draw() {
    const { surface, view, model, box, list } = this;
    const { palette } = view;
    this.width = Math.max(TASK_GUTTER + 50, box.clientWidth);
    this.height = Math.max(AXIS + TASK_ROW, box.clientHeight);
    surface.resize(this.width, this.height);
    surface.fill(palette.get("--ground"));
    const r = surface.ratio;
    this.left = Math.round(TASK_GUTTER * r);
    this.scale = (surface.width - this.left) / (view.to - view.from);
    this.texts = [];
    const scroll = box.scrollTop;
    const first = Math.floor(scroll / TASK_ROW);
    const behind = Math.min(list.length, Math.ceil((scroll + this.height - AXIS) / TASK_ROW));
    for (let i = first; i < behind; i++) this.drawTask(list[i], AXIS + i * TASK_ROW - scroll);
    surface.rect(0, 0, surface.width, Math.round(AXIS * r), palette.get("--ground"));
    surface.rect(0, 0, this.left, surface.height, palette.get("--panel"));
    surface.flush();

    const context = surface.context;
    context.font = FONT;
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(TASK_GUTTER, AXIS, this.width, this.height);
    context.clip();
    for (const [text, x, y, colour] of this.texts) {
      context.fillStyle = colour;
      context.fillText(text, x, y);
    }
    context.restore();
    context.save();
    context.beginPath();
    context.rect(0, AXIS, TASK_GUTTER - 4, this.height);
    context.clip();
    for (let i = first; i < behind; i++) {
      const top = AXIS + i * TASK_ROW - scroll;
      const selected = list[i] === view.task;
      if (selected) {
        context.fillStyle = palette.css("--accent");
        context.fillRect(0, top + 2, 4, TASK_ROW - 4);
      }
      context.fillStyle = palette.css("--text");
      context.font = selected ? `bold ${FONT}` : FONT;
      context.fillText(model.title(list[i]), 10, top + TASK_ROW / 2);
    }
    context.restore();
    this.drawSelection(context, scroll);
    this.drawAxis(context);
    if (list.length === 0) {
      context.fillStyle = palette.css("--text");
      context.fillText("No task is chosen.", TASK_GUTTER + 12, AXIS + 20);
    }
  }

  drawAxis(context) {
    const { view } = this;
    const { palette } = view;
    const width = this.width - TASK_GUTTER;
    context.save();
    context.beginPath();
    context.rect(TASK_GUTTER, 0, width, AXIS);
    context.clip();
    context.font = FONT;
    const base = axisTicks(view.from, view.to, width, (x, text) => {
      context.fillStyle = palette.css("--line");
      context.fillRect(TASK_GUTTER + Math.round(x), 0, 1, AXIS);
      context.fillStyle = palette.css("--text");
      if (x + 8 + context.measureText(text).width < width) context.fillText(text, TASK_GUTTER + x + 4, AXIS / 2);
    });
    context.restore();
    context.fillStyle = palette.css("--faint");
    context.fillText(base > 0 ? `${trimmed(base / 1e9)} s` : "trace time", 10, AXIS / 2);
    context.fillStyle = palette.css("--line");
    context.fillRect(TASK_GUTTER - 1, 0, 1, this.height);
    context.fillRect(0, AXIS - 1, this.width, 1);
  }

  causeColour(by) {
    const cause = CAUSES.find((cause) => cause.by === Math.min(by, 0));
    return this.view.palette.get(cause ? cause.variable : "--waiting");
  }

  // A bar for a state, at least one pixel wide.
  bar(from, to, top, bottom, colour) {
    const { surface, left, scale, view } = this;
    const x0 = Math.max(0, Math.round((from - view.from) * scale));
    const x1 = Math.min(surface.width - left, Math.round((to - view.from) * scale));
    if (x1 < 0 || x0 > surface.width) return 0;
    surface.rect(left + x0, top, left + Math.max(x1, x0 + 1), bottom, colour);
    return (x1 - x0) / surface.ratio;
  }

  drawTask(task, y) {
    const { surface, view, model, scale } = this;
    const { polls, tasks, wakes } = model;
    const { palette } = view;
    const r = surface.ratio;
    const [top, bottom] = [Math.round((y + 4) * r), Math.round((y + TASK_ROW - 4) * r)];
    const [lineTop, lineBottom] = [bottom - Math.round(3 * r), bottom];
    const colour = palette.origin[tasks.origin[task]];
    const queued = palette.get("--queued");
    const list = model.ofTask.of(task);
    let i = firstPollOf(model, list, view.from);

    // Waiting and queued time before the poll at `i`, or before the snapshot. Polls that share a
    // pixel are drawn once; the time between them would be narrower.
    const gap = (i) => {
      const poll = i < list.length ? list[i] : NONE;
      const last = i > 0 ? list[i - 1] : NONE;
      const spawn = tasks.spawn[task];
      if (last !== NONE && polls.how[last] >= HOW.COMPLETED) return;
      let begin = last !== NONE ? polls.end[last] : spawn !== NONE ? wakes.time[spawn] : model.from;
      const end = poll !== NONE ? polls.start[poll] : model.to;
      const since = poll !== NONE ? polls.queued[poll] : tasks.queued[task];
      const wake = poll !== NONE ? polls.wake[poll] : tasks.wake[task];
      const waitEnd = Number.isNaN(since) ? end : since;
      if (last === NONE && spawn === NONE && poll === NONE && Number.isNaN(since)) begin = end;
      if (waitEnd > begin) {
        const by = wake === NONE ? null : wakes.by[wake];
        const shade = by === null ? palette.get("--waiting") : this.causeColour(by);
        const width = this.bar(begin, waitEnd, lineTop, lineBottom, shade);
        if (width > 40) {
          const reasons = by === null ? [] : [`waits: woken by ${causeOf(model, wake)}`, `by ${causeOf(model, wake)}`];
          this.text([...reasons, "waits"], Math.max(begin, view.from), width, y + 10, palette.css("--faint"));
        }
      }
      if (end > since) {
        const width = this.bar(since, end, top, bottom, queued);
        if (width > 46) {
          const length = duration(end - since);
          const from = Math.max(since, view.from);
          this.text([`queued ${length}`, length], from, width, y + TASK_ROW / 2, palette.sliceText);
        }
      }
    };
    for (;;) {
      gap(i);
      if (i >= list.length) break;
      const poll = list[i];
      if (polls.start[poll] >= view.to) break;
      const width = this.bar(polls.start[poll], polls.end[poll], top, bottom, colour);
      if (width > 46) {
        const length = duration(model.length(poll));
        const from = Math.max(polls.start[poll], view.from);
        this.text([`runs ${length}`, length], from, width, y + TASK_ROW / 2, palette.sliceText);
      }
      if (++i < list.length) {
        const pixelEnd = view.from + (Math.floor((polls.end[poll] - view.from) * scale) + 1) / scale;
        i = this.skip(list, i, pixelEnd);
      }
    }
  }

  // The first poll from `i` on that ends behind a pixel; a doubling step, since a pixel may hold many.
  skip(list, i, pixelEnd) {
    const { end } = this.model.polls;
    let low = i;
    let step = 1;
    let at = i;
    while (at < list.length && end[list[at]] <= pixelEnd) {
      low = at + 1;
      at += step;
      step *= 2;
    }
    let high = Math.min(at, list.length);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (end[list[middle]] > pixelEnd) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  // Draws the first of the texts that fits, or none.
  text(texts, from, width, y, colour) {
    const context = this.surface.context;
    context.font = FONT;
    const fits = (text) => {
      let wide = this.widths.get(text);
      if (wide === undefined) {
        wide = context.measureText(text).width;
        if (this.widths.size > 5000) this.widths.clear();
        this.widths.set(text, wide);
      }
      return wide <= width - 8;
    };
    const text = texts.find(fits);
    if (text) this.texts.push([text, this.x(from) + 5, y, colour]);
  }

  drawSelection(context, scroll) {
    const { view, model, list } = this;
    if (view.poll === NONE) return;
    if (!this.place) this.place = new Map(Array.from(list, (task, row) => [task, row]));
    const row = this.place.get(model.polls.task[view.poll]);
    if (row === undefined) return;
    const top = AXIS + row * TASK_ROW - scroll;
    const x0 = this.x(model.polls.start[view.poll]);
    const x1 = this.x(model.polls.end[view.poll]);
    context.save();
    context.beginPath();
    context.rect(TASK_GUTTER, AXIS, this.width, this.height);
    context.clip();
    context.strokeStyle = view.palette.css("--accent");
    context.lineWidth = 2.5;
    context.strokeRect(x0 - 1, top + 3, Math.max(2, x1 - x0 + 2), TASK_ROW - 6);
    context.restore();
  }

  hit(x, y) {
    const { model } = this;
    if (y < AXIS || !this.width) return null;
    const task = this.list[Math.floor((y - AXIS + this.box.scrollTop) / TASK_ROW)];
    if (task === undefined) return null;
    if (x < TASK_GUTTER) return { type: "task", task };
    const time = this.time(x);
    const pixel = (this.view.to - this.view.from) / (this.width - TASK_GUTTER);
    const list = model.ofTask.of(task);
    const at = firstPollOf(model, list, time - pixel);
    const poll = at < list.length ? list[at] : NONE;
    if (poll !== NONE && model.polls.start[poll] <= time + pixel) return { type: "poll", poll };
    return { type: "gap", task, next: poll, time };
  }
}

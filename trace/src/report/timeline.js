// The first view: a row per worker, with its polls, the time in which it is parked, and markers.

const GUTTER = 104;
const AXIS = 22;
const FLAG_ROW = 20;
const LEAST_ROW = 32;
const MOST_ROW = 96;
const STRIP = 12;
const MOST_ARROWS = 400;
const FONT = "11px system-ui, sans-serif";

class Timeline {
  constructor(view, canvas) {
    this.view = view;
    this.model = view.model;
    this.canvas = canvas;
    this.surface = new Surface(canvas);
    this.scroll = 0;
    this.textWidths = new Map();
  }

  layout() {
    const box = this.canvas.parentElement;
    this.width = Math.max(GUTTER + 50, box.clientWidth);
    this.height = Math.max(AXIS + FLAG_ROW + LEAST_ROW, box.clientHeight);
    this.surface.resize(this.width, this.height);
    this.top = AXIS + FLAG_ROW;
    const count = this.model.rows.length;
    const fit = Math.floor((this.height - this.top) / Math.max(1, count));
    this.rowHeight = Math.min(MOST_ROW, Math.max(LEAST_ROW, fit));
    const most = Math.max(0, count * this.rowHeight - (this.height - this.top));
    this.scroll = Math.min(most, Math.max(0, this.scroll));
  }

  get plotWidth() {
    return this.width - GUTTER;
  }

  x(time) {
    const { from, to } = this.view;
    return GUTTER + ((time - from) / (to - from)) * this.plotWidth;
  }

  time(x) {
    const { from, to } = this.view;
    return from + ((x - GUTTER) / this.plotWidth) * (to - from);
  }

  rowTop(row) {
    return this.top + row * this.rowHeight - this.scroll;
  }

  showRow(row) {
    if (!this.rowHeight) return;
    const low = row * this.rowHeight;
    const room = this.height - this.top;
    if (low < this.scroll) this.scroll = low;
    if (low + this.rowHeight > this.scroll + room) this.scroll = low + this.rowHeight - room;
  }

  draw() {
    this.layout();
    const { surface, view } = this;
    const { from, to, version } = view;
    const drawn = [from, to, version, this.scroll, surface.width, surface.height, surface.ratio].join();
    // A selection changes only what is drawn over the pixels.
    if (drawn !== this.drawn) this.drawPixels();
    this.drawn = drawn;
    surface.flush();
    this.drawTexts();
  }

  drawPixels() {
    const { surface, view, model } = this;
    const { palette } = view;
    const r = surface.ratio;
    surface.fill(palette.get("--ground"));
    this.left = Math.round(GUTTER * r);
    this.scale = (surface.width - this.left) / (view.to - view.from);
    this.labels = [];
    this.letters = [];
    const parkedRamp = Array.from({ length: 17 }, (_, i) =>
      mix(palette.get("--idle"), palette.get("--parked"), i / 16),
    );
    model.rows.forEach((row, i) => {
      const top = this.rowTop(i);
      if (top + this.rowHeight < this.top || top > this.height) return;
      const high = Math.round((top + 4) * r);
      const low = Math.round((top + this.rowHeight - STRIP - 3) * r);
      this.drawGround(row, high, low, parkedRamp);
      this.drawSlices(row, top, high, low);
      this.drawMarkers(row, top, low + Math.round(r), low + Math.round(STRIP * r));
    });
    this.letters.reverse();
    this.drawStalls();
    // What has been drawn over the axis by rows that are scrolled half out of sight.
    surface.rect(0, 0, surface.width, Math.round(this.top * r), palette.get("--ground"));
    surface.rect(0, 0, this.left, surface.height, palette.get("--panel"));
  }

  // Awake and parked time, behind the slices.
  drawGround(row, high, low, ramp) {
    const { surface, left, scale, view, model } = this;
    if (row.kind !== "worker") return;
    const track = model.tracks[row.track];
    if (track.count === 0) return;
    const begin = Math.max(left, left + Math.round((track.time[0] - view.from) * scale));
    const end = left + Math.round((model.to - view.from) * scale);
    surface.rect(begin, high, end, low, ramp[0]);
    const { start, end: ends, count } = row.parks;
    let i = firstAbove(ends, view.from, 0, count);
    while (i < count && start[i] < view.to) {
      const x0 = (start[i] - view.from) * scale;
      const x1 = (ends[i] - view.from) * scale;
      if (x1 - x0 >= 1) {
        const from = left + Math.max(0, Math.round(x0));
        surface.rect(from, high, left + Math.round(Math.min(x1, surface.width)), low, ramp[16]);
        i++;
        continue;
      }
      const column = Math.max(0, Math.floor(x0));
      const t0 = view.from + column / scale;
      const t1 = view.from + (column + 1) / scale;
      const behind = Math.max(i + 1, firstAboveNear(start, t1, i, count));
      const share = Math.min(1, row.parks.covered(i, behind, t0, t1) * scale);
      surface.column(left + column, low - high, ramp[Math.round(share * 16)]);
      i = behind;
    }
    surface.drawColumns(high, low);
  }

  // Slices that are wider than a pixel have the height of the row. In a pixel that holds several,
  // the height is the share of time that is spent in polls, and the longest one gives the colour.
  drawSlices(row, top, high, low) {
    const { surface, left, scale, view, model } = this;
    const { origin: colours, pale } = view.palette;
    const { task } = model.polls;
    const { origin } = model.tasks;
    const { start, end, count } = row.slices;
    const edge = surface.width - left;
    const wideText = 34 * surface.ratio;
    // Columns of highlighted polls, three numbers each. They cover the others.
    const lit = [];
    let i = firstAbove(end, view.from, 0, count);
    while (i < count && start[i] < view.to) {
      const x0 = (start[i] - view.from) * scale;
      const x1 = Math.min(edge, (end[i] - view.from) * scale);
      if (x1 - x0 >= 1) {
        const plain = row.lit === null || row.lit[i + 1] > row.lit[i];
        const of = origin[task[row.poll[i]]];
        const from = Math.max(0, Math.round(x0));
        let until = Math.max(from + 1, Math.round(x1));
        // A gap, so that neighbours of one colour can be told apart.
        if (until - from > 3) until--;
        surface.rect(left + from, high, left + until, low, plain ? colours[of] : pale[of]);
        if (until - from > wideText) this.labels.push(row.poll[i], from / surface.ratio, until / surface.ratio, top);
        i++;
        continue;
      }
      const column = Math.max(0, Math.floor(x0));
      const t0 = view.from + column / scale;
      const t1 = view.from + (column + 1) / scale;
      let behind = Math.max(i + 1, firstAboveNear(start, t1, i, count));
      // The last of them may be a wide one, which is drawn by itself.
      if (behind - i > 1 && (end[behind - 1] - start[behind - 1]) * scale >= 1) behind--;
      const share = Math.min(1, row.slices.covered(i, behind, t0, t1) * scale);
      const of = origin[task[row.poll[behind - i === 1 ? i : row.longestIn(i, behind)]]];
      const height = Math.max(2, Math.round((low - high) * share));
      surface.column(left + column, height, row.lit === null ? colours[of] : pale[of]);
      if (row.lit !== null && row.lit[behind] > row.lit[i]) {
        const part = Math.min(1, (row.litSum[behind] - row.litSum[i]) * scale);
        // What is highlighted must not be missed, however short it is.
        const least = Math.max(part, 0.3);
        const shown = origin[task[row.poll[row.firstLit(i, behind)]]];
        lit.push(left + column, Math.round((low - high) * least), colours[shown]);
      }
      i = behind;
    }
    surface.drawColumns(high, low);
    for (let at = 0; at < lit.length; at += 3) surface.column(lit[at], lit[at + 1], lit[at + 2]);
    if (lit.length > 0) surface.drawColumns(high, low);
  }

  drawMarkers(row, top, high, low) {
    const { surface, left, scale, view } = this;
    const wide = Math.max(1, Math.round(1.5 * surface.ratio));
    const draw = (list, colour, from, to, letter) => {
      let i = firstAbove(list.time, view.from, 0, list.count);
      while (i < list.count && list.time[i] < view.to) {
        const x = Math.round((list.time[i] - view.from) * scale);
        if (to === low) for (let part = 0; part < wide; part++) surface.column(left + x + part, to - from, colour);
        else surface.rect(left + x, from, left + x + wide, to, colour);
        const next = firstAboveNear(list.time, view.from + (x + 1) / scale, i, list.count);
        if (letter) this.letters.push([(x + wide / 2) / surface.ratio, top, letter, colour]);
        i = Math.max(i + 1, next);
      }
    };
    if (row.kind === "others") {
      const from = Math.round((top + this.rowHeight / 2 - 5) * surface.ratio);
      for (const list of row.markers.values()) draw(list, view.palette.get("--other"), from, low, "");
      surface.drawColumns(from, low);
      return;
    }
    // The rarest kind is drawn last, over the others.
    for (let i = MARKERS.length - 1; i >= 0; i--) {
      const { kind, letter, variable } = MARKERS[i];
      const list = row.markers.get(kind);
      if (!list || !view.shown.has(kind)) continue;
      const first = firstAbove(list.time, view.from, 0, list.count);
      const count = firstAbove(list.time, view.to, first, list.count) - first;
      const few = count < 24;
      const colour = view.palette.get(variable);
      // Markers without gaps tell little. Neither these nor others shall outshine what is highlighted.
      const dense = count > this.plotWidth / 4 || row.lit !== null;
      const shade = dense ? mix(view.palette.get("--ground"), colour, 0.4) : colour;
      draw(list, shade, high, few ? high + Math.round(3 * surface.ratio) : low, few ? letter : "");
    }
    surface.drawColumns(high, low);
  }

  drawStalls() {
    const { surface, left, scale, view, model } = this;
    const r = surface.ratio;
    for (const flag of model.flags) {
      if (flag.kind !== EVENT.STALL || flag.row < 0) continue;
      const x0 = Math.max(0, Math.round((flag.from - view.from) * scale));
      const x1 = Math.max(x0 + 2, Math.round((flag.time - view.from) * scale));
      if (x1 < 0 || flag.from > view.to) continue;
      const y = Math.round((this.rowTop(flag.row) + 1) * r);
      surface.rect(left + x0, y, left + x1, y + Math.round(3 * r), view.palette.get("--stall"));
    }
  }

  drawTexts() {
    const { view, model } = this;
    const { palette } = view;
    const context = this.surface.context;
    context.font = FONT;
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(GUTTER, this.top, this.plotWidth, this.height - this.top);
    context.clip();
    this.drawLabels(context);
    this.drawLetters(context);
    this.drawFlagLines(context);
    this.drawSelection(context);
    context.restore();

    this.drawAxis(context);
    this.drawFlags(context);
    context.fillStyle = palette.css("--text");
    model.rows.forEach((row, i) => {
      const top = this.rowTop(i);
      if (top < this.top - this.rowHeight / 2 || top > this.height) return;
      context.fillText(row.label, 8, top + this.rowHeight / 2 - 2, GUTTER - 12);
    });
    context.fillStyle = palette.css("--line");
    context.fillRect(GUTTER - 1, 0, 1, this.height);
    context.fillRect(0, this.top - 1, this.width, 1);
    const total = model.rows.length * this.rowHeight;
    const room = this.height - this.top;
    if (total > room) {
      context.fillStyle = palette.css("--faint");
      context.fillRect(this.width - 5, this.top + (this.scroll / total) * room, 4, (room / total) * room);
    }
  }

  // As many letters as fit.
  fitted(context, text, room) {
    let width = this.textWidths.get(text);
    if (width === undefined) {
      width = context.measureText(text).width;
      if (this.textWidths.size > 5000) this.textWidths.clear();
      this.textWidths.set(text, width);
    }
    if (width <= room) return text;
    const letters = Math.floor((text.length * (room - 6)) / width);
    return letters < 2 ? "" : `${text.slice(0, letters)}…`;
  }

  drawLabels(context) {
    const { model, labels, view } = this;
    context.fillStyle = view.palette.sliceText;
    for (let i = 0; i < labels.length; i += 4) {
      const [poll, from, until, top] = [labels[i], labels[i + 1], labels[i + 2], labels[i + 3]];
      const task = model.polls.task[poll];
      const room = until - from - 8;
      const title = room > 90 ? model.title(task) : model.label(task);
      const middle = top + 4 + (this.rowHeight - STRIP - 7) / 2;
      const text = this.fitted(context, title, room);
      if (text) context.fillText(text, GUTTER + from + 4, middle + 0.5);
    }
  }

  drawLetters(context) {
    // Places of twelve pixels, so that no letter covers another.
    const taken = new Set();
    context.save();
    context.font = "bold 9px system-ui, sans-serif";
    context.textAlign = "center";
    for (const [x, top, letter, colour] of this.letters) {
      const place = Math.round(top) * 10000 + Math.floor(x / 12);
      if (taken.has(place) || taken.has(place + 1)) continue;
      taken.add(place).add(place + 1);
      context.fillStyle = css(colour);
      context.fillText(letter, GUTTER + x, top + this.rowHeight - 4);
    }
    context.restore();
  }

  drawFlagLines(context) {
    const { view, model } = this;
    let last = -Infinity;
    const first = firstAbove(model.flagTimes, view.from, 0, model.flags.length);
    for (let i = first; i < model.flags.length && model.flags[i].time < view.to; i++) {
      const x = Math.round(this.x(model.flags[i].time));
      if (x - last < 2) continue;
      last = x;
      context.fillStyle = this.flagColour(model.flags[i]);
      context.globalAlpha = 0.45;
      context.fillRect(x, this.top, 1, this.height - this.top);
    }
    context.globalAlpha = 1;
  }

  flagColour(flag) {
    const bad = flag.kind === EVENT.STALL || flag.kind === EVENT.RESCUE;
    return this.view.palette.css(bad ? "--stall" : "--accent");
  }

  drawFlags(context) {
    const { view, model } = this;
    const first = firstAbove(model.flagTimes, view.from, 0, model.flags.length);
    let last = -Infinity;
    let free = -Infinity;
    for (let i = first; i < model.flags.length && model.flags[i].time < view.to; i++) {
      const flag = model.flags[i];
      const x = this.x(flag.time);
      if (x - last < 2) continue;
      last = x;
      context.fillStyle = this.flagColour(flag);
      context.beginPath();
      context.moveTo(x - 4, AXIS + 4);
      context.lineTo(x + 4, AXIS + 4);
      context.lineTo(x, AXIS + 15);
      context.fill();
      // The first flag of several at one place has the label, which stands behind the last one.
      let next = i + 1;
      let begin = x + 7;
      for (; next < model.flags.length && this.x(model.flags[next].time) < begin + 12; next++) {
        begin = this.x(model.flags[next].time) + 7;
      }
      const end = next < model.flags.length ? this.x(model.flags[next].time) : this.width;
      const room = Math.min(end, this.width) - begin - 8;
      const text = room > 24 && x > free ? this.fitted(context, flag.label, room) : "";
      if (!text) continue;
      context.fillStyle = view.palette.css("--text");
      context.fillText(text, begin, AXIS + 10);
      free = begin + Math.min(room, this.textWidths.get(flag.label));
    }
  }

  drawAxis(context) {
    const { view, model } = this;
    const { palette } = view;
    if (model.completeFrom > view.from && model.completeFrom > model.from) {
      const until = Math.min(this.x(model.completeFrom), this.width);
      context.fillStyle = palette.css("--faint");
      const begin = Math.max(GUTTER, this.x(model.from));
      context.fillRect(begin, AXIS - 3, until - begin, 3);
    }
    context.save();
    context.beginPath();
    context.rect(GUTTER, 0, this.plotWidth, this.height);
    context.clip();
    const base = axisTicks(view.from, view.to, this.plotWidth, (x, text) => {
      context.fillStyle = palette.css("--line");
      context.fillRect(GUTTER + Math.round(x), 0, 1, AXIS);
      context.fillStyle = palette.css("--text");
      // A part of a number would be read as another number.
      if (x + 8 + context.measureText(text).width < this.plotWidth) {
        context.fillText(text, GUTTER + x + 4, AXIS / 2);
      }
    });
    context.restore();
    context.fillStyle = palette.css("--faint");
    context.fillText(base > 0 ? `${trimmed(base / 1e9)} s` : "trace time", 8, AXIS / 2, GUTTER - 12);
    context.fillText("marks", 8, AXIS + FLAG_ROW / 2, GUTTER - 12);
  }

  middle(row) {
    return this.rowTop(row) + 4 + (this.rowHeight - STRIP - 7) / 2;
  }

  // Arrows end below the texts of slices.
  arrowLine(row) {
    return this.rowTop(row) + 4 + (this.rowHeight - STRIP - 7) * 0.82;
  }

  // Outlines of the selected task, and the arrows of wakes.
  drawSelection(context) {
    const { view, model } = this;
    const { polls } = model;
    const focus = view.hoverPoll !== NONE ? [view.poll, view.hoverPoll] : [view.poll];
    if (view.task !== NONE) {
      context.strokeStyle = context.fillStyle = view.palette.css("--text");
      context.lineWidth = 1;
      let last = -Infinity;
      const list = model.ofTask.of(view.task);
      for (let i = firstPollOf(model, list, view.from); i < list.length; i++) {
        const poll = list[i];
        if (polls.start[poll] > view.to) break;
        const x0 = this.x(polls.start[poll]);
        const x1 = this.x(polls.end[poll]);
        if (x1 - last < 1.5) continue;
        last = x1;
        const top = this.rowTop(model.rowOfPoll[poll]);
        if (x1 - x0 < 4) {
          // An outline would hide the slice.
          context.fillRect(Math.round(x0), top + 1, Math.max(1, Math.round(x1 - x0)), 3);
          continue;
        }
        context.strokeRect(x0 - 0.5, top + 3.5, Math.max(1, x1 - x0), this.rowHeight - STRIP - 6);
      }
    }
    if (view.poll !== NONE) {
      const x0 = this.x(polls.start[view.poll]);
      const x1 = this.x(polls.end[view.poll]);
      const top = this.rowTop(model.rowOfPoll[view.poll]);
      context.strokeStyle = view.palette.css("--accent");
      context.lineWidth = 2.5;
      context.strokeRect(x0 - 1, top + 3, Math.max(2, x1 - x0 + 1), this.rowHeight - STRIP - 5);
    }
    context.lineWidth = 1.25;
    if (view.allArrows) this.drawAllArrows(context);
    for (const poll of focus) {
      if (poll === NONE) continue;
      this.drawArrowTo(context, poll, "--accent");
      let left = MOST_ARROWS;
      let wake = polls.firstWoken[poll];
      for (; wake !== NONE && left > 0; wake = model.wakes.next[wake], left--) {
        if (model.wakes.poll[wake] !== NONE) this.drawArrowTo(context, model.wakes.poll[wake], "--queued");
      }
    }
  }

  drawAllArrows(context) {
    const { view, model } = this;
    const chosen = [];
    for (const row of model.rows) {
      const { start, end, count } = row.slices;
      const first = firstAbove(end, view.from, 0, count);
      const behind = firstAbove(start, view.to, first, count);
      // Arrows by the thousand hide what they shall show.
      if (chosen.length + behind - first > MOST_ARROWS) return;
      for (let i = first; i < behind; i++) chosen.push(row.poll[i]);
    }
    context.globalAlpha = 0.6;
    for (const poll of chosen) this.drawArrowTo(context, poll, "--faint");
    context.globalAlpha = 1;
  }

  // From the wake to the poll that it led to.
  drawArrowTo(context, poll, variable) {
    const { model, view } = this;
    const wake = model.polls.wake[poll];
    if (wake === NONE) return;
    const x0 = this.x(model.wakes.time[wake]);
    const x1 = this.x(model.polls.start[poll]);
    if ((x0 < 0 && x1 < 0) || (x0 > this.width && x1 > this.width)) return;
    const by = model.wakes.by[wake];
    const from = by >= 0 ? model.rowOfPoll[by] : model.rowOfTrack[model.wakes.track[wake]];
    const [y0, y1] = [this.arrowLine(from), this.arrowLine(model.rowOfPoll[poll])];
    context.strokeStyle = context.fillStyle = view.palette.css(variable);
    const near = x1 - x0 < 12;
    if (!near || y0 !== y1) {
      const bend = near ? 0 : Math.min(60, (x1 - x0) / 2);
      const lift = y0 === y1 ? Math.min(10, (this.rowHeight - STRIP) / 8) : 0;
      context.beginPath();
      context.moveTo(x0, y0);
      context.bezierCurveTo(x0 + bend, y0 - lift, x1 - bend, y1 - lift, x1 - 5, y1);
      context.stroke();
    }
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x1 - 7, y1 - 4);
    context.lineTo(x1 - 7, y1 + 4);
    context.fill();
    context.beginPath();
    context.arc(x0, y0, 2.5, 0, 7);
    context.fill();
  }

  // What is at a point: a poll, a marker, a flag, parked time, or nothing.
  hit(x, y) {
    const { model, view } = this;
    if (x < GUTTER || x > this.width || !this.rowHeight) return null;
    const time = this.time(x);
    const pixel = (view.to - view.from) / this.plotWidth;
    const nearest = (times, count, slack) => {
      const at = firstAbove(times, time, 0, count);
      const gap = (i) => (i >= 0 && i < count ? Math.abs(times[i] - time) : Infinity);
      const best = gap(at - 1) <= gap(at) ? at - 1 : at;
      return gap(best) <= slack * pixel ? best : NONE;
    };
    if (y < AXIS) return null;
    if (y < this.top) {
      const flag = nearest(model.flagTimes, model.flags.length, 6);
      return flag === NONE ? null : { type: "flag", flag: model.flags[flag] };
    }
    const index = Math.floor((y - this.top + this.scroll) / this.rowHeight);
    const row = model.rows[index];
    if (!row) return null;
    if (row.kind === "others" || y > this.rowTop(index) + this.rowHeight - STRIP - 3) {
      const shown = (kind) => row.kind === "others" || view.shown.has(kind);
      for (const [kind, list] of row.markers) {
        const at = shown(kind) ? nearest(list.time, list.count, 4) : NONE;
        if (at !== NONE) return { type: "marker", track: row.track, event: list.event[at], kind };
      }
      return null;
    }
    const slice = row.at(time, pixel);
    if (slice !== NONE) return { type: "poll", poll: row.poll[slice], row: index };
    const park = firstAbove(row.parks.end, time, 0, row.parks.count);
    if (park < row.parks.count && row.parks.start[park] <= time) {
      return { type: "park", row: index, from: row.parks.start[park], to: row.parks.end[park] };
    }
    return { type: "row", row: index };
  }
}

// The first of a task's polls that ends after a time.
function firstPollOf(model, list, time) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (model.polls.end[list[middle]] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

function trimmed(value) {
  return value.toFixed(9).replace(/\.?0+$/, "");
}

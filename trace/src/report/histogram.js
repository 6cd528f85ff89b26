// A histogram with logarithmic axes, in which a range can be selected.

const HISTOGRAM_HEIGHT = 96;
const HISTOGRAM_FOOT = 16;
const HISTOGRAM_LEFT = 44;

class Histogram {
  // `bins` has the bin of each poll. `changed` is called with the first and the last selected bin.
  constructor(canvas, name, bins, palette, changed) {
    this.canvas = canvas;
    this.name = name;
    this.palette = palette;
    this.changed = changed;
    this.counts = new Uint32Array(256);
    for (const bin of bins) this.counts[bin]++;
    this.low = BINS;
    this.high = 0;
    this.most = 1;
    for (let bin = 0; bin < BINS; bin++) {
      if (this.counts[bin] === 0) continue;
      this.low = Math.min(this.low, bin);
      this.high = bin;
      this.most = Math.max(this.most, this.counts[bin]);
    }
    if (this.low > this.high) [this.low, this.high] = [1, 8];
    this.low = Math.max(0, this.low - 1);
    this.high = Math.min(BINS - 1, Math.max(this.high + 1, this.low + 12));
    this.range = null;
    this.listen();
  }

  x(bin) {
    const share = (bin - this.low) / (this.high + 1 - this.low);
    return HISTOGRAM_LEFT + share * (this.width - HISTOGRAM_LEFT - 4);
  }

  binAt(x) {
    const share = (x - HISTOGRAM_LEFT) / (this.width - HISTOGRAM_LEFT - 4);
    const bin = this.low + Math.floor(share * (this.high + 1 - this.low));
    return Math.min(this.high, Math.max(this.low, bin));
  }

  draw() {
    const { canvas, palette, range } = this;
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    this.width = canvas.clientWidth || 300;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(HISTOGRAM_HEIGHT * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = palette.css("--ground");
    context.fillRect(0, 0, this.width, HISTOGRAM_HEIGHT);
    const floor = HISTOGRAM_HEIGHT - HISTOGRAM_FOOT;
    const height = (count) => (Math.log10(count) + 0.3) / (Math.log10(this.most) + 0.3);
    context.textAlign = "right";
    for (let count = 1; count <= this.most; count *= 10) {
      const y = floor - height(count) * (floor - 8);
      context.fillStyle = palette.css("--line");
      context.fillRect(HISTOGRAM_LEFT, Math.round(y), this.width, 1);
      context.fillStyle = palette.css("--faint");
      // Every label if there is room, and every second one otherwise.
      const crowded = height(10) - height(1) < 0.16;
      if (!crowded || Math.log10(count) % 2 < 0.5) context.fillText(count.toLocaleString("en"), HISTOGRAM_LEFT - 6, y);
    }
    for (let bin = this.low; bin <= this.high; bin++) {
      const count = this.counts[bin];
      if (count === 0) continue;
      const inside = !range || (bin >= range[0] && bin <= range[1]);
      context.fillStyle = palette.css(inside ? "--accent" : "--line");
      const [x0, x1] = [this.x(bin), this.x(bin + 1)];
      const bar = height(count) * (floor - 8);
      context.fillRect(x0, floor - bar, Math.max(1, x1 - x0 - 1), bar);
    }
    if (range) {
      context.strokeStyle = palette.css("--text");
      context.strokeRect(this.x(range[0]) + 0.5, 0.5, this.x(range[1] + 1) - this.x(range[0]) - 1, floor);
    }
    context.fillStyle = palette.css("--text");
    context.textAlign = "left";
    this.drawLabels(context, floor);
  }

  // Units first: where the axis is short, not each power of ten has room for a label.
  drawLabels(context, floor) {
    const taken = [];
    for (const unit of [true, false]) {
      for (let power = 0; power < 14; power++) {
        if ((power % 3 === 0) !== unit) continue;
        const x = this.x(1 + Math.log2(10 ** power) * 4);
        if (x < HISTOGRAM_LEFT || x > this.width) continue;
        context.fillRect(x, floor, 1, 3);
        const label = duration(10 ** power).replace(/\.0+/, "");
        const from = x - context.measureText(label).width / 2;
        const to = 2 * x - from;
        if (to > this.width || taken.some(([low, high]) => from < high && to > low)) continue;
        context.fillText(label, from, floor + 9);
        taken.push([from - 5, to + 5]);
      }
    }
  }

  select(range) {
    this.range = range;
    this.draw();
    const spoken = range ? `, from ${duration(binStart(range[0]))} to ${duration(binStart(range[1] + 1))}` : "";
    this.canvas.setAttribute("aria-label", `${this.name}${spoken}`);
    this.changed(range);
  }

  listen() {
    const { canvas } = this;
    let first = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      first = this.binAt(event.offsetX);
      this.select([first, first]);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (first === null) {
        const bin = this.binAt(event.offsetX);
        const from = duration(binStart(bin));
        canvas.title = `${from} to ${duration(binStart(bin + 1))}: ${plural(this.counts[bin], "poll")}`;
        return;
      }
      const bin = this.binAt(event.offsetX);
      const range = [Math.min(first, bin), Math.max(first, bin)];
      if (range.join() !== this.range?.join()) this.select(range);
    });
    canvas.addEventListener("pointerup", () => (first = null));
    canvas.addEventListener("pointercancel", () => (first = null));
    canvas.addEventListener("dblclick", () => this.select(null));
    // Arrow keys move the range; with the shift key they move its upper end.
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape" && this.range) this.select(null);
      else if (!step) return;
      else {
        let [from, to] = this.range ?? [this.high - 4, this.high];
        if (!event.shiftKey) from += step;
        to += step;
        from = Math.min(this.high, Math.max(this.low, from));
        to = Math.min(this.high, Math.max(from, to));
        this.select([from, to]);
      }
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

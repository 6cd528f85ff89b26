// A strip above the views: the load of the whole trace, highlighted polls, and the part in sight.

const OVERVIEW_HEIGHT = 30;

class Overview {
  constructor(view, canvas, zoomTo) {
    this.view = view;
    this.model = view.model;
    this.canvas = canvas;
    this.zoomTo = zoomTo;
    this.width = 0;
    this.listen();
  }

  x(time) {
    const { from, to } = this.model;
    return ((time - from) / (to - from)) * this.width;
  }

  time(x) {
    const { from, to } = this.model;
    return from + (x / this.width) * (to - from);
  }

  // The share of running time of all workers, and that of highlighted polls, per pixel.
  measure() {
    const { model, width } = this;
    this.load = new Float64Array(width);
    this.lit = new Float64Array(width);
    const pixel = (model.to - model.from) / width;
    const workers = model.rows.filter((row) => row.kind === "worker").length || 1;
    for (const row of model.rows) {
      const { start, end, count } = row.slices;
      let first = 0;
      for (let column = 0; column < width && first < count; column++) {
        const [t0, t1] = [model.from + column * pixel, model.from + (column + 1) * pixel];
        first = firstAboveNear(end, t0, first, count);
        const behind = firstAboveNear(start, t1, first, count);
        if (behind <= first) continue;
        if (row.kind === "worker") {
          this.load[column] += row.slices.covered(first, behind, t0, t1) / pixel / workers;
        }
        if (row.lit && row.lit[behind] > row.lit[first]) {
          // A tenth at least, so that a short poll is visible.
          this.lit[column] += (row.litSum[behind] - row.litSum[first]) / pixel / workers;
          this.lit[column] = Math.max(this.lit[column], 0.1);
        }
      }
    }
    this.measured = true;
  }

  // What only a highlight, a size or a colour changes.
  drawBase() {
    const { model, width, ratio } = this;
    const { palette } = this.view;
    this.base = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const context = this.base.getContext("2d", { alpha: false });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = palette.css("--panel");
    context.fillRect(0, 0, width, OVERVIEW_HEIGHT);
    const room = OVERVIEW_HEIGHT - 6;
    context.fillStyle = palette.css("--waiting");
    for (let x = 0; x < width; x++) {
      const height = Math.min(1, this.load[x]) * room;
      context.fillRect(x, OVERVIEW_HEIGHT - height, 1, height);
    }
    context.fillStyle = palette.css("--accent");
    for (let x = 0; x < width; x++) {
      const height = Math.min(1, this.lit[x]) * room;
      context.fillRect(x, OVERVIEW_HEIGHT - height, 1, height);
    }
    for (const flag of model.flags.slice(0, 2000)) {
      const bad = flag.kind === EVENT.STALL || flag.kind === EVENT.RESCUE;
      context.fillStyle = palette.css(bad ? "--stall" : "--accent");
      context.fillRect(this.x(flag.time) - 1, 0, 3, 5);
    }
  }

  draw() {
    const { canvas, view } = this;
    const { palette } = view;
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    const width = Math.max(1, canvas.clientWidth);
    if (width !== this.width || ratio !== this.ratio) {
      [this.width, this.ratio] = [width, ratio];
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(OVERVIEW_HEIGHT * ratio);
      this.measured = false;
    }
    if (!this.measured) {
      this.measure();
      this.drawBase();
    }
    const context = (this.context ??= canvas.getContext("2d", { alpha: false }));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.drawImage(this.base, 0, 0, width, OVERVIEW_HEIGHT);
    const [x0, x1] = [Math.max(0, this.x(view.from)), Math.min(width, this.x(view.to))];
    context.fillStyle = palette.css("--ground");
    context.globalAlpha = 0.6;
    context.fillRect(0, 0, x0, OVERVIEW_HEIGHT);
    context.fillRect(x1, 0, width - x1, OVERVIEW_HEIGHT);
    context.globalAlpha = 1;
    context.strokeStyle = palette.css("--text");
    context.strokeRect(Math.min(x0, width - 4) + 0.5, 0.5, Math.max(3, x1 - x0 - 1), OVERVIEW_HEIGHT - 1);
  }

  listen() {
    const { canvas, view } = this;
    // The part in sight moves so that it has the same place under the pointer; or its middle does.
    let grip = null;
    const move = (event) => {
      const span = view.to - view.from;
      const from = this.time(event.offsetX) - grip * span;
      this.zoomTo(from, from + span);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      const place = (this.time(event.offsetX) - view.from) / (view.to - view.from);
      grip = place > 0 && place < 1 ? place : 0.5;
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => grip !== null && move(event));
    canvas.addEventListener("pointerup", () => (grip = null));
    canvas.addEventListener("pointercancel", () => (grip = null));
  }
}

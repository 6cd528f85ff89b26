// Colours, texts of numbers, and a surface of pixels.

// Fills of many small rectangles are cheaper in an array than by calls of a canvas. Text and curves
// are drawn over the pixels.
class Surface {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.width = 0;
    this.height = 0;
    this.ratio = 1;
  }

  // Lengths of the surface are device pixels; those of its context are CSS pixels.
  resize(width, height) {
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (w === this.width && h === this.height && ratio === this.ratio) return;
    [this.width, this.height, this.ratio] = [w, h, ratio];
    this.canvas.width = w;
    this.canvas.height = h;
    this.canvas.style.height = `${height}px`;
    this.image = this.context.createImageData(w, h);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.columnHeight = new Uint16Array(w);
    this.columnColour = new Uint32Array(w);
  }

  fill(colour) {
    this.pixels.fill(colour);
  }

  // Coordinates are integers.
  rect(x0, y0, x1, y1, colour) {
    if (x0 < 0) x0 = 0;
    if (y0 < 0) y0 = 0;
    if (x1 > this.width) x1 = this.width;
    if (y1 > this.height) y1 = this.height;
    if (x0 >= x1) return;
    const { pixels, width } = this;
    if (x1 - x0 === 1) {
      for (let at = y0 * width + x0; y0 < y1; y0++, at += width) pixels[at] = colour;
      return;
    }
    for (; y0 < y1; y0++) pixels.fill(colour, y0 * width + x0, y0 * width + x1);
  }

  // Columns of one pixel are collected, and drawn line by line: a column by itself would touch a
  // cache line per pixel.
  column(x, height, colour) {
    if (x >= this.width) return;
    this.columnHeight[x] = height;
    this.columnColour[x] = colour;
  }

  // Draws the collected columns, which stand on the line `low`, and forgets them.
  drawColumns(high, low) {
    const { pixels, width, columnHeight, columnColour } = this;
    for (let y = Math.max(0, high); y < Math.min(low, this.height); y++) {
      const line = y * width;
      const least = low - y;
      for (let x = 0; x < width; x++) {
        if (columnHeight[x] >= least) pixels[line + x] = columnColour[x];
      }
    }
    columnHeight.fill(0);
  }

  flush() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.putImageData(this.image, 0, 0);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }
}

// Colours are numbers in the byte order of image data.
function pack(red, green, blue) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function parseColour(text) {
  const value = parseInt(text.trim().slice(1), 16);
  return pack((value >> 16) & 255, (value >> 8) & 255, value & 255);
}

function mix(from, to, share) {
  const part = (shift) => {
    const [a, b] = [(from >> shift) & 255, (to >> shift) & 255];
    return Math.round(a + (b - a) * share);
  };
  return pack(part(0), part(8), part(16));
}

function css(colour) {
  return `rgb(${colour & 255},${(colour >> 8) & 255},${(colour >> 16) & 255})`;
}

function hsl(hue, saturation, lightness) {
  const part = (n) => {
    const k = (n + hue / 30) % 12;
    const amount = saturation * Math.min(lightness, 1 - lightness);
    return Math.round(255 * (lightness - amount * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return pack(part(0), part(8), part(4));
}

// Hues that differ from each other and from that of queued time, for the origins with the most running time.
const HUES = [212, 145, 285, 350, 180, 95, 320, 250, 65, 165, 305, 230];

// The colours of page.css that the canvases use.
const PALETTE =
  "ground panel text faint line accent idle parked waiting dim queued stall " +
  "reactor timers steal global wake-worker budget other by-task";

class Palette {
  constructor(origins) {
    const style = getComputedStyle(document.documentElement);
    this.dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    this.named = new Map();
    for (const name of PALETTE.split(" ")) {
      this.named.set(`--${name}`, parseColour(style.getPropertyValue(`--${name}`)));
    }
    this.origin = new Uint32Array(origins.length);
    this.pale = new Uint32Array(origins.length);
    const ground = this.get("--ground");
    const ranked = origins.map((_, i) => i).sort((x, y) => origins[y].busy - origins[x].busy);
    ranked.forEach((origin, rank) => {
      const hue = HUES[rank % HUES.length];
      const round = Math.floor(rank / HUES.length) % 3;
      const lightness = this.dark ? 0.44 - 0.08 * round : 0.68 + 0.07 * round;
      const saturation = (this.dark ? 0.46 : 0.6) - 0.14 * round;
      this.origin[origin] = hsl(hue, saturation, lightness);
      this.pale[origin] = mix(this.origin[origin], this.get("--dim"), 0.8);
    });
    this.sliceText = css(this.dark ? pack(255, 255, 255) : pack(20, 20, 24));
    this.soft = mix(ground, this.get("--text"), 0.12);
  }

  get(name) {
    return this.named.get(name);
  }

  css(name) {
    return css(this.get(name));
  }
}

const UNITS = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

function duration(nanos) {
  if (Number.isNaN(nanos)) return "unknown";
  const [size, unit] = UNITS.find(([size]) => Math.abs(nanos) >= size) ?? [1, "ns"];
  const value = nanos / size;
  const digits = size === 1 ? 0 : Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

// A point of time in seconds, exact to a microsecond.
function moment(nanos) {
  return `${(nanos / 1e9).toFixed(6)} s`;
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

// Calls `draw` with each label of a time axis: its x and its text. Times are relative to a round
// base, because full times are too long to be read when the view is short.
function axisTicks(from, to, width, draw) {
  const span = to - from;
  const least = (span * 95) / width;
  let step = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  for (const factor of [1, 2, 5, 10]) {
    if (step * factor >= least) {
      step *= factor;
      break;
    }
  }
  const [size, unit] = UNITS.find(([size]) => step * 4 >= size) ?? [1, "ns"];
  const round = 10 ** Math.max(0, Math.ceil(Math.log10(span)));
  const base = span < 1e9 ? Math.floor(from / round) * round : 0;
  const digits = Math.max(0, Math.ceil(-Math.log10(step / size)));
  const first = Math.ceil(from / step) * step;
  for (let i = 0; first + i * step < to && i < 1000; i++) {
    const tick = first + i * step;
    const text = `${((tick - base) / size).toFixed(digits)} ${unit}`;
    draw(((tick - from) * width) / span, base > 0 ? `+${text}` : text);
  }
  return base;
}

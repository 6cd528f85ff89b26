// Keys, the mouse, and the controls above the views.

class Input {
  constructor(page) {
    this.page = page;
    this.listen();
  }

  listen() {
    const { view } = this.page;
    byId("show-workers").onclick = () => this.page.setMode("workers");
    byId("show-tasks").onclick = () => this.page.setMode("tasks");
    byId("zoom-in").onclick = () => this.page.zoom(0.5);
    byId("zoom-out").onclick = () => this.page.zoom(2);
    byId("zoom-fit").onclick = () => this.page.fit();
    byId("choice").onchange = (event) => this.page.choose(event.target.value);
    byId("all-arrows").onchange = (event) => {
      view.allArrows = event.target.checked;
      this.page.changed();
    };
    const search = byId("search");
    search.oninput = () => this.page.search(search.value);
    search.onkeydown = (event) => {
      if (event.key === "Enter") this.page.nextFound(event.shiftKey ? -1 : 1);
    };
    byId("search-next").onclick = () => this.page.nextFound(1);
    byId("tasks-box").addEventListener("scroll", () => this.page.changed());
    new ResizeObserver(() => {
      for (const histogram of this.page.histograms) histogram.draw();
      this.page.changed();
    }).observe(byId("stage"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      Object.assign(view.palette, new Palette(this.page.model.origins));
      this.page.overview.measured = false;
      view.version++;
      this.page.showNames();
      for (const histogram of this.page.histograms) histogram.draw();
      this.page.changed();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    this.listenTo(byId("workers"), this.page.timeline, GUTTER);
    this.listenTo(byId("tasks"), this.page.states, TASK_GUTTER);
  }

  listenTo(canvas, part, gutter) {
    const { view } = this.page;
    const rows = part === this.page.timeline;
    const scrollRows = (by) => {
      if (rows) part.scroll += by;
      else byId("tasks-box").scrollTop += by;
      this.page.changed();
    };
    canvas.addEventListener(
      "wheel",
      (event) => {
        const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
        const scrolls = !rows && !event.ctrlKey && !event.shiftKey && Math.abs(dx) <= Math.abs(dy);
        if (scrolls) return;
        event.preventDefault();
        const width = part.width - gutter;
        if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) this.page.pan((dx || dy) / width);
        else if (rows && event.offsetX < gutter) scrollRows(dy);
        else {
          const factor = Math.exp(Math.min(200, Math.max(-200, dy)) / 300);
          this.page.zoom(factor, Math.min(1, Math.max(0, (event.offsetX - gutter) / width)));
        }
        this.page.hideTip();
      },
      { passive: false },
    );
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      drag = { x: event.offsetX, y: event.offsetY, from: view.from, to: view.to, moved: false, lastY: event.offsetY };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) {
        this.hover(part, event);
        return;
      }
      const dx = event.offsetX - drag.x;
      if (!drag.moved && Math.hypot(dx, event.offsetY - drag.y) < 4) return;
      drag.moved = true;
      canvas.style.cursor = "grabbing";
      this.page.hideTip();
      const shift = (dx / (part.width - gutter)) * (drag.to - drag.from);
      this.page.zoomTo(drag.from - shift, drag.to - shift);
      scrollRows(drag.lastY - event.offsetY);
      drag.lastY = event.offsetY;
    });
    const drop = (event) => {
      canvas.style.cursor = "";
      if (drag && !drag.moved && event.type === "pointerup") this.click(part.hit(event.offsetX, event.offsetY));
      drag = null;
    };
    canvas.addEventListener("pointerup", drop);
    canvas.addEventListener("pointercancel", drop);
    canvas.addEventListener("pointerleave", () => this.page.hideTip());
    canvas.addEventListener("dblclick", (event) => {
      const hit = part.hit(event.offsetX, event.offsetY);
      if (hit?.type !== "poll") return;
      const { start, end } = this.page.model.polls;
      const length = Math.max(1000, end[hit.poll] - start[hit.poll]);
      this.page.zoomTo(start[hit.poll] - length * 0.4, end[hit.poll] + length * 0.4);
    });
  }

  click(hit) {
    if (hit?.type === "poll") this.page.select(hit.poll);
    else if (hit?.type === "task" || hit?.type === "gap") this.page.selectTask(hit.task);
    else if (hit?.type === "flag" && hit.flag.task !== NONE) this.page.selectTask(hit.flag.task);
    else if (hit?.type === "marker" && FIRST_IS_TASK[hit.kind]) {
      this.page.selectTask(this.page.model.tracks[hit.track].a[hit.event]);
    } else this.page.select(NONE);
  }

  hover(part, event) {
    const hit = part.hit(event.offsetX, event.offsetY);
    const poll = hit?.type === "poll" ? hit.poll : NONE;
    if (poll !== this.page.view.hoverPoll) {
      this.page.view.hoverPoll = poll;
      this.page.changed();
    }
    const lines = hit && tipOf(this.page.model, hit);
    const tip = byId("tip");
    tip.hidden = !lines;
    if (!lines) return;
    tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18 + tip.offsetHeight < window.innerHeight;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 10}px`;
  }

  key(event) {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const onButton = event.target.matches("button, summary, input");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { view, model } = this.page;
    const neighbour = (list) => view.poll !== NONE && list[view.poll] !== NONE && this.page.jump(list[view.poll]);
    const actions = {
      w: () => this.page.zoom(0.6),
      "+": () => this.page.zoom(0.6),
      "=": () => this.page.zoom(0.6),
      s: () => this.page.zoom(1 / 0.6),
      "-": () => this.page.zoom(1 / 0.6),
      a: () => this.page.pan(-0.15),
      ArrowLeft: () => this.page.pan(-0.15),
      d: () => this.page.pan(0.15),
      ArrowRight: () => this.page.pan(0.15),
      ArrowUp: () => this.scrollRows(-TASK_ROW),
      ArrowDown: () => this.scrollRows(TASK_ROW),
      0: () => this.page.fit(),
      1: () => this.page.setMode("workers"),
      2: () => this.page.setMode("tasks"),
      "/": () => byId("search").focus(),
      p: () => neighbour(model.polls.before),
      n: () => neighbour(model.polls.after),
      "[": () => this.stepOnRow(-1),
      "]": () => this.stepOnRow(1),
      Escape: () => this.page.select(NONE),
    };
    const vertical = key === "ArrowUp" || key === "ArrowDown";
    if (!actions[key] || (vertical && onButton)) return;
    actions[key]();
    event.preventDefault();
  }

  scrollRows(by) {
    if (this.page.mode === "tasks") byId("tasks-box").scrollTop += by;
    else this.page.timeline.scroll += by;
    this.page.changed();
  }

  // The poll before or after the selected one at the same worker.
  stepOnRow(step) {
    const { view, model } = this.page;
    if (view.poll === NONE) {
      const visible = model.rows.map((row) => row.poll[firstAbove(row.slices.end, view.from, 0, row.poll.length)]);
      const first = visible.find((poll) => poll !== undefined);
      if (first !== undefined) this.page.jump(first);
      return;
    }
    const row = model.rows[model.rowOfPoll[view.poll]];
    const next = row.poll[firstAbove(row.slices.start, model.polls.start[view.poll], 0, row.poll.length) - 1 + step];
    if (next !== undefined) this.page.jump(next);
  }
}

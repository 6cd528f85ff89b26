// What tests use.
function testing(page, begun) {
  const { model, view } = page;
  return {
    ready: true,
    events: model.trace.events,
    loadMillis: performance.now() - begun,
    findTask: (text) => (page.findTasks(text)?.found ?? []).map((task) => String(model.tasks.ids[task])),
    zoomTo: (from, to) => page.zoomTo(from, to),
    whole: () => ({ from: model.from, to: model.to }),
    view: () => ({
      from: view.from,
      to: view.to,
      mode: page.mode,
      task: view.task === NONE ? null : String(model.tasks.ids[view.task]),
      poll: view.poll,
    }),
    select: (id) => {
      const task = model.tasks.ids.findIndex((known) => String(known) === String(id));
      if (task >= 0) page.selectTask(task);
      return task >= 0;
    },
    frameMillis: () => page.millis,
    drawNow: () => page.draw(),
    // The middle of the widest slice in sight, in the coordinates of the window.
    widestSlice: () => {
      page.draw();
      const box = byId("workers").getBoundingClientRect();
      let best = { width: 0 };
      for (const row of model.rows) {
        const { start, end, count } = row.slices;
        const first = firstAbove(end, view.from, 0, count);
        const behind = firstAbove(start, view.to, first, count);
        if (first === behind) continue;
        const i = row.longestIn(first, behind);
        const [x0, x1] = [Math.max(GUTTER, page.timeline.x(start[i])), Math.min(page.timeline.width, page.timeline.x(end[i]))];
        const y = page.timeline.middle(model.rowOfPoll[row.poll[i]]);
        if (x1 - x0 <= best.width || y > page.timeline.height) continue;
        best = { width: x1 - x0, x: box.left + (x0 + x1) / 2, y: box.top + y, task: String(model.tasks.ids[model.polls.task[row.poll[i]]]) };
      }
      return best;
    },
  };
}

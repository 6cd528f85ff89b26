#!/usr/bin/env python3
"""Writes a synthetic trace: sample.py OUT [--workers N] [--events M] [--seed S]

The trace comes from a small simulation of workers. Three problems are planted in it:

- a poll of the task `report` that blocks its worker for 30 ms;
- a lock convoy: the tasks `account` wait for one lock, which each holds for 0.2 ms;
- a thundering herd: the task `cache` wakes 400 tasks `waiter` in one poll.
"""

import argparse
import collections
import heapq
import random
import struct

SPAWN, WAKE, POLL, POLL_END, STEAL, PARK, UNPARK, WAKE_WORKER, REACTOR, TIMERS = range(1, 11)
JOB_QUEUED, JOB, JOB_END, STALL, RESCUE, RESIZE, DRAIN, BUDGET, MARK, GLOBAL, RECORDER = range(11, 22)
PENDING, YIELD, COMPLETED, PANICKED, CANCELLED = range(5)
MICRO, MILLI = 1_000, 1_000_000


def number(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value):
    data = value.encode()
    return number(len(data)) + data


class Texts:
    def __init__(self):
        self.index = {}

    def at(self, value):
        return self.index.setdefault(value, len(self.index))

    def optional(self, value):
        return self.at(value) + 1 if value else 0


class Task:
    def __init__(self, ident, name, group, place, home, poll):
        self.id, self.name, self.group, self.place, self.home = ident, name, group, place, home
        # `poll(sim, worker, start)` returns the end of the poll, how it ended, and wakes: pairs of
        # a time and a task.
        self.poll = poll
        self.alive, self.job, self.queued = True, False, False


class Worker:
    def __init__(self, index):
        self.index, self.clock, self.events = index, 0, []
        self.queue = collections.deque()
        # What becomes ready by the reactor or by a timer: (time, serial, kind, task).
        self.ready = []
        self.since_reactor = 0
        self.stalled_until = 0

    def event(self, time, kind, *fields):
        self.events.append((time, kind, fields))


class Sim:
    def __init__(self, workers, events, seed):
        self.random = random.Random(seed)
        self.start = 3_600 * 10**9 + 123_456_789
        self.texts = Texts()
        self.tasks = []
        self.workers = [Worker(i) for i in range(workers)]
        for worker in self.workers:
            worker.clock = self.start + self.random.randrange(50 * MICRO)
        self.others = []
        self.serial = 0
        self.wanted = events
        self.next_id = 1
        # The problems appear once the trace has these shares of its events.
        self.plan = [(0.3, self.block), (0.5, self.convoy), (0.7, self.herd)]
        self.people()

    def task(self, name, group, place, home, poll):
        task = Task(self.next_id, name, group, place, home, poll)
        self.next_id += self.random.choice((1, 1, 1, 2, 7))
        self.tasks.append(task)
        return task

    def later(self, worker, time, kind, task):
        self.serial += 1
        heapq.heappush(worker.ready, (time, self.serial, kind, task))

    # Tasks that make the usual load.
    def people(self):
        rng = self.random
        count = len(self.workers)

        def connection(task):
            def poll(_, worker, start):
                end = start + int(rng.lognormvariate(9.2, 0.7))
                if rng.random() < 0.004:
                    end += rng.randrange(MILLI)
                if rng.random() < 0.03:
                    self.later(worker, end + rng.randrange(5 * MILLI), TIMERS, task)
                    return end, PENDING, []
                if rng.random() < 0.02:
                    return end, YIELD, []
                wakes = []
                if rng.random() < 0.3:
                    wakes.append((start + (end - start) // 2, rng.choice(self.stores)))
                self.later(worker, end + int(rng.expovariate(1 / (1.1 * MILLI))), REACTOR, task)
                return end, PENDING, wakes

            return poll

        def store(_, worker, start):
            return start + int(rng.lognormvariate(8.3, 0.6)), PENDING, []

        self.stores = [
            self.task("store", "database", ("src/store.rs", 88, 9), i % count, store) for i in range(2 * count)
        ]
        for i in range(48 * count):
            name = ("connection", "connection", "connection", "session", "")[i % 5]
            place = ("src/server.rs", 140 + 30 * (i % 5), 17)
            task = self.task(name, "http", place, i % count, None)
            task.poll = connection(task)
            worker = self.workers[task.home]
            self.later(worker, self.start + rng.randrange(2 * MILLI), REACTOR, task)
            if i % 7 == 0:
                self.others.append((self.start + i * 100, SPAWN, (task.id, 4000)))
        # A connection that has waited for another thread is woken again here.
        self.idle = [task for task in self.tasks if task.name == "session"]

    def block(self, worker):
        def poll(_, worker, start):
            worker.stalled_until = start + 10 * MILLI
            self.others.append((start + 10 * MILLI, STALL, (worker.index, task.id, 10 * MILLI)))
            self.others.append((start + 10 * MILLI + 5 * MICRO, RESCUE, (worker.index,)))
            wakes = [(start + (i + 1) * 50 * MICRO, store) for i, store in enumerate(self.stores[:8])]
            return start + 30 * MILLI, COMPLETED, wakes

        task = self.task("report", "batch", ("src/report.rs", 31, 5), worker.index, poll)
        worker.event(worker.clock, MARK, self.texts.at("report requested"))
        self.later(worker, worker.clock, TIMERS, task)

    def convoy(self, worker):
        waiting = collections.deque()
        rounds = [0]

        def poll_of(task):
            def poll(_, worker, start):
                end = start + 200 * MICRO + self.random.randrange(9 * MICRO)
                rounds[0] += 1
                waiting.append(task)
                if rounds[0] > 12 * 12:
                    return end, PENDING, []
                return end, PENDING, [(end - 2 * MICRO, waiting.popleft())]

            return poll

        tasks = []
        for i in range(12):
            task = self.task("account", "bank", ("src/account.rs", 52, 13), i % len(self.workers), None)
            task.poll = poll_of(task)
            tasks.append(task)
        waiting.extend(tasks[1:])
        self.later(worker, worker.clock, REACTOR, tasks[0])

    def herd(self, worker):
        def wait(_, worker, start):
            return start + 15 * MICRO + self.random.randrange(10 * MICRO), PENDING, []

        waiters = [self.task("waiter", "cache", ("src/cache.rs", 77, 21), worker.index, wait) for _ in range(400)]

        def notify(_, worker, start):
            return start + 60 * MICRO, PENDING, [(start + i * 140, task) for i, task in enumerate(waiters)]

        task = self.task("cache", "cache", ("src/cache.rs", 60, 5), worker.index, notify)
        worker.event(worker.clock, MARK, self.texts.at("cache filled"))
        self.later(worker, worker.clock, TIMERS, task)

    def total(self):
        return self.count + len(self.others)

    def run(self):
        self.count = 0
        turns = [(worker.clock, worker.index) for worker in self.workers]
        heapq.heapify(turns)
        while self.count < self.wanted:
            _, index = heapq.heappop(turns)
            worker = self.workers[index]
            before = len(worker.events)
            if self.plan and self.count >= self.wanted * self.plan[0][0]:
                self.plan.pop(0)[1](worker)
            self.step(worker)
            self.count += len(worker.events) - before
            heapq.heappush(turns, (worker.clock, index))
            if self.random.random() < 0.0005:
                self.from_outside(worker.clock)
        self.finish()

    def from_outside(self, time):
        """A blocking job on another thread, which wakes a task at its end."""
        thread = 4100 + self.random.randrange(3)
        job = Task(self.next_id, "resize image" if thread % 2 else "", "", ("src/image.rs", 19, 9), 0, None)
        job.job, job.alive = True, False
        self.next_id += 1
        self.tasks.append(job)
        length = self.random.randrange(MILLI)
        woken = self.random.choice(self.idle)
        self.others += [
            (time, JOB_QUEUED, (job.id, 4000)),
            (time + 9 * MICRO, JOB, (job.id, thread)),
            (time + 9 * MICRO + length, JOB_END, (job.id, thread)),
        ]
        if not woken.queued and all(entry[3] is not woken for entry in self.workers[woken.home].ready):
            self.others.append((time + 8 * MICRO + length, WAKE, (woken.id, thread)))
            self.later(self.workers[woken.home], time + 10 * MICRO + length, None, woken)

    def push(self, worker, task, time):
        if not task.queued:
            task.queued = True
            worker.queue.append((task, time))
            return True
        return False

    def step(self, worker):
        if worker.since_reactor >= 61 or not worker.queue:
            self.checkpoint(worker)
        if worker.queue:
            task, time = worker.queue.popleft()
            worker.clock = max(worker.clock, time) + 40 + self.random.randrange(120)
            self.poll(worker, task)
        elif not self.steal(worker):
            self.park(worker)

    def checkpoint(self, worker):
        worker.since_reactor = 0
        fired = {REACTOR: 0, TIMERS: 0}
        late = 0
        while worker.ready and worker.ready[0][0] <= worker.clock:
            time, _, kind, task = heapq.heappop(worker.ready)
            if kind is None:
                self.push(worker, task, time)
                continue
            if fired[kind] >= 48 or not self.push(worker, task, worker.clock):
                continue
            if kind == TIMERS and fired[REACTOR]:
                worker.event(worker.clock, REACTOR, fired[REACTOR], 900)
                fired[REACTOR] = 0
            worker.clock += 60
            worker.event(worker.clock, WAKE, task.id)
            fired[kind] += 1
            if kind == TIMERS:
                late = max(late, worker.clock - time)
                worker.event(worker.clock + 10, TIMERS, 1, late)
                worker.clock += 10
        worker.clock += 300
        if fired[REACTOR]:
            worker.event(worker.clock, REACTOR, fired[REACTOR], 300 + 60 * fired[REACTOR])

    def poll(self, worker, task):
        task.queued = False
        start = worker.clock
        worker.since_reactor += 1
        worker.event(start, POLL, task.id, len(worker.queue))
        end, how, wakes = task.poll(self, worker, start)
        for time, other in wakes:
            if self.push(worker, other, time):
                worker.event(time, WAKE, other.id)
        if self.random.random() < 0.001:
            worker.event(end, BUDGET, task.id)
        worker.event(end, POLL_END, task.id, how)
        if how == YIELD:
            self.push(worker, task, end)
        if how >= COMPLETED:
            task.alive = False
        if len(worker.queue) > 6 and self.random.random() < 0.2:
            other = self.random.choice(self.workers)
            if other is not worker:
                worker.event(end, WAKE_WORKER, other.index)
        worker.clock = end

    def steal(self, worker):
        victims = [v for v in self.workers if len(v.queue) > 3 and v.stalled_until <= worker.clock]
        if not victims or self.random.random() < 0.5:
            return False
        victim = max(victims, key=lambda v: len(v.queue))
        moved = [victim.queue.popleft() for _ in range(len(victim.queue) // 2)]
        worker.clock = max(worker.clock, moved[-1][1]) + 500
        if victim.stalled_until and victim.clock > worker.clock:
            worker.event(worker.clock, GLOBAL, len(moved))
        else:
            worker.event(worker.clock, STEAL, victim.index, len(moved))
        worker.queue.extend(moved)
        return True

    def park(self, worker):
        worker.event(worker.clock, PARK)
        until = worker.ready[0][0] if worker.ready else worker.clock + MILLI
        worker.clock = max(worker.clock + 1500, min(until, worker.clock + MILLI)) + self.random.randrange(3000)
        self.checkpoint(worker)
        worker.event(worker.clock + 50, UNPARK)
        worker.clock += 80

    def finish(self):
        end = max(worker.clock for worker in self.workers)
        length = end - self.start
        self.others.append((self.start + length // 6, MARK, (self.texts.at("new configuration"), 4000)))
        self.others.append((self.start + length * 9 // 10, RESIZE, (len(self.workers) + 1, len(self.workers))))
        self.others.append((end - length // 40, DRAIN, (0, len(self.tasks))))
        self.snapshot = end

    def track(self, kind, index, thread, lost, events):
        events.sort(key=lambda event: event[0])
        out = bytearray(number(kind) + number(index) + number(thread) + number(lost) + number(len(events)))
        now = 0
        for time, kind, fields in events:
            out += number(kind << 3 | len(fields)) + number(time - now)
            for field in fields:
                out += number(field)
            now = time
        return section(4, bytes(out))

    def file(self):
        tasks = bytearray(number(len(self.tasks)))
        for task in self.tasks:
            path, line, column = task.place
            flags = task.alive | task.job << 1
            for value in (
                task.id,
                flags,
                self.texts.optional(task.name),
                self.texts.optional(task.group),
                self.texts.optional(path),
                line,
                column,
            ):
                tasks += number(value)
        runtime = text("0.1.0") + text("web") + text("request") + number(4000)
        runtime += number(1_790_000_000 * 10**9) + number(self.snapshot) + number(len(self.workers))
        texts = number(len(self.texts.index)) + b"".join(text(value) for value in self.texts.index)
        parts = [b"HEISTTRC", struct.pack("<HH", 1, 0), section(1, runtime), section(2, texts), section(3, bytes(tasks))]
        # A tag that no reader knows.
        parts.append(section(200, b"later"))
        for worker in self.workers:
            lost = 1000 * worker.index
            parts.append(self.track(0, worker.index, 4001 + worker.index, lost, worker.events))
        parts.append(self.track(1, 0, 0, 0, self.others))
        return b"".join(parts)


def section(tag, data):
    return struct.pack("<BI", tag, len(data)) + data


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sim = Sim(options.workers, options.events, options.seed)
    sim.run()
    with open(options.out, "wb") as file:
        file.write(sim.file())


if __name__ == "__main__":
    main()

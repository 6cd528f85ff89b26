//! What user code does: each public entry point of a runtime, as a function.

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use heist::runtime::{Builder, Handle, mark};
use heist::task::JoinSet;
use heist::time::Instant;

use super::globals;
use super::stage::{Flavor, Stage};
use crate::kit::text;

const LONG: Duration = Duration::from_secs(3600);

/// What a call may do to its thread and to the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It returns at once, and the runtime stays open.
    Returns,
    /// It may wait for the thread of the user code. Where that is not allowed, it panics.
    Waits,
    /// It ends the runtime, or its spawns, without a wait.
    Closes,
    /// It ends the runtime, and may wait for the thread of the user code.
    ClosesAndWaits,
}

/// A call of the public API.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) act: fn(&Stage),
}

impl Action {
    pub(crate) fn waits(&self) -> bool {
        matches!(self.effect, Effect::Waits | Effect::ClosesAndWaits)
    }

    /// Returns whether the call panics in some places. A timer does so after the runtime's end.
    pub(crate) fn is_refusable(&self) -> bool {
        self.effect == Effect::Waits || self.name == "Drain::wait" || self.name == "timer"
    }

    /// Returns whether a runtime of that flavour can do it.
    pub(crate) fn applies(&self, flavor: Flavor) -> bool {
        // Under `block_on`, the runtime is borrowed.
        !(flavor == Flavor::BlockOn && self.name.contains("runtime's end"))
    }
}

const fn action(name: &'static str, effect: Effect, act: fn(&Stage)) -> Action {
    Action { name, effect, act }
}

pub(crate) const ACTIONS: [Action; 32] = [
    action("spawn", Effect::Returns, |stage| _ = stage.handle().map(|_| stage.spawn(ready(())))),
    action("spawn by the context", Effect::Returns, spawn_here),
    action("spawn of a named task", Effect::Returns, spawn_named),
    action("try_spawn", Effect::Returns, try_spawn),
    action("spawn and abort", Effect::Returns, |stage| {
        _ = stage.handle().map(|_| stage.spawn(pending::<()>()).abort())
    }),
    action("spawn_blocking", Effect::Returns, spawn_blocking),
    action("JoinSet with its drop", Effect::Returns, join_set),
    action("poll and drop of a JoinHandle", Effect::Returns, join_handle),
    action("abort of an idle task", Effect::Returns, |stage| {
        stage.victim.lock().unwrap().iter().for_each(|task| task.abort())
    }),
    action("abort of the own task", Effect::Returns, |stage| {
        _ = stage.host.lock().unwrap().as_ref().map(|host| host.0.abort())
    }),
    action("wake of an idle task", Effect::Returns, wake),
    action("wake of the own task", Effect::Returns, |stage| {
        _ = stage.host.lock().unwrap().clone_waker().map(Waker::wake)
    }),
    action("yield_now and task ids", Effect::Returns, yields),
    action("timer", Effect::Returns, timer),
    action("socket", Effect::Returns, socket),
    action("signal listener", Effect::Returns, signal),
    action("enter", Effect::Returns, enter),
    action("metrics", Effect::Returns, metrics),
    action("dump", Effect::Returns, |stage| _ = stage.handle().map(|handle| handle.dump().to_string())),
    action("recorder", Effect::Returns, recorder),
    action("group", Effect::Returns, group),
    action("resize", Effect::Returns, resize),
    action("Builder::build of another runtime", Effect::Returns, another_runtime),
    action("block_in_place", Effect::Waits, block_in_place),
    action("Handle::block_on", Effect::Waits, block_on),
    action("Resize::wait", Effect::Waits, resize_and_wait),
    action("drain", Effect::Closes, |stage| _ = stage.handle().map(|handle| drop(handle.drain(LONG)))),
    action("drain without time", Effect::Closes, |stage| {
        _ = stage.handle().map(|handle| drop(handle.drain(Duration::ZERO)))
    }),
    action("Drain::wait", Effect::ClosesAndWaits, drain_and_wait),
    action("runtime's end by shutdown_background", Effect::Closes, end_at_once),
    action("runtime's end by shutdown_timeout", Effect::ClosesAndWaits, end_in_time),
    action("runtime's end by the last drop", Effect::ClosesAndWaits, end_by_drop),
];

/// Reads the waker of the host, if there is one.
trait CloneWaker {
    fn clone_waker(&self) -> Option<Waker>;
}

impl<T> CloneWaker for Option<(T, Waker)> {
    fn clone_waker(&self) -> Option<Waker> {
        self.as_ref().map(|host| host.1.clone())
    }
}

/// Makes a call that panics where it must not block. Any other panic is a fault.
fn refusable(stage: &Stage, call: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { return };
    let message = text(payload);
    if !globals::is_refusal(&message) {
        stage.faults.lock().unwrap().push(format!("the call panics: {message}"));
    }
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) {
    let _ = future.poll(&mut Context::from_waker(Waker::noop()));
}

fn spawn_here(stage: &Stage) {
    if Handle::try_current().is_ok() {
        let task = heist::spawn(stage.tracked(ready(())));
        stage.handles.lock().unwrap().push(task);
    }
}

fn spawn_named(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let task = heist::task::Builder::new().name("named").spawn_on(stage.tracked(ready(())), &handle);
    stage.handles.lock().unwrap().push(task.expect("a spawn of a task needs no thread"));
}

fn try_spawn(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    match handle.try_spawn(stage.tracked(ready(()))) {
        Ok(task) => stage.handles.lock().unwrap().push(task),
        Err(error) => drop(error.into_inner()),
    }
}

fn spawn_blocking(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let token = stage.token();
    let job = handle.spawn_blocking(move || token);
    stage.handles.lock().unwrap().push(job);
}

fn join_set(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let mut set = JoinSet::new();
    set.spawn_on(stage.tracked(pending::<()>()), &handle);
    set.spawn_on(stage.tracked(ready(())), &handle);
    let _ = set.poll_join_next(&mut Context::from_waker(Waker::noop()));
}

fn join_handle(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let mut task = handle.spawn(stage.tracked(ready(())));
    poll_once(Pin::new(&mut task));
}

fn wake(stage: &Stage) {
    let Some(waker) = stage.victim_waker.lock().unwrap().clone() else { return };
    let other = waker.clone();
    assert!(waker.will_wake(&other));
    waker.wake_by_ref();
    other.wake();
}

fn yields(_: &Stage) {
    let _ = (heist::task::try_id(), heist::task::current_group(), heist::runtime::worker_index());
    poll_once(pin!(heist::task::yield_now()));
    poll_once(pin!(heist::task::coop::consume_budget()));
}

fn timer(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    refusable(stage, || {
        let inside = handle.enter();
        if Handle::try_current().is_ok() {
            let mut sleep = Box::pin(heist::time::sleep(LONG));
            poll_once(sleep.as_mut());
            sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
            poll_once(sleep.as_mut());
            let mut timeout = Box::pin(heist::time::timeout(Duration::ZERO, pending::<()>()));
            poll_once(timeout.as_mut());
            drop((timeout, sleep));
        }
        drop(inside);
    });
}

fn socket(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let inside = handle.enter();
    if Handle::try_current().is_ok() {
        if let Ok((one, two)) = heist::net::UnixDatagram::pair() {
            let mut byte = [0];
            poll_once(pin!(one.recv(&mut byte)));
            let _ = two.try_send(b"x");
        }
    }
    drop(inside);
}

fn signal(stage: &Stage) {
    use heist::signal::unix::{SignalKind, signal};
    let Some(handle) = stage.handle() else { return };
    let inside = handle.enter();
    if Handle::try_current().is_ok() {
        if let Ok(mut listener) = signal(SignalKind::window_change()) {
            poll_once(pin!(listener.recv()));
        }
    }
    drop(inside);
}

fn enter(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let _outer = handle.enter();
    let _inner = handle.enter();
    let _ = Handle::try_current().map(|here| assert_eq!(here.id(), handle.id()));
}

fn metrics(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let metrics = handle.metrics();
    let _ = (metrics.num_alive_tasks(), metrics.spawned_tasks_count(), metrics.global_queue_depth());
    let _ = (metrics.num_blocking_threads(), metrics.io_driver_fd_registered_count(), metrics.effective_workers());
    (0..metrics.num_worker_slots()).for_each(|worker| _ = metrics.worker_poll_count(worker));
    let _ = (format!("{metrics:?}"), format!("{handle:?}"), handle.worker_threads(), handle.groups().len());
}

fn recorder(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let recorder = handle.recorder();
    recorder.start();
    mark("evil");
    assert!(!recorder.snapshot().as_bytes().is_empty());
    recorder.stop();
}

fn group(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let Ok(group) = handle.group("evil").max_tasks(1).build() else { return };
    let (first, second) = (group.spawn(stage.tracked(pending::<()>())), group.spawn(stage.tracked(ready(()))));
    stage.handles.lock().unwrap().extend([first, second]);
    poll_once(pin!(group.admit()));
    drop(group.try_admit());
    let _ = (group.set_max_tasks(3), group.set_weight(7), group.set_max_workers(1), group.metrics());
    let token = stage.token();
    let job = group.spawn_blocking(move || token);
    stage.handles.lock().unwrap().push(job);
    let mut drain = pin!(group.drain(Duration::ZERO));
    poll_once(drain.as_mut());
    group.abort_all();
}

fn resize(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    poll_once(pin!(async { drop(handle.resize(3)) }));
    drop(handle.resize(2));
}

fn another_runtime(stage: &Stage) {
    let other = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let task = other.spawn(stage.tracked(ready(())));
    drop(other);
    stage.handles.lock().unwrap().push(task);
}

fn block_in_place(stage: &Stage) {
    refusable(stage, || heist::task::block_in_place(|| ()));
}

fn block_on(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let task = stage.tracked(ready(()));
    refusable(stage, || {
        let spawning = handle.clone();
        handle.block_on(async move {
            let _ = spawning.spawn(task).await;
        });
    });
}

fn resize_and_wait(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    refusable(stage, || _ = handle.resize(3).wait());
}

fn drain_and_wait(stage: &Stage) {
    let Some(handle) = stage.handle() else { return };
    let drain = handle.drain(Duration::ZERO);
    refusable(stage, || _ = drain.wait());
}

fn end_at_once(stage: &Stage) {
    let runtime = stage.runtime.lock().unwrap().take();
    runtime.into_iter().for_each(|runtime| runtime.shutdown_background());
}

fn end_in_time(stage: &Stage) {
    let runtime = stage.runtime.lock().unwrap().take();
    runtime.into_iter().for_each(|runtime| runtime.shutdown_timeout(Duration::from_secs(60)));
}

/// Drops the runtime, and then the last handle that the user has.
fn end_by_drop(stage: &Stage) {
    let runtime = stage.runtime.lock().unwrap().take();
    drop(runtime);
    let handle = stage.handle.lock().unwrap().take();
    drop(handle);
}

/// Panics. The second payload panics again when it is dropped.
pub(crate) const PANICS: [(&str, fn()); 2] = [
    ("a panic", || panic!("in user code (planned)")),
    ("a panic whose payload panics", || std::panic::panic_any(PanicsWhenDropped)),
];

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a payload's destructor (planned)");
        }
    }
}

//! Queues tasks of groups, and announces groups that have become ready.

use std::any::Any;
use std::future::Future;
use std::panic::Location;

use crate::context;
use crate::group::grouped::{Grouped, Permit};
use crate::group::priority::Priority;
use crate::group::table::GroupTable;
use crate::group::{Group, GroupHost};
use crate::pool::{Pool, Seat};
use crate::primitive::Arc;
use crate::raw_task::{self, Header, JoinHandle, Origin, Refusal, Route, Runnable, SpawnMeta};
use crate::recorder::record::{Kind, Record};
use crate::scheduler::schedule;

impl GroupHost for Pool {
    fn queue_in_group(self: Arc<Self>, group: &Arc<Group>, runnable: Runnable) {
        self.simulation.check_thread(|| format!("wakes {}", runnable.header().description()));
        let id = runnable.header().id();
        self.record_here(|at| Record::of_id(Kind::Wake, at, id));
        if self.settings.queue_times {
            self.record_queue_time(runnable.header());
        }
        group.queue.push_woken(runnable);
        self.announce_in_group(group);
        self.recheck_deadline(Some(id));
    }

    fn groups(&self) -> &GroupTable {
        &self.groups
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Pool {
    /// Follows each push to the queue of a group.
    fn announce_in_group(&self, group: &Arc<Group>) {
        if group.claim_listing() {
            if let Some(priority) = self.groups.ready.list(group) {
                self.announce_group(group, priority);
            }
        }
    }

    /// Makes a worker serve a group that has become ready, and is served at this priority.
    pub(crate) fn announce_group(&self, group: &Group, priority: Priority) {
        let on_worker = priority != Priority::Latency
            && context::seated(|seated| {
                let seated = seated.filter(|seated| std::ptr::eq(Arc::as_ptr(seated.pool), self));
                let Some(seated) = seated.filter(|seated| self.lowest_priority_of(seated.seat) <= priority) else {
                    return false;
                };
                // This worker serves the group at its next boundary, unless a helper is sooner.
                seated.local.make_group_check_due();
                let pays = seated.local.wake_pays(group.queue.len(), self.settings.wake_pays_after);
                !pays || !self.idle.counts().could_wake()
            });
        if !on_worker && !self.notify() && priority == Priority::Latency {
            // Every worker is awake. Each makes a checkpoint at its next boundary.
            self.bump_tick();
        }
    }
}

/// Creates a task of a group, and queues it.
///
/// # Errors
///
/// The future and the reason, if the group or the runtime accepts no task from here.
pub(crate) fn spawn_admitted<F>(
    pool: &Arc<Pool>,
    permit: Permit,
    future: F,
    location: &'static Location<'static>,
    name: Option<&str>,
    origin: Origin,
) -> Result<JoinHandle<F::Output>, (F, Refusal)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // The group may have been drained since it has granted the permit.
    if let Err(refusal) = permit.group().admission.check_gate(is_current(permit.group())) {
        return Err((future, refusal));
    }
    if !schedule::try_admit(pool) {
        return Err((future, schedule::refusal_of(pool)));
    }
    let group = Arc::clone(permit.group());
    let spawn_meta = SpawnMeta::of_group(location, name, Arc::clone(&group) as _).with_origin(origin);
    let (runnable, handle) = raw_task::spawn_in_group::<_, Seat>(Grouped::new(future, permit), spawn_meta);
    schedule::run_spawn_hook(pool, &runnable);
    pool.record_spawn(Kind::Spawn, runnable.header());
    if pool.settings.queue_times {
        pool.record_queue_time(runnable.header());
    }
    match group.queue.push_new(runnable) {
        Ok(()) => {
            pool.announce_in_group(&group);
            pool.recheck_deadline(None);
            // The group's drain may have taken the queue before.
            if group.admission.is_closed() {
                handle.abort();
            }
        }
        // The runtime has begun to shut down since the task was admitted.
        Err(refused) => schedule::cancel_admitted(pool, refused),
    }
    Ok(handle)
}

/// Creates a task of a group for code that runs inside of it. If the group or its runtime refuses
/// the task, its handle resolves as cancelled.
pub(crate) fn spawn_inherited<F>(
    here: &Arc<Pool>,
    group: &Arc<Group>,
    future: F,
    meta: SpawnMeta,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (location, name) = (meta.location(), meta.name().map(|name| &**name));
    let pool = pool_of(group);
    let pool = pool.as_ref().unwrap_or(here);
    // The limit is for what comes from outside. A task that could not spawn its parts would fail
    // just when there is much to do.
    let admitted = if is_current(group) { group.admission.admit_child() } else { group.admission.try_admit(false) };
    match admitted {
        Ok(()) => spawn_admitted(pool, Permit::of_admitted(group), future, location, name, meta.origin())
            .unwrap_or_else(|(future, refusal)| reject(pool, group, refusal, future, location)),
        Err(refusal) => reject(pool, group, refusal, future, location),
    }
}

/// Returns the handle of a task that is never run, and that resolves as cancelled for this reason.
/// Drops the future.
fn reject<F>(
    pool: &Arc<Pool>,
    group: &Group,
    refusal: Refusal,
    future: F,
    location: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    group.counts.refused.add(1);
    pool.drain_state.refusals.log_refusal(pool.clock.now(), location, &group.settings.name, refusal);
    context::run_in_runtime(pool, || reject_detached(refusal, future, location))
}

/// As [`reject`], if there may be no runtime any more.
pub(crate) fn reject_detached<F>(
    refusal: Refusal,
    future: F,
    location: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (runnable, handle) = schedule::new_task(future, location);
    refusal.run_with(|| drop(runnable));
    handle
}

/// Returns true if this thread polls a task of the group, or runs a job of it.
pub(crate) fn is_current(group: &Arc<Group>) -> bool {
    context::task_group().is_some_and(|current| is_same(&current, group))
}

fn is_same(of_task: &Arc<dyn Route>, group: &Arc<Group>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(of_task), Arc::as_ptr(group))
}

/// Returns the runtime of a group, unless it has been dropped.
pub(crate) fn pool_of(group: &Group) -> Option<Arc<Pool>> {
    group.host()?.into_any().downcast().ok()
}

/// Aborts every task of a group.
pub(crate) fn abort_all(pool: &Pool, group: &Arc<Group>) {
    group.aborts.count(|| {
        let is_of_group = |task: &Header| task.group().is_some_and(|of_task| is_same(of_task, group));
        let idle = pool.seats.iter().flat_map(|seat| seat.live.cancel_all_of(is_of_group));
        idle.for_each(|runnable| Arc::clone(group).queue_woken(runnable));
        // A task that has never been idle is in no list. Last: a task may have been queued
        // meanwhile.
        group.queue.for_each(Header::cancel_queued);
    });
}

//! Hooks of the builder, the subscriber of `tracing`, and the panic hook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use heist::runtime::Handle;

use super::super::globals;
use super::super::stage::{Evil, Flavor, Stage};
use super::Place;
use crate::kit::Door;
use crate::wakers::{Call, fragile};

/// The panic ends a worker's thread.
const ABORTS: &str = "on a worker's thread the process aborts, as documented";

/// Sleeps until the user code has acted.
async fn sleep_until_begun(stage: &Stage) {
    while !stage.begun.is_open() {
        heist::time::sleep(Duration::from_micros(100)).await;
    }
}

/// Runs a job, for which the blocking pool starts a thread.
async fn run_job(stage: &Stage) {
    let token = stage.token();
    let job = heist::task::spawn_blocking(move || token);
    stage.handles.lock().unwrap().push(job);
}

/// The name of workers that call the hooks of blocking threads, too.
const WORKER: &str = "worker";

/// A worker may start later than the blocking thread, and calls the same hook.
fn run_on_blocking_thread(evil: &Evil) {
    if std::thread::current().name() != Some(WORKER) {
        evil.run();
    }
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("on_task_spawn", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(heist::spawn(async {}));
        })
    })
    .configured(|builder, evil| {
        let spawned = evil.stage().spawned.clone();
        builder.on_task_spawn(move |_| {
            spawned.add();
            evil.run();
        });
    }),
    Place::new("on_task_terminate", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(heist::spawn(async {}));
        })
    })
    .configured(|builder, evil| {
        let ended = evil.stage().ended.clone();
        builder.on_task_terminate(move |_| {
            ended.add();
            evil.run();
        });
    }),
    Place::new("on_before_task_poll", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(heist::spawn(async {}));
        })
    })
    .configured(|builder, evil| _ = builder.on_before_task_poll(move |_| evil.run())),
    Place::new("on_after_task_poll", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(heist::spawn(async {}));
        })
    })
    .configured(|builder, evil| _ = builder.on_after_task_poll(move |_| evil.run())),
    Place::new("on_thread_start of a worker", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(Handle::current().resize(3));
        })
    })
    .only(Flavor::Workers)
    .configured(|builder, evil| _ = builder.on_thread_start(move || evil.run()))
    .without_panic(ABORTS),
    Place::new("on_thread_start of a worker during the build", |_| Box::pin(async {}))
        .only(Flavor::Workers)
        .configured(|builder, evil| {
            evil.arm();
            builder.on_thread_start(move || evil.run());
        })
        .without_panic(ABORTS),
    Place::new("on_thread_start of a blocking thread", |stage| {
        Box::pin(async move {
            stage.armed();
            run_job(&stage).await;
        })
    })
    .configured(|builder, evil| {
        builder.thread_name_with(|_| WORKER.to_owned()).on_thread_start(move || run_on_blocking_thread(&evil));
    }),
    Place::new("on_thread_stop of a worker", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(Handle::current().resize(1));
        })
    })
    .only(Flavor::Workers)
    .configured(|builder, evil| _ = builder.on_thread_stop(move || evil.run()))
    .without_panic(ABORTS),
    Place::new("on_thread_stop of a worker at the end", |stage| Box::pin(async move { _ = stage.armed() }))
        .only(Flavor::Workers)
        .configured(|builder, evil| _ = builder.on_thread_stop(move || evil.run()))
        .without_panic(ABORTS)
        .at_end(),
    Place::new("on_thread_stop of a blocking thread", |stage| {
        Box::pin(async move {
            stage.armed();
            run_job(&stage).await;
        })
    })
    .configured(|builder, evil| {
        builder.thread_keep_alive(Duration::ZERO).thread_name_with(|_| WORKER.to_owned());
        builder.on_thread_stop(move || run_on_blocking_thread(&evil));
    }),
    Place::new("on_thread_park", |stage| {
        Box::pin(async move {
            stage.armed();
            sleep_until_begun(&stage).await;
        })
    })
    .configured(|builder, evil| _ = builder.on_thread_park(move || evil.run()))
    .without_panic(ABORTS)
    .panics_in_driver(),
    Place::new("on_thread_unpark", |stage| {
        Box::pin(async move {
            stage.armed();
            sleep_until_begun(&stage).await;
        })
    })
    .configured(|builder, evil| _ = builder.on_thread_unpark(move || evil.run()))
    .without_panic(ABORTS)
    .panics_in_driver(),
    Place::new("thread_name_fn", |stage| {
        Box::pin(async move {
            stage.armed();
            run_job(&stage).await;
        })
    })
    .configured(|builder, evil| {
        builder.thread_name_fn(move || {
            evil.run();
            "evil".to_owned()
        });
    }),
    Place::new("thread_name_with", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(Handle::current().resize(3));
        })
    })
    .only(Flavor::Workers)
    .configured(|builder, evil| {
        builder.thread_name_with(move |_| {
            evil.run();
            "evil".to_owned()
        });
    }),
    Place::new("after_resize", |stage| {
        Box::pin(async move {
            stage.armed();
            drop(Handle::current().resize(3));
        })
    })
    .only(Flavor::Workers)
    .configured(|builder, evil| _ = builder.after_resize(move |_| evil.run())),
    Place::new("on_stall", |stage| {
        Box::pin(async move {
            stage.armed();
            stage.begun.wait();
        })
    })
    .only(Flavor::Workers)
    .configured(|builder, evil| _ = builder.stall_threshold(Duration::from_millis(1)).on_stall(move |_| evil.run())),
    Place::new("tracing event of a contained panic", |stage| {
        Box::pin(async move {
            let door = Door::new();
            let opened = door.opened();
            let mut task = heist::spawn(opened);
            let (waker, _) = fragile(Call::Wake);
            super::waits::poll_with(std::pin::Pin::new(&mut task), &waker);
            globals::on_event(stage.armed());
            door.open();
            stage.keep_value(task);
        })
    }),
    Place::new("tracing event of a refused spawn", |stage| {
        Box::pin(async move {
            let closed = crate::kit::current_thread().handle().clone();
            globals::on_event(stage.armed());
            let refused = catch_unwind(AssertUnwindSafe(|| closed.spawn(stage.tracked(async {})))).expect("a handle");
            stage.handles.lock().unwrap().push(refused);
        })
    }),
    Place::new("panic hook", |stage| {
        Box::pin(async move {
            globals::on_panic(stage.armed());
            stage.spawn(async { panic!("{}", globals::FOR_THE_HOOK) });
        })
    })
    .without_panic("a panic in a panic hook aborts the process, in std")
    .without_refusal(),
];

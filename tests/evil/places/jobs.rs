//! Blocking jobs, and the roots of `block_on`.

use std::future::poll_fn;
use std::task::Poll;

use heist::runtime::Handle;

use super::super::stage::{Flavor, Stage};
use super::Place;
use crate::kit::Door;

/// Occupies both threads of the blocking pool. Returns the door that frees them.
async fn occupy(stage: &Stage) -> Door {
    let free = Door::new();
    for _ in 0..2 {
        let (begun, waits) = (Door::new(), free.clone());
        let (begins, token) = (begun.clone(), stage.token());
        let job = heist::task::spawn_blocking(move || {
            begins.open();
            waits.wait();
            token
        });
        stage.handles.lock().unwrap().push(job);
        begun.opened().await;
    }
    free
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("blocking job", |stage| {
        Box::pin(async move {
            let (evil, token) = (stage.armed(), stage.token());
            let job = heist::task::spawn_blocking(move || {
                evil.run();
                token
            });
            stage.handles.lock().unwrap().push(job);
        })
    }),
    Place::new("destructor of a job's closure", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.keep_value(heist::task::spawn_blocking(move || {
                let _value = &value;
            }));
        })
    }),
    Place::new("destructor of an aborted job's closure", |stage| {
        Box::pin(async move {
            let free = occupy(&stage).await;
            let (value, token) = (stage.evil_drop(), stage.token());
            let job = heist::task::spawn_blocking(move || {
                let _value = &value;
                token
            });
            job.abort();
            stage.handles.lock().unwrap().push(job);
            free.open();
        })
    }),
    Place::new("destructor of a queued job's closure at the end", |stage| {
        Box::pin(async move {
            let free = occupy(&stage).await;
            let (value, token) = (stage.evil_drop(), stage.token());
            let frees = crate::kit::OnDrop::new(move || free.open());
            let job = heist::task::spawn_blocking(move || {
                let _dropped = (&frees, &value);
                token
            });
            stage.handles.lock().unwrap().push(job);
        })
    })
    .at_end(),
    Place::new("destructor of a detached job's output", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let go = Door::new();
            let goes = go.clone();
            drop(heist::task::spawn_blocking(move || {
                goes.wait();
                value
            }));
            go.open();
        })
    }),
    Place::new("destructor of an output in a dropped handle of a job", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let job = heist::task::spawn_blocking(move || value);
            while !job.is_finished() {
                heist::task::yield_now().await;
            }
            drop(job);
        })
    }),
    Place::new("poll of a root", |stage| {
        Box::pin(async move {
            let (evil, token, handle) = (stage.armed(), stage.token(), Handle::current());
            let job = heist::task::spawn_blocking(move || {
                handle.block_on(async { evil.run() });
                token
            });
            stage.handles.lock().unwrap().push(job);
        })
    }),
    Place::new("destructor of a root", |stage| {
        Box::pin(async move {
            let (value, token, handle) = (stage.evil_drop(), stage.token(), Handle::current());
            let job = heist::task::spawn_blocking(move || {
                handle.block_on(poll_fn(move |_| {
                    let _ = &value;
                    Poll::Ready(())
                }));
                token
            });
            stage.handles.lock().unwrap().push(job);
        })
    }),
    Place::new("block_in_place", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            stage.spawn(async move { heist::task::block_in_place(|| evil.run()) });
        })
    })
    .only(Flavor::Workers),
];

//! Futures and outputs of tasks.

use std::future::{Future, pending, poll_fn, ready};
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::runtime::Handle;
use heist::task::JoinSet;

use super::super::stage::Flavor;
use super::Place;
use crate::kit::Door;

heist::task_local! {
    static VALUE: Box<dyn std::any::Any + Send>;
}

/// Waits, from outside of the task, until a task has ended.
async fn ended(task: &heist::task::AbortHandle) {
    while !task.is_finished() {
        heist::task::yield_now().await;
    }
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("poll", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            stage.spawn(poll_fn(move |_| {
                evil.run();
                Poll::Ready(())
            }));
        })
    }),
    Place::new("poll of a woken task", |stage| {
        Box::pin(async move {
            let (evil, door) = (stage.evil(), Door::new());
            let opened = door.opened();
            stage.spawn(async move {
                opened.await;
                evil.run();
            });
            heist::task::yield_now().await;
            stage.armed();
            door.open();
        })
    }),
    Place::new("poll of a group's task", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            let group = Handle::current().group("polls").build().unwrap();
            let task = group.spawn(stage.tracked(async move { evil.run() }));
            stage.handles.lock().unwrap().push(task);
        })
    }),
    Place::new("poll inside of a timeout, a scope and a budget", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            let group = Handle::current().group("scope").build().unwrap();
            let inner = heist::task::coop::unconstrained(heist::task::coop::cooperative(async move { evil.run() }));
            let scoped = group.scope(VALUE.scope(Box::new(()), inner));
            stage.spawn(heist::time::timeout(Duration::from_secs(3600), scoped));
        })
    }),
    Place::new("destructor of a future that is ready", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            // The value is captured, and lives as long as the future.
            stage.spawn(poll_fn(move |_| {
                let _ = &value;
                Poll::Ready(())
            }));
        })
    }),
    Place::new("destructor of an idle task's future", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let task = stage.spawn(async move {
                let _value = value;
                pending::<()>().await;
            });
            heist::task::yield_now().await;
            task.abort();
        })
    }),
    Place::new("destructor of a queued task's future", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.spawn(async move { drop(value) }).abort();
        })
    }),
    Place::new("destructor of a future that panics", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            // The value is captured. If the panic ran its destructor in the poll itself, a second
            // panic would abort the process.
            drop(heist::spawn(poll_fn(move |_| -> Poll<()> {
                let _ = &value;
                panic!("in a poll (planned)");
            })));
        })
    }),
    Place::new("destructor of a group's future at its drain", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let group = Handle::current().group("drained").build().unwrap();
            let task = group.spawn(stage.tracked(async move {
                let _value = value;
                pending::<()>().await;
            }));
            stage.handles.lock().unwrap().push(task);
            heist::task::yield_now().await;
            drop(group.drain(Duration::ZERO));
        })
    }),
    Place::new("destructor of a future that a group refuses", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let group = Handle::current().group("full").max_tasks(1).build().unwrap();
            let first = group.spawn(stage.tracked(pending::<()>()));
            let refused = group.spawn(stage.tracked(async move { drop(value) }));
            first.abort();
            stage.handles.lock().unwrap().extend([first, refused]);
        })
    }),
    Place::new("destructor of a future that a closed runtime refuses", |stage| {
        Box::pin(async move {
            let closed = crate::kit::current_thread().handle().clone();
            let value = stage.evil_drop();
            let refused = closed.spawn(stage.tracked(async move { drop(value) }));
            stage.handles.lock().unwrap().push(refused);
        })
    }),
    Place::new("destructor of an idle task's future at the end", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.spawn(async move {
                let _value = value;
                pending::<()>().await;
            });
            heist::task::yield_now().await;
        })
    })
    .at_end(),
    Place::new("destructor of an idle task's future at a drain's deadline", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.spawn(async move {
                let _value = value;
                pending::<()>().await;
            });
            heist::task::yield_now().await;
            drop(Handle::current().drain(Duration::ZERO));
        })
    })
    .only(Flavor::Workers),
    Place::new("destructor of a detached task's output", |stage| {
        Box::pin(async move {
            let (value, door) = (stage.evil_drop(), Door::new());
            let opened = door.opened();
            drop(heist::spawn(async move {
                opened.await;
                value
            }));
            door.open();
        })
    }),
    Place::new("destructor of an output in a dropped JoinHandle", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let task = heist::spawn(async move { value });
            ended(&task.abort_handle()).await;
            drop(task);
        })
    }),
    Place::new("destructor of a panic's payload in a dropped JoinHandle", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let task = heist::spawn(async move {
                panic_any(value);
            });
            ended(&task.abort_handle()).await;
            drop(task);
        })
    }),
    Place::new("destructor of a detached task's payload", |stage| {
        Box::pin(async move {
            let (value, door) = (stage.evil_drop(), Door::new());
            let opened = door.opened();
            drop(heist::spawn(async move {
                opened.await;
                panic_any(value);
            }));
            door.open();
        })
    }),
    Place::new("destructor of an output in a dropped JoinSet", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let mut set = JoinSet::new();
            let member = set.spawn(async move { value });
            ended(&member).await;
            drop(set);
        })
    }),
    Place::new("destructor of an output in JoinSet::shutdown", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let mut set = JoinSet::new();
            let member = set.spawn(async move { value });
            ended(&member).await;
            set.shutdown().await;
        })
    }),
    Place::new("destructor of a task-local value", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.spawn(VALUE.scope(Box::new(value), ready(())));
        })
    }),
    Place::new("destructor of a future in a dropped SpawnWhenAdmitted", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let group = Handle::current().group("waits").max_tasks(1).build().unwrap();
            let admission = group.admit().await.unwrap();
            {
                let mut waits = pin!(group.spawn_when_admitted(async move { drop(value) }));
                assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            drop(admission);
        })
    }),
    Place::new("destructor of the future in a dropped SpawnError", |stage| {
        Box::pin(async move {
            let closed = crate::kit::current_thread().handle().clone();
            let value = stage.evil_drop();
            drop(closed.try_spawn(async move { drop(value) }));
        })
    }),
    Place::new("destructor of a future under a dropped Timeout", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            let mut timeout = Box::pin(heist::time::timeout(Duration::from_secs(3600), async move {
                let _value = value;
                pending::<()>().await;
            }));
            assert!(Pin::new(&mut timeout).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(timeout);
        })
    }),
];

//! Planted faults: each shows that the soak finds such a fault.

use std::fs::File;
use std::future::pending;
use std::hint::black_box;
use std::mem::{ManuallyDrop, forget};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use heist::time::sleep;

use crate::account::{self, Ticket};
use crate::failure::fail;
use crate::load::{self, Load};
use crate::options::Plant;
use crate::probes;

pub(crate) fn start(plant: Plant, load: &Arc<Load>) {
    match plant {
        Plant::Leak => load.start_task("planted leak", |_| async {
            while !load::is_over() {
                forget(black_box(vec![1_u8; 1_024]));
                sleep(Duration::from_millis(5)).await;
            }
        }),
        Plant::Fd => load.start_task("planted leak of descriptors", |_| async {
            while !load::is_over() {
                forget(File::open("/dev/null"));
                sleep(Duration::from_millis(200)).await;
            }
        }),
        Plant::Thread => load.start_task("planted leak of threads", |_| async {
            while !load::is_over() {
                drop(thread::spawn(|| thread::sleep(Duration::from_secs(3_600))));
                sleep(Duration::from_millis(500)).await;
            }
        }),
        Plant::Hang => load.start_task("planted loss of a wake-up", |_| async {
            sleep(Duration::from_secs(1)).await;
            probes::DROP_A_WAKE.store(true, Ordering::SeqCst);
        }),
        Plant::Double => load.start_task("planted double drop", |_| async {
            sleep(Duration::from_secs(1)).await;
            let mut ticket = ManuallyDrop::new(Ticket::new());
            // SAFETY: the ticket is not used again, except by the second drop.
            unsafe { ManuallyDrop::drop(&mut ticket) };
            // SAFETY: a fault that is planted. The ticket owns no memory, so its second drop only
            // reads its fields, which are still there.
            unsafe { ManuallyDrop::drop(&mut ticket) };
            fail("a double drop was not found");
        }),
        Plant::Twice => load.start_task("planted second end", |_| async {
            sleep(Duration::from_secs(1)).await;
            account::count_end_twice();
        }),
        Plant::Lost => load.start_task("planted loss of a task", |_| async {
            let ticket = Ticket::new();
            let future = Box::pin(async move {
                pending::<()>().await;
                ticket.complete()
            });
            forget(future);
        }),
    }
}

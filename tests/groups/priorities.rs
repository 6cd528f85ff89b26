//! Which task goes first.

use std::sync::{Arc, Mutex};

use heist::runtime::{Builder, Priority, Runtime};
use heist::task;

fn one_worker() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn higher_priority_goes_first_and_lower_gets_its_share() {
    let runtime = one_worker();
    let order = Arc::new(Mutex::new(Vec::new()));
    let groups: Vec<_> = [Priority::Background, Priority::Normal, Priority::Latency]
        .into_iter()
        .map(|priority| runtime.group(&priority.to_string()).priority(priority).build().unwrap())
        .collect();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for group in &groups {
            for _ in 0..3 {
                let (order, priority) = (Arc::clone(&order), group.priority());
                tasks.push(group.spawn(async move { order.lock().unwrap().push(priority) }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let order = order.lock().unwrap().clone();
    let mut sorted = order.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(order, sorted);
}

#[test]
fn background_task_beside_endless_latency_tasks_ends() {
    for workers in [1, 2] {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        let urgent = runtime.group("urgent").priority(Priority::Latency).build().unwrap();
        let batch = runtime.group("batch").priority(Priority::Background).build().unwrap();
        let endless: Vec<_> = (0..4)
            .map(|_| {
                urgent.spawn(async {
                    loop {
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        let plain = runtime.spawn(async { (0..100).for_each(|_| std::hint::spin_loop()) });
        let done = batch.spawn(async {
            for _ in 0..100 {
                task::yield_now().await;
            }
        });
        runtime.block_on(async { (done.await.unwrap(), plain.await.unwrap()) });
        endless.iter().for_each(|task| task.abort());
    }
}

#[test]
fn task_without_a_group_beside_a_busy_normal_group_ends() {
    let runtime = one_worker();
    let group = runtime.group("busy").weight(10_000).build().unwrap();
    let endless = group.spawn(async {
        loop {
            task::yield_now().await;
        }
    });
    runtime.block_on(async {
        let plain = heist::spawn(async {
            for _ in 0..1_000 {
                task::yield_now().await;
            }
        });
        plain.await.unwrap();
    });
    endless.abort();
}

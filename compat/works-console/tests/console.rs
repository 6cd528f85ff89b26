//! What a client of tokio-console sees of heist's tasks.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use console_api::field::{Name, Value};
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use console_api::{resources, tasks};
use heist::task::Builder;

/// What the updates have told so far, by the number of the span.
#[derive(Default)]
struct Seen {
    tasks: HashMap<u64, tasks::Task>,
    task_stats: HashMap<u64, tasks::Stats>,
    resources: HashMap<u64, resources::Resource>,
    resource_stats: HashMap<u64, resources::Stats>,
}

impl Seen {
    fn apply(&mut self, update: Update) {
        let tasks = update.task_update.expect("an update has tasks");
        let resources = update.resource_update.expect("an update has resources");
        self.tasks.extend(tasks.new_tasks.into_iter().map(|task| (task.id.unwrap().id, task)));
        self.task_stats.extend(tasks.stats_update);
        self.resources.extend(resources.new_resources.into_iter().map(|new| (new.id.unwrap().id, new)));
        self.resource_stats.extend(resources.stats_update);
    }

    fn task(&self, name: &str) -> Option<(&tasks::Task, &tasks::Stats)> {
        let (id, task) = self.tasks.iter().find(|(_, task)| field(task, "task.name") == Some(name.to_owned()))?;
        Some((task, self.task_stats.get(id)?))
    }

    fn timer(&self) -> Option<(&resources::Resource, &resources::Stats)> {
        let (id, timer) = self.resources.iter().find(|(_, resource)| resource.concrete_type == "Sleep")?;
        Some((timer, self.resource_stats.get(id)?))
    }
}

fn field(task: &tasks::Task, name: &str) -> Option<String> {
    let is_named = |field: &&console_api::Field| field.name == Some(Name::StrName(name.to_owned()));
    Some(match task.fields.iter().find(is_named)?.value.as_ref()? {
        Value::DebugVal(text) | Value::StrVal(text) => text.clone(),
        Value::U64Val(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Returns how many polls have begun.
fn polls(stats: &tasks::Stats) -> u64 {
    stats.poll_stats.as_ref().map_or(0, |stats| stats.polls)
}

/// Reads updates until `is_complete` returns true.
async fn watch(port: u16, is_complete: impl Fn(&Seen) -> bool) -> Seen {
    let mut client = loop {
        match InstrumentClient::connect(format!("http://127.0.0.1:{port}")).await {
            Ok(client) => break client,
            // The subscriber's thread does not listen yet.
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let mut updates = client.watch_updates(InstrumentRequest {}).await.unwrap().into_inner();
    let mut seen = Seen::default();
    while !is_complete(&seen) {
        seen.apply(updates.message().await.unwrap().expect("the server goes on"));
    }
    seen
}

#[test]
fn console_client_sees_names_places_polls_and_wakes() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    console_subscriber::ConsoleLayer::builder()
        .server_addr(([127, 0, 0, 1], port))
        .publish_interval(Duration::from_millis(10))
        .init();

    let runtime = heist::runtime::Runtime::new().unwrap();
    let yields = async {
        for _ in 0..5 {
            heist::task::yield_now().await;
        }
    };
    let line = Location::caller().line() + 1;
    let yields = Builder::new().name("yields").spawn_on(yields, runtime.handle()).unwrap();
    let waits = poll_fn(|cx| {
        std::mem::forget(cx.waker().clone());
        Poll::<()>::Pending
    });
    let waits = Builder::new().name("waits").spawn_on(waits, runtime.handle()).unwrap();
    let job = Builder::new().name("job").spawn_blocking_on(|| 7, runtime.handle()).unwrap();
    let sleeps = async {
        heist::time::sleep(Duration::from_millis(5)).await;
        pending::<()>().await;
    };
    let _sleeps = Builder::new().name("sleeps").spawn_on(sleeps, runtime.handle()).unwrap();
    let yields_id = yields.id();
    runtime.block_on(async {
        yields.await.unwrap();
        job.await.unwrap();
    });

    let is_complete = |seen: &Seen| {
        let ended = ["yields", "job"].map(|name| seen.task(name).is_some_and(|(_, stats)| stats.dropped_at.is_some()));
        let polled = ["waits", "sleeps"].map(|name| seen.task(name).map_or(0, |(_, stats)| polls(stats)));
        ended == [true; 2] && polled == [1, 2] && seen.timer().is_some_and(|(_, stats)| stats.dropped_at.is_some())
    };
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(60);
    let seen = client.block_on(async { tokio::time::timeout(limit, watch(port, is_complete)).await });
    let seen = seen.expect("the client sees every task within a minute");

    let (task, stats) = seen.task("yields").unwrap();
    assert_eq!(field(task, "kind").as_deref(), Some("task"));
    assert_eq!(field(task, "task.id"), Some(yields_id.to_string()));
    let location = task.location.as_ref().unwrap();
    assert_eq!((location.file.as_deref(), location.line), (Some("tests/console.rs"), Some(line)));
    assert_eq!((polls(stats), stats.wakes, stats.self_wakes), (6, 5, 5));

    let (_, stats) = seen.task("waits").unwrap();
    assert_eq!((stats.wakes, stats.waker_clones, stats.waker_drops), (0, 1, 0));
    assert!(stats.dropped_at.is_none());

    let (task, stats) = seen.task("job").unwrap();
    assert_eq!((field(task, "kind").as_deref(), polls(stats)), (Some("blocking"), 1));

    let (_, stats) = seen.task("sleeps").unwrap();
    assert_eq!((stats.wakes, stats.waker_clones, stats.waker_drops), (1, 1, 1));
    let (timer, stats) = seen.timer().unwrap();
    assert_eq!(timer.location.as_ref().unwrap().file.as_deref(), Some("tests/console.rs"));
    assert_eq!(stats.attributes.len(), 1, "its duration");
    waits.abort();
}

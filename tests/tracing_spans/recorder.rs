//! A subscriber that keeps what it sees: spans with their fields and polls, and events.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Fields by their names, as text.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// How often each kind of event was seen.
pub(crate) type Counts = BTreeMap<String, usize>;

/// A span, as it is now.
#[derive(Debug, Clone)]
pub(crate) struct SpanView {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    /// It was opened with `parent: None`.
    pub(crate) is_root: bool,
    pub(crate) fields: Fields,
    pub(crate) enters: usize,
    pub(crate) exits: usize,
    /// Entries while a span of the same name was entered on the thread.
    pub(crate) nested: usize,
    references: usize,
}

impl SpanView {
    pub(crate) fn is_closed(&self) -> bool {
        self.references == 0
    }
}

#[derive(Debug, Default)]
struct Seen {
    spans: Vec<SpanView>,
    /// The events with target `runtime::waker`, by the span that they name.
    waker_ops: HashMap<u64, Counts>,
    /// The events of resources, by the span of the resource that was entered.
    resource_events: HashMap<u64, Vec<(&'static str, Fields)>>,
}

impl Seen {
    fn span(&mut self, id: &Id) -> &mut SpanView {
        &mut self.spans[id.into_u64() as usize - 1]
    }
}

static SEEN: Mutex<Option<Seen>> = Mutex::new(None);

thread_local! {
    /// The spans that this thread has entered.
    static ENTERED: RefCell<Vec<(u64, &'static str)>> = const { RefCell::new(Vec::new()) };
}

fn seen<R>(f: impl FnOnce(&mut Seen) -> R) -> R {
    f(SEEN.lock().unwrap().get_or_insert_with(Seen::default))
}

/// Records everything, for the whole process.
struct Recorder;

/// Makes the recorder the subscriber of the process.
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Recorder).unwrap());
}

/// Returns the spans with this name and with a field of this value.
pub(crate) fn spans_with(name: &str, field: &str, value: &str) -> Vec<SpanView> {
    let fits = |span: &&SpanView| span.name == name && span.fields.get(field).is_some_and(|found| found == value);
    seen(|seen| seen.spans.iter().filter(fits).cloned().collect())
}

/// Returns the one span of a task.
#[track_caller]
pub(crate) fn span_of(id: heist::task::Id) -> SpanView {
    let mut spans = spans_with("runtime.spawn", "task.id", &id.to_string());
    assert_eq!(spans.len(), 1, "a task has one span");
    spans.remove(0)
}

/// Returns the one span whose task has this name.
#[track_caller]
pub(crate) fn span_named(name: &str) -> SpanView {
    let mut spans = spans_with("runtime.spawn", "task.name", name);
    assert_eq!(spans.len(), 1, "a name of one task");
    spans.remove(0)
}

/// Returns how often each operation on a waker of a task was reported.
pub(crate) fn waker_ops(span: u64) -> Counts {
    seen(|seen| seen.waker_ops.get(&span).cloned().unwrap_or_default())
}

/// Returns the events that were reported while the span of this resource was entered.
pub(crate) fn resource_events(resource: u64) -> Vec<(&'static str, Fields)> {
    seen(|seen| seen.resource_events.get(&resource).cloned().unwrap_or_default())
}

/// Makes the counts of a list.
pub(crate) fn counts(pairs: &[(&str, usize)]) -> Counts {
    pairs.iter().map(|(op, count)| ((*op).to_owned(), *count)).collect()
}

struct ToText<'a>(&'a mut Fields);

impl Visit for ToText<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        attributes.record(&mut ToText(&mut fields));
        let metadata = attributes.metadata();
        seen(|seen| {
            let number = seen.spans.len() as u64 + 1;
            seen.spans.push(SpanView {
                number,
                name: metadata.name(),
                target: metadata.target(),
                level: *metadata.level(),
                is_root: attributes.is_root(),
                fields,
                enters: 0,
                exits: 0,
                nested: 0,
                references: 1,
            });
            Id::from_u64(number)
        })
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let target = event.metadata().target();
        let mut fields = Fields::new();
        event.record(&mut ToText(&mut fields));
        let resource = ENTERED.with_borrow(|entered| {
            let resource = entered.iter().rev().find(|(_, name)| *name == "runtime.resource");
            resource.map(|(number, _)| *number)
        });
        seen(|seen| match target {
            "runtime::waker" => {
                let span = fields["task.id"].parse().unwrap();
                *seen.waker_ops.entry(span).or_default().entry(fields["op"].clone()).or_default() += 1;
            }
            "runtime::resource::poll_op" | "runtime::resource::state_update" => {
                let resource = resource.expect("an event of a resource is inside of its span");
                seen.resource_events.entry(resource).or_default().push((target, fields));
            }
            _ => {}
        });
    }

    fn enter(&self, id: &Id) {
        seen(|seen| {
            let span = seen.span(id);
            let name = span.name;
            assert!(span.references > 0, "a closed span is entered");
            span.enters += 1;
            ENTERED.with_borrow_mut(|entered| {
                span.nested += entered.iter().filter(|(_, other)| *other == name).count();
                entered.push((id.into_u64(), name));
            });
        });
    }

    fn exit(&self, id: &Id) {
        seen(|seen| {
            seen.span(id).exits += 1;
            let exited = ENTERED.with_borrow_mut(Vec::pop);
            assert_eq!(exited.map(|(number, _)| number), Some(id.into_u64()), "the innermost span is exited");
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        seen(|seen| seen.span(id).references += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        seen(|seen| {
            let span = seen.span(&id);
            span.references -= 1;
            span.references == 0
        })
    }
}

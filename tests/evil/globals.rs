//! User code that belongs to the process: the subscriber of `tracing`, and the panic hook.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Mutex, Once};

use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::stage::Evil;

/// The message of the panic at which the panic hook acts.
pub(crate) const FOR_THE_HOOK: &str = "for the panic hook (planned)";

static EVENT: Mutex<Option<Evil>> = Mutex::new(None);
static PANIC: Mutex<Option<Evil>> = Mutex::new(None);

/// Lets `evil` act at the next event of the runtime.
pub(crate) fn on_event(evil: Evil) {
    *EVENT.lock().unwrap() = Some(evil);
}

/// Lets `evil` act in the panic hook.
pub(crate) fn on_panic(evil: Evil) {
    *PANIC.lock().unwrap() = Some(evil);
}

/// Parts of the messages of calls that panic where they must not block, or after the end.
const REFUSALS: [&str; 5] =
    ["in async code", "inside of async code", "a `Resize` was waited for", "current-thread runtime", "shut down"];

/// Returns whether a panic with that message is what the page promises of a call.
pub(crate) fn is_refusal(message: &str) -> bool {
    REFUSALS.iter().any(|refusal| message.contains(refusal))
}

struct Acts;

impl<S: tracing::Subscriber> Layer<S> for Acts {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("heist::") {
            let evil = EVENT.lock().unwrap().clone();
            evil.iter().for_each(Evil::run);
        }
    }
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = info.payload();
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

fn is_planned(message: &str) -> bool {
    message.contains("(planned)") || is_refusal(message)
}

/// Installs both, once per process.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Acts)).unwrap();
        let next = take_hook();
        set_hook(Box::new(move |info| {
            if message(info) == Some(FOR_THE_HOOK) {
                let evil = PANIC.lock().unwrap().clone();
                evil.iter().for_each(Evil::run);
            } else if !message(info).is_none_or(is_planned) {
                next(info);
            }
        }));
    });
}

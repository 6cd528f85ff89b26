//! The log of the tests.

use std::sync::{Mutex, Once};

/// Returns the warnings of this process about stalls, line by line. Tests run in parallel, so each
/// test has to recognize its own lines.
pub(crate) fn warnings() -> &'static Mutex<Vec<String>> {
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static LISTEN: Once = Once::new();
    struct Lines;
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            if event.metadata().target() == "heist::stall" {
                let mut text = Text(format!("{} ", event.metadata().level()));
                event.record(&mut text);
                LINES.lock().unwrap().push(text.0);
            }
        }
    }

    LISTEN.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Lines)).unwrap();
    });
    &LINES
}

pub(crate) fn warned(of: &str) -> usize {
    warnings().lock().unwrap().iter().filter(|line| line.contains(of)).count()
}

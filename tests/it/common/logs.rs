//! What this thread has logged. Tests run on a thread each, and so do their tasks.
//!
//! One subscriber for the whole process: with one a test, `tracing` may cache that nobody listens.

use std::{cell::RefCell, fmt::Write as _, sync::Once};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Collects what this thread logs for as long as it is held: `WARN event=unfinished_block request_id=… message=…`
pub struct Logs(());

impl Logs {
    pub fn new() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Collect)).unwrap();
        });
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
        Self(())
    }

    /// The lines of this level.
    pub fn of(&self, level: Level) -> Vec<String> {
        let level = level.to_string();
        self.all().into_iter().filter(|line| line.starts_with(&level)).collect()
    }

    pub fn all(&self) -> Vec<String> {
        LINES.with_borrow(|lines| lines.clone().unwrap_or_default())
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        LINES.with_borrow_mut(|lines| *lines = None);
    }
}

struct Collect;

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("tower_resume") {
            return;
        }
        LINES.with_borrow_mut(|lines| {
            let Some(lines) = lines else { return };
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            lines.push(line.0);
        });
    }
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

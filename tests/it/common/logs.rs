//! What this thread has logged. Tests run on a thread each, and so do their tasks.
//!
//! One subscriber for the whole process: with one a test, `tracing` may cache that nobody listens.

use std::{cell::RefCell, fmt::Write as _, sync::Once};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static SPANS: RefCell<Vec<(Id, Traced)>> = const { RefCell::new(Vec::new()) };
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
        SPANS.with_borrow_mut(Vec::clear);
        Self(())
    }

    /// The lines of this level.
    pub fn of(&self, level: Level) -> Vec<String> {
        let level = level.to_string();
        self.all().into_iter().filter(|line| line.starts_with(&level)).collect()
    }

    /// The spans of this name that there were, in the order in which they began.
    pub fn spans(&self, name: &str) -> Vec<Traced> {
        let is_named = |span: &&(Id, Traced)| span.1.name == name;
        SPANS.with_borrow(|spans| spans.iter().filter(is_named).map(|(_, span)| span.clone()).collect())
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

/// A span of the layer's.
#[derive(Clone, Debug)]
pub struct Traced {
    pub name: &'static str,
    pub level: Level,
    /// ` field=value` for each field, those that came later too.
    pub fields: String,
    /// The name of the span that it is within.
    pub parent: Option<&'static str>,
    /// The fields of the spans of the layer's that it follows from.
    pub follows: Vec<String>,
    pub is_closed: bool,
}

impl Traced {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Looks at the newest span with this id: ids are used again.
fn traced(id: &Id, look: impl FnOnce(&mut Traced)) {
    SPANS.with_borrow_mut(|spans| {
        if let Some((_, span)) = spans.iter_mut().rev().find(|(known, _)| known == id) {
            look(span);
        }
    });
}

struct Collect;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Collect {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !metadata.target().starts_with("tower_resume") || LINES.with_borrow(Option::is_none) {
            return;
        }
        let mut fields = Line(String::new());
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| Some(span.parent()?.name()));
        let (name, level) = (metadata.name(), *metadata.level());
        let span = Traced { name, level, fields: fields.0, parent, follows: Vec::new(), is_closed: false };
        SPANS.with_borrow_mut(|spans| spans.push((id.clone(), span)));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut fields = Line(String::new());
        values.record(&mut fields);
        traced(id, |span| span.fields.push_str(&fields.0));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        let mut fields = String::new();
        traced(follows, |span| fields.clone_from(&span.fields));
        traced(id, |span| span.follows.push(fields));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        traced(&id, |span| span.is_closed = true);
    }

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

//! Escapes for diagnostics: no text in them acts on a terminal, hides, or looks like another line.

use std::fmt::{self, Write};

use message_log::is_visible;
use tracing::field::{Field, Value, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// A layer that passes every event and span to another one with their texts [`escaped`].
///
/// This includes the events of third-party libraries, which contain names and errors that come from the
/// network. Each event is made anew, as tracing's macros make it: there is no other way to have a formatter
/// see another text.
#[derive(Debug)]
pub struct Escaped<L>(L);

impl<L> Escaped<L> {
    /// Escapes the texts of events and spans before `layer` sees them.
    pub fn new(layer: L) -> Self {
        Self(layer)
    }
}

impl<S, L> Layer<S> for Escaped<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let texts = Texts::of(span.metadata(), |visitor| span.record(visitor));
        let values = texts.values();
        let values = span.metadata().fields().value_set_all(&values);
        // The subscriber knows its parent by now.
        self.0.on_new_span(&Attributes::new(span.metadata(), &values), id, context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(metadata) = context.metadata(id) else { return };
        let texts = Texts::of(metadata, |visitor| record.record(visitor));
        let values = texts.values();
        let values = metadata.fields().value_set_all(&values);
        self.0.on_record(id, &Record::new(&values), context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let texts = Texts::of(metadata, |visitor| event.record(visitor));
        let values = texts.values();
        let values = metadata.fields().value_set_all(&values);
        let event = if event.is_contextual() {
            Event::new(metadata, &values)
        } else {
            Event::new_child_of(event.parent().cloned(), metadata, &values)
        };
        self.0.on_event(&event, context);
    }
}

/// Replaces every character that cannot be seen, or that a terminal would act on, by a visible escape: `\n`,
/// `\u{1b}`.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_visible(character) { shown.push(character) } else { shown.extend(character.escape_default()) }
    }
    shown
}

/// The values of an event or a span, escaped.
pub(crate) struct Texts {
    /// The values in the order of the fields.
    values: Vec<Option<Box<dyn Value + Send>>>,
    /// The message and the other fields, in one line.
    line: String,
}

impl Texts {
    pub(crate) fn of(metadata: &Metadata<'_>, record: impl FnOnce(&mut Self)) -> Self {
        let values = metadata.fields().iter().map(|_| None).collect();
        let mut texts = Self { values, line: String::new() };
        record(&mut texts);
        texts
    }

    pub(crate) fn values(&self) -> Vec<Option<&dyn Value>> {
        self.values.iter().map(|value| value.as_deref().map(|value| value as &dyn Value)).collect()
    }

    /// The message and the other fields, in one line.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// Adds the other fields to the message, for readers that show nothing else.
    pub(crate) fn make_message_whole(&mut self, metadata: &Metadata<'_>) {
        if let Some(message) = metadata.fields().field(MESSAGE) {
            self.values[message.index()] = Some(Box::new(display(self.line.clone())));
        }
    }

    fn set(&mut self, field: &Field, value: impl Value + Send + 'static, shown: impl fmt::Display) {
        let name = field.name();
        // Every format has its own way to show where an event of the crate log comes from.
        if !name.starts_with("log.") {
            let space = if self.line.is_empty() { "" } else { " " };
            _ = if name == MESSAGE {
                write!(self.line, "{space}{shown}")
            } else {
                write!(self.line, "{space}{name}={shown}")
            };
        }
        if let Some(slot) = self.values.get_mut(field.index()) {
            *slot = Some(Box::new(value));
        }
    }
}

impl Visit for Texts {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(field, value, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field, value, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = escaped(value);
        self.set(field, text.clone(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = escaped(&format!("{value:?}"));
        self.set(field, display(text.clone()), text);
    }
}

/// The field in which tracing puts the text of an event.
const MESSAGE: &str = "message";

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Text that ends its line, clears the screen, rings the bell and reverses its direction.
    const HOSTILE: &str = "a\r\n\u{1b}[2J\u{7}\u{9b}\u{202e}b\u{2028}";

    pub(crate) const SHOWN: &str = r"a\r\n\u{1b}[2J\u{7}\u{9b}\u{202e}b\u{2028}";

    pub(crate) fn tell() {
        let span = tracing::info_span!("asking", name = HOSTILE, later = tracing::field::Empty);
        span.record("later", HOSTILE);
        let _entered = span.enter();
        tracing::info!(count = 3_u64, is_good = true, shown = %HOSTILE, text = HOSTILE, "said {HOSTILE}");
        tracing::info!(parent: None, "alone");
    }

    #[test]
    fn the_text_of_an_event_and_its_spans_is_one_line_that_hides_nothing() {
        let written = Written::default();
        let writer = written.clone();
        let layer = fmt::layer().without_time().with_ansi(false).with_writer(move || writer.clone());
        with_default(tracing_subscriber::registry().with(Escaped::new(layer)), tell);
        let text = written.text();
        let quoted = format!("{SHOWN:?}");
        assert_eq!(
            text.lines().map(|line| line.split_once(": ").unwrap()).map(|(_, said)| said).collect::<Vec<_>>(),
            [
                format!(
                    "diagnostics::escaped::tests: said {SHOWN} count=3 is_good=true shown={SHOWN} text={quoted}"
                ),
                "alone".to_owned(),
            ],
            "{text}"
        );
        assert!(text.contains(&format!("asking{{name={quoted} later={quoted}}}")), "{text}");
        assert!(text.chars().all(|character| is_visible(character) || character == '\n'));
    }
}

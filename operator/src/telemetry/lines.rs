//! One JSON object per line. A line from inside a reconcile says whose.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

use super::spans::RECONCILE;

/// The library's JSON, and after it the fields of the reconcile that the line
/// belongs to, however many spans lie between: `namespace`, `stack` and
/// `reconcile_id`.
pub(super) struct Lines(Format<Json>);

impl Default for Lines {
    fn default() -> Self {
        let lines = tracing_subscriber::fmt::format().json();
        Self(
            lines
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false),
        )
    }
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let mut spans = context.event_scope().into_iter().flatten();
        let reconcile = spans.find(|span| span.name() == RECONCILE);
        let extensions = reconcile.as_ref().map(|span| span.extensions());
        let fields = extensions
            .as_ref()
            .and_then(|extensions| extensions.get::<FormattedFields<JsonFields>>());
        // Both are objects: `{…}` and a newline, and `{…}`.
        let inner = fields.and_then(|fields| fields.strip_prefix('{'));
        match (line.strip_suffix("}\n"), inner) {
            (Some(line), Some(inner)) if inner.len() > 1 => writeln!(writer, "{line},{inner}"),
            _ => writer.write_str(&line),
        }
    }
}

//! Figures on logins, sessions, limits and housekeeping.

use std::time::Duration;

use metrics::{Key, Label, Recorder};

use super::{METADATA, Metrics};
use crate::store::sessions::EndReason;

const LOGINS: &str = "logins_total";
const BEGUN: &str = "sessions_begun_total";
const ENDED: &str = "sessions_ended_total";
const REFUSED: &str = "rate_limit_refusals_total";
const REMOVED: &str = "housekeeping_removed_total";
const RUNS: &str = "housekeeping_runs_total";

pub(super) const QUERY: (&str, &str) = (
    "rate_limit_query_seconds",
    "How long the database took to say whether something may be done again.",
);
pub(super) const LIVE: (&str, &str) = (
    "sessions_live",
    "Sessions that live, of all replicas, as of the last housekeeping.",
);
pub(super) const COUNTERS: [(&str, &str); 6] = [
    (LOGINS, "Passwords tried at login, by how it ended."),
    (BEGUN, "Sessions that this server began."),
    (ENDED, "Sessions that this server ended, by why."),
    (
        REFUSED,
        "What was refused because it was done too often, by limit, and by whether the database \
         was asked (database), need not be (gate), or refused as if the password were wrong \
         (quietly).",
    ),
    (REMOVED, "Rows that this server removed, by what they were."),
    (RUNS, "Rounds of housekeeping, by whether they failed."),
];

impl Metrics {
    /// Counts an attempt to log in.
    pub fn login(&self, result: &'static str) {
        let label = Label::from_static_parts("result", result);
        self.counter(LOGINS, vec![label]).increment(1);
    }

    /// Counts a session that was begun.
    pub fn session_begun(&self) {
        self.counter(BEGUN, Vec::new()).increment(1);
    }

    /// Counts sessions that were ended before they expired.
    pub fn sessions_ended(&self, reason: EndReason, count: i64) {
        let label = Label::from_static_parts("reason", reason.as_str());
        let count = u64::try_from(count).unwrap_or(0);
        if count > 0 {
            self.counter(ENDED, vec![label]).increment(count);
        }
    }

    /// Counts something that a limit refused, and who said so.
    pub fn limited(&self, limit: &'static str, by: &'static str) {
        let labels = vec![
            Label::from_static_parts("limit", limit),
            Label::from_static_parts("by", by),
        ];
        self.counter(REFUSED, labels).increment(1);
    }

    /// Records how long the limiter's question took.
    pub fn limiter_asked(&self, took: Duration) {
        let key = Key::from_static_name(QUERY.0);
        self.recorder
            .register_histogram(&key, &METADATA)
            .record(took);
    }

    /// Counts rows that were removed.
    pub fn removed(&self, what: &'static str, count: u64) {
        let label = Label::from_static_parts("what", what);
        self.counter(REMOVED, vec![label]).increment(count);
    }

    /// Counts a round of housekeeping.
    pub fn tidied(&self, result: &'static str) {
        let label = Label::from_static_parts("result", result);
        self.counter(RUNS, vec![label]).increment(1);
    }

    /// Sets how many sessions live.
    pub fn live_sessions(&self, count: i64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.gauge(&Key::from_static_name(LIVE.0))
            .set(f64::from(count));
    }
}

//! What sessions promise, without a server: each function says how an answer
//! must be, and keeps what is so afterwards.
//!
//! A test knows when it asked and when it was answered, not when the database
//! looked at its clock. Where the two lie on either side of a limit the model
//! does not know (`None`).

use std::time::Duration;

/// How long the previous token gives its successor again.
const GRACE: Duration = Duration::from_secs(10);
/// How long a session lasts after login.
pub(crate) const LIFETIME: Duration = Duration::from_hours(1);

/// Something happened between these, as time since the test began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Span {
    /// Whether it lies no longer back than this.
    fn is_within(self, limit: Duration, now: Self) -> Option<bool> {
        let least = now.from.saturating_sub(self.to);
        let most = now.to.saturating_sub(self.from);
        if most <= limit {
            Some(true)
        } else if least > limit {
            Some(false)
        } else {
            None
        }
    }
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Which refresh token is in force.
    pub(crate) counter: i64,
    /// Whether it was ended, for good.
    pub(crate) ended: bool,
    rotated: Span,
    began: Span,
}

/// What a refresh must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// A token that never was before, with this counter.
    New(i64),
    /// The token with this counter again.
    Again(i64),
    /// None.
    Refused,
}

/// What ending a session from the list must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedFromList {
    Done,
    NotFound,
    Refused,
}

/// A user and their sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) sessions: Vec<Session>,
    pub(crate) disabled: bool,
}

impl Model {
    /// Whether a login comes to a session.
    pub(crate) fn login(&mut self, now: Span) -> bool {
        if !self.disabled {
            self.sessions.push(Session {
                counter: 0,
                ended: false,
                rotated: now,
                began: now,
            });
        }
        !self.disabled
    }

    /// Whether a session is honoured.
    pub(crate) fn lives(&self, session: usize, now: Span) -> Option<bool> {
        let session = &self.sessions[session];
        if session.ended || self.disabled {
            return Some(false);
        }
        session.began.is_within(LIFETIME, now)
    }

    pub(crate) fn refresh(&mut self, index: usize, presented: i64, now: Span) -> Option<Refreshed> {
        if !self.lives(index, now)? {
            return Some(Refreshed::Refused);
        }
        let session = &mut self.sessions[index];
        match session.counter - presented {
            0 => {
                session.counter += 1;
                session.rotated = now;
                Some(Refreshed::New(session.counter))
            }
            1 if session.rotated.is_within(GRACE, now)? => Some(Refreshed::Again(session.counter)),
            _ => {
                session.ended = true;
                Some(Refreshed::Refused)
            }
        }
    }

    /// A valid token of any age ends its session, whatever else is so.
    pub(crate) fn logout(&mut self, session: usize) {
        self.sessions[session].ended = true;
    }

    /// Whether it was done.
    pub(crate) fn logout_all(&mut self, by: usize, now: Span) -> Option<bool> {
        self.change(by, now, |_| true)
    }

    /// Whether it was done.
    pub(crate) fn change_password(&mut self, by: usize, keep: bool, now: Span) -> Option<bool> {
        self.change(by, now, |other| !keep && other != by)
    }

    pub(crate) fn end_from_list(
        &mut self,
        by: usize,
        target: usize,
        now: Span,
    ) -> Option<EndedFromList> {
        if !self.lives(by, now)? {
            return Some(EndedFromList::Refused);
        }
        if !self.lives(target, now)? {
            return Some(EndedFromList::NotFound);
        }
        self.sessions[target].ended = true;
        Some(EndedFromList::Done)
    }

    /// What a live session does to others of its user that live.
    fn change(&mut self, by: usize, now: Span, ends: impl Fn(usize) -> bool) -> Option<bool> {
        if !self.lives(by, now)? {
            return Some(false);
        }
        for index in 0..self.sessions.len() {
            if ends(index) && self.lives(index, now)? {
                self.sessions[index].ended = true;
            }
        }
        Some(true)
    }
}

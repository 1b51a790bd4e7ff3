//! What may be done to sessions, and how often.

use proptest::prelude::*;

use super::model::LIFETIME;

/// Something that is done. Servers and sessions are taken modulo how many
/// there are.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Login {
        server: usize,
    },
    /// Presents the refresh token so many behind the one in force, once or on
    /// two servers at the same moment.
    Refresh {
        server: usize,
        session: usize,
        behind: usize,
        twice: bool,
    },
    /// Asks who one is.
    Me {
        server: usize,
        session: usize,
    },
    Logout {
        server: usize,
        session: usize,
        behind: usize,
    },
    LogoutAll {
        server: usize,
        session: usize,
    },
    EndFromList {
        server: usize,
        session: usize,
        target: usize,
    },
    ChangePassword {
        server: usize,
        session: usize,
        keep: bool,
    },
    Disable,
    Enable,
    Wait {
        seconds: u64,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let server = || 0..3_usize;
    let session = || 0..6_usize;
    let behind = || prop_oneof![6 => Just(0), 4 => Just(1), 1 => 2..5_usize];
    let seconds = prop_oneof![
        8 => 1..6_u64,
        4 => Just(9),
        4 => Just(11),
        1 => Just(LIFETIME.as_secs() / 2),
    ];
    prop_oneof![
        5 => server().prop_map(|server| Step::Login { server }),
        20 => (server(), session(), behind(), any::<bool>()).prop_map(
            |(server, session, behind, twice)| Step::Refresh { server, session, behind, twice }
        ),
        4 => (server(), session()).prop_map(|(server, session)| Step::Me { server, session }),
        1 => (server(), session(), behind()).prop_map(
            |(server, session, behind)| Step::Logout { server, session, behind }
        ),
        1 => (server(), session()).prop_map(|(server, session)| Step::LogoutAll { server, session }),
        2 => (server(), session(), session()).prop_map(
            |(server, session, target)| Step::EndFromList { server, session, target }
        ),
        2 => (server(), session(), any::<bool>()).prop_map(
            |(server, session, keep)| Step::ChangePassword { server, session, keep }
        ),
        1 => Just(Step::Disable),
        3 => Just(Step::Enable),
        6 => seconds.prop_map(|seconds| Step::Wait { seconds }),
    ]
}

//! The API server's audit log: who asked what.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
};

use serde_json::Value;

/// The log, from where it was last looked at.
pub(crate) struct Audit {
    path: String,
    at: u64,
}

/// A request that the API server answered.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) uri: String,
    pub(crate) code: i64,
}

impl Request {
    pub(crate) fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// Whether it leaves what it finds as it is, if that is as it wants it: a
    /// create, or an apply.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.verb == "create" || self.verb == "patch" && self.uri.contains("fieldManager=")
    }
}

impl Audit {
    /// The log that AUTHSTACK_AUDIT_LOG names. Without it, and outside CI, says
    /// that there is none.
    pub(crate) fn open() -> Option<Self> {
        let Ok(path) = std::env::var("AUTHSTACK_AUDIT_LOG") else {
            assert!(
                std::env::var_os("CI").is_none(),
                "AUTHSTACK_AUDIT_LOG must name the API server's audit log"
            );
            eprintln!("figure: NOT TESTED, AUTHSTACK_AUDIT_LOG names no audit log");
            return None;
        };
        let mut audit = Self { path, at: 0 };
        audit.skip();
        Some(audit)
    }

    /// Leaves out what has been asked until now.
    pub(crate) fn skip(&mut self) {
        self.at = File::open(&self.path)
            .unwrap()
            .seek(SeekFrom::End(0))
            .unwrap();
    }

    /// What was asked since.
    pub(crate) fn requests(&mut self) -> Vec<Request> {
        let mut log = File::open(&self.path).unwrap();
        assert!(
            log.metadata().unwrap().len() > self.at,
            "it was rotated, or is dead"
        );
        log.seek(SeekFrom::Start(self.at)).unwrap();
        let lines = BufReader::new(log).lines().map_while(Result::ok);
        // The last line may be half written.
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let request = |event: Value| {
            let text = |at: &str| event.pointer(at)?.as_str().map(ToOwned::to_owned);
            Request {
                user: text("/user/username").unwrap_or_default(),
                verb: text("/verb").unwrap_or_default(),
                uri: text("/requestURI").unwrap_or_default(),
                code: event
                    .pointer("/responseStatus/code")
                    .and_then(Value::as_i64)
                    .unwrap_or(0),
            }
        };
        events.map(request).collect()
    }
}

//! The report: every row that is not imported, and why.
//!
//! It names names and addresses, by which the rows are found and mended, and
//! so goes to where the operator says, never into a log. A hash is never in it.

use std::io;

use super::{ImportError, OnCollision, Settings};
use crate::store::import::{Collision, Destination, Finding, Found, Totals};

/// Writes a line for each finding, in the order of rows.
pub(super) async fn write(
    destination: &mut Destination,
    settings: &Settings,
    to: &mut impl io::Write,
) -> Result<(), ImportError> {
    let mut last: Option<Finding> = None;
    loop {
        let findings = destination.findings(last.as_ref()).await?;
        for finding in &findings {
            writeln!(to, "{}", line(finding, settings)).map_err(ImportError::Report)?;
        }
        match findings.into_iter().next_back() {
            Some(finding) => last = Some(finding),
            None => return Ok(()),
        }
    }
}

/// Writes what became of the rows, in numbers.
pub fn summarise(totals: &Totals, settings: &Settings, to: &mut impl io::Write) -> io::Result<()> {
    let Totals {
        read,
        imported,
        admins,
        skipped,
        refused,
        left_out,
    } = totals;
    let verb = if settings.dry_run {
        "would be imported"
    } else {
        "imported"
    };
    write!(to, "{read} rows read: {imported} {verb}")?;
    if *admins > 0 {
        write!(to, " ({admins} with the role admin)")?;
    }
    writeln!(
        to,
        ", {skipped} skipped because an earlier run had imported them, {refused} refused, \
         {left_out} left out because of collisions"
    )
}

/// One line. Values are quoted and escaped: whatever an old service let people
/// call themselves, it cannot move a terminal's cursor or forge a line.
fn line(finding: &Finding, settings: &Settings) -> String {
    let values = [
        ("id", &finding.old_id),
        ("name", &finding.username),
        ("e-mail", &finding.email),
    ];
    let values: String = values
        .into_iter()
        .filter_map(|(what, value)| Some(format!(", {what} {:?}", value.as_ref()?)))
        .collect();
    let (unit, place) = (settings.source.unit(), finding.place);
    format!(
        "{unit} {place}{values}: {}",
        reason(&finding.found, settings)
    )
}

fn reason(found: &Found, settings: &Settings) -> String {
    match found {
        Found::Refused(reason) => format!("refused: {reason}"),
        Found::Row {
            collision,
            other,
            other_id,
            more,
        } => {
            let unit = settings.source.unit();
            let id = other_id.as_ref().map(|id| format!(" (id {id:?})"));
            let whose = format!("{unit} {other}{}", id.unwrap_or_default());
            let rest = match more {
                0 if settings.on_collision == OnCollision::KeepOldest => ", which is older".into(),
                0 => String::new(),
                more => format!(" and of {more} more"),
            };
            format!("left out: {} {whose}{rest}", shared(*collision))
        }
        Found::Account { collision, account } => {
            format!("left out: {} the account {account}", shared(*collision))
        }
        Found::KnownId { account } => format!(
            "left out: a row with this id was imported before as the account {account}, \
             whose name and address are both different; if this is another service, give it \
             another --source-name"
        ),
        Found::AccountMeanwhile => {
            "left out: its name or address was taken while the import ran".to_owned()
        }
    }
}

/// Names and addresses are compared without regard to case and spelling.
fn shared(collision: Collision) -> &'static str {
    match collision {
        Collision::Id => "it has the id of",
        Collision::Name => "it has the name of",
        Collision::Email => "it has the e-mail address of",
        Collision::NameIsEmail => "its name is the e-mail address of",
        Collision::EmailIsName => "its e-mail address is the name of",
    }
}

//! The SQL of `authstack-api import`.
//!
//! Every row is staged in temporary tables of the destination first: there the
//! database finds collisions among millions of rows, in memory that it bounds
//! itself, and nobody else sees anything until a row is written whole. The
//! statements name these tables, and the old service's, which the checker's
//! database does not have: so they are checked by the tests alone.

mod collisions;
mod findings;
mod old_service;
mod staging;
mod write;

pub use findings::{Collision, Finding, Found};
pub use old_service::{OldService, OldServiceError, OldUser};
pub use staging::{Destination, DestinationError, RefusedRow, StagedRow, StagedUser, Totals};

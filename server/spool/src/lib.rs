//! The device's durable queue and ledger.

mod append;
mod content;
mod device;
mod epoch;
mod error;
mod head;
mod inbox;
mod migrate;
mod open;
mod prepare;
mod reader;
mod snapshot;
mod sys;
mod writer;

pub use append::{Appended, Placed, Spool, append_once};
pub use content::ContentState;
pub use device::Device;
pub use error::SpoolError;
pub use head::is_signed;
pub use prepare::{Append, Class};
pub use reader::{Reader, SpoolStatus, Stored};
pub use snapshot::Snapshot;
pub use writer::Writer;

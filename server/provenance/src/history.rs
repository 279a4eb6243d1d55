//! Who wrote a text that git made, from what was seen of files and what git remembers.
//!
//! Every text is a node: a file as somebody saw it, or a path in a commit. A node is explained by
//! [`carry`](crate::carry) from others that existed before it, the likeliest first; what nothing
//! explains is `unknown`. Two rules keep the answers honest:
//!
//! - A node may be explained only by nodes that sort before it ([`order`]): by the number of what was
//!   seen and by the length of a reflog at that moment, never by a clock. So there are no circles.
//! - A file right after an edit is explained by the file right before it and by nothing else, so what
//!   a person wrote is never given to an AI that once wrote the same.
//!
//! The module knows no git and no store: observations, commits and reflogs come in as data, texts
//! when they are asked for.

mod candidates;
mod facts;
mod moved;
mod order;
mod resolve;
mod spent;
mod vanished;

pub use facts::{Change, Commit, Entry, Look, Moment, Seen, Source, TextId};
pub use order::Key;
pub use resolve::{History, Known};

#[cfg(test)]
mod tests;

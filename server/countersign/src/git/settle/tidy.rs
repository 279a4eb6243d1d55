//! Lets go of what was seen and nothing needs any more, once a day at most and never while somebody waits for
//! an answer.
//!
//! Which looks those are is [`History::spent`]'s to say; here is how old they must be, and that everything is
//! settled first. What they explained is noted before they go.
//!
//! [`History::spent`]: countersign_provenance::history::History::spent

use std::collections::HashSet;

use countersign_spool::{Reader, Spool, SpoolError};

use super::{LOCK_WAIT, Memory, lock, looks, place, remember};
use crate::git::attribute::Attributor;
use crate::git::graph::{self, Graph};
use crate::git::state::Layout;
use crate::shell::{Shell, now};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// What is younger stays.
const AGE: i64 = 30 * DAY;

/// Lets go of what is spent in a repository where everything is settled, and returns how many looks that were.
///
/// Errors: the spool can't be read or written; then all of it stays.
pub(crate) fn tidy(shell: &Shell, layout: &Layout) -> Result<u64, SpoolError> {
    let state = &shell.paths.state;
    let reader = match Reader::open_within(state, LOCK_WAIT) {
        Ok(reader) => reader,
        Err(SpoolError::Missing { .. }) => return Ok(0),
        Err(error) => return Err(error),
    };
    let (place, now) = (place(state, layout), now().as_millis());
    let memory_file = place.with_extension("json");
    let mut memory = Memory::read(&memory_file);
    if now - memory.tidied < DAY || memory.settled != looks(&reader, layout)? {
        return Ok(0);
    }
    let Some(_lock) = lock(&place) else { return Ok(0) };
    memory.tidied = now;
    let Some(mut attributor) = Attributor::open(&reader, layout)? else { return Ok(0) };
    let history = attributor.history();
    let spent = history.spent(now - AGE, graph::newest_entry(&layout.common_dir, now));
    let mut gone = 0;
    if !spent.is_empty() {
        let heirs = history.heirs(&spent.iter().copied().collect::<HashSet<_>>());
        let noted: Vec<(i64, String)> = heirs.into_iter().map(|(seq, known)| (seq, known.to_json())).collect();
        let file = place.with_extension("graph");
        let mut graph = Graph::read(&file);
        if let Err(error) = graph.note_births(&file, |commit| history.born(commit)) {
            tracing::warn!(%error, "nothing can be noted, so nothing is let go");
            return Ok(0);
        }
        gone = Spool::open_within(state, LOCK_WAIT)?.let_go(&spent, &noted)?;
    }
    remember(&memory_file, &memory);
    Ok(gone)
}

//! The lines that one text has and the next has no more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::attribution::Attribution;
use crate::text::lines_of;

/// A line without its white space. Nothing for one without a word: such lines are everywhere.
pub(super) fn key(line: &str) -> Option<u64> {
    line.chars().any(char::is_alphanumeric).then(|| {
        let mut hash = DefaultHasher::new();
        line.chars().filter(|c| !c.is_whitespace()).for_each(|c| c.hash(&mut hash));
        hash.finish()
    })
}

/// Returns the lines of `before` that `after` has fewer of, as a text with its writers.
pub(super) fn vanished(before: &str, attribution: &Attribution, after: &str) -> (String, Attribution) {
    let mut left: HashMap<u64, usize> = HashMap::new();
    for line in lines_of(after) {
        if let Some(key) = key(&after[line]) {
            *left.entry(key).or_default() += 1;
        }
    }
    let mut text = String::new();
    let mut found = Attribution::default();
    for line in lines_of(before) {
        let is_gone = match key(&before[line.clone()]) {
            None => true,
            Some(key) => match left.get_mut(&key) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            },
        };
        if is_gone {
            text.push_str(&before[line.clone()]);
            for (span, origin) in attribution.origins.within(line.clone()) {
                found.origins.push(span.len(), origin.clone());
            }
            for (span, origin) in attribution.writers.within(line) {
                found.writers.push(span.len(), origin.clone());
            }
        }
    }
    (text, found)
}

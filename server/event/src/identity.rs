//! Ids that two observers make alike without having met.
//!
//! An agent's edit can be seen by its hook, by a tap around the agent, by a tap around the tool's own
//! server, and later in the agent's session file. Whoever sees it first records it; the others must
//! find that it is the same one. So its id is no random number but a digest of what all of them see.

use uuid::{Builder, Uuid};

use crate::digest::sha256_parts;

/// Returns the contribution id of one file's change by one tool call.
///
/// `client` and `session` are the tool's name in our catalogue and its own session id; `path` is
/// relative to the repository's root, with `/`, and absolute for a file outside. A call id that the
/// model's provider made at random says enough by itself: the tool's server knows it but not the
/// session. An id that a client counted (`call_1`) is nothing without its session.
pub fn contribution_of_edit(client: &str, session: &str, tool_call_id: &str, path: &str) -> Uuid {
    let (client, session) = if is_random(tool_call_id) { ("", "") } else { (client, session) };
    digest("edit by call", &[client, session, tool_call_id, path])
}

/// Returns the contribution id of one file's change where the client names no call.
///
/// `text_id` is the [`digest::text_id`](crate::digest::text_id) of the file after the change.
pub fn contribution_of_text(client: &str, session: &str, path: &str, text_id: &str) -> Uuid {
    digest("edit by text", &[client, session, path, text_id])
}

/// Says whether nobody else will ever make this id: its longest row of letters and digits is long,
/// and the two change places as chance has it. Times and counters do not.
fn is_random(id: &str) -> bool {
    const LONG: usize = 16;
    const CHANGES: usize = 3;
    let between = |c: char| !c.is_ascii_alphanumeric();
    if Uuid::try_parse(id).is_ok() {
        return true;
    }
    id.split(between).any(|row| {
        let row = row.as_bytes();
        let changes = row.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
        row.len() >= LONG && changes >= CHANGES
    })
}

/// Makes a UUID (version 8) of the SHA-256 of the parts, each with its length before it.
fn digest(kind: &str, parts: &[&str]) -> Uuid {
    let mut all = Vec::new();
    for part in std::iter::once(&kind).chain(parts) {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    let digest = sha256_parts(&[&all]);
    let bytes: [u8; 16] = digest[..16].try_into().expect("a digest has 32 bytes");
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observers_who_see_the_same_call_and_path_make_the_same_id() {
        let id = contribution_of_edit("claude-code", "s", "toolu_01frkLiwHa761fjaVpDKuXC4", "src/a.rs");
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id, contribution_of_edit("snippets", "", "toolu_01frkLiwHa761fjaVpDKuXC4", "src/a.rs"));
        assert_ne!(id, contribution_of_edit("claude-code", "s", "toolu_01frkLiwHa761fjaVpDKuXC4", "src/b.rs"));
        assert_ne!(id, contribution_of_edit("claude-code", "s", "toolu_01TC3GPJRm1MfSd9e1uxJ7pR", "src/a.rs"));
    }

    #[test]
    fn a_counted_call_id_belongs_to_its_session() {
        let of = |client, session| contribution_of_edit(client, session, "call_1", "a");
        assert_eq!(of("gemini-cli", "s"), of("gemini-cli", "s"));
        assert_ne!(of("gemini-cli", "s"), of("gemini-cli", "t"));
        assert_ne!(of("gemini-cli", "s"), of("opencode", "s"));
        assert_ne!(contribution_of_edit("ab", "c", "1", ""), contribution_of_edit("a", "bc", "1", ""));
    }

    #[test]
    fn random_ids_are_told_from_counters_and_times() {
        for id in
            ["toolu_01frkLiwHa761fjaVpDKuXC4", "call_nfmgfvUDHNp6dTaQ1ajc87Je", "01a1fa06-3099-7450-b446-8bd0c327996a"]
        {
            assert!(is_random(id), "{id}");
        }
        for id in
            ["", "7", "call_1", "write_file__write_file_1795196163688_0", "1795196163688123456", "insertSnippet2Twice"]
        {
            assert!(!is_random(id), "{id}");
        }
    }

    #[test]
    fn a_text_stands_for_a_call_without_an_id() {
        let of = |text| contribution_of_text("gemini-cli", "s", "a", text);
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        assert_ne!(of("1"), contribution_of_edit("gemini-cli", "s", "a", "1"));
    }
}

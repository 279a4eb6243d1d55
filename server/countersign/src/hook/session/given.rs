//! What the model was given, and what it thought: each with what is known of it, or why it is not.

use std::path::Path;

use countersign_event::content::{ContentName, ContentSlot, Contents};
use countersign_event::payload::ContextItem;
use countersign_event::{Absent, How, digest};
use tower_lsp::ls_types::Uri;

use super::Session;
use crate::hook::decode::Reasoning;
use crate::hook::text::Content;
use crate::recorder::{file_of_uri, with_slashes};

impl Session<'_> {
    /// Says what is known of a file or resource that the model was given: by its own bytes where they are
    /// what it was told, else by what it was told.
    pub(super) fn item(&self, name: &str, told: Option<&str>) -> ContextItem {
        let is_resource = name.contains("://") && !name.starts_with("file://");
        let of = |bytes: &[u8], how| ContextItem {
            digest: Some(digest::text_id(bytes)),
            bytes: Some(bytes.len() as u64),
            how: Some(how),
            ..ContextItem::default()
        };
        let unknown = |absent| ContextItem { absent: Some(absent), ..ContextItem::default() };
        if is_resource {
            let item = told.map_or_else(|| unknown(Absent::NotOnWire), |text| of(text.as_bytes(), How::Reported));
            return ContextItem { path: name.to_owned(), ..item };
        }
        let path = file_of_uri(name).unwrap_or_else(|| self.absolute(Path::new(name)));
        let disk = Content::read(&path);
        let item = match (told, &disk) {
            (Some(text), disk) if !disk.says(text) => of(text.as_bytes(), How::Reported),
            (_, Content::Bytes(bytes)) => of(bytes, How::Observed),
            (_, Content::Unread) => unknown(Absent::Truncated),
            (_, Content::Absent) => unknown(Absent::NotOnWire),
        };
        let root = self.root();
        let inside = root.as_ref().and_then(|(root, _)| path.strip_prefix(root).ok());
        let inside = inside.map(with_slashes);
        ContextItem { path: inside.or_else(|| uri_of(&path)).unwrap_or_else(|| name.to_owned()), ..item }
    }
}

/// Adds what the model thought, or says why nobody can know.
pub(super) fn reason(reasoning: &Reasoning, texts: &mut Vec<(ContentName, String)>, content: &mut Contents) {
    let absent = match reasoning {
        Reasoning::Told(text) => return texts.push((ContentName::Reasoning, text.clone())),
        Reasoning::Encrypted => Absent::EncryptedOnWire,
        Reasoning::Untold => Absent::NotOnWire,
    };
    content.insert(ContentName::Reasoning, ContentSlot::Absent { absent });
}

/// Bytes of the longest text.
pub(super) fn most(texts: &[(ContentName, String)]) -> usize {
    texts.iter().map(|(_, text)| text.len()).max().unwrap_or(0)
}

pub(super) fn uri_of(path: &Path) -> Option<String> {
    Uri::from_file_path(path).map(|uri| uri.to_string())
}

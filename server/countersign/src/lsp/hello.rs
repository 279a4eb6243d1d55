//! What we need of the editor's `initialize`, read leniently.
//!
//! An editor with one odd field must not find a server that refuses to start.

use countersign_provenance::text::Encoding;
use serde_json::Value;
use serde_json::value::RawValue;
use tower_lsp::ls_types::PositionEncodingKind;

use super::wire;

/// Who the editor is and what it can do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hello {
    /// Its process, if it says so.
    pub(crate) process_id: Option<i32>,
    /// Its name and version.
    pub(crate) client: Option<String>,
    /// How positions are counted from here on.
    pub(crate) encoding: Encoding,
    /// Whether it answers `workspace/configuration`.
    pub(crate) configuration: bool,
    /// Whether it shows Markdown in a hover.
    pub(crate) markdown: bool,
    /// Whether it wants a diagnostic's code explained by a link.
    pub(crate) code_links: bool,
    /// `initializationOptions`.
    pub(crate) options: Value,
}

impl Hello {
    /// Reads the parameters of `initialize`. What is missing or odd is taken as not said.
    pub(crate) fn read(params: Option<&RawValue>) -> Hello {
        let params: Value = wire::params(params).unwrap_or_default();
        let at = |pointer: &str| params.pointer(pointer);
        let client = at("/clientInfo/name").and_then(Value::as_str).map(|name| {
            match at("/clientInfo/version").and_then(Value::as_str) {
                Some(version) => format!("{name} {version}"),
                None => name.to_owned(),
            }
        });
        Hello {
            process_id: at("/processId").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok()),
            client,
            encoding: at("/capabilities/general/positionEncodings")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .find_map(|name| encoding(name.as_str()?))
                .unwrap_or(Encoding::Utf16),
            configuration: at("/capabilities/workspace/configuration") == Some(&Value::Bool(true)),
            markdown: at("/capabilities/textDocument/hover/contentFormat")
                .and_then(Value::as_array)
                .is_none_or(|formats| formats.is_empty() || formats.iter().any(|format| format == "markdown")),
            code_links: at("/capabilities/textDocument/publishDiagnostics/codeDescriptionSupport")
                == Some(&Value::Bool(true)),
            options: at("/initializationOptions").cloned().unwrap_or_default(),
        }
    }
}

fn encoding(name: &str) -> Option<Encoding> {
    match name {
        "utf-8" => Some(Encoding::Utf8),
        "utf-16" => Some(Encoding::Utf16),
        "utf-32" => Some(Encoding::Utf32),
        _ => None,
    }
}

/// Names an encoding as the protocol does.
pub(crate) fn encoding_kind(encoding: Encoding) -> PositionEncodingKind {
    match encoding {
        Encoding::Utf8 => PositionEncodingKind::UTF8,
        Encoding::Utf16 => PositionEncodingKind::UTF16,
        Encoding::Utf32 => PositionEncodingKind::UTF32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Hello {
        Hello::read(Some(&RawValue::from_string(json.to_owned()).unwrap()))
    }

    #[test]
    fn the_first_encoding_we_know_in_the_editors_order_is_taken() {
        for (offered, expected) in [
            (r#"["utf-8","utf-16"]"#, Encoding::Utf8),
            (r#"["utf-32","utf-8","utf-16"]"#, Encoding::Utf32),
            (r#"["utf-7","utf-16","utf-8"]"#, Encoding::Utf16),
            ("[]", Encoding::Utf16),
            ("null", Encoding::Utf16),
            ("[7]", Encoding::Utf16),
        ] {
            let hello = read(&format!(r#"{{"capabilities":{{"general":{{"positionEncodings":{offered}}}}}}}"#));
            assert_eq!(hello.encoding, expected, "{offered}");
        }
    }

    #[test]
    fn odd_fields_are_taken_as_not_said() {
        let hello = read(
            r#"{"processId":"seven","clientInfo":{"name":"ed"},"rootUri":"file:///a[b]","capabilities":{"workspace":3}}"#,
        );
        assert_eq!((hello.process_id, hello.client.as_deref()), (None, Some("ed")));
        assert_eq!(Hello::read(None).encoding, Encoding::Utf16);
    }
}

//! The grammars rules run on: what ast-grep needs to know of a tree-sitter language.
//!
//! It must never hold more languages than there are rules for: each costs a megabyte.

use std::borrow::Cow;

use ast_grep_core::Language;
use ast_grep_core::Pattern;
use ast_grep_core::PatternError;
use ast_grep_core::matcher::PatternBuilder;
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc, TSLanguage};
use serde::Deserialize;

/// A tree-sitter grammar, under the name rule files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Grammar {
    #[serde(alias = "python")]
    Python,
    /// Its rules also run on TSX and JavaScript.
    #[serde(alias = "typescript")]
    TypeScript,
    #[serde(alias = "tsx")]
    Tsx,
    #[serde(alias = "go")]
    Go,
    #[serde(alias = "java")]
    Java,
    #[serde(alias = "rust")]
    Rust,
}

impl Grammar {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Rust as usize + 1;
}

impl Language for Grammar {
    /// Most languages have no `$` in identifiers: metavariables are parsed under another letter.
    fn pre_process_pattern<'q>(&self, query: &'q str) -> Cow<'q, str> {
        match self.expando_char() {
            '$' => Cow::Borrowed(query),
            letter => Cow::Owned(query.replace('$', letter.encode_utf8(&mut [0; 4]))),
        }
    }

    fn expando_char(&self) -> char {
        match self {
            Self::TypeScript | Self::Tsx | Self::Java => '$',
            Self::Python | Self::Go | Self::Rust => 'µ',
        }
    }

    fn kind_to_id(&self, kind: &str) -> u16 {
        self.get_ts_language().id_for_node_kind(kind, true)
    }

    fn field_to_id(&self, field: &str) -> Option<u16> {
        self.get_ts_language().field_id_for_name(field).map(|id| id.get())
    }

    fn build_pattern(&self, builder: &PatternBuilder) -> Result<Pattern, PatternError> {
        builder.build(|source| StrDoc::try_new(source, *self))
    }
}

impl LanguageExt for Grammar {
    fn get_ts_language(&self) -> TSLanguage {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
        }
    }
}

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
}

impl Language for Grammar {
    /// Python has no `$` in identifiers: metavariables are parsed under another letter.
    fn pre_process_pattern<'q>(&self, query: &'q str) -> Cow<'q, str> {
        match self {
            Self::Python if query.contains('$') => Cow::Owned(query.replace('$', "µ")),
            _ => Cow::Borrowed(query),
        }
    }

    fn expando_char(&self) -> char {
        match self {
            Self::Python => 'µ',
            Self::TypeScript | Self::Tsx => '$',
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
        }
    }
}

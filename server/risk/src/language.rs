//! Which language a text is written in, as editors and file names say it.
//!
//! It must never guess from the text itself.

use crate::grammar::Grammar;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Python and its stubs.
    Python,
    /// TypeScript without JSX.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// JavaScript, with or without JSX.
    JavaScript,
    /// Go.
    Go,
    /// Java.
    Java,
    /// Rust.
    Rust,
    /// Terraform and other HCL.
    Terraform,
    /// Workflows, manifests and other settings.
    Yaml,
    /// Policies and other settings.
    Json,
    /// Dockerfiles.
    Dockerfile,
    /// Anything else: no code rules, secrets all the same.
    Other,
}

impl Language {
    /// Every language rules can be written for.
    pub const CODE: [Language; 7] =
        [Self::Python, Self::TypeScript, Self::Tsx, Self::JavaScript, Self::Go, Self::Java, Self::Rust];

    /// Reads an editor's language identifier (`python`, `typescriptreact`, ...).
    pub fn from_id(id: &str) -> Self {
        match id {
            "python" => Self::Python,
            "typescript" => Self::TypeScript,
            "typescriptreact" | "tsx" => Self::Tsx,
            "javascript" | "javascriptreact" | "jsx" => Self::JavaScript,
            "go" => Self::Go,
            "java" => Self::Java,
            "rust" => Self::Rust,
            "terraform" | "hcl" | "opentofu" => Self::Terraform,
            "yaml" | "github-actions-workflow" | "dockercompose" => Self::Yaml,
            "json" | "jsonc" => Self::Json,
            "dockerfile" => Self::Dockerfile,
            _ => Self::Other,
        }
    }

    /// Reads the extension of a path or URI.
    pub fn from_path(path: &str) -> Self {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        if ["Dockerfile", "Containerfile"].iter().any(|image| name == *image || name.starts_with(&format!("{image}.")))
        {
            return Self::Dockerfile;
        }
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "py" | "pyi" | "pyw" => Self::Python,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "js" | "jsx" | "mjs" | "cjs" => Self::JavaScript,
            "go" => Self::Go,
            "java" => Self::Java,
            "rs" => Self::Rust,
            "tf" | "hcl" | "tofu" => Self::Terraform,
            "yml" | "yaml" => Self::Yaml,
            "json" => Self::Json,
            "dockerfile" | "Dockerfile" => Self::Dockerfile,
            _ => Self::Other,
        }
    }

    /// Returns the grammar that reads it. JavaScript is read as TSX, of which it is a part.
    pub(crate) fn grammar(self) -> Option<Grammar> {
        match self {
            Self::Python => Some(Grammar::Python),
            Self::TypeScript => Some(Grammar::TypeScript),
            Self::Tsx | Self::JavaScript => Some(Grammar::Tsx),
            Self::Go => Some(Grammar::Go),
            Self::Java => Some(Grammar::Java),
            Self::Rust => Some(Grammar::Rust),
            Self::Terraform | Self::Yaml | Self::Json | Self::Dockerfile | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_and_file_names_agree_on_the_language() {
        for (id, path) in [
            ("python", "/a/b.py"),
            ("typescript", "file:///a/b.mts"),
            ("typescriptreact", "C:\\a\\b.tsx"),
            ("javascript", "b.cjs"),
            ("javascriptreact", "b.test.jsx"),
            ("rust", "/py/lib.rs"),
            ("terraform", "infra/main.tf"),
            ("yaml", ".github/workflows/ci.yml"),
            ("json", "policy.json"),
            ("dockerfile", "build/Dockerfile"),
            ("dockerfile", "Dockerfile.dev"),
            ("go", "a/py.go"),
            ("java", "/ts/A.java"),
            ("makefile", "Makefile"),
        ] {
            assert_eq!(Language::from_id(id), Language::from_path(path), "{id} {path}");
        }
    }
}

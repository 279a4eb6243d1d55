//! `missing-authz`: a route that changes something, without the guard its neighbours carry.
//!
//! It must never speak of a file whose routes carry no guard at all: theirs may stand elsewhere.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{About, Code};
use crate::finding::Severity;

pub(super) const ABOUT: About = About {
    id: "missing-authz",
    severity: Severity::Medium,
    cwe: &["CWE-862"],
    message: "this route changes something, and does not ask who wants it as its neighbours do",
    why: "the model writes the handler it was asked for, and the guard is a line of another one",
    fix: "add the guard the other routes of this file have, or say why it is public",
    folded: None,
};

/// Compiles a pattern that is written here.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern that is written here: every rule has a test")
}

/// What makes a function a route.
pub(super) static ROUTE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)@\w[\w.]*\.(route|get|post|put|patch|delete)\(|@(Get|Post|Put|Patch|Delete|Request)Mapping|#\[(\w+::)*(get|post|put|patch|delete)\(|^\w*(app|router|server|api|routes|fastify)\w*\.(get|post|put|patch|delete|GET|POST|PUT|PATCH|DELETE|HandleFunc)\("#,
    )
});

/// What makes a route change something.
pub(super) static CHANGES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\.(post|put|patch|delete)\(|methods\s*=\s*[\[(][^\])]*['"](POST|PUT|PATCH|DELETE)|@(Post|Put|Patch|Delete)Mapping|#\[(\w+::)*(post|put|patch|delete)\("#,
    )
});

/// What guards a route.
static GUARD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)login_required|requires?_?(auth|login|admin|role|permission|user|scope|sign)|jwt_required|token_required|auth_required|admin_required|permission(s)?_(required|classes)|user_passes_test|has_?(role|permission|authority)|is_?(authenticated|admin|auth)|authenticate|authoriz|ensure\w*(auth|login|admin|role)|check\w*(auth|login|permission|role|token|access)|verify\w*(token|auth|user|jwt|session|signature)|Depends\([^)]*(user|auth|token|permission|admin)|Security\(|@PreAuthorize|@Secured|@RolesAllowed|\bauth\b|protect\b|current_user|currentUser|req\.user|requireUser|session\[|passport\.",
    )
});

/// Routes that are for everybody.
static PUBLIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)log_?in|log_?out|sign_?(in|up|out)|regist|health|status|ping|webhook|callback|public|token|oauth|forgot|reset|verify|contact|subscribe|search|metrics",
    )
});

/// A guard for all routes of the file.
static FOR_ALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\.use\([^)]*(auth|protect|passport|jwt|session|guard)|before_request|dependencies\s*=\s*\[|@login_required\s*\nclass|\.addFilterBefore|LoginRequiredMixin|@UseGuards\([^)]*\)\s*(\n\s*@\w+[^\n]*)*\s*\n\s*(export\s+)?class",
    )
});

pub(super) fn check(code: &Code<'_>) -> Vec<Range<usize>> {
    let routes: Vec<_> = code.functions.iter().filter(|function| ROUTE.is_match(function.marks)).collect();
    if routes.len() < 3 || FOR_ALL.is_match(code.text) {
        return Vec::new();
    }
    let guarded = |marks: &str| GUARD.is_match(marks);
    let with = routes.iter().filter(|route| guarded(route.marks)).count();
    // Most of the neighbours have to agree before one of them is called wrong.
    if with * 2 <= routes.len() {
        return Vec::new();
    }
    let bare = routes.into_iter().filter(|route| {
        CHANGES.is_match(route.marks)
            && !guarded(route.marks)
            && !guarded(route.text)
            && !PUBLIC.is_match(route.marks)
            && !PUBLIC.is_match(route.name)
    });
    bare.map(|route| route.head.clone()).collect()
}

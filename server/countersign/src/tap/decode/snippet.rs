//! What a snippet would insert before its placeholders are filled in.

/// Expands a snippet: placeholders become their defaults, choices their first one, stops and unknown
/// variables nothing. What is no snippet syntax stays as it is.
pub(super) fn expand(snippet: &str) -> String {
    let mut out = String::with_capacity(snippet.len());
    take(snippet, false, &mut out);
    out
}

/// Expands up to the closing brace of a placeholder, or to the end. Returns what is left.
fn take<'a>(mut rest: &'a str, inside: bool, out: &mut String) -> &'a str {
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '}' if inside => return after,
            '\\' if after.starts_with(['$', '}', '\\']) => {
                out.push_str(&after[..1]);
                rest = &after[1..];
            }
            '$' => rest = variable(after, out),
            _ => {
                out.push(c);
                rest = after;
            }
        }
    }
    rest
}

/// Expands what follows a `$`.
fn variable<'a>(rest: &'a str, out: &mut String) -> &'a str {
    if let Some(inner) = rest.strip_prefix('{') {
        let name = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        let after = &inner[name..];
        return match after.chars().next() {
            Some('}') if name > 0 => &after[1..],
            Some(':') if name > 0 => take(&after[1..], true, out),
            Some('|') if name > 0 => choice(&after[1..], out),
            // A transformation of a variable: its result is the editor's.
            Some('/') if name > 0 => take(&after[1..], true, &mut String::new()),
            _ => {
                out.push_str("${");
                inner
            }
        };
    }
    let after = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if after.len() == rest.len() {
        out.push('$');
    }
    after
}

fn choice<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let Some((choices, after)) = rest.split_once("|}") else { return rest };
    out.push_str(choices.split(',').next().unwrap_or(""));
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_their_defaults() {
        for (snippet, plain) in [
            ("for ${1:i} in $2:\n\t$0", "for i in :\n\t"),
            ("${1|one,two|} ${TM_FILENAME:x}", "one x"),
            ("cost \\$5 \\} $ ${", "cost $5 } $ ${"),
            ("${1:f(${2:x})}", "f(x)"),
            ("é${1:🎉}", "é🎉"),
            ("${TM/a}b/c} d", "b/c} d"),
        ] {
            assert_eq!(expand(snippet), plain, "{snippet:?}");
        }
    }
}

//! Shapes that are known to be harmless: types that only hold data, constants, fixtures.
//!
//! It must never call a line plain on which something is computed, called or decided.

/// Words that decide, repeat, fail or reach out.
const ACTIVE: [&str; 30] = [
    "if", "else", "elif", "for", "while", "loop", "match", "switch", "case", "try", "except", "catch", "finally",
    "throw", "throws", "raise", "await", "async", "yield", "return", "with", "goto", "defer", "go", "select", "unsafe",
    "eval", "exec", "lambda", "new",
];

/// Returns the share of `text`'s lines, blank ones and comments left out, that only declare or hold data.
///
/// Cost: one pass. 1 for an empty text would praise nothing, so it is 0.
pub fn plain_share(text: &str) -> f64 {
    let lines = text.lines().map(str::trim).filter(|line| !is_comment(line));
    let (plain, all) = lines.fold((0u32, 0u32), |(plain, all), line| (plain + u32::from(is_plain(line)), all + 1));
    if all == 0 { 0.0 } else { f64::from(plain) / f64::from(all) }
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || ["#", "//", "/*", "*", "--"].iter().any(|start| line.starts_with(start))
}

fn is_plain(line: &str) -> bool {
    // Decorators and derives describe a type.
    if line.starts_with('@') || line.starts_with("#[") {
        return true;
    }
    let code = without_texts(line);
    let words = code.split(|char: char| !char.is_alphanumeric() && char != '_');
    let is_active = words.clone().any(|word| ACTIVE.contains(&word));
    let calls =
        code.contains('(') || code.contains("=>") || code.contains("->") || code.contains('`') || code.contains('$');
    let computes = ["+", "*", "/", "%", "&&", "||", "==", "!=", "<<", ">>"].iter().any(|sign| code.contains(sign));
    !is_active && !calls && !computes
}

/// The line with the texts in it emptied: what stands in quotes is data.
fn without_texts(line: &str) -> String {
    let mut code = String::new();
    let mut open = None;
    let mut escaped = false;
    for char in line.chars() {
        match open {
            None if char == '"' || char == '\'' => open = Some(char),
            None => code.push(char),
            Some(_) if escaped => escaped = false,
            Some(_) if char == '\\' => escaped = true,
            Some(quote) if char == quote => open = None,
            // A template can hold anything.
            Some(_) if char == '{' => code.push('$'),
            Some(_) => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_data_are_plain_and_what_acts_is_not() {
        for (text, least, most) in [
            ("@dataclass\nclass Point:\n    x: int = 0\n    y: int = 0\n", 1.0, 1.0),
            ("export interface User {\n  id: string;\n  tags: string[];\n}\n", 1.0, 1.0),
            ("#[derive(Debug)]\npub struct A {\n    pub b: Option<u32>,\n}\n", 1.0, 1.0),
            ("{\"a\": [1, 2], \"b\": \"if (x) eval\"}\n", 1.0, 1.0),
            ("def f(x):\n    return x + 1\n", 0.0, 0.0),
            ("x = open(p).read()\ny = f'{z}'\n", 0.0, 0.0),
            ("A = 1\nos.system(A)\n", 0.5, 0.5),
            ("\n# nothing\n", 0.0, 0.0),
        ] {
            let share = plain_share(text);
            assert!(least <= share && share <= most, "{share}: {text}");
        }
    }
}

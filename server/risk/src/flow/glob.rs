//! Patterns of paths: `*.execute`, `os.{system,popen}`, `flask.request.**`.
//!
//! `*.` in front stands for one or more parts, `?.` for none or more, `.**` behind for none or more;
//! inside a part `*` stands for any letters.

/// One compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    parts: Vec<String>,
    /// Fewest parts in front; `None` when nothing may stand there.
    before: Option<usize>,
    after: bool,
}

impl Glob {
    /// Expands `{a,b}` and compiles each alternative.
    pub(crate) fn compile(pattern: &str) -> Vec<Self> {
        if let (Some(open), Some(close)) = (pattern.find('{'), pattern.find('}'))
            && open < close
        {
            let (head, tail) = (&pattern[..open], &pattern[close + 1..]);
            let options = pattern[open + 1..close].split(',');
            return options.flat_map(|option| Self::compile(&format!("{head}{}{tail}", option.trim()))).collect();
        }
        let (before, rest) = match (pattern.strip_prefix("*."), pattern.strip_prefix("?.")) {
            (Some(rest), _) => (Some(1), rest),
            (_, Some(rest)) => (Some(0), rest),
            _ => (None, pattern),
        };
        let (rest, after) = rest.strip_suffix(".**").map_or((rest, false), |rest| (rest, true));
        vec![Self { parts: rest.split('.').map(str::to_owned).collect(), before, after }]
    }

    /// Returns the last part if it is plain, by which callers can sort patterns.
    pub(crate) fn last(&self) -> Option<&str> {
        self.parts.last().map(String::as_str).filter(|part| !part.contains('*') && !self.after)
    }

    /// Tells whether `path` is one the pattern describes.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('.').collect();
        let n = self.parts.len();
        if parts.len() < n {
            return false;
        }
        let room = parts.len() - n;
        let fits = |at: usize| self.parts.iter().zip(&parts[at..]).all(|(pattern, part)| part_matches(pattern, part));
        match (self.before, self.after) {
            (None, false) => room == 0 && fits(0),
            (None, true) => fits(0),
            (Some(least), false) => room >= least && fits(room),
            (Some(least), true) => (least..=room).any(fits),
        }
    }
}

fn part_matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((head, tail)) => part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::compile(pattern).iter().any(|glob| glob.matches(path))
    }

    #[test]
    fn patterns_say_what_may_stand_before_and_behind() {
        for (pattern, path, expected) in [
            ("os.{system,popen}", "os.popen", true),
            ("os.{system,popen}", "a.os.popen", false),
            ("*.execute", "db.cursor().execute", true),
            ("*.execute", "execute", false),
            ("?.execute", "execute", true),
            ("request.**", "request", true),
            ("request.**", "request.args.get()", true),
            ("request.**", "my.request.args", false),
            ("?.request.**", "my.request.args", true),
            ("*.create*", "db.createQuery", true),
            ("*.create*", "db.recreate", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}

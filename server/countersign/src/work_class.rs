//! What sort of work a command line is: a test, a build, or something else. Pure; it knows no disk and
//! runs nothing.
//!
//! It says what it recognised and whether the whole line's exit status is that program's: `pytest | tail`
//! ends with 0 whatever pytest said. What it does not recognise is `other`; it never guesses from names of
//! files.

use countersign_event::payload::tool::{Class, ClassedBy};

/// A longer command line is a script of its own and is not taken apart.
const COMMAND_BYTES_MAX: usize = 16 << 10;
/// `bash -c "bash -c ..."` is followed so deep.
const DEPTH_MAX: u8 = 3;

/// Programs that do one thing, whatever their arguments; `(program, class)`.
const PROGRAMS: &[(&str, Class)] = &[
    ("pytest", Class::Test),
    ("py.test", Class::Test),
    ("tox", Class::Test),
    ("nox", Class::Test),
    ("nosetests", Class::Test),
    ("jest", Class::Test),
    ("vitest", Class::Test),
    ("mocha", Class::Test),
    ("ava", Class::Test),
    ("karma", Class::Test),
    ("jasmine", Class::Test),
    ("rspec", Class::Test),
    ("phpunit", Class::Test),
    ("pest", Class::Test),
    ("ctest", Class::Test),
    ("gotestsum", Class::Test),
    ("busted", Class::Test),
    ("bats", Class::Test),
    ("prove", Class::Test),
    ("cargo-nextest", Class::Test),
    ("make", Class::Build),
    ("gmake", Class::Build),
    ("ninja", Class::Build),
    ("tsc", Class::Build),
    ("webpack", Class::Build),
    ("rollup", Class::Build),
    ("esbuild", Class::Build),
    ("msbuild", Class::Build),
    ("xcodebuild", Class::Build),
    ("gcc", Class::Build),
    ("g++", Class::Build),
    ("cc", Class::Build),
    ("c++", Class::Build),
    ("clang", Class::Build),
    ("clang++", Class::Build),
    ("rustc", Class::Build),
    ("javac", Class::Build),
    ("kotlinc", Class::Build),
    ("scalac", Class::Build),
    ("ghc", Class::Build),
];

/// Subcommands that say more than their program; `(program, subcommand, class)`.
const SUBCOMMANDS: &[(&str, &str, Class)] = &[
    ("cargo", "test", Class::Test),
    ("cargo", "t", Class::Test),
    ("cargo", "nextest", Class::Test),
    ("cargo", "build", Class::Build),
    ("cargo", "b", Class::Build),
    ("cargo", "check", Class::Build),
    ("cargo", "c", Class::Build),
    ("cargo", "clippy", Class::Build),
    ("go", "test", Class::Test),
    ("go", "build", Class::Build),
    ("go", "vet", Class::Build),
    ("go", "install", Class::Build),
    ("dotnet", "test", Class::Test),
    ("dotnet", "build", Class::Build),
    ("dotnet", "publish", Class::Build),
    ("dotnet", "pack", Class::Build),
    ("bazel", "test", Class::Test),
    ("bazel", "coverage", Class::Test),
    ("bazel", "build", Class::Build),
    ("bazelisk", "test", Class::Test),
    ("bazelisk", "build", Class::Build),
    ("buck2", "test", Class::Test),
    ("buck2", "build", Class::Build),
    ("swift", "test", Class::Test),
    ("swift", "build", Class::Build),
    ("zig", "test", Class::Test),
    ("mix", "test", Class::Test),
    ("mix", "compile", Class::Build),
    ("rails", "test", Class::Test),
    ("rake", "test", Class::Test),
    ("rake", "spec", Class::Test),
    ("deno", "test", Class::Test),
    ("deno", "check", Class::Build),
    ("node", "--test", Class::Test),
    ("flutter", "test", Class::Test),
    ("flutter", "build", Class::Build),
    ("dart", "test", Class::Test),
    ("meson", "test", Class::Test),
    ("meson", "compile", Class::Build),
    ("cabal", "test", Class::Test),
    ("cabal", "build", Class::Build),
    ("stack", "test", Class::Test),
    ("stack", "build", Class::Build),
    ("sbt", "test", Class::Test),
    ("sbt", "compile", Class::Build),
    ("lein", "test", Class::Test),
    ("composer", "test", Class::Test),
    ("playwright", "test", Class::Test),
    ("cypress", "run", Class::Test),
    ("ng", "test", Class::Test),
    ("ng", "build", Class::Build),
    ("vite", "build", Class::Build),
    ("next", "build", Class::Build),
    ("docker", "build", Class::Build),
    ("cmake", "--build", Class::Build),
    ("xcodebuild", "test", Class::Test),
    ("make", "test", Class::Test),
    ("make", "tests", Class::Test),
    ("make", "check", Class::Test),
    ("gmake", "test", Class::Test),
    ("gmake", "check", Class::Test),
    ("ninja", "test", Class::Test),
];

/// Build tools whose goals may stand anywhere; of several the strongest counts.
const GOALS: &[&str] = &["mvn", "mvnw", "gradle", "gradlew"];
/// Goals that test.
const TEST_GOALS: &[&str] = &["test", "verify", "integration-test", "check", "install", "package", "build"];
/// Goals that only build.
const BUILD_GOALS: &[&str] = &["compile", "assemble", "classes", "jar", "testClasses", "test-compile"];

/// Runners of a package's scripts.
const SCRIPT_RUNNERS: &[&str] = &["npm", "pnpm", "yarn", "bun"];
/// Programs that run the program after them: those before a program of a package or an environment.
const LAUNCHERS: &[(&str, &[&str])] = &[
    ("npx", &[]),
    ("bunx", &[]),
    ("uvx", &[]),
    ("uv", &["run"]),
    ("poetry", &["run"]),
    ("pipenv", &["run"]),
    ("hatch", &["run"]),
    ("pdm", &["run"]),
    ("rye", &["run"]),
    ("bundle", &["exec"]),
    ("pnpm", &["exec"]),
    ("pnpm", &["dlx"]),
    ("yarn", &["exec"]),
    ("yarn", &["dlx"]),
    ("npm", &["exec"]),
    ("bun", &["x"]),
    ("rustup", &["run"]),
    ("xvfb-run", &[]),
];
/// Wrappers that change nothing about what runs, with the options that take a value.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("env", &["-u", "--unset", "-C", "--chdir", "-S"]),
    ("time", &["-f", "-o", "--format", "--output"]),
    ("sudo", &["-u", "-g", "-h", "-p", "-C", "-D", "--user", "--group"]),
    ("doas", &["-u"]),
    ("nice", &["-n", "--adjustment"]),
    ("ionice", &["-c", "-n"]),
    ("nohup", &[]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("command", &[]),
    ("exec", &["-a"]),
    ("builtin", &[]),
    ("timeout", &["-k", "-s", "--kill-after", "--signal"]),
    ("setsid", &[]),
    ("chronic", &[]),
    ("caffeinate", &[]),
    ("!", &[]),
];
const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ksh", "fish"];
/// Words of the shell's grammar that stand before a command.
const KEYWORDS: &[&str] = &["then", "do", "else", "if", "while", "until", "{", "("];

/// What a command line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkClass {
    /// Its class.
    pub(crate) class: Class,
    /// What was recognised; `None` for `other`.
    pub(crate) by: Option<ClassedBy>,
}

/// Classes a command line as a shell would read it. Cost: one pass.
pub(crate) fn classify(command: &str) -> WorkClass {
    let found = if command.len() > COMMAND_BYTES_MAX { None } else { find(command, 0) };
    match found {
        Some((class, rule, decides_exit)) => WorkClass { class, by: Some(ClassedBy { rule, decides_exit }) },
        None => WorkClass { class: Class::Other, by: None },
    }
}

type Found = (Class, String, bool);

fn find(command: &str, depth: u8) -> Option<Found> {
    let parts = parts(&without_here_documents(command));
    let mut best: Option<Found> = None;
    for (at, part) in parts.iter().enumerate() {
        let Some((class, rule, inner)) = of_words(&part.words, depth) else { continue };
        // Everything after it must need its success, and nothing before it may have made it needless.
        let needed = parts[at..].iter().all(|part| matches!(part.then, Then::And | Then::End));
        let reached = parts[..at].iter().all(|part| part.then != Then::Or);
        let found = (class, rule, inner && needed && reached && !part.negated);
        let is_stronger = |(best, _, _): &Found| *best == Class::Build && class == Class::Test;
        if best.as_ref().is_none_or(is_stronger) {
            best = Some(found);
        }
    }
    best
}

/// Leaves out the texts of here-documents: they are no commands of this line.
fn without_here_documents(command: &str) -> String {
    let mut kept = String::new();
    let mut lines = command.split_inclusive('\n');
    while let Some(line) = lines.next() {
        kept.push_str(line);
        let Some((_, after)) = line.split_once("<<").filter(|(_, after)| !after.starts_with('<')) else { continue };
        let word = after.trim_start_matches('-').trim_start();
        let end: String = word
            .trim_start_matches(['\'', '"', '\\'])
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .collect();
        if !end.is_empty() {
            lines.by_ref().find(|line| line.trim() == end);
        }
    }
    kept
}

/// One simple command of a line, and what stands after it.
#[derive(Debug, Default)]
struct Part {
    words: Vec<String>,
    then: Then,
    negated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Then {
    #[default]
    End,
    And,
    Or,
    Pipe,
    Next,
}

/// Takes a line apart into simple commands, as far as quotes, here-documents' heads and operators go.
fn parts(command: &str) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut word: Option<String> = None;
    let mut chars = command.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            (None, '#') if word.is_none() => while chars.next_if(|&c| c != '\n').is_some() {},
            // `2>&1` and `&>file` are no operators between commands.
            (None, '>' | '<') => {
                word.get_or_insert_default().push(c);
                while let Some(next) = chars.next_if(|&c| matches!(c, '&' | '>' | '<' | '|')) {
                    word.get_or_insert_default().push(next);
                }
            }
            (None, '&') if chars.peek() == Some(&'>') => word.get_or_insert_default().push(c),
            (None, '&' | '|' | ';' | '\n' | ')' | '}') if c != '}' || word.is_none() => {
                parts[last].words.extend(word.take());
                let twice = matches!(c, '&' | '|') && chars.next_if_eq(&c).is_some();
                let then = match (c, twice) {
                    ('&', true) => Then::And,
                    ('|', true) => Then::Or,
                    ('|', false) => {
                        chars.next_if_eq(&'&');
                        Then::Pipe
                    }
                    // The end of a group passes on what it ended with.
                    (')' | '}', _) => continue,
                    _ => Then::Next,
                };
                if parts[last].words.is_empty() {
                    // After a group, or an empty line: it belongs to what stands before.
                    if let Some(before) = last.checked_sub(1).and_then(|at| parts.get_mut(at))
                        && then != Then::Next
                    {
                        before.then = then;
                    }
                    continue;
                }
                parts[last].then = then;
                parts.push(Part::default());
            }
            (None, c) if c.is_whitespace() => parts[last].words.extend(word.take()),
            (None, '(') if word.is_none() => {}
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(part) = parts.last_mut() {
        part.words.extend(word);
    }
    if parts.len() > 1 && parts.last().is_some_and(|part| part.words.is_empty()) {
        parts.pop();
        if let Some(part) = parts.last_mut()
            && part.then == Then::Next
            && !command.trim_end().ends_with('&')
        {
            part.then = Then::End; // a `;` or line break at the very end
        }
    }
    for part in &mut parts {
        part.negated = part.words.first().is_some_and(|word| word == "!");
    }
    parts
}

/// Classes one simple command. The last part says whether its status is the program's.
fn of_words(words: &[String], depth: u8) -> Option<Found> {
    let mut words: &[String] = words;
    loop {
        let first = words.first()?;
        let is_assignment = first
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        if is_assignment || KEYWORDS.contains(&first.as_str()) {
            words = &words[1..];
            continue;
        }
        let program = name_of(first);
        if let Some((_, with_value)) = WRAPPERS.iter().find(|(name, _)| *name == program) {
            words = after_options(&words[1..], with_value);
            if program == "timeout" {
                words = words.get(1..)?; // how long
            }
            continue;
        }
        if SHELLS.contains(&program) {
            let at = words
                .iter()
                .position(|word| word.starts_with('-') && word.ends_with('c') && !word.starts_with("--"))?;
            return if depth < DEPTH_MAX { find(words.get(at + 1)?, depth + 1) } else { None };
        }
        let launches = |(name, then): &&(&str, &[&str])| {
            *name == program && then.iter().zip(&words[1..]).filter(|(a, b)| *a == b).count() == then.len()
        };
        if let Some((_, then)) = LAUNCHERS.iter().find(launches) {
            words = after_options(&words[1 + then.len()..], &["-p", "--package", "--from", "--with", "--python"]);
            if words.first().is_some_and(|word| word == "--") {
                words = &words[1..];
            }
            continue;
        }
        return of_program(program, &words[1..]).map(|(class, rule)| (class, rule, true));
    }
}

fn of_program(program: &str, arguments: &[String]) -> Option<(Class, String)> {
    let plain: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| !word.starts_with(['-', '+'])).collect();
    let is_question = |word: &&str| matches!(*word, "--version" | "--help" | "-h" | "-V" | "--collect-only" | "--list");
    if arguments.iter().map(String::as_str).any(|word| is_question(&word)) {
        return None;
    }
    if program.starts_with("python") || program == "py" {
        let module = arguments.iter().position(|word| word == "-m").and_then(|at| arguments.get(at + 1))?;
        return match module.as_str() {
            "pytest" | "unittest" | "nose2" | "tox" | "nox" => Some((Class::Test, format!("python -m {module}"))),
            "build" | "compileall" => Some((Class::Build, format!("python -m {module}"))),
            _ => None,
        };
    }
    if program == "manage.py" {
        return (plain.first() == Some(&"test")).then(|| (Class::Test, "manage.py test".to_owned()));
    }
    if GOALS.contains(&program) {
        // `:module:test` names a task of a module.
        let goals: Vec<&str> = plain.iter().map(|goal| goal.rsplit(':').next().unwrap_or(goal)).collect();
        let skips = arguments.iter().any(|word| {
            word.starts_with("-DskipTests") && word != "-DskipTests=false" || word.starts_with("-Dmaven.test.skip=true")
        });
        let skips = skips || arguments.windows(2).any(|pair| pair[0] == "-x" && pair[1].ends_with("test"));
        let of =
            |table: &[&str]| goals.iter().find(|goal| table.contains(goal)).map(|goal| format!("{program} {goal}"));
        return match (of(TEST_GOALS), of(BUILD_GOALS)) {
            (Some(rule), _) if !skips => Some((Class::Test, rule)),
            (Some(rule), _) | (None, Some(rule)) => Some((Class::Build, rule)),
            (None, None) => None,
        };
    }
    if SCRIPT_RUNNERS.contains(&program) {
        let script = match plain.as_slice() {
            ["run" | "run-script", script, ..] => script,
            [script, ..] => script,
            [] => return None,
        };
        let base = script.split(':').next().unwrap_or(script);
        let class = match base {
            "test" | "tests" | "t" | "tst" => Class::Test,
            // A program of the package, run by its name.
            _ if program == "yarn" && PROGRAMS.iter().any(|(name, _)| name == script) => {
                return of_program(script, &[]);
            }
            "build" | "compile" | "typecheck" | "tsc" => Class::Build,
            _ => return None,
        };
        return Some((class, format!("{program} {base}")));
    }
    let by_subcommand = SUBCOMMANDS.iter().find(|(name, subcommand, _)| {
        let is_option = subcommand.starts_with('-');
        let first_or_any = |word: &&str| match program {
            // A target may stand behind others.
            "make" | "gmake" | "ninja" | "xcodebuild" | "sbt" => plain.contains(word),
            _ if is_option => arguments.iter().any(|argument| argument == word),
            _ => plain.first() == Some(word),
        };
        *name == program && first_or_any(subcommand)
    });
    if let Some((name, subcommand, class)) = by_subcommand {
        return Some((*class, format!("{name} {subcommand}")));
    }
    if matches!(program, "make" | "gmake" | "ninja") {
        // Targets that are work on the tree and no build.
        if plain
            .iter()
            .any(|target| matches!(*target, "clean" | "distclean" | "install" | "fmt" | "format" | "lint" | "help"))
        {
            return None;
        }
    }
    let (name, class) = PROGRAMS.iter().find(|(name, _)| *name == program)?;
    Some((*class, (*name).to_owned()))
}

/// A program's name without its directory and a wrapper's ending.
fn name_of(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    [".exe", ".cmd", ".bat", ".CMD"].into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Passes over a wrapper's own options and what they take.
fn after_options<'a>(words: &'a [String], with_value: &[&str]) -> &'a [String] {
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-') && *word != "--") {
        at += if with_value.contains(&word.as_str()) { 2 } else { 1 };
    }
    words.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &str) -> (Class, String, bool) {
        let work = classify(command);
        let by = work.by.unwrap_or(ClassedBy { rule: String::new(), decides_exit: false });
        (work.class, by.rule, by.decides_exit)
    }

    #[test]
    fn tests_are_known_by_their_program_through_every_wrapper() {
        for (command, rule) in [
            ("pytest", "pytest"),
            ("pytest -q tests/test_a.py::test_b", "pytest"),
            ("python3 -m pytest -x", "python -m pytest"),
            (".venv/bin/python -m unittest discover", "python -m unittest"),
            ("./manage.py test app", "manage.py test"),
            ("uv run pytest", "pytest"),
            ("poetry run python -m pytest", "python -m pytest"),
            ("tox -e py312", "tox"),
            ("cargo test --workspace -- --nocapture", "cargo test"),
            ("cargo +nightly test", "cargo test"),
            ("cargo nextest run", "cargo nextest"),
            ("go test ./...", "go test"),
            ("npm test", "npm test"),
            ("npm run test:unit -- --watch=false", "npm test"),
            ("pnpm run test", "pnpm test"),
            ("yarn test", "yarn test"),
            ("yarn jest", "jest"),
            ("bun test", "bun test"),
            ("npx jest --ci", "jest"),
            ("npx --yes vitest run", "vitest"),
            ("pnpm exec vitest", "vitest"),
            ("node --test test/", "node --test"),
            ("deno test -A", "deno test"),
            ("mvn -q test", "mvn test"),
            ("./mvnw clean verify", "mvnw verify"),
            ("./gradlew :app:test --info", "gradlew test"),
            ("gradle check", "gradle check"),
            ("dotnet test --no-build", "dotnet test"),
            ("bundle exec rspec spec/a_spec.rb", "rspec"),
            ("rspec", "rspec"),
            ("rails test", "rails test"),
            ("make -j8 test", "make test"),
            ("make check", "make check"),
            ("ctest --output-on-failure", "ctest"),
            ("bazel test //...", "bazel test"),
            ("swift test", "swift test"),
            ("mix test", "mix test"),
            ("vendor/bin/phpunit", "phpunit"),
            ("npx playwright test", "playwright test"),
            ("env RUST_BACKTRACE=1 cargo test", "cargo test"),
            ("CI=1 npm test", "npm test"),
            ("time cargo test", "cargo test"),
            ("sudo -u dev make test", "make test"),
            ("timeout 60 cargo test", "cargo test"),
            ("timeout -k 5 60s nice -n 10 cargo test", "cargo test"),
            ("bash -c 'cargo test'", "cargo test"),
            ("bash -lc \"cd app && pytest -q\"", "pytest"),
            ("cd app && pytest", "pytest"),
            ("cd a; cargo build && cargo test", "cargo test"),
            ("set -e\ncargo build\ncargo test\n", "cargo test"),
            ("(cd app && npm test)", "npm test"),
            ("cargo test 2>&1", "cargo test"),
            ("cargo test > out.txt 2>&1", "cargo test"),
            ("cargo test &> out.txt", "cargo test"),
            ("cat > a.txt <<EOF\ntext\nEOF\ncargo test", "cargo test"),
            ("cargo test # only the fast ones", "cargo test"),
            ("cd x && 'C:\\tools\\pytest.exe' -q", "pytest"),
        ] {
            assert_eq!(said(command), (Class::Test, rule.to_owned(), true), "{command}");
        }
    }

    #[test]
    fn builds_are_known_by_their_program() {
        for (command, rule) in [
            ("cargo build --release", "cargo build"),
            ("cargo clippy --all-targets", "cargo clippy"),
            ("go build ./...", "go build"),
            ("npm run build", "npm build"),
            ("yarn build", "yarn build"),
            ("tsc --noEmit", "tsc"),
            ("npx tsc -p .", "tsc"),
            ("make", "make"),
            ("make -C src all", "make"),
            ("mvn package -DskipTests", "mvn package"),
            ("./gradlew assemble", "gradlew assemble"),
            ("gradle build -x test", "gradle build"),
            ("cmake --build build", "cmake --build"),
            ("dotnet build", "dotnet build"),
            ("docker build .", "docker build"),
            ("gcc -o a a.c", "gcc"),
            ("python -m build", "python -m build"),
        ] {
            assert_eq!(said(command), (Class::Build, rule.to_owned(), true), "{command}");
        }
    }

    #[test]
    fn whatever_is_not_known_is_something_else() {
        for command in [
            "",
            "ls -la",
            "cat tests/test_a.py",
            "grep -r pytest .",
            "echo cargo test",
            "git commit -m 'make test pass'",
            "pip install pytest",
            "npm install jest",
            "cargo run",
            "cargo test --help",
            "pytest --version",
            "vim Makefile",
            "test -f x",
            "make clean",
            "python tests/run.py",
            "sed -i 's/cargo test/x/' ci.yml",
            "bash run.sh",
            "cat > notes.md <<'EOF'\nrun it:\ncargo test\nEOF\n",
            "cat <<EOF\ncargo test",
            "printf 'done\\n' > status.txt; exit 3",
            "'unclosed",
            "&& || ; |",
            "bash -c",
            "timeout",
        ] {
            assert_eq!(said(command), (Class::Other, String::new(), false), "{command}");
        }
    }

    #[test]
    fn a_status_that_is_not_the_programs_is_not_taken_for_it() {
        for command in [
            "cargo test | tail -5",
            "cargo test 2>&1 | tee out.txt",
            "cargo test || true",
            "cargo test; echo done",
            "cargo test\necho done",
            "cargo test &",
            "true || cargo test",
            "! cargo test",
            "bash -c 'cargo test | head'",
            "(cargo test) | head",
        ] {
            let (class, rule, decides) = said(command);
            assert_eq!((class, rule.as_str(), decides), (Class::Test, "cargo test", false), "{command}");
        }
        for command in
            ["cargo test && echo ok", "cd a && cargo test", "cd a; cargo test", "cargo test;", "cargo test\n"]
        {
            assert!(said(command).2, "{command}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_command_line_is_too_strange(command in "[a-z&|;()'\"\\\\ \n<>#!=-]{0,60}") {
            classify(&command);
        }
    }
}

//! A hook with us in it, and the same hook without: text in, text out.
//!
//! A shell script gets a block of ours after its first line, so that name, directory, arguments, stdin and
//! exit status of everything else in it stay what they were. Anything else (a program, a script of another
//! language, a link) is set aside beside it and run by a script of ours. What is not exactly of our making
//! is never taken out.

use super::change::Entry;

/// What the file that was set aside is called: the hook's name and this.
pub(super) const ASIDE: &str = ".before-countersign";

const BEGIN: &str = "# countersign begin: ";
const END: &str = "# countersign end\n";
const FIRST_LINE: &str = "#!/bin/sh\n";
/// Permissions of a hook that we make.
const MODE: u32 = 0o755;

/// A hook, and what stands beside it because of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// What git runs.
    pub(super) file: Entry,
    /// What was there before, where it had to be set aside.
    pub(super) aside: Entry,
}

/// Why a hook is left alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// Something of ours is there, and somebody changed it.
    Changed,
    /// Something else stands where the hook would be set aside.
    AsideTaken,
}

/// Returns a hook with us in it. As often as one likes: what is there already is brought up to date.
pub(super) fn with_us(name: &str, program: &[u8], hook: &Hook) -> Result<Hook, Odd> {
    let plain = without_us(name, hook)?;
    if plain.aside != Entry::Absent {
        return Err(Odd::AsideTaken);
    }
    let block = block(name, program);
    match &plain.file {
        Entry::Absent => Ok(Hook { file: ours(&block, ""), aside: Entry::Absent }),
        Entry::File { bytes, mode }
            if is_run(*mode) && !is_ours_without_block(name, bytes) && shell_line(bytes).is_some() =>
        {
            let at = shell_line(bytes).expect("just asked");
            let bytes = [&bytes[..at], block.as_slice(), &bytes[at..]].concat();
            Ok(Hook { file: Entry::File { bytes, mode: *mode }, aside: Entry::Absent })
        }
        Entry::File { mode, .. } => {
            let tail = if is_run(*mode) { run_aside(name) } else { String::new() };
            Ok(Hook { file: ours(&block, &tail), aside: plain.file })
        }
        Entry::Link(_) => Ok(Hook { file: ours(&block, &run_aside(name)), aside: plain.file }),
    }
}

/// Returns a hook without us, as it was before. A hook without us is returned as it is.
pub(super) fn without_us(name: &str, hook: &Hook) -> Result<Hook, Odd> {
    let Entry::File { bytes, mode } = &hook.file else { return Ok(hook.clone()) };
    let Some(block) = find(bytes)? else { return Ok(hook.clone()) };
    let rest = [&bytes[..block.start], &bytes[block.end..]].concat();
    if is_ours_without_block(name, &rest) {
        // The file is ours; what was there, if anything, stands beside it.
        return Ok(Hook { file: hook.aside.clone(), aside: Entry::Absent });
    }
    Ok(Hook { file: Entry::File { bytes: rest, mode: *mode }, aside: hook.aside.clone() })
}

/// Tells whether something of ours is in a hook.
pub(super) fn is_there(hook: &Hook) -> bool {
    matches!(&hook.file, Entry::File { bytes, .. } if find(bytes) != Ok(None))
}

fn ours(block: &[u8], tail: &str) -> Entry {
    Entry::File { bytes: [FIRST_LINE.as_bytes(), block, tail.as_bytes()].concat(), mode: MODE }
}

/// Tells whether a text is what remains of a script of ours without its block.
fn is_ours_without_block(name: &str, bytes: &[u8]) -> bool {
    bytes == FIRST_LINE.as_bytes() || bytes == [FIRST_LINE, &run_aside(name)].concat().as_bytes()
}

fn run_aside(name: &str) -> String {
    format!("exec \"${{0%/*}}/{name}{ASIDE}\" \"$@\"\n")
}

/// What tells us. In shells of its own, so that nothing of it reaches the rest of the script, and with neither
/// the hook's stdin nor its stdout. The script goes on when our program is done or a tenth of a second has
/// passed, whichever says so first; a program that needs longer finishes behind git's back.
fn block(name: &str, program: &[u8]) -> Vec<u8> {
    let told = if name == "post-rewrite" { r#" "$@""# } else { "" };
    // `exec`: a shell that redirects a whole group keeps the old ends, and whoever reads git's output would
    // wait for our program after all.
    let before = format!(
        r"{BEGIN}tells the trail that git moved, and never fails it; `countersign setup git --undo` takes this out
(
  exec </dev/null 2>/dev/null
  c="
    );
    let after = format!(
        r#"
  [ -x "$c" ] || c=$(command -v countersign) || exit 0
  ("$c" git {name}{told} >/dev/null; echo) &
  (sleep 0.1; echo) &
) | (read -r said) || :
{END}"#
    );
    [before.as_bytes(), &quoted(program), after.as_bytes()].concat()
}

/// Writes a path as one word of a shell.
fn quoted(program: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for byte in program {
        match byte {
            b'\'' => word.extend_from_slice(br"'\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    word
}

/// Finds our block.
fn find(bytes: &[u8]) -> Result<Option<std::ops::Range<usize>>, Odd> {
    let begin = format!("\n{BEGIN}");
    let Some(start) = position(bytes, begin.as_bytes()) else {
        return if bytes.starts_with(BEGIN.as_bytes()) { Err(Odd::Changed) } else { Ok(None) };
    };
    let start = start + 1;
    let end = position(&bytes[start..], format!("\n{END}").as_bytes()).ok_or(Odd::Changed)?;
    let block = start..start + end + 1 + END.len();
    if position(&bytes[block.end..], begin.as_bytes()).is_some() {
        return Err(Odd::Changed);
    }
    Ok(Some(block))
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Returns where the first line of a shell script ends; `None` for anything else.
fn shell_line(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let line = std::str::from_utf8(&bytes[..end - 1]).ok()?.strip_prefix("#!")?;
    if line.ends_with('\r') {
        return None;
    }
    let mut words = line.split_whitespace();
    let mut shell = words.next()?;
    if shell.ends_with("/env") {
        shell = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    }
    let shell = shell.rsplit('/').next()?;
    ["sh", "bash", "dash", "ash", "ksh", "zsh"].contains(&shell).then_some(end)
}

/// Tells whether git would run a file with these permissions.
fn is_run(mode: u32) -> bool {
    !cfg!(unix) || mode & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(text: impl AsRef<[u8]>, mode: u32) -> Hook {
        Hook { file: Entry::File { bytes: text.as_ref().to_vec(), mode }, aside: Entry::Absent }
    }

    fn text(hook: &Hook) -> String {
        match &hook.file {
            Entry::File { bytes, .. } => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn there_and_back(hook: &Hook) -> Hook {
        let with = with_us("post-commit", b"/bin/countersign", hook).unwrap();
        assert!(is_there(&with) && !is_there(hook));
        assert_eq!(with_us("post-commit", b"/bin/countersign", &with).as_ref(), Ok(&with));
        let moved = with_us("post-commit", b"/opt/countersign", &with).unwrap();
        assert_ne!(moved, with);
        for with in [&with, &moved] {
            assert_eq!(without_us("post-commit", with).as_ref(), Ok(hook));
        }
        with
    }

    #[test]
    fn a_hook_that_is_not_there_becomes_a_script_of_ours() {
        let with = there_and_back(&Hook { file: Entry::Absent, aside: Entry::Absent });
        expect_test::expect![[r#"
            #!/bin/sh
            # countersign begin: tells the trail that git moved, and never fails it; `countersign setup git --undo` takes this out
            (
              exec </dev/null 2>/dev/null
              c='/bin/countersign'
              [ -x "$c" ] || c=$(command -v countersign) || exit 0
              ("$c" git post-commit >/dev/null; echo) &
              (sleep 0.1; echo) &
            ) | (read -r said) || :
            # countersign end
        "#]]
        .assert_eq(&text(&with));
    }

    #[test]
    fn a_shell_script_gets_a_block_and_stays_one() {
        for script in [
            "#!/bin/sh\n\n",
            "#!/bin/sh -e\necho hi\n",
            "#!/usr/bin/env bash\n. \"$(dirname \"$0\")/h\"",
            "#!/usr/bin/env -S zsh -f\nexit 3",
            "#!/bin/bash\nread x\r\n",
        ] {
            let with = there_and_back(&file(script, 0o755));
            assert_eq!(with.aside, Entry::Absent);
            assert!(text(&with).starts_with(&script[..=script.find('\n').unwrap()]), "{script}");
        }
    }

    #[test]
    fn what_is_no_shell_script_is_set_aside_and_run_from_there() {
        for bytes in [
            &b"\x7fELF\0\xff"[..],
            b"#!/usr/bin/env python3\nprint()\n",
            b"#!/bin/sh\r\nx\r\n",
            b"#!/bin/sh",
            b"#!/bin/sh\n",
            b"",
        ] {
            let hook = file(bytes, 0o755);
            let with = there_and_back(&hook);
            assert_eq!(with.aside, hook.file);
            assert!(text(&with).ends_with("exec \"${0%/*}/post-commit.before-countersign\" \"$@\"\n"));
        }
        let link = Hook { file: Entry::Link("../x".into()), aside: Entry::Absent };
        assert_eq!(there_and_back(&link).aside, link.file);
    }

    #[test]
    fn a_hook_that_was_switched_off_is_not_switched_on() {
        let with = there_and_back(&file("#!/bin/sh\nrm -rf x\n", 0o644));
        assert!(!text(&with).contains("before-countersign"));
    }

    #[test]
    fn what_somebody_wrote_around_us_stays_and_what_they_wrote_into_us_is_left_alone() {
        let with = with_us("pre-push", b"/c", &file("#!/bin/sh\na\n", 0o755)).unwrap();
        let around = file(text(&with) + "b\n", 0o755);
        assert_eq!(without_us("pre-push", &around), Ok(file("#!/bin/sh\na\nb\n", 0o755)));
        let cut = file(text(&with).replace("# countersign end\n", ""), 0o755);
        assert_eq!(without_us("pre-push", &cut), Err(Odd::Changed));
        let twice = file(text(&with).repeat(2), 0o755);
        assert_eq!(with_us("pre-push", b"/c", &twice), Err(Odd::Changed));
    }

    #[test]
    fn a_place_that_is_taken_is_not_written_over() {
        let mut hook = file("#!/usr/bin/perl\n", 0o755);
        hook.aside = Entry::Link("x".into());
        assert_eq!(with_us("pre-push", b"/c", &hook), Err(Odd::AsideTaken));
    }

    #[test]
    fn a_program_with_any_name_is_one_word() {
        assert_eq!(quoted(b"/a b/it's \xff$(x)"), b"'/a b/it'\\''s \xff$(x)'");
    }

    proptest! {
        #[test]
        fn every_hook_comes_back_to_the_byte(bytes: Vec<u8>, first in "(#!/bin/(sh|bash|perl)\n)?", mode in 0o600u32..0o777) {
            let hook = file([first.as_bytes(), &bytes].concat(), mode);
            let with = with_us("post-rewrite", b"/c", &hook).unwrap();
            prop_assert_eq!(without_us("post-rewrite", &with), Ok(hook));
        }
    }
}

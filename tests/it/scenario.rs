//! Stories about lines and who wrote them, played with the real binary, the real git and an editor at the
//! other end of a real `countersign lsp`.
//!
//! A story is text (`scenario/*.story`): a title, then steps, each a sentence; a block below a step is the
//! file as it stands after it.
//!
//! ```text
//! == A person's change inside an AI's line makes it a line of both
//! claude edits app.py
//!   | def area(w, h):
//!   |     return w * h
//! git add -A
//! git commit -qm first
//! me types app.py
//!   claude    | def area(w, h):
//!   claude>me |     return 2 * w * h
//! ```
//!
//! Where the margin names authors, `countersign blame` is asked for the whole file after the step, and every
//! line must have the author it says: `me`, an agent's or tool's name, `?` for unknown, `X>Y` for a line of
//! several that Y changed last.
//!
//! | step | |
//! |---|---|
//! | `me types\|pastes\|replaces FILE [unsaved] [crlf] [unterminated]` | in the editor: key by key, in one piece, as a new whole text |
//! | `me undoes FILE`, `me redoes FILE`, `me saves FILE`, `me opens FILE`, `me closes FILE`, `me quits` | |
//! | `formatter rewrites FILE` | the editor applies what a formatter says |
//! | `TOOL completes FILE [tapped]`, `TOOL offers FILE [tapped]` | an inline suggestion, taken or dismissed; `tapped`: of a language server behind the tap, else told by an extension |
//! | `me edits FILE elsewhere` | in another editor, which says so (`known_human`) |
//! | `NAME edits FILE [blindly]`, `and FILE`, `NAME runs CMD`, `NAME removes FILE` | an agent, through its hooks; `blindly`: without the one before; `claude` by its own hooks, others by the open form |
//! | `someone writes FILE`, `someone runs CMD` | nobody saw it |
//! | `git ARGS [<<ANSWERS]`, `git! ARGS` | real git; `git!` is to fail |
//! | `in DIR` | from here on in another work tree |
//! | `as you`, `as me` | from here on another person, at a device and in an editor of their own |
//! | `blame FILE [at REV]` | only asks |
//!
//! `COUNTERSIGN_STORY=words` plays only stories whose title has them.

mod desk;
mod editor;
mod story;
mod tapped;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use desk::Desk;
use story::Story;
use verdict::Score;

const STORIES: &[(&str, &str)] = &[
    ("typing and tools", include_str!("scenario/editing.story")),
    ("commits", include_str!("scenario/commits.story")),
    ("places and texts", include_str!("scenario/odd.story")),
    ("people and tools", include_str!("scenario/people.story")),
    ("corners of git", include_str!("scenario/corners.story")),
];

#[test]
fn every_line_has_the_author_its_story_gives_it() {
    let wanted = std::env::var("COUNTERSIGN_STORY").unwrap_or_default();
    let stories: Vec<(&str, Story)> = STORIES
        .iter()
        .flat_map(|(group, text)| story::read(text).into_iter().map(|story| (*group, story)))
        .filter(|(_, story)| story.title.contains(&wanted))
        .collect();
    // Whether git's hooks ever ran decides nothing: every story is played with and without them.
    let plays: Vec<(usize, bool)> = (0..stories.len()).flat_map(|at| [(at, false), (at, true)]).collect();
    let told = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    // Twice as many as cores: much of a play is waiting for what somebody else writes down.
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((at, hooks)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (group, story) = &stories[*at];
                    let score = play(story, *hooks);
                    told.lock().unwrap().push((*group, *at, *hooks, score));
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort_by_key(|(_, at, hooks, _)| (*at, *hooks));
    let table = verdict::table(told.iter().map(|(group, _, _, score)| (*group, score)));
    let trouble: Vec<String> = told
        .iter()
        .filter(|(_, _, _, score)| !score.trouble.is_empty())
        .map(|(_, at, hooks, score)| {
            let hooks = if *hooks { "with git hooks" } else { "without git hooks" };
            format!("== {} ({hooks})\n{}", stories[*at].1.title, score.trouble.join("\n"))
        })
        .collect();
    say(&table);
    assert!(trouble.is_empty(), "{} of {} plays differ\n\n{}", trouble.len(), told.len(), trouble.join("\n\n"));
    assert!(!told.is_empty(), "no story has {wanted:?} in its title");
}

/// Plays one story. What goes wrong otherwise than by a wrong author is trouble too.
fn play(story: &Story, hooks: bool) -> Score {
    let mut score = Score::default();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut desk = Desk::new(hooks);
        for step in &story.steps {
            desk.play(step, &mut score);
        }
        desk.leave();
    }));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        score.trouble.push(text.unwrap_or_else(|| "it broke off".to_owned()));
    }
    score.plays = 1;
    score
}

#[expect(clippy::print_stderr, reason = "the table is what the run is for; cargo shows it with --nocapture")]
fn say(table: &str) {
    eprintln!("{table}");
}

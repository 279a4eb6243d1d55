//! What a keystroke, a distance and a carry cost, each beside its baseline.

use countersign_event::facts::{Position, Range};
use countersign_event::{Timestamp, digest};
use countersign_provenance::attribution::Attribution;
use countersign_provenance::carry::{Known, Tier, carry};
use countersign_provenance::distance::distance;
use countersign_provenance::session::{Answer, Disk, Event, Session};
use countersign_provenance::spans::{ContributionId, Origin, Spans};
use countersign_provenance::text::{Change, Edit, Encoding, Text};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn file(lines: usize) -> String {
    (0..lines).map(|i| format!("    let value_{i} = compute_{}(value_{}, {i}) + 1;\n", i % 97, i / 2)).collect()
}

fn spans(len: usize, count: usize) -> Spans {
    let ai = Origin::Ai(ContributionId::new("0190c0de-0000-7000-8000-000000000001"));
    let mut spans = Spans::default();
    for i in 0..count {
        let bytes = len / count + if i + 1 == count { len % count } else { 0 };
        spans.push(bytes, if i % 2 == 0 { Origin::TYPED } else { ai.clone() });
    }
    spans
}

/// The middle of the file, where 16 keys are typed one after another.
fn typing(at: u32) -> impl Iterator<Item = Change> {
    (0..16).map(move |i| {
        let place = Position { line: at, character: 10 + i };
        Change { range: Some(Range { start: place, end: place }), text: "x".to_owned() }
    })
}

mod keystroke {
    use super::*;

    #[divan::bench(args = [10, 1_000, 10_000])]
    fn text_and_spans(bencher: Bencher<'_, '_>, count: usize) {
        let source = file(5_000);
        let changes: Vec<Change> = typing(2_500).collect();
        bencher
            .counter(divan::counter::ItemsCount::new(16usize))
            .with_inputs(|| (Text::new(&source), spans(source.len(), count)))
            .bench_local_values(|(mut text, mut spans)| {
                for change in &changes {
                    for edit in text.apply(change, Encoding::Utf16).expect("it fits") {
                        spans.edit(edit, &Origin::TYPED);
                    }
                }
                (text, spans)
            });
    }

    #[divan::bench(args = [10, 1_000, 10_000])]
    fn text_and_attribution(bencher: Bencher<'_, '_>, count: usize) {
        let source = file(5_000);
        let changes: Vec<Change> = typing(2_500).collect();
        let attribution = Attribution::of_origins(&source, spans(source.len(), count));
        bencher
            .counter(divan::counter::ItemsCount::new(16usize))
            .with_inputs(|| (Text::new(&source), attribution.clone()))
            .bench_local_values(|(mut text, mut attribution)| {
                for change in &changes {
                    let before = text.clone();
                    for edit in text.apply(change, Encoding::Utf16).expect("it fits") {
                        attribution.edit(&before, &text, edit, &Origin::TYPED);
                    }
                }
                (text, attribution)
            });
    }

    #[divan::bench]
    fn bare_rope(bencher: Bencher<'_, '_>) {
        let source = file(5_000);
        bencher
            .counter(divan::counter::ItemsCount::new(16usize))
            .with_inputs(|| ropey::Rope::from_str(&source))
            .bench_local_values(|mut rope| {
                for i in 0..16 {
                    let line = rope.line_to_char(2_500);
                    let column = rope.line(2_500).utf16_cu_to_char(10 + i);
                    rope.insert(line + column, "x");
                }
                rope
            });
    }

    #[divan::bench(args = [10, 1_000, 10_000])]
    fn spans_alone(bencher: Bencher<'_, '_>, count: usize) {
        let len = 250_000;
        bencher.counter(divan::counter::ItemsCount::new(16usize)).with_inputs(|| spans(len, count)).bench_local_values(
            |mut spans| {
                for i in 0..16 {
                    spans.edit(Edit { start: len / 2 + i, deleted: 0, inserted: 1 }, &Origin::TYPED);
                }
                spans
            },
        );
    }

    #[divan::bench]
    fn whose_byte_is_this(bencher: Bencher<'_, '_>) {
        let spans = spans(250_000, 10_000);
        bencher.bench_local(|| spans.at(black_box(123_456)).is_some());
    }

    #[divan::bench(args = ["incremental", "full"])]
    fn through_the_session(bencher: Bencher<'_, '_>, sync: &str) {
        let source = file(5_000);
        let uri = "file:///a.rs".to_owned();
        let now = Timestamp::from_millis(0);
        let mut text = Text::new(&source);
        let events: Vec<Event> = typing(2_500)
            .zip(1..)
            .map(|(change, version)| {
                text.apply(&change, Encoding::Utf16).expect("it fits");
                let full = Change { range: None, text: text.to_string() };
                let change = if sync == "full" { full } else { change };
                Event::Changed { uri: uri.clone(), version, changes: vec![change], encoding: Encoding::Utf16 }
            })
            .collect();
        bencher
            .counter(divan::counter::ItemsCount::new(16usize))
            .with_inputs(|| {
                let mut session = Session::new([0; 32]);
                let (uri, text) = (uri.clone(), source.clone());
                let opened = Event::Opened { uri, language: "rust".to_owned(), version: 0, text };
                session.handle(opened, now);
                (session, events.clone())
            })
            .bench_local_values(|(mut session, events)| {
                for event in events {
                    black_box(session.handle(event, now));
                }
                session
            });
    }

    #[divan::bench(args = [10, 1_000, 10_000])]
    fn through_the_session_among_spans(bencher: Bencher<'_, '_>, count: usize) {
        let source = file(5_000);
        let uri = "file:///a.rs".to_owned();
        let now = Timestamp::from_millis(0);
        let attribution = Attribution::of_origins(&source, spans(source.len(), count));
        let answer = Answer { uri: uri.clone(), question: 1, attribution, disk: Disk::Silent, past: Vec::new() };
        let change = |(change, version)| {
            let (uri, changes) = (uri.clone(), vec![change]);
            Event::Changed { uri, version, changes, encoding: Encoding::Utf16 }
        };
        let events: Vec<Event> = typing(2_500).zip(1..).map(change).collect();
        bencher
            .counter(divan::counter::ItemsCount::new(16usize))
            .with_inputs(|| {
                let mut session = Session::new([0; 32]);
                let (uri, text) = (uri.clone(), source.clone());
                session.handle(Event::Opened { uri, language: "rust".to_owned(), version: 0, text }, now);
                session.handle(Event::Known(answer.clone()), now);
                (session, events.clone())
            })
            .bench_local_values(|(mut session, events)| {
                for event in events {
                    black_box(session.handle(event, now));
                }
                session
            });
    }

    #[divan::bench]
    fn copy_of_the_text(bencher: Bencher<'_, '_>) {
        let source = file(5_000);
        bencher.bench_local(|| black_box(&source).clone());
    }
}

mod far {
    use super::*;

    const SIZES: [usize; 3] = [1_000, 20_000, 200_000];

    fn light_edit(size: usize) -> (String, String) {
        let earlier: String = file(size / 45 + 1).chars().take(size).collect();
        let later = earlier.replace("value_1 ", "renamed ").replace("compute_5(", "measure(");
        (earlier, later)
    }

    #[divan::bench(args = SIZES)]
    fn light_edit_tokens(bencher: Bencher<'_, '_>, size: usize) {
        let (earlier, later) = light_edit(size);
        bencher.bench_local(|| distance(black_box(&earlier), black_box(&later)));
    }

    #[divan::bench(args = [1_000, 20_000])]
    fn light_edit_similar_chars(bencher: Bencher<'_, '_>, size: usize) {
        let (earlier, later) = light_edit(size);
        bencher.bench_local(|| {
            let (earlier, later): (Vec<char>, Vec<char>) = (earlier.chars().collect(), later.chars().collect());
            similar::capture_diff_slices(similar::Algorithm::Myers, &earlier, &later).len()
        });
    }

    /// Few different tokens in no order: the input for which nothing is an anchor.
    pub(super) fn noise(size: usize, seed: u64) -> String {
        let mut state = seed;
        let mut text = String::with_capacity(size);
        while text.len() < size {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(["a ", "b ", "( ", ") "][(state >> 60) as usize % 4]);
        }
        text
    }

    #[divan::bench(args = SIZES)]
    fn worst_input(bencher: Bencher<'_, '_>, size: usize) {
        let (earlier, later) = (noise(size, 1), noise(size, 2));
        bencher.bench_local(|| distance(black_box(&earlier), black_box(&later)));
    }

    #[divan::bench(args = SIZES)]
    fn unrelated(bencher: Bencher<'_, '_>, size: usize) {
        let earlier: String = file(size / 45 + 1).chars().take(size).collect();
        let later: String = earlier.chars().rev().collect();
        bencher.bench_local(|| distance(black_box(&earlier), black_box(&later)));
    }

    #[divan::bench]
    fn digest_of_1_kb(bencher: Bencher<'_, '_>) {
        let text = file(22);
        bencher.bench_local(|| digest::entered(&[0; 32], black_box(&text)));
    }
}

mod carried {
    use super::*;

    const CHANGES: [&str; 6] =
        ["same", "one line", "every tenth line", "re-indented", "every tenth line wrapped", "unrelated"];

    fn changed(before: &str, what: &str) -> String {
        match what {
            "same" => before.to_owned(),
            "one line" => before.replace("    let value_2500 =", "    let other ="),
            "every tenth line" => before.replace("0 = compute", "0 = quite_another_thing"),
            "re-indented" => before.replace("    let", "\tlet"),
            "every tenth line wrapped" => before.replace("0) + 1;", "0\n    ) + 1;"),
            _ => before.replace("value", "thing").replace("compute", "call").replace("let", "var"),
        }
    }

    fn bench(bencher: Bencher<'_, '_>, before: &str, after: &str) {
        let attribution = Attribution::of_origins(before, spans(before.len(), 500));
        bencher.bench_local(|| {
            let known = [Known { text: black_box(before), attribution: &attribution, tier: Tier::Strong }];
            carry(&known, black_box(after), &Origin::Unknown, None)
        });
    }

    #[divan::bench(args = CHANGES)]
    fn five_thousand_lines(bencher: Bencher<'_, '_>, what: &str) {
        let before = file(5_000);
        bench(bencher, &before, &changed(&before, what));
    }

    #[divan::bench(args = CHANGES, sample_count = 10)]
    fn hundred_thousand_lines(bencher: Bencher<'_, '_>, what: &str) {
        let before = file(100_000);
        bench(bencher, &before, &changed(&before, what));
    }

    /// Lines of four kinds in no order.
    #[divan::bench(sample_count = 10)]
    fn hundred_thousand_lines_of_noise(bencher: Bencher<'_, '_>) {
        let lines = |seed| far::noise(200_000, seed).replace(' ', ";\n");
        bench(bencher, &lines(1), &lines(2));
    }

    #[divan::bench(args = CHANGES)]
    fn five_thousand_lines_similar(bencher: Bencher<'_, '_>, what: &str) {
        let before = file(5_000);
        let after = changed(&before, what);
        bencher.bench_local(|| {
            let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
            similar::capture_diff_slices(similar::Algorithm::Histogram, &before, &after).len()
        });
    }

    /// A whole process, which compares lines and knows nothing of writers.
    #[divan::bench(args = CHANGES)]
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the baseline is another program")]
    fn five_thousand_lines_git_diff(bencher: Bencher<'_, '_>, what: &str) {
        let before = file(5_000);
        let place = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
        let paths = ["before", "after"].map(|name| place.join(name));
        std::fs::create_dir_all(&place).expect("there is room for two files");
        std::fs::write(&paths[0], &before).expect("there is room");
        std::fs::write(&paths[1], changed(&before, what)).expect("there is room");
        let mut git = std::process::Command::new("git");
        git.args(["diff", "--no-index", "--no-color"]).args(&paths);
        bencher.bench_local(|| git.output().expect("git is installed").stdout.len());
        std::fs::remove_dir_all(&place).expect("it is there");
    }
}

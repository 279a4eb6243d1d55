//! The text of a story, taken apart. A mistake in it is a panic that names the line.

/// A story.
#[derive(Debug)]
pub(super) struct Story {
    /// What it tells, as a sentence.
    pub(super) title: String,
    /// In order.
    pub(super) steps: Vec<Step>,
}

/// A sentence and the block below it.
#[derive(Debug)]
pub(super) struct Step {
    /// Where it stands, for messages.
    pub(super) line: usize,
    /// The sentence.
    pub(super) words: String,
    /// The file after it.
    pub(super) block: Vec<Row>,
}

/// A line of a file and who is to be its author.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The margin; `None` where it is empty.
    pub(super) author: Option<Author>,
    /// The line.
    pub(super) text: String,
}

/// An author as a margin names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Author {
    /// One wrote it.
    One(Hand),
    /// Several did; the second is who changed it last.
    Mixed(Hand, Hand),
}

/// Who writes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hand {
    /// The person.
    Me,
    /// An agent or tool, by name.
    Ai(String),
    /// Nobody knows.
    Unknown,
}

impl Step {
    /// The text of the block, with these ends of lines; the last may lack its own.
    pub(super) fn text(&self, end: &str, terminated: bool) -> String {
        let lines: Vec<&str> = self.block.iter().map(|row| row.text.as_str()).collect();
        let mut text = lines.join(end);
        if terminated && !lines.is_empty() {
            text.push_str(end);
        }
        text
    }

    /// Tells whether the margin names authors.
    pub(super) fn asks(&self) -> bool {
        self.block.iter().any(|row| row.author.is_some())
    }
}

/// Reads the stories of a file.
pub(super) fn read(text: &str) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let line = line + 1;
        if let Some(title) = content.strip_prefix("== ") {
            stories.push(Story { title: title.to_owned(), steps: Vec::new() });
            continue;
        }
        if content.trim().is_empty() || content.starts_with('#') {
            continue;
        }
        let story = stories.last_mut().unwrap_or_else(|| panic!("line {line}: a story begins with == and its title"));
        if content.starts_with(' ') {
            let step = story.steps.last_mut().unwrap_or_else(|| panic!("line {line}: a block belongs to a step"));
            step.block.push(row(line, content));
        } else {
            story.steps.push(Step { line, words: content.trim_end().to_owned(), block: Vec::new() });
        }
    }
    stories
}

fn row(line: usize, content: &str) -> Row {
    let (margin, text) = content.split_once('|').unwrap_or_else(|| panic!("line {line}: a block's line has a |"));
    let text = text.strip_prefix(' ').unwrap_or(text).replace('⇥', "\t");
    let margin = margin.trim();
    Row { author: (!margin.is_empty()).then(|| author(margin)), text }
}

fn author(margin: &str) -> Author {
    match margin.split_once('>') {
        None => Author::One(hand(margin)),
        Some((first, last)) => Author::Mixed(hand(first), hand(last)),
    }
}

fn hand(word: &str) -> Hand {
    match word {
        "me" => Hand::Me,
        "?" => Hand::Unknown,
        name => Hand::Ai(name.to_owned()),
    }
}

/// Takes a sentence apart; a word in quotes is one, with `\n`, `\t`, `\"` and `\\` in it.
pub(super) fn words(sentence: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = sentence.chars().peekable();
    while let Some(first) = chars.next() {
        match first {
            ' ' => {}
            '"' => {
                let mut word = String::new();
                loop {
                    match chars.next().expect("a quote ends") {
                        '"' => break,
                        '\\' => word.push(match chars.next().expect("something follows \\") {
                            'n' => '\n',
                            't' => '\t',
                            other => other,
                        }),
                        other => word.push(other),
                    }
                }
                words.push(word);
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|next| *next != ' ') {
                    word.push(next);
                }
                words.push(word);
            }
        }
    }
    words
}

#[test]
fn a_story_is_a_title_steps_and_blocks() {
    let stories = read("# why\n== One\nme types \"a b\\n.py\"\n  me | x | y\n     |\n\nclaude>me edits\n== Two\n");
    assert_eq!(stories.len(), 2);
    let step = &stories[0].steps[0];
    assert_eq!((step.line, words(&step.words)), (3, vec!["me".into(), "types".into(), "a b\n.py".into()]));
    assert_eq!(step.block[0], Row { author: Some(Author::One(Hand::Me)), text: "x | y".into() });
    assert_eq!(step.text("\r\n", true), "x | y\r\n\r\n");
    assert_eq!(author("claude>me"), Author::Mixed(Hand::Ai("claude".into()), Hand::Me));
}

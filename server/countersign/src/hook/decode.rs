//! What every agent's hooks come down to. One file a client says how; it is pure and knows no disk.

use std::path::PathBuf;

use countersign_event::payload::tool::Decision;
use serde_json::Value;

use super::planned::Swap;

/// A client whose hooks we understand.
pub(super) struct Client {
    /// Its name in our catalogue.
    pub(super) name: &'static str,
    /// Reads one hook call. `None`: not what its hooks say.
    pub(super) decode: fn(&Input<'_>) -> Option<Said>,
    /// Reads lines of its session file: the calls they tell of.
    pub(super) heard: fn(&str) -> Vec<Heard>,
    /// What its hooks want for an answer: nothing, or JSON that changes nothing.
    pub(super) answer: &'static str,
    /// Some ends of calls stand in its session file alone, so it is looked into at every hook call.
    pub(super) ends_late: bool,
    /// A call that was stopped or failed has no end anywhere, and what became of it follows from the files.
    pub(super) ends_in_silence: bool,
}

impl Client {
    /// A client of which nothing more is known than how its hooks read.
    pub(super) const fn new(name: &'static str, decode: fn(&Input<'_>) -> Option<Said>) -> Client {
        Client { name, decode, heard: nothing, answer: "", ends_late: false, ends_in_silence: false }
    }
}

/// It has no session file that tells of calls.
fn nothing(_: &str) -> Vec<Heard> {
    Vec::new()
}

/// One hook call as it came.
pub(super) struct Input<'a> {
    /// The event, where the command line named it.
    pub(super) event: Option<&'a str>,
    /// What was on stdin.
    pub(super) json: &'a Value,
    /// The environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Input<'a> {
    /// Returns the text under a name. `None` for an empty one.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        text(self.json, name)
    }
}

/// Returns the text under a name. `None` for an empty one.
pub(super) fn text<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    json[name].as_str().filter(|text| !text.is_empty())
}

/// What one hook call says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// The client's session.
    pub(super) session: String,
    /// The directory it works in.
    pub(super) cwd: Option<PathBuf>,
    /// The model that is asked for.
    pub(super) model: Option<String>,
    /// The client's version.
    pub(super) version: Option<String>,
    /// Its permission mode, by its own name.
    pub(super) mode: Option<String>,
    /// Its session files, the one that most likely has the call first.
    pub(super) transcripts: Vec<PathBuf>,
    /// What belongs together, where that is not the session.
    pub(super) notes: Option<String>,
    /// The session's name is ours: the client has none.
    pub(super) is_unnamed: bool,
    /// A file beside the session whose `model` is the model that is asked for.
    pub(super) settings: Option<PathBuf>,
    /// The agent's name, where the client is a form that many agents use.
    pub(super) tool: Option<String>,
    /// The provider's id of the answer.
    pub(super) request_id: Option<String>,
    /// A person took it in an editor, by a gesture.
    pub(super) is_ide: bool,
    /// The account by which somebody signed in to it.
    pub(super) account: Option<String>,
    /// It says that it does not know the model, whatever it said before.
    pub(super) forgets_model: bool,
    /// What the model thought, told apart from the calls that follow from it.
    pub(super) thought: Option<String>,
    /// What happened.
    pub(super) steps: Vec<Step>,
}

/// Something that happened in a session.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// It began or was taken up again.
    Began,
    /// A person sent a prompt.
    Prompted {
        /// The client's id of the turn, where two hooks can tell of the same prompt.
        turn: Option<String>,
        /// The prompt.
        text: String,
        /// It begins the session, and another hook may tell of it again.
        opens: bool,
        /// Files and resources that came with it.
        given: Vec<String>,
    },
    /// The model's last words of a turn.
    Replied(String),
    /// A call is about to be made.
    Calling(Call),
    /// A person is asked whether it may be.
    Asked {
        /// The call.
        call: Call,
        /// The question's own id, where answers name that.
        question: Option<String>,
    },
    /// Somebody answered.
    Answered {
        /// The question's id.
        question: String,
        /// What they answered.
        answer: Answer,
    },
    /// A call ended.
    Ended {
        /// The call.
        call: Call,
        /// How.
        end: End,
        /// What the client says it did to files.
        edits: Vec<Edit>,
        /// What somebody decided about it, where the client says so.
        decision: Option<Decision>,
        /// What came back.
        returned: Returned,
    },
    /// A person edited files, as an editor says.
    Typed {
        /// The files.
        files: Vec<PathBuf>,
        /// Their texts, where the editor has them otherwise than the disk.
        buffers: Vec<(PathBuf, String)>,
    },
    /// A person stopped the turn: what is under way ended with it.
    Stopped,
    /// A turn is over: what did not end by now has its end in the session file.
    Rested,
    /// A turn is over, and nothing is under way any more.
    Idle,
    /// The session is over.
    Finished,
}

impl Step {
    /// Says whether nothing in it tells it from the same thing happening again.
    pub(super) fn is_nameless(&self) -> bool {
        match self {
            Step::Prompted { turn, .. } => turn.is_none(),
            Step::Calling(call) | Step::Ended { call, .. } => call.id.is_none(),
            _ => false,
        }
    }
}

/// A tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Call {
    /// The client's id of it.
    pub(super) id: Option<String>,
    /// The tool, by the client's name.
    pub(super) tool: String,
    /// Its arguments.
    pub(super) input: Value,
    /// What it may do to files.
    pub(super) touches: Touches,
    /// The text the model wrote with it.
    pub(super) output: Option<String>,
    /// What its arguments alone determine of files.
    pub(super) plan: Vec<Edit>,
    /// What another hook of the client says of the same call, where it has no id there.
    pub(super) echo: Option<String>,
    /// It comes from such a hook.
    pub(super) is_echo: bool,
    /// Texts of files that an editor has open and not saved.
    pub(super) buffers: Vec<(PathBuf, String)>,
    /// The command line it runs.
    pub(super) command: Option<String>,
    /// It is no tool call, but a moment between which edits lie.
    pub(super) is_checkpoint: bool,
    /// The client's id of it, where that is told only after it.
    pub(super) named_late: Option<String>,
}

/// What a call may do to files.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Touches {
    /// Nothing.
    #[default]
    Nothing,
    /// It reads these.
    Reads(Vec<PathBuf>),
    /// It writes these and no others.
    Writes(Vec<PathBuf>),
    /// Anything below the directory, and these wherever they are.
    Anything(Vec<PathBuf>),
}

impl Touches {
    /// Returns the files it names.
    pub(super) fn named(&self) -> &[PathBuf] {
        match self {
            Touches::Nothing => &[],
            Touches::Reads(files) | Touches::Writes(files) | Touches::Anything(files) => files,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Done,
    /// With an error of its own.
    Failed,
    /// A person refused it, and it never ran.
    Refused,
    /// A person stopped it while it ran.
    Interrupted,
    /// A hook or rule stopped it.
    Denied,
    /// With an error of its own, or because a hook stopped it: its words do not say which.
    FailedOrDenied,
    /// Nobody had allowed it, and nobody was asked.
    NotAllowed,
    /// Nobody saw.
    Unknown,
}

/// What came back from a call, as far as the client tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Returned {
    /// The text the model was given.
    pub(super) text: Option<String>,
    /// The exit status of its command.
    pub(super) exit_status: Option<i32>,
    /// Files and resources it read, by path or URI, with the whole text where it stands there.
    pub(super) given: Vec<(String, Option<String>)>,
}

impl Returned {
    /// Takes a value as the model gets it: a text, the texts of content blocks, else the JSON.
    pub(super) fn of(value: &Value) -> Returned {
        Returned { text: words_of(value), ..Returned::default() }
    }
}

/// Returns the text in an answer of a tool. `None` where it has none.
pub(super) fn words_of(value: &Value) -> Option<String> {
    let blocks = |blocks: &[Value]| {
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        (texts.len() == blocks.len()).then(|| texts.join("\n"))
    };
    let words = match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => blocks(parts).or_else(|| Some(value.to_string())),
        Value::Object(fields) => match fields.get("content") {
            Some(Value::Array(parts)) => blocks(parts).or_else(|| Some(value.to_string())),
            Some(Value::String(text)) => Some(text.clone()),
            _ => Some(value.to_string()),
        },
        other => Some(other.to_string()),
    };
    words.filter(|words| !words.is_empty())
}

/// Returns the number after a phrase.
pub(super) fn number_after(words: &str, phrases: &[&str]) -> Option<i32> {
    phrases.iter().find_map(|phrase| {
        let digits = words.split_once(phrase)?.1;
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(digits.len());
        digits[..end].parse().ok()
    })
}

/// What the model thought before a call, as far as the client shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Reasoning {
    /// Nothing of it is told.
    #[default]
    Untold,
    /// It is there, for its provider alone.
    Encrypted,
    /// Its text.
    Told(String),
}

impl Reasoning {
    /// Adds what follows.
    pub(super) fn add(&mut self, text: &str) {
        match self {
            _ if text.is_empty() => {}
            Reasoning::Told(all) => {
                all.push_str("\n\n");
                all.push_str(text);
            }
            _ => *self = Reasoning::Told(text.to_owned()),
        }
    }

    /// Notes that some of it is there and can't be read.
    pub(super) fn hide(&mut self) {
        if *self == Reasoning::Untold {
            *self = Reasoning::Encrypted;
        }
    }
}

/// A person's answer to a question for permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This time.
    Once,
    /// From now on.
    Always,
    /// No.
    No,
}

/// What a client says a call did to a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Edit {
    /// The file.
    pub(super) path: PathBuf,
    /// Its text before; `Some(None)`: there was no file.
    pub(super) before: Option<Option<String>>,
    /// Its text after; `Some(None)`: there is no file.
    pub(super) after: Option<Option<String>>,
    /// Replacements that lead from the one to the other, where it tells no whole texts.
    pub(super) swaps: Vec<Swap>,
    /// The file that was moved here.
    pub(super) moved_from: Option<PathBuf>,
    /// It stands in an editor and not on disk.
    pub(super) in_buffer: bool,
}

impl Edit {
    /// A file that gets this text.
    pub(super) fn whole(path: &str, text: &str) -> Edit {
        Edit { path: PathBuf::from(path), after: Some(Some(text.to_owned())), ..Edit::default() }
    }

    /// A file in which texts are replaced.
    pub(super) fn swaps(path: &str, swaps: Vec<Swap>) -> Edit {
        Edit { path: PathBuf::from(path), swaps, ..Edit::default() }
    }
}

/// A call that a session file tells of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// The call.
    pub(super) call: Call,
    /// The model that was asked.
    pub(super) requested: Option<String>,
    /// The model that answered, where the provider said so.
    pub(super) responded: Option<String>,
    /// The provider's id of the answer.
    pub(super) request_id: Option<String>,
    /// The client's version.
    pub(super) version: Option<String>,
    /// How it ended, if it did.
    pub(super) end: Option<End>,
    /// What somebody decided about it.
    pub(super) decision: Option<Decision>,
    /// What it did to files.
    pub(super) edits: Vec<Edit>,
    /// How it ended is concluded from the files.
    pub(super) is_inferred: bool,
    /// What came back.
    pub(super) returned: Returned,
    /// What the model thought before it.
    pub(super) reasoning: Reasoning,
    /// It ended with an error that may be its own or a refusal; whether it ever ran decides.
    pub(super) refused_unless_run: bool,
}

/// Returns every absolute path among the texts of a tool's arguments, a few levels deep.
pub(super) fn absolute_paths(input: &Value) -> Vec<PathBuf> {
    const MOST: usize = 32;
    fn walk(value: &Value, depth: u8, out: &mut Vec<PathBuf>) {
        match value {
            Value::String(text) if text.len() < 4096 && !text.contains('\n') => {
                let path = PathBuf::from(text.strip_prefix("file://").unwrap_or(text));
                if path.is_absolute() && path.components().count() > 1 && out.len() < MOST {
                    out.push(path);
                }
            }
            Value::Array(items) if depth > 0 => items.iter().for_each(|item| walk(item, depth - 1, out)),
            Value::Object(fields) if depth > 0 => fields.values().for_each(|item| walk(item, depth - 1, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(input, 4, &mut out);
    out
}

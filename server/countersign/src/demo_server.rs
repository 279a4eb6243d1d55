//! Plays the server's side of a recording: it says each recorded frame once it has been told
//! everything the recording says it had been told before, by method. For the demonstration and the tests.
//!
//! A recording has one frame a line: `{"dir":"c2s"|"s2c","header","body"}`; other lines are passed over.
//! An empty header means a protocol of lines.
//! Every frame is written in two pieces, so that readers meet partial ones.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::DemoServerArgs;
use crate::error::Failure;

#[derive(Deserialize)]
struct Line {
    dir: String,
    #[serde(default)]
    header: String,
    #[serde(default)]
    body: String,
}

/// Reads the recording and plays it over stdin and stdout. Ends with the recording or with stdin.
pub(crate) fn run(args: &DemoServerArgs) -> Result<ExitCode, Failure> {
    let doing = format!("read {}", args.recording.display());
    let text = std::fs::read_to_string(&args.recording).map_err(|error| Failure::from_error(&doing, &error))?;
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(serde_json::from_str::<Line>(line).map_err(|error| Failure::from_error(&doing, &error))?);
    }
    let mut stage = Stage { input: BufReader::new(std::io::stdin().lock()), ids: HashMap::new() };
    let mut output = std::io::stdout().lock();
    for line in &lines {
        if line.dir == "c2s" && stage.hear(line)?.is_none() {
            break;
        }
        if line.dir == "s2c" {
            let frame = stage.answer(line).into_bytes();
            let (first, second) = frame.split_at(frame.len() / 2);
            for piece in [first, second] {
                output.write_all(piece)?;
                output.flush()?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What has been heard so far.
struct Stage<R> {
    input: BufReader<R>,
    /// The ids that this client uses for the recorded requests.
    ids: HashMap<String, Value>,
}

impl<R: Read> Stage<R> {
    /// Waits for the message that the recording has here: the next one of the same method. Others
    /// are passed over, because a real editor cuts its edits differently every time.
    /// `None` when the client has nothing more to say.
    fn hear(&mut self, recorded: &Line) -> Result<Option<()>, Failure> {
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or_default();
        let expected = read(recorded.body.as_bytes());
        let heard = loop {
            let body = if recorded.header.is_empty() { self.read_line()? } else { self.read_frame()? };
            let Some(body) = body else { return Ok(None) };
            let message = read(&body);
            if message.get("method") == expected.get("method") {
                break message;
            }
        };
        if let (Some(recorded), Some(now)) = (expected.get("id"), heard.get("id"))
            && recorded != now
        {
            self.ids.insert(recorded.to_string(), now.clone());
        }
        Ok(Some(()))
    }

    /// Reads one line of a protocol without headers.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let n = self.input.read_until(b'\n', &mut line)?;
        Ok((n > 0).then_some(line))
    }

    fn read_frame(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let length = length.ok_or_else(|| Failure::could_not("the client's frame has no Content-Length"))?;
        let mut body = vec![0; length];
        self.input.read_exact(&mut body)?;
        Ok(Some(body))
    }

    /// Returns the frame as recorded; with the client's own id where it differs from the recorded one.
    fn answer(&self, line: &Line) -> String {
        let recorded = || format!("{}{}", line.header, line.body);
        if self.ids.is_empty() {
            return recorded();
        }
        let Ok(mut message) = serde_json::from_str::<Value>(&line.body) else { return recorded() };
        let is_answer = message.get("method").is_none();
        let id = message.get("id").map(Value::to_string);
        match id.and_then(|id| self.ids.get(&id)).filter(|_| is_answer) {
            Some(id) => {
                message["id"] = id.clone();
                let body = message.to_string();
                format!("Content-Length: {}\r\n\r\n{body}", body.len())
            }
            None => recorded(),
        }
    }
}

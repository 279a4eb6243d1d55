//! What the tap adds to a message: there and back through `cat`, alone, with a `cat` before and after
//! it (the least that two more hops can cost), and with the tap around it. For an editor's messages and
//! for an agent's tool outputs one by one, and for as many as go through.
//!
//! Budget: nobody may see it. Parsing happens beside. `cargo bench -p countersign --bench tap`.

#![allow(missing_docs, reason = "a benchmark has no interface")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't run has no result")]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

fn main() {
    divan::main();
}

/// A program that says back what it is told.
struct Echo {
    _home: tempfile::TempDir,
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    message: Vec<u8>,
    back: Vec<u8>,
}

/// What stands between us and the echo.
#[derive(Clone, Copy)]
enum Around {
    Nothing,
    Cat,
    Tap,
}

impl Echo {
    fn start(message: Vec<u8>, around: Around) -> Echo {
        let home = tempfile::tempdir().unwrap();
        let mut command = match around {
            Around::Nothing => Command::new("cat"),
            Around::Cat => {
                let mut command = Command::new("sh");
                command.args(["-c", "cat | cat | exec cat"]);
                command
            }
            Around::Tap => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
                command.args(["tap", "--", "cat"]).env("COUNTERSIGN_HOME", home.path());
                command
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let back = vec![0; message.len()];
        Echo { _home: home, child, stdin, stdout, message, back }
    }

    /// One message there and back.
    fn round_trip(&mut self) {
        let (message, back, stdin, stdout) = (&self.message, &mut self.back, &mut self.stdin, &mut self.stdout);
        // A large message fills the pipes: it must be read while it is written.
        std::thread::scope(|scope| {
            if message.len() > 32 << 10 {
                scope.spawn(|| stdin.write_all(message).unwrap());
            } else {
                stdin.write_all(message).unwrap();
            }
            stdout.read_exact(back).unwrap();
        });
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an AI server logs, in a frame.
fn log_message(bytes: usize) -> Vec<u8> {
    let text = "x".repeat(bytes);
    let body = format!(r#"{{"jsonrpc":"2.0","method":"window/logMessage","params":{{"type":3,"message":"{text}"}}}}"#);
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What an agent tells of a tool's output, in a line.
fn tool_output(bytes: usize) -> Vec<u8> {
    let text = "a line of a build log\\n".repeat(bytes / 23 + 1);
    let update = format!(
        r#"{{"sessionUpdate":"tool_call_update","toolCallId":"c1","status":"in_progress","content":[{{"type":"content","content":{{"type":"text","text":"{text}"}}}}]}}"#
    );
    format!(
        r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"s1","update":{update}}}}}
"#
    )
    .into_bytes()
}

const SIZES: [usize; 3] = [100, 10_000, 1_000_000];

/// So much goes through at once.
const FLOOD_BYTES: usize = 16 << 20;

/// The floor: no hop more.
#[divan::bench(args = SIZES)]
fn alone(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let mut echo = Echo::start(log_message(bytes), Around::Nothing);
    bencher.bench_local(|| echo.round_trip());
}

/// The baseline: two more hops that look at nothing.
#[divan::bench(args = SIZES)]
fn between_cats(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let mut echo = Echo::start(log_message(bytes), Around::Cat);
    bencher.bench_local(|| echo.round_trip());
}

#[divan::bench(args = SIZES)]
fn tapped(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let mut echo = Echo::start(log_message(bytes), Around::Tap);
    bencher.bench_local(|| echo.round_trip());
}

mod agent {
    use super::{Around, Echo, SIZES, tool_output};

    #[divan::bench(args = SIZES)]
    fn between_cats(bencher: divan::Bencher<'_, '_>, bytes: usize) {
        let mut echo = Echo::start(tool_output(bytes), Around::Cat);
        bencher.bench_local(|| echo.round_trip());
    }

    #[divan::bench(args = SIZES)]
    fn tapped(bencher: divan::Bencher<'_, '_>, bytes: usize) {
        let mut echo = Echo::start(tool_output(bytes), Around::Tap);
        bencher.bench_local(|| echo.round_trip());
    }
}

mod throughput {
    use divan::counter::BytesCount;

    use super::{Around, Echo, FLOOD_BYTES, SIZES, log_message};

    fn flood(bencher: divan::Bencher<'_, '_>, bytes: usize, around: Around) {
        let message = log_message(bytes);
        let mut echo = Echo::start(message.repeat(FLOOD_BYTES / message.len()), around);
        bencher.counter(BytesCount::new(echo.message.len())).bench_local(|| echo.round_trip());
    }

    #[divan::bench(args = SIZES, sample_count = 20)]
    fn between_cats(bencher: divan::Bencher<'_, '_>, bytes: usize) {
        flood(bencher, bytes, Around::Cat);
    }

    #[divan::bench(args = SIZES, sample_count = 20)]
    fn tapped(bencher: divan::Bencher<'_, '_>, bytes: usize) {
        flood(bencher, bytes, Around::Tap);
    }
}

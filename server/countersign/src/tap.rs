//! `countersign tap`: stands between an editor and an AI server, and sees what passes.
//!
//! Two pumps move the bytes; a listener beside them finds the messages, joins offers with edits and
//! gestures, and records what happened. The listener can be slow, blind or dead: the bytes go on. When
//! the tap has ended, what it saw is in the spool or in a gap.

mod agent;
mod decode;
mod frame;
mod pump;
mod session;
mod sys;

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::cli::TapArgs;
use crate::error::Failure;
use crate::replay;
use crate::shell::Shell;
use decode::Direction;
use pump::{Ear, Heard, Mouth, Watch, pump};
use session::Session;

/// How long the end waits for the spool.
const FLUSH: Duration = Duration::from_secs(2);
/// A child may leave children of its own that hold its output open; so long they may be silent.
const SILENCE: Duration = Duration::from_millis(500);
/// The listener looks at the clock at least this often.
const TICK_MAX: Duration = Duration::from_secs(5);

/// Runs a command between us and our caller, and ends as it ends.
pub(crate) fn run(args: &TapArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let doing = |what: &'static str| move |error: std::io::Error| Failure::from_error(what, &error);
    // Before the child is there: no signal may fall between.
    let signals = sys::Signals::catch().map_err(doing("catch signals"))?;
    let stdin = sys::stdin().map_err(doing("read stdin"))?;
    let stdout = sys::stdout().map_err(doing("write stdout"))?;
    let (program, arguments) = args.command.split_first().expect("clap requires a command");
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(
            |error| {
                Failure::from_error(&format!("start {}", program.display()), &error)
                    .hint("the command stands after `--`, as the editor would run it")
            },
        )?;
    signals.pass_on_to(&child);

    let (to_server, to_editor, watch, ear) = pump::listen();
    let output_ended = start_pumps(&mut child, stdin, stdout, to_server, to_editor)?;
    let listener = {
        let session = Session::new(args.tool.clone(), &args.command);
        let shell = shell.clone();
        let (done, listener) = mpsc::channel();
        let listen = move || drop(done.send(listen(&shell, session, ear)));
        thread::Builder::new().name("listener".to_owned()).spawn(listen).map_err(doing("start a thread"))?;
        listener
    };

    // What is recorded leaves the device while the session lasts, if a collector is configured.
    let _replay = replay::start_background(shell);
    let status = signals.wait(&mut child).map_err(doing("wait for the command"))?;
    drain(&output_ended, &watch);
    watch.end();
    match listener.recv_timeout(FLUSH) {
        Ok(ending) => ending.finish(shell, sys::status_number(status)),
        // It may go on, but nobody waits any more.
        Err(RecvTimeoutError::Timeout) => session::record_gap(shell, "late"),
        Err(RecvTimeoutError::Disconnected) => session::record_gap(shell, "crash"),
    }
    Ok(sys::exit_code(status))
}

/// Starts one thread for each direction. The channel returned closes when the child's output has ended.
fn start_pumps(
    child: &mut Child,
    stdin: std::fs::File,
    stdout: std::fs::File,
    to_server: Mouth,
    to_editor: Mouth,
) -> Result<mpsc::Receiver<()>, Failure> {
    let child_stdin = child.stdin.take().expect("it is piped");
    let child_stdout = child.stdout.take().expect("it is piped");
    let (ended, output_ended) = mpsc::channel();
    let failed = |error: std::io::Error| Failure::from_error("start a thread", &error);
    // This one may wait for our caller for ever; it ends with the process.
    thread::Builder::new()
        .name("to-server".to_owned())
        .spawn(move || {
            pump(stdin, child_stdin, &to_server);
            sys::close_stdin();
        })
        .map_err(failed)?;
    thread::Builder::new()
        .name("to-editor".to_owned())
        .spawn(move || {
            pump(child_stdout, stdout, &to_editor);
            sys::close_stdout();
            drop(ended);
        })
        .map_err(failed)?;
    Ok(output_ended)
}

/// Waits until the dead child's output has been passed on.
fn drain(output_ended: &mpsc::Receiver<()>, watch: &Watch) {
    let mut passed = watch.passed();
    while let Err(RecvTimeoutError::Timeout) = output_ended.recv_timeout(SILENCE) {
        let now = watch.passed();
        if now == passed && !watch.is_writing(Direction::ToEditor) {
            return;
        }
        passed = now;
    }
}

/// Listens until the end.
fn listen(shell: &Shell, session: Session, mut ear: Ear) -> session::Ending {
    let mut session = session.begin(shell);
    loop {
        match ear.next(session.patience().min(TICK_MAX)) {
            Heard::Chunk(chunk) => session.chunk(&chunk),
            Heard::Silence => session.tick(),
            Heard::End { missed } => return session.end(missed),
        }
    }
}

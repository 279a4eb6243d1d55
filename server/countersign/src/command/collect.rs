//! `countersign collect`: receive trails, keep them, answer questions; and who may: `collect token`, `code`,
//! `revoke`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use countersign_collector::Role;
use countersign_collector::roles::UnknownRole;
use countersign_collector::serve::{self, Listen, ServeError};
use serde_json::json;

use super::pause::parse_duration;
use crate::cli::{CodeArgs, CollectArgs, CollectCommand, RevokeArgs, TokenArgs};
use crate::error::Failure;
use crate::signals;

/// Runs `countersign collect`.
pub(crate) fn run(args: &CollectArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        Some(CollectCommand::Token(args)) => return token(args),
        Some(CollectCommand::Code(args)) => return code(args),
        Some(CollectCommand::Revoke(args)) => return revoke(args),
        None => {}
    }
    let Some(data) = &args.data else { return Err(Failure::usage("--data DIR is needed")) };
    let listen = Listen { address: args.listen, tls: args.tls_cert.clone().zip(args.tls_key.clone()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody is told that we are there.
        let asked_to_end = signals::caught()?;
        let end = async move {
            asked_to_end.await;
        };
        serve::serve(data, listen, announce, end).await.map_err(failed)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Tells where we listen; whoever started us may be waiting for this line.
fn announce(url: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody need read it.
    let _ = writeln!(out, "{}", json!({ "listening": url })).and_then(|()| out.flush());
}

fn failed(error: ServeError) -> Failure {
    match &error {
        ServeError::Unprotected(_) => {
            Failure::usage(&error).hint("or listen on 127.0.0.1 behind something that has TLS")
        }
        ServeError::Listen { .. } => {
            Failure::from_error("collector", &error).hint("--listen 127.0.0.1:0 picks a free port")
        }
        _ => Failure::from_error("collector", &error),
    }
}

fn token(args: &TokenArgs) -> Result<ExitCode, Failure> {
    let role: Role = args.role.parse().map_err(|error: UnknownRole| Failure::usage(error))?;
    has_subject(&args.subject)?;
    let token = serve::token(&args.data, role, &args.subject)
        .map_err(|error| Failure::from_error("cannot make a token", &error))?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(ExitCode::SUCCESS)
}

fn code(args: &CodeArgs) -> Result<ExitCode, Failure> {
    has_subject(&args.subject)?;
    let ms = u64::try_from(parse_duration(&args.good_for)?).unwrap_or_default();
    let code = serve::code(&args.data, &args.subject, Duration::from_millis(ms))
        .map_err(|error| Failure::from_error("cannot make a code", &error))?;
    writeln!(std::io::stdout(), "{code}")?;
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &RevokeArgs) -> Result<ExitCode, Failure> {
    let ended =
        serve::revoke(&args.data, &args.subject).map_err(|error| Failure::from_error("cannot revoke", &error))?;
    writeln!(std::io::stdout(), "{ended} tokens of {} ended", args.subject)?;
    Ok(ExitCode::SUCCESS)
}

fn has_subject(subject: &str) -> Result<(), Failure> {
    match subject.trim().is_empty() {
        true => Err(Failure::usage("--subject is empty: say whose it is")),
        false => Ok(()),
    }
}

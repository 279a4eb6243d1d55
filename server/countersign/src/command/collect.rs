//! `countersign collect`: receive trails, keep them, answer questions; and `collect token`.

use std::io::Write;
use std::process::ExitCode;

use countersign_collector::Role;
use countersign_collector::roles::UnknownRole;
use countersign_collector::serve::{self, Listen, ServeError};
use serde_json::json;

use crate::cli::{CollectArgs, CollectCommand, TokenArgs};
use crate::error::Failure;
use crate::signals;

/// Runs `countersign collect`.
pub(crate) fn run(args: &CollectArgs) -> Result<ExitCode, Failure> {
    if let Some(CollectCommand::Token(args)) = &args.command {
        return token(args);
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
    if args.subject.trim().is_empty() {
        return Err(Failure::usage("--subject is empty: say whose token it is"));
    }
    let token = serve::token(&args.data, role, &args.subject)
        .map_err(|error| Failure::from_error("cannot make a token", &error))?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(ExitCode::SUCCESS)
}

//! Every route on one page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use countersign_event::batch::{BatchAnswer, ContentUpload, Cursor};
use countersign_event::enrol::{Enrolled, Enrolment};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::access::{self, Read};
use crate::answer::{self, CONTRIBUTIONS_MAX};
use crate::archive::{Archive, ArchiveError, Row, Scope};
use crate::auth::{self, Caller, Who};
use crate::enrol;
use crate::error::Problem;
use crate::gaps::{self, Gap};
use crate::ingest;
use crate::keys::{self, Keys};
use crate::request::{Params, bearer, body, body_within, ended, unauthorised};
use crate::roles::{Action, Reach, reach};
use crate::seal;
use crate::store::Store;

/// At most this many requests are worked on; the next is told to come back.
const AT_ONCE_MAX: usize = 128;
/// At most this many rows in one answer of events.
const ROWS_MAX: u64 = 5_000;
/// An enrolment is no larger.
const ENROLMENT_BYTES_MAX: usize = 64 << 10;
/// In the answer of events: where to go on, where there is more.
const NEXT_HEADER: &str = "countersign-next";

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    pub(crate) at_once: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(store: Store, keys: Keys) -> Shared {
        Shared { store, keys: Arc::new(keys), at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/enrol", post(enrol))
        .route("/v1/token", post(token))
        .route("/v1/batches", post(batches))
        .route("/v1/contents/{commitment}", put(contents))
        .route("/v1/streams", get(streams))
        .route("/v1/streams/{id}/cursor", get(cursor))
        .route("/v1/gaps", get(gaps))
        .route("/v1/events", get(events))
        .route("/v1/heads", get(heads))
        .route("/v1/contributions", get(contributions))
        .route("/v1/trace", get(trace))
        .route("/v1/access", get(access_log))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no such page", "all routes begin with /v1/"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route has other methods", "see the API's description")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), admit))
        .with_state(shared)
}

async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Ok(_permit) = shared.at_once.try_acquire() else { return Problem::busy().into_response() };
    next.run(request).await
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Finds out who asks and how far they may go.
async fn authorise(shared: &Shared, headers: &HeaderMap, action: Action) -> Result<(Caller, Scope), Problem> {
    let token = bearer(headers)?;
    let caller = match shared.store.run(move |archive| auth::who(archive, &token, now_ms())).await? {
        Who::Caller(caller) => caller,
        Who::Ended => return Err(ended()),
        Who::Nobody => return Err(unauthorised()),
    };
    match reach(caller.role, action) {
        Some(Reach::All) => Ok((caller, Scope::All)),
        Some(Reach::Own) => {
            let scope = Scope::Own(caller.subject.clone());
            Ok((caller, scope))
        }
        None => {
            tracing::warn!(subject = caller.subject, role = %caller.role, action = action.as_str(), "refused");
            let error = format!("role {} may not do this ({})", caller.role, action.as_str());
            Err(Problem::new(StatusCode::FORBIDDEN, error, "ask for a token of another role"))
        }
    }
}

/// Writes the read down, then reads, in one transaction: where either fails, nothing leaves.
async fn read<T: Send + 'static>(
    shared: &Shared,
    caller: Caller,
    read: Read,
    job: impl FnOnce(&mut dyn Archive) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, Problem> {
    let keys = Arc::clone(&shared.keys);
    let result = shared.store.run(move |archive| {
        access::record(archive, &keys, &caller, &read, now_ms())?;
        job(archive)
    });
    Ok(result.await?)
}

fn ndjson(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], text).into_response()
}

async fn health(State(shared): State<Shared>) -> Result<Json<Value>, Problem> {
    shared.store.run(|archive| archive.stream("").map(|_| ())).await?;
    Ok(Json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") })))
}

/// The one route that asks for no token: the code stands for it.
async fn enrol(State(shared): State<Shared>, raw: Body) -> Result<Json<Enrolled>, Problem> {
    let raw = body_within(raw, ENROLMENT_BYTES_MAX).await?;
    let enrolment: Enrolment =
        serde_json::from_slice(&raw).map_err(|error| Problem::bad_request(format!("not an enrolment: {error}")))?;
    let checked = enrol::check(enrolment).map_err(Problem::bad_request)?;
    let (keys, secret) = (Arc::clone(&shared.keys), secret()?);
    let outcome = shared.store.run(move |archive| {
        let outcome = enrol::exchange(archive, &checked, secret, now_ms())?;
        if let Ok(enrolled) = &outcome {
            let data = json!({ "how": "observed", "stream": checked.stream() });
            access::note(archive, &keys, "enrolled", &enrolled.subject, data, now_ms())?;
        }
        Ok(outcome)
    });
    Ok(Json(outcome.await??))
}

/// A device's next token.
async fn token(State(shared): State<Shared>, headers: HeaderMap) -> Result<Json<Enrolled>, Problem> {
    let (caller, _) = authorise(&shared, &headers, Action::Append).await?;
    let secret = secret()?;
    Ok(Json(shared.store.run(move |archive| enrol::rotate(archive, &caller, secret, now_ms())).await?))
}

fn secret() -> Result<[u8; 32], Problem> {
    keys::random().map_err(|_| Problem::busy())
}

/// A device that enrolled sends its own stream and no other.
fn own(caller: &Caller, stream: &str) -> Result<(), Problem> {
    match &caller.stream {
        Some(own) if own != stream => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this token belongs to another device",
            "a copied home needs a device key and a code of its own",
        )),
        _ => Ok(()),
    }
}

async fn batches(State(shared): State<Shared>, headers: HeaderMap, raw: Body) -> Result<Json<BatchAnswer>, Problem> {
    let (caller, _) = authorise(&shared, &headers, Action::Append).await?;
    let packed = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"zstd") => true,
        Some(_) => {
            let error = "content-encoding is neither zstd nor identity";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, "compress with zstd or not at all"));
        }
    };
    let raw = body(raw).await?;
    let checked = tokio::task::spawn_blocking(move || ingest::check(ingest::decode(&raw, packed)?))
        .await
        .map_err(|_| Problem::bad_request("batch cannot be read"))??;
    own(&caller, checked.stream())?;
    let rotate = caller.is_old;
    let answer = shared.store.run(move |archive| ingest::place(archive, &checked, &caller.subject, now_ms())).await??;
    Ok(Json(BatchAnswer { rotate, ..answer }))
}

async fn contents(
    State(shared): State<Shared>,
    Path(kept): Path<String>,
    headers: HeaderMap,
    raw: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    authorise(&shared, &headers, Action::Append).await?;
    let raw = body(raw).await?;
    let upload: ContentUpload =
        serde_json::from_slice(&raw).map_err(|error| Problem::bad_request(format!("not a content: {error}")))?;
    let checked = seal::check(&kept, upload).map_err(Problem::bad_request)?;
    let keys = Arc::clone(&shared.keys);
    let outcome = shared.store.run(move |archive| seal::keep(archive, &keys.sealing, &checked, now_ms())).await?;
    match outcome {
        seal::Kept::New => Ok((StatusCode::CREATED, Json(json!({ "kept": kept })))),
        seal::Kept::Already => Ok((StatusCode::OK, Json(json!({ "kept": kept })))),
        seal::Kept::Unannounced => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no archived event holds this commitment",
            "send the event first, then its text",
        )),
    }
}

async fn cursor(
    State(shared): State<Shared>,
    Path(stream): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Vec<Cursor>>, Problem> {
    let (caller, _) = authorise(&shared, &headers, Action::Append).await?;
    own(&caller, &stream)?;
    Ok(Json(shared.store.run(move |archive| archive.cursors(&stream)).await?))
}

async fn streams(State(shared): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let (caller, _) = authorise(&shared, &headers, Action::Operate).await?;
    let about = Read { action: Action::Operate, question: json!({ "route": "streams" }), purpose: None, ticket: None };
    let answer = read(&shared, caller, about, |archive| {
        let mut out = Vec::new();
        for stream in archive.streams()? {
            let forks: Vec<Value> = archive
                .forks(&stream.id)?
                .iter()
                .map(|fork| json!({ "epoch": fork.epoch, "seq": fork.seq, "ours": fork.ours, "theirs": fork.theirs }))
                .collect();
            out.push(json!({
                "stream": stream.id, "subject": stream.subject, "cursors": archive.cursors(&stream.id)?,
                "gaps": gaps::of(archive, &stream.id, now_ms())?.iter().map(Gap::to_json).collect::<Vec<_>>(),
                "forks": forks,
            }));
        }
        Ok(out)
    });
    Ok(Json(answer.await?.into()))
}

/// What is missing from every stream in reach, one a line, with its reason and period.
async fn gaps(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let (caller, scope) = authorise(&shared, &headers, Action::Facts).await?;
    let about = Read { action: Action::Facts, question: json!({ "route": "gaps" }), purpose: None, ticket: None };
    let found = read(&shared, caller, about, move |archive| {
        let mut found = Vec::new();
        for stream in archive.streams()? {
            if matches!(&scope, Scope::Own(subject) if *subject != stream.subject) {
                continue;
            }
            found.extend(gaps::of(archive, &stream.id, now_ms())?);
        }
        Ok(found)
    });
    Ok(ndjson(found.await?.iter().map(|gap| format!("{}\n", gap.to_json())).collect()))
}

/// The exact stored bytes, one event a line; with `chain=1` each wrapped with its address and hash,
/// holes included.
async fn events(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let (caller, scope) = authorise(&shared, &headers, Action::Facts).await?;
    let params = Params::read(&uri, &["after", "limit", "chain"])?;
    let after = i64::try_from(params.number("after", 0)?).unwrap_or(i64::MAX);
    let limit = params.number("limit", 1_000)?.clamp(1, ROWS_MAX);
    let chain = params.number("chain", 0)? != 0;
    let question = json!({ "route": "events", "after": after, "limit": limit });
    let about = Read { action: Action::Facts, question, purpose: None, ticket: None };
    let rows = read(&shared, caller, about, move |archive| archive.rows_after(&scope, after, limit as usize)).await?;
    let next = rows.last().filter(|_| rows.len() as u64 == limit).map(|row| row.id);
    let mut response = ndjson(rows.iter().filter_map(|row| line(row, chain)).collect());
    if let Some(next) = next {
        response.headers_mut().insert(NEXT_HEADER, HeaderValue::from(next));
    }
    Ok(response)
}

/// Writes a row as one line. Without the chain a hole has nothing to show.
pub(crate) fn line(row: &Row, chain: bool) -> Option<String> {
    let address = || {
        let (stream, epoch) = (Value::from(row.stream.as_str()), Value::from(row.epoch.as_str()));
        format!(r#"{{"stream":{stream},"epoch":{epoch},"seq":{},"hash":"{}""#, row.seq, row.hash)
    };
    match &row.what {
        Ok(bytes) if chain => Some(format!("{},\"event\":{}}}\n", address(), bytes.as_str())),
        Ok(bytes) => Some(format!("{}\n", bytes.as_str())),
        Err(hole) if chain => Some(format!("{},\"hole\":{}}}\n", address(), json!(hole))),
        Err(_) => None,
    }
}

/// Every signed head of a stream, one a line.
async fn heads(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let (caller, scope) = authorise(&shared, &headers, Action::Facts).await?;
    let params = Params::read(&uri, &["stream", "epoch"])?;
    let (Some(stream), Some(epoch)) = (params.get("stream"), params.get("epoch")) else {
        return Err(Problem::bad_request("stream and epoch are needed"));
    };
    let (stream, epoch) = (stream.to_owned(), epoch.to_owned());
    let question = json!({ "route": "heads", "stream": stream, "epoch": epoch });
    let about = Read { action: Action::Facts, question, purpose: None, ticket: None };
    let heads = read(&shared, caller, about, move |archive| {
        let visible = match (&scope, archive.stream(&stream)?) {
            (Scope::All, _) => true,
            (Scope::Own(subject), found) => found.is_some_and(|found| found.subject == *subject),
        };
        if visible { archive.heads(&stream, &epoch, 0, u64::MAX) } else { Ok(Vec::new()) }
    });
    Ok(ndjson(heads.await?.iter().map(|head| format!("{}\n", json!(head))).collect()))
}

/// What a question about contributions says about texts.
struct Texts {
    action: Action,
    purpose: Option<String>,
    ticket: Option<String>,
}

impl Texts {
    /// Text needs a purpose and a ticket; without either, facts are asked.
    fn read(params: &Params) -> Result<Texts, Problem> {
        let own = |name| params.get(name).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
        let (purpose, ticket) = (own("purpose"), own("ticket"));
        match (&purpose, &ticket) {
            (Some(_), Some(_)) => Ok(Texts { action: Action::Content, purpose, ticket }),
            (None, None) => Ok(Texts { action: Action::Facts, purpose, ticket }),
            _ => Err(Problem::bad_request("texts need both a purpose and a ticket")),
        }
    }

    fn about(self, question: Value) -> Read {
        Read { action: self.action, question, purpose: self.purpose, ticket: self.ticket }
    }
}

async fn contributions(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["id", "purpose", "ticket"]);
    let texts = params.as_ref().ok().map(Texts::read);
    let action = texts.as_ref().and_then(|texts| texts.as_ref().ok()).map_or(Action::Facts, |texts| texts.action);
    let (caller, scope) = authorise(&shared, &headers, action).await?;
    let (params, texts) = (params?, texts.expect("there are parameters, or we have left")?);
    let ids: Vec<String> = params.all("id").map(str::to_owned).collect();
    if ids.is_empty() || ids.len() > CONTRIBUTIONS_MAX {
        return Err(Problem::bad_request(format!("ask for 1 to {CONTRIBUTIONS_MAX} contributions with id=")));
    }
    let keys = (action == Action::Content).then(|| Arc::clone(&shared.keys));
    let about = texts.about(json!({ "route": "contributions", "ids": ids }));
    let answer = read(&shared, caller, about, move |archive| {
        answer::by_id(archive, &scope, &ids, keys.as_ref().map(|keys| &keys.sealing), now_ms())
    });
    Ok(ndjson(answer.await?.into_ndjson()))
}

async fn trace(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["repository", "path", "from", "to", "purpose", "ticket"]);
    let texts = params.as_ref().ok().map(Texts::read);
    let action = texts.as_ref().and_then(|texts| texts.as_ref().ok()).map_or(Action::Facts, |texts| texts.action);
    let (caller, scope) = authorise(&shared, &headers, action).await?;
    let (params, texts) = (params?, texts.expect("there are parameters, or we have left")?);
    let Some(path) = params.get("path").map(str::to_owned) else {
        return Err(Problem::bad_request("path is needed: relative to the repository's root, with /"));
    };
    let repository = params.get("repository").map(str::to_owned);
    let bound = |name, default| -> Result<u32, Problem> {
        Ok(u32::try_from(params.number(name, default)?).unwrap_or(u32::MAX))
    };
    let asked = params.get("from").is_some() || params.get("to").is_some();
    let lines = bound("from", 1)?..=bound("to", u64::from(u32::MAX))?;
    if lines.is_empty() {
        return Err(Problem::bad_request("from is after to"));
    }
    let keys = (action == Action::Content).then(|| Arc::clone(&shared.keys));
    let about = texts.about(json!({
        "route": "trace", "repository": repository, "path": path, "from": lines.start(), "to": lines.end(),
    }));
    let answer = read(&shared, caller, about, move |archive| {
        let lines = asked.then_some(&lines);
        let keys = keys.as_ref().map(|keys| &keys.sealing);
        answer::by_path(archive, &scope, repository.as_deref(), &path, lines, keys, now_ms())
    });
    Ok(ndjson(answer.await?.into_ndjson()))
}

/// The collector's own stream; reading it is a read too.
async fn access_log(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let (caller, _) = authorise(&shared, &headers, Action::AccessLog).await?;
    let params = Params::read(&uri, &["after", "limit"])?;
    let after = params.number("after", 0)?;
    let limit = params.number("limit", 1_000)?.clamp(1, ROWS_MAX) as usize;
    let question = json!({ "route": "access", "after": after });
    let about = Read { action: Action::AccessLog, question, purpose: None, ticket: None };
    let records = read(&shared, caller, about, move |archive| archive.records_after(after, limit)).await?;
    let lines =
        records.iter().map(|r| format!("{{\"seq\":{},\"hash\":\"{}\",\"event\":{}}}\n", r.seq, r.hash, r.bytes));
    Ok(ndjson(lines.collect()))
}

#[cfg(test)]
mod tests;

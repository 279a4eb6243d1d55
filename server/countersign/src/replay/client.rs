//! HTTP to a collector: what it answered, sorted into what can be done about it.
//!
//! Only a 200 with the body we know is an answer; everything else acknowledges nothing. Redirects are
//! not followed, because the token would go with them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use countersign_event::batch::{Batch, BatchAnswer, Cursor};
use countersign_spool::PendingContent;
use reqwest::header::{CONTENT_ENCODING, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::error::Failure;

/// A collector that is not there is known after this time.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// An exchange that takes longer is broken off.
const EXCHANGE_WAIT: Duration = Duration::from_secs(60);
/// Answers to what we send are small; questions can have large answers.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// So much of a foreign answer is shown.
const EXCERPT_CHARS: usize = 120;

/// A collector and how to reach it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its URL.
    pub(crate) url: String,
    /// The file that holds the token; read for each request, so that a new token is seen.
    pub(crate) token_file: PathBuf,
    /// More certificate authorities, PEM.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Ends every wait of a client once its [`Stay`] is dropped.
pub(crate) struct Stop(Option<watch::Receiver<()>>);

/// While this lives, its [`Stop`] does not stop.
pub(crate) struct Stay(#[expect(dead_code, reason = "held, not read: dropping it is the signal")] watch::Sender<()>);

impl Stop {
    pub(crate) fn new() -> (Stay, Stop) {
        let (stay, stop) = watch::channel(());
        (Stay(stay), Stop(Some(stop)))
    }

    /// Never stops.
    pub(crate) fn never() -> Stop {
        Stop(None)
    }

    fn now(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| stop.has_changed().is_err())
    }

    /// Is done when it is time to stop.
    async fn come(&self) {
        match &self.0 {
            // Nothing is ever sent: the channel only closes.
            Some(stop) => while stop.clone().changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The token is missing or not accepted.
    Unauthorised(String),
    /// What was sent is too large.
    TooLarge,
    /// It can never be accepted as it is.
    Never(String),
    /// The collector does not have the event of this text, so far.
    Unannounced,
    /// The batch does not continue where the archive stands.
    Gap(Cursor),
    /// The archive holds another history.
    Fork {
        /// In words.
        why: String,
        /// The first event that differs, as far as it says so.
        seq: Option<u64>,
    },
    /// Anything else: down, slow, broken, somebody else.
    Unavailable {
        /// In words.
        why: String,
        /// It asked for this much time.
        retry_after: Option<Duration>,
    },
    /// We were asked to stop.
    Stopped,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unauthorised(why) | Refused::Never(why) => f.write_str(why),
            Refused::Unavailable { why, .. } | Refused::Fork { why, .. } => f.write_str(why),
            Refused::TooLarge => f.write_str("too large for the collector"),
            Refused::Unannounced => f.write_str("the collector does not know the event of this text"),
            Refused::Gap(cursor) => write!(f, "the collector stands at event {}", cursor.acked_through),
            Refused::Stopped => f.write_str("broken off"),
        }
    }
}

/// What a question was answered with.
pub(crate) struct Page {
    /// One object a line.
    pub(crate) text: String,
    /// Where to go on, where there is more.
    pub(crate) next: Option<i64>,
}

/// A connection to one collector.
pub(crate) struct Client {
    http: reqwest::Client,
    runtime: Runtime,
    url: String,
    token_file: PathBuf,
    stop: Stop,
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// Errors: the URL is none, or would send the token in clear; the certificate file can't be used.
    pub(crate) fn new(target: &Target, stop: Stop) -> Result<Client, Failure> {
        let url = Url::parse(&target.url)
            .map_err(|error| Failure::usage(format!("{:?} is not a URL: {error}", target.url)))?;
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(Failure::usage(format!("{url} would send the token and the trail in clear"))
                    .hint("use https://; plain http:// is for loopback only"));
            }
            _ => return Err(Failure::usage(format!("{url} is neither https:// nor http://"))),
        }
        // Another part of the process may have installed it before us.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WAIT)
            .timeout(EXCHANGE_WAIT);
        if loopback {
            builder = builder.no_proxy();
        }
        if let Some(file) = &target.ca_file {
            let unusable = |error: &dyn std::error::Error| {
                Failure::from_error(&format!("cannot use the certificates in {}", file.display()), error)
            };
            let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| Failure::from_error("cannot prepare HTTP", &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let url = target.url.trim_end_matches('/').to_owned();
        Ok(Client { http, runtime, url, token_file: target.token_file.clone(), stop })
    }

    /// Returns the collector's URL.
    pub(crate) fn to(&self) -> &str {
        &self.url
    }

    /// Returns whether we were asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.now()
    }

    /// Waits, or less if we are asked to stop.
    pub(crate) fn wait(&self, time: Duration) {
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.stop.come() => {}
            }
        });
    }

    /// Sends a batch.
    pub(crate) fn send(&self, batch: &Batch) -> Result<BatchAnswer, Refused> {
        let json = serde_json::to_vec(batch).expect("a batch has string keys");
        let body = zstd::encode_all(&json[..], 1).map_err(|error| unavailable(format!("cannot compress: {error}")))?;
        let (status, text, _) =
            self.exchange(Method::POST, "/v1/batches", |request| request.header(CONTENT_ENCODING, "zstd").body(body))?;
        match serde_json::from_str(&text) {
            Ok(answer) if status == StatusCode::OK => Ok(answer),
            _ => Err(unavailable(format!("answered {status} and not as a collector does: {}", excerpt(&text)))),
        }
    }

    /// Asks where the archive stands in every epoch of a stream.
    pub(crate) fn cursors(&self, stream: &str) -> Result<Vec<Cursor>, Refused> {
        let page = self.get(&format!("/v1/streams/{stream}/cursor"))?;
        serde_json::from_str(&page.text)
            .map_err(|_| unavailable(format!("answered not as a collector does: {}", excerpt(&page.text))))
    }

    /// Sends a text.
    pub(crate) fn put(&self, content: &PendingContent) -> Result<(), Refused> {
        let body = serde_json::to_vec(&content.upload).expect("an upload has string keys");
        let path = format!("/v1/contents/{}", content.kept);
        let (status, text, _) = self.exchange(Method::PUT, &path, |request| request.body(body))?;
        #[derive(Deserialize)]
        struct Answer {
            kept: String,
        }
        match serde_json::from_str::<Answer>(&text) {
            Ok(answer) if answer.kept == content.kept && matches!(status.as_u16(), 200 | 201) => Ok(()),
            _ => Err(unavailable(format!("answered {status} and not as a collector does: {}", excerpt(&text)))),
        }
    }

    /// Asks a question; `path` has its query, encoded.
    pub(crate) fn get(&self, path: &str) -> Result<Page, Refused> {
        let (status, text, next) = self.exchange(Method::GET, path, |request| request)?;
        if status == StatusCode::OK {
            return Ok(Page { text, next });
        }
        Err(unavailable(format!("answered {status}: {}", excerpt(&text))))
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<(StatusCode, String, Option<i64>), Refused> {
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| {
            Refused::Unauthorised(format!("cannot read the token in {}: {error}", self.token_file.display()))
        })?;
        let request = fill(self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token.trim()));
        self.runtime.block_on(async {
            tokio::select! {
                answer = answer(request) => answer,
                () = self.stop.come() => Err(Refused::Stopped),
            }
        })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, String, Option<i64>), Refused> {
    let mut response = request.send().await.map_err(|error| unavailable(in_words(&error)))?;
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry_after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let next = header("countersign-next").and_then(|text| text.parse().ok());
    let text = read(&mut response).await?;
    match status.as_u16() {
        200..=299 => Ok((status, text, next)),
        code => Err(sort(code, &text, retry_after)),
    }
}

async fn read(response: &mut Response) -> Result<String, Refused> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(in_words(&error)))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(unavailable("answered without end".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An error as a collector writes it.
#[derive(Deserialize)]
struct Problem {
    error: String,
    kind: Option<String>,
    seq: Option<u64>,
    cursor: Option<Cursor>,
}

/// Sorts an answer that is not a success.
fn sort(code: u16, text: &str, retry_after: Option<Duration>) -> Refused {
    let problem: Option<Problem> = serde_json::from_str(text).ok();
    let why = match &problem {
        Some(problem) => format!("answered {code}: {}", problem.error),
        None => format!("answered {code} and not as a collector does: {}", excerpt(text)),
    };
    let gap = problem.as_ref().filter(|it| it.kind.as_deref() == Some("gap")).and_then(|it| it.cursor.clone());
    match (code, &problem) {
        (401 | 403, _) => Refused::Unauthorised(why),
        (413, _) => Refused::TooLarge,
        (404, Some(_)) => Refused::Unannounced,
        (400, Some(_)) => Refused::Never(why),
        (409, Some(problem)) => match gap {
            Some(cursor) => Refused::Gap(cursor),
            None => Refused::Fork { why, seq: problem.seq.filter(|_| problem.kind.as_deref() == Some("fork")) },
        },
        _ => Refused::Unavailable { why, retry_after },
    }
}

fn unavailable(why: String) -> Refused {
    Refused::Unavailable { why, retry_after: None }
}

fn in_words(error: &reqwest::Error) -> String {
    // The innermost cause is what a person can act on; the URL is shown beside it anyway.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match error.is_timeout() {
        true => "did not answer in time".to_owned(),
        false if error.is_connect() => format!("cannot be reached: {cause}"),
        false => cause.to_string(),
    }
}

fn excerpt(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT_CHARS).collect();
    format!("{clean:?}")
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Failure> {
        Client::new(&Target { url: url.to_owned(), token_file: PathBuf::new(), ca_file: None }, Stop::never())
    }

    #[test]
    fn a_token_never_travels_in_clear_over_a_network() {
        for url in ["https://c.example", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1/"] {
            assert!(client(url).is_ok(), "{url}");
        }
        for url in ["http://c.example", "http://10.0.0.1", "ftp://c.example", "c.example", ""] {
            assert!(client(url).is_err(), "{url}");
        }
    }

    #[test]
    fn answers_are_sorted_by_what_can_be_done() {
        let table: Vec<String> = [
            (401, r#"{"error":"no"}"#),
            (403, "<html>"),
            (413, ""),
            (400, r#"{"error":"bad"}"#),
            (400, "<html>"),
            (404, r#"{"error":"x"}"#),
            (404, "<html>"),
            (409, r#"{"error":"x","kind":"fork"}"#),
            (409, "<html>"),
            (500, r#"{"error":"x"}"#),
            (302, ""),
        ]
        .into_iter()
        .map(|(code, text)| {
            let refused = format!("{:?}", sort(code, text, None));
            format!("{code} {text} -> {}", refused.split(['(', ' ']).next().unwrap_or_default())
        })
        .collect();
        expect_test::expect![[r#"
            401 {"error":"no"} -> Unauthorised
            403 <html> -> Unauthorised
            413  -> TooLarge
            400 {"error":"bad"} -> Never
            400 <html> -> Unavailable
            404 {"error":"x"} -> Unannounced
            404 <html> -> Unavailable
            409 {"error":"x","kind":"fork"} -> Fork
            409 <html> -> Unavailable
            500 {"error":"x"} -> Unavailable
            302  -> Unavailable"#]]
        .assert_eq(&table.join("\n"));
    }
}

//! HTTP to a collector. Only a 200 with the body we know is an answer; everything else acknowledges nothing.
//!
//! Redirects are not followed, because the token would go with them. Proxies and certificates are those of
//! the system, of the environment and of the configuration.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use countersign_event::batch::{Batch, BatchAnswer, Cursor};
use countersign_event::enrol::{Enrolled, Enrolment};
use countersign_spool::PendingContent;
use reqwest::header::{CONTENT_ENCODING, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::refused::{Refused, Why, foreign, no_answer, sort, unavailable};
use super::token::TokenFile;
use crate::error::Failure;

/// A collector that is not there is known after this time.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// An exchange that takes longer is broken off.
const EXCHANGE_WAIT: Duration = Duration::from_secs(60);
/// Answers to what we send are small.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Questions can have large answers.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// What a request takes beside its body, about.
const AROUND_BYTES: u64 = 512;

/// Returns how long an exchange may take.
fn exchange_wait() -> Duration {
    // What takes a minute takes a test too long.
    #[cfg(debug_assertions)]
    if let Some(given) = std::env::var("COUNTERSIGN_TEST_EXCHANGE_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(given);
    }
    EXCHANGE_WAIT
}

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
#[derive(Clone)]
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

    /// Returns whether it is time to stop.
    pub(super) fn now(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| stop.has_changed().is_err())
    }

    /// Waits, or less if it is time to stop. Cost: a runtime; who has a client waits with that.
    pub(super) fn wait(&self, time: Duration) {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() {
            runtime.block_on(self.wait_in(time));
        }
    }

    async fn wait_in(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.come() => {}
        }
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

/// What a question was answered with.
pub(crate) struct Page {
    /// One object a line.
    pub(crate) text: String,
    /// Where to go on, where there is more.
    pub(crate) next: Option<i64>,
}

struct Answer {
    status: StatusCode,
    text: String,
    next: Option<i64>,
}

impl Answer {
    /// Reads a body that belongs to this status and no other.
    fn body<T: for<'a> Deserialize<'a>>(&self, statuses: &[u16]) -> Result<T, Refused> {
        let status = self.status.as_u16();
        match serde_json::from_str(&self.text) {
            Ok(body) if statuses.contains(&status) => Ok(body),
            _ => Err(foreign(status, &self.text)),
        }
    }
}

/// A connection to one collector.
pub(crate) struct Client {
    http: reqwest::Client,
    runtime: Runtime,
    url: String,
    token_file: PathBuf,
    stop: Stop,
    sent: Cell<u64>,
    /// What the last request read; nothing where it could not.
    token: RefCell<Option<String>>,
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
            .timeout(exchange_wait());
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
        if url.scheme() == "http" {
            // A system without any certificates needs none for this.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| Failure::from_error("cannot prepare HTTP", &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let url = target.url.trim_end_matches('/').to_owned();
        Ok(Client {
            http,
            runtime,
            url,
            token_file: target.token_file.clone(),
            stop,
            sent: Cell::new(0),
            token: RefCell::new(None),
        })
    }

    /// Returns the collector's URL.
    pub(crate) fn to(&self) -> &str {
        &self.url
    }

    /// Returns how many bytes were sent since it was last asked.
    pub(super) fn take_sent(&self) -> u64 {
        self.sent.take()
    }

    /// Returns whether there is another token than the last request had.
    pub(super) fn has_other_token(&self) -> bool {
        std::fs::read_to_string(&self.token_file).ok() != *self.token.borrow()
    }

    /// Returns whether we were asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.now()
    }

    /// Waits, or less if we are asked to stop.
    pub(crate) fn wait(&self, time: Duration) {
        self.runtime.block_on(self.stop.wait_in(time));
    }

    /// Sends a batch.
    pub(crate) fn send(&self, batch: &Batch) -> Result<BatchAnswer, Refused> {
        let json = serde_json::to_vec(batch).expect("a batch has string keys");
        let body = zstd::encode_all(&json[..], 1).map_err(|error| unavailable(format!("cannot compress: {error}")))?;
        let answer = self.exchange(Method::POST, "/v1/batches", ANSWER_BYTES_MAX, |request| {
            self.sent.set(self.sent.get() + body.len() as u64 + AROUND_BYTES);
            request.header(CONTENT_ENCODING, "zstd").body(body)
        })?;
        answer.body(&[200])
    }

    /// Asks where the archive stands in every epoch of a stream.
    pub(crate) fn cursors(&self, stream: &str) -> Result<Vec<Cursor>, Refused> {
        let path = format!("/v1/streams/{stream}/cursor");
        self.exchange(Method::GET, &path, ANSWER_BYTES_MAX, |request| request)?.body(&[200])
    }

    /// Sends a text.
    pub(crate) fn put(&self, content: &PendingContent) -> Result<(), Refused> {
        #[derive(Deserialize)]
        struct Put {
            kept: String,
        }
        let body = serde_json::to_vec(&content.upload).expect("an upload has string keys");
        let path = format!("/v1/contents/{}", content.kept);
        let answer = self.exchange(Method::PUT, &path, ANSWER_BYTES_MAX, |request| {
            self.sent.set(self.sent.get() + body.len() as u64 + AROUND_BYTES);
            request.body(body)
        })?;
        match answer.body::<Put>(&[200, 201]) {
            Ok(put) if put.kept == content.kept => Ok(()),
            _ => Err(foreign(answer.status.as_u16(), &answer.text)),
        }
    }

    /// Exchanges a one-time code for a token. The only request that carries none.
    pub(crate) fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, Refused> {
        let body = serde_json::to_vec(enrolment).expect("an enrolment has string keys");
        let request = self.http.request(Method::POST, format!("{}/v1/enrol", self.url)).body(body);
        self.run(request, ANSWER_BYTES_MAX)?.body(&[200])
    }

    /// Asks for the next token and keeps it in the place of the present one, which stays good until the
    /// new one is seen.
    pub(crate) fn rotate(&self) -> Result<Enrolled, Refused> {
        let kept = |error| {
            let file = self.token_file.display();
            unavailable(format!("the next token cannot be kept in {file}: {error}"))
        };
        let place = TokenFile::prepare(&self.token_file).map_err(kept)?;
        let enrolled: Enrolled =
            self.exchange(Method::POST, "/v1/token", ANSWER_BYTES_MAX, |request| request)?.body(&[200])?;
        place.keep(&enrolled.token).map_err(kept)?;
        Ok(enrolled)
    }

    /// Asks a question; `path` has its query, encoded.
    pub(crate) fn get(&self, path: &str) -> Result<Page, Refused> {
        let Answer { status, text, next } = self.exchange(Method::GET, path, PAGE_BYTES_MAX, |request| request)?;
        if status == StatusCode::OK {
            return Ok(Page { text, next });
        }
        Err(foreign(status.as_u16(), &text))
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        bytes_max: usize,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Refused> {
        let read = std::fs::read_to_string(&self.token_file);
        self.token.replace(read.as_ref().ok().cloned());
        let token = read.map_err(|error| {
            let file = self.token_file.display();
            Refused::Unauthorised(Why::new(format!("cannot read the token in {file}: {error}")))
        })?;
        self.run(fill(self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token.trim())), bytes_max)
    }

    fn run(&self, request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Answer, Refused> {
        self.runtime.block_on(async {
            tokio::select! {
                answer = answer(request, bytes_max) => answer,
                () = self.stop.come() => Err(Refused::Stopped),
            }
        })
    }
}

async fn answer(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Answer, Refused> {
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry_after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let next = header("countersign-next").and_then(|text| text.parse().ok());
    let text = read(&mut response, bytes_max).await?;
    match status.as_u16() {
        200..=299 => Ok(Answer { status, text, next }),
        code => Err(sort(code, &text, retry_after)),
    }
}

async fn read(response: &mut Response, bytes_max: usize) -> Result<String, Refused> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(unavailable(format!("answered with more than {bytes_max} bytes, which no collector does")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
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
}

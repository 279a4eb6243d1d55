//! What stands around a request: its token, its query, its body.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use crate::error::Problem;
use crate::ingest::UNPACKED_BYTES_MAX;

/// A body must be here by then.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Returns the bearer token.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim().to_owned()).ok_or_else(unauthorised)
}

pub(crate) fn unauthorised() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "no valid token",
        "send `Authorization: Bearer TOKEN`; `countersign collect token` makes one",
    )
}

pub(crate) fn ended() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "this token was revoked or replaced",
        "`countersign enrol` gets a device a new one",
    )
}

/// Reads a body of at most [`UNPACKED_BYTES_MAX`] bytes.
pub(crate) async fn body(body: Body) -> Result<Bytes, Problem> {
    body_within(body, UNPACKED_BYTES_MAX).await
}

/// Reads a body of at most so many bytes; from somebody we do not know yet, few.
pub(crate) async fn body_within(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_WAIT, to_bytes(body, bytes_max)).await;
    let read = read.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body did not come in time", "send it in one go; nothing was stored")
    })?;
    read.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("body is larger than {bytes_max} bytes or broke off"),
            "split it; nothing was stored",
        )
    })
}

/// The members of a query, each known by name.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query. Errors: a member that is not in `known`, so that a typing error is not ignored.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::bad_request("query cannot be read"))?;
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem::bad_request(format!("{name:?} is not a member of this query"))),
            None => Ok(Params(pairs)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a number, or `default` where there is none.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, Problem> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| Problem::bad_request(format!("{name} is not a number from 0 upwards")))
            }
        }
    }
}

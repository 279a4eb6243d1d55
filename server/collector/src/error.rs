//! Every error an asker can see: a status, a sentence and a hint, as JSON.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::archive::ArchiveError;
use crate::enrol::Denied;
use crate::ingest::Refusal;

/// Seconds after which a busy collector may be asked again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An answer that is not the one that was asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Value,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>, hint: &str) -> Problem {
        Problem { status, body: json!({ "error": error.into(), "hint": hint }) }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error, "see the API's description; nothing was stored")
    }

    pub(crate) fn busy() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once", "try again after Retry-After")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ArchiveError> for Problem {
    /// An asker learns what to do; the log learns what happened.
    fn from(error: ArchiveError) -> Problem {
        tracing::error!(error = &error as &dyn std::error::Error, "request failed in the archive");
        let hint = match &error {
            ArchiveError::Full => "the collector's disk is full; nothing was stored",
            ArchiveError::Damaged(_) => "ask the collector's administrator to verify the archive",
            _ => "nothing was stored or read; try again",
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), hint)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        let again = "whoever runs the collector makes another: `countersign collect code`";
        let (error, hint) = match denied {
            Denied::Unknown => ("no such code", "check that it is whole, and that this is the collector it is for"),
            Denied::Expired => ("this code has expired", again),
            Denied::Used => ("this code was used for another device", again),
            Denied::OtherKey => ("this device is known with another key", "its device.key was replaced: start anew"),
            Denied::OtherSubject => {
                ("this device is enrolled for somebody else", "a code for the same subject renews it")
            }
        };
        Problem::new(StatusCode::FORBIDDEN, error, hint)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let conflict = |kind, seq, error: String, hint, cursor| Problem {
            status: StatusCode::CONFLICT,
            body: json!({ "error": error, "hint": hint, "kind": kind, "seq": seq, "cursor": cursor }),
        };
        match refusal {
            Refusal::TooLarge(why) => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why, "split the batch; nothing was acknowledged")
            }
            Refusal::Invalid(why) => Problem::bad_request(why),
            Refusal::Ended(seq) => Problem::bad_request(format!(
                "the epoch ended at seq {seq} with a hole of unknown digest; what follows belongs in a new epoch"
            )),
            Refusal::Gap(cursor) => conflict(
                "gap",
                cursor.acked_through + 1,
                "batch does not continue where the archive stands".to_owned(),
                "go on from the cursor",
                cursor,
            ),
            Refusal::Fork { seq, why, cursor } => {
                let hint = "another history of this stream is archived; both are kept as evidence";
                conflict("fork", seq, why, hint, cursor)
            }
        }
    }
}

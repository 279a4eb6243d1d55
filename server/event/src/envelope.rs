//! The envelope around every payload: CloudEvents 1.0 in JSON, made into bytes exactly once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::payload::Payload;
use crate::time::Timestamp;

/// An event that has just been made and not been written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// UUIDv7, made at capture.
    pub id: Uuid,
    /// The device, as a URI: `urn:countersign:device:<id>`.
    pub source: String,
    /// When it happened, by the device's clock.
    pub time: Timestamp,
    /// What it is about: a contribution, a document, a commit.
    pub subject: Option<String>,
    /// What happened.
    pub payload: Payload,
}

#[derive(Serialize)]
struct EnvelopeOut<'a> {
    specversion: &'static str,
    id: Uuid,
    source: &'a str,
    r#type: &'a str,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    data: &'a Payload,
}

impl Event {
    /// Serialises the event, once. From here on only the bytes count.
    pub fn to_bytes(&self) -> EventBytes {
        let out = EnvelopeOut {
            specversion: "1.0",
            id: self.id,
            source: &self.source,
            r#type: self.payload.event_type(),
            time: self.time,
            subject: self.subject.as_deref(),
            data: &self.payload,
        };
        let json = serde_json::to_string(&out).expect("payloads have string keys and finite numbers");
        EventBytes(json.into())
    }
}

/// The bytes of an event: valid UTF-8, one JSON object, never changed after it was made. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventBytes(Arc<str>);

/// Why bytes are not an event.
#[derive(Debug)]
pub enum ParseError {
    /// They are not UTF-8.
    NotUtf8,
    /// They are not one JSON object with the members an envelope needs.
    NotAnEnvelope(serde_json::Error),
    /// `specversion` is not 1.0.
    Version(String),
    /// `data` is not what its type says.
    Data(serde_json::Error),
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ParseError::NotUtf8 => f.write_str("event is not UTF-8"),
            ParseError::NotAnEnvelope(_) => f.write_str("not a CloudEvents envelope"),
            ParseError::Version(version) => write!(f, "specversion is {version:?}, expected \"1.0\""),
            ParseError::Data(_) => f.write_str("data does not have the shape of its type"),
        }
    }
}

impl std::error::Error for ParseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ParseError::NotAnEnvelope(error) | ParseError::Data(error) => Some(error),
            _ => None,
        }
    }
}

/// The members of an envelope that every reader needs, with `data` left as it is.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    /// The event's id.
    pub id: Uuid,
    /// The device.
    pub source: String,
    /// The whole type, `dev.countersign.<noun>.<verb>.v1`.
    pub event_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// What it is about.
    pub subject: Option<String>,
    /// The payload, unparsed.
    pub data: &'a str,
}

#[derive(Deserialize)]
struct EnvelopeIn<'a> {
    specversion: String,
    id: Uuid,
    source: String,
    r#type: String,
    time: Timestamp,
    #[serde(default)]
    subject: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl EventBytes {
    /// Takes bytes from a store or a wire. They are kept as they are.
    ///
    /// Errors: `NotUtf8`, `NotAnEnvelope`, `Version`. An unknown type or unknown members are not errors.
    pub fn parse(bytes: &[u8]) -> Result<EventBytes, ParseError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ParseError::NotUtf8)?;
        let event = EventBytes(text.into());
        event.header()?;
        Ok(event)
    }

    /// Reads the envelope. Cost: one pass over the bytes.
    pub fn header(&self) -> Result<Header<'_>, ParseError> {
        let envelope: EnvelopeIn<'_> = serde_json::from_str(&self.0).map_err(ParseError::NotAnEnvelope)?;
        if envelope.specversion != "1.0" {
            return Err(ParseError::Version(envelope.specversion));
        }
        Ok(Header {
            id: envelope.id,
            source: envelope.source,
            event_type: envelope.r#type,
            time: envelope.time,
            subject: envelope.subject,
            data: envelope.data.get(),
        })
    }

    /// Reads the payload; a type this version does not know becomes [`Payload::Unknown`].
    pub fn payload(&self) -> Result<Payload, ParseError> {
        let header = self.header()?;
        Payload::parse(&header.event_type, header.data).map_err(ParseError::Data)
    }

    /// Returns the exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the exact bytes as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

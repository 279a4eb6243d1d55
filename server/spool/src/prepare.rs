//! Everything about an event that can be computed before the write lock is taken.

use countersign_event::content::NewContent;
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, EventBytes};
use uuid::Uuid;

use crate::content::Sealed;
use crate::{Device, SpoolError, sys};

/// How durable an event is when its append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Survives kill -9 at once, power loss after the next barrier (at most 1 s with a [`Writer`](crate::Writer)).
    Normal,
    /// Survives power loss at once.
    Full,
}

/// An event to append, with the texts that belong to it.
#[derive(Clone, Debug)]
pub struct Append {
    /// The event.
    pub event: EventBytes,
    /// How durable it must be.
    pub class: Class,
    /// Its texts, redacted; they are sealed before they touch the disk.
    pub contents: Vec<NewContent>,
    /// The same observation as it is written where the trail has an event of this type and subject
    /// already: under the same id, without texts. Which of the two it is, the inserting transaction decides.
    pub if_told: Option<EventBytes>,
}

impl Append {
    /// Returns about how many bytes this takes in memory.
    pub(crate) fn size(&self) -> usize {
        let contents: usize = self.contents.iter().map(|content| content.text.len() + 256).sum();
        let events = self.event.as_bytes().len() + self.if_told.as_ref().map_or(0, |event| event.as_bytes().len());
        events + contents + 128
    }
}

/// An event ready to be inserted.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) event: EventBytes,
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) time: String,
    pub(crate) subject: Option<String>,
    pub(crate) class: Class,
    pub(crate) contents: Vec<Sealed>,
    /// What is inserted instead where its type and subject are in the trail already.
    pub(crate) if_told: Option<Box<Prepared>>,
}

impl Prepared {
    pub(crate) fn new(append: &Append, device: &Device) -> Result<Prepared, SpoolError> {
        let mut prepared = Prepared::bare(append.event.clone())?;
        prepared.class = append.class;
        prepared.contents = append
            .contents
            .iter()
            .map(|content| Sealed::new(content, &prepared.id, device))
            .collect::<Result<_, _>>()?;
        prepared.if_told = append.if_told.clone().map(Prepared::bare).transpose()?.map(Box::new);
        Ok(prepared)
    }

    /// Prepares an event that the spool itself writes.
    pub(crate) fn own(event: &Event) -> Prepared {
        Prepared::bare(event.to_bytes()).expect("what we wrote just now is an event")
    }

    /// Prepares the record of a gap, found now.
    pub(crate) fn gap(id: Uuid, source: &str, gap: trail::Gap) -> Prepared {
        let (source, payload) = (source.to_owned(), Payload::TrailGap(gap));
        Prepared::own(&Event { id, source, time: sys::now(), subject: None, payload })
    }

    /// Prepares an event without texts, to be FULL.
    pub(crate) fn bare(event: EventBytes) -> Result<Prepared, SpoolError> {
        let header = event.header().map_err(SpoolError::NotAnEvent)?;
        let (id, event_type) = (header.id.to_string(), header.event_type);
        let (time, subject) = (header.time.to_string(), header.subject);
        Ok(Prepared { event, id, event_type, time, subject, class: Class::Full, contents: Vec::new(), if_told: None })
    }
}

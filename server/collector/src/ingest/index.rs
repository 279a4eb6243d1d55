//! What an event is found by, read leniently: an event of a later version that has other shapes is
//! kept all the same and found by whatever could be read.

use std::collections::{BTreeMap, BTreeSet};

use countersign_event::{EventBytes, ParseError};
use serde::Deserialize;
use serde_json::Value;

use crate::archive::Index;

#[derive(Deserialize)]
struct Data {
    contribution: Option<String>,
    repository: Option<String>,
    place: Option<Place>,
    person: Option<Person>,
    content: Option<BTreeMap<String, Slot>>,
    files: Option<Vec<File>>,
}

#[derive(Deserialize)]
struct Place {
    repository: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Person {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Slot {
    kept: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    contribution: Option<String>,
}

/// Reads what `bytes` is found by.
///
/// Errors: the envelope cannot be read. Data of an unknown shape is not an error.
pub(super) fn of(bytes: &EventBytes) -> Result<Index, ParseError> {
    let header = bytes.header()?;
    let mut index = Index {
        id: header.id.to_string(),
        time_ms: header.time.as_millis(),
        event_type: header.event_type,
        ..Index::default()
    };
    match serde_json::from_str::<Data>(header.data) {
        Ok(data) => fill(&mut index, data),
        // Some member has another shape than we know; the contribution alone is worth a second look.
        Err(_) => index.contributions.extend(contribution(header.data)),
    }
    Ok(index)
}

fn fill(index: &mut Index, data: Data) {
    let place = data.place.unwrap_or(Place { repository: None, path: None });
    index.repository = place.repository.or(data.repository);
    index.path = place.path;
    index.person = data.person.and_then(|person| person.id);
    let in_files = data.files.into_iter().flatten().flat_map(|file| file.spans).filter_map(|span| span.contribution);
    let contributions: BTreeSet<String> = data.contribution.into_iter().chain(in_files).collect();
    index.contributions = contributions.into_iter().collect();
    index.kept = data.content.into_iter().flatten().filter_map(|(_, slot)| slot.kept).collect();
}

fn contribution(data: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data).ok()?;
    Some(data.get("contribution")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> EventBytes {
        let json = format!(
            r#"{{"specversion":"1.0","id":"019a0000-0000-7000-8000-000000000001","source":"urn:x","type":"t.v1","time":"2026-01-02T03:04:05.678Z","data":{data}}}"#
        );
        EventBytes::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn contributions_are_found_in_the_data_and_in_attested_spans() {
        let index = of(&event(
            r#"{"contribution":"c1","place":{"repository":"r","path":"a.rs"},"person":{"id":"p","how":"observed"},
               "content":{"prompt":{"kept":"k1"},"output":{"absent":"shed"}},
               "files":[{"spans":[{"contribution":"c2"},{"origin":"human"},{"contribution":"c1"}]}]}"#,
        ))
        .unwrap();
        assert_eq!(index.contributions, ["c1", "c2"]);
        assert_eq!((index.repository.as_deref(), index.path.as_deref()), (Some("r"), Some("a.rs")));
        assert_eq!((index.person.as_deref(), &index.kept[..]), (Some("p"), &["k1".to_owned()][..]));
    }

    #[test]
    fn data_of_a_shape_we_do_not_know_is_found_by_its_contribution() {
        assert_eq!(of(&event(r#"{"contribution":"c1","place":7}"#)).unwrap().contributions, ["c1"]);
        assert_eq!(of(&event("[1]")).unwrap().contributions, Vec::<String>::new());
    }
}

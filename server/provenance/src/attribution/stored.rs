//! How an attribution is stored: each writer once, then runs.
//!
//! `{"writers":["human","ai 0190…"],"origins":[0,12,1,40],"lines":[0,52]}`: a writer's place in the
//! list and a number of bytes, again and again. The older form, an array of spans, is read too.

use std::collections::HashMap;

use countersign_event::facts::How;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Attribution;
use crate::spans::{ContributionId, Origin, Spans, SpansError};

#[derive(Serialize, Deserialize)]
struct Stored {
    writers: Vec<String>,
    origins: Vec<usize>,
    lines: Vec<usize>,
}

impl Attribution {
    /// Writes the attribution for the snapshot store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("it has string keys only")
    }

    /// Reads what [`Attribution::to_json`] or [`Spans::to_json`] wrote for this text.
    ///
    /// # Errors
    /// Anything that would not cover the text exactly.
    pub fn from_json(json: &str, text: &str) -> Result<Attribution, SpansError> {
        if json.trim_start().starts_with('[') {
            return Ok(Attribution::of_origins(text, Spans::from_json(json, text.len())?));
        }
        let found: Attribution = serde_json::from_str(json).map_err(SpansError::Json)?;
        for spans in [&found.origins, &found.writers] {
            if spans.len_bytes() != text.len() {
                return Err(SpansError::Length { spans: spans.len_bytes(), text: text.len() });
            }
        }
        Ok(found)
    }
}

impl Serialize for Attribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut places: HashMap<&Origin, usize> = HashMap::new();
        let mut writers = Vec::new();
        let [origins, lines] = [&self.origins, &self.writers].map(|spans| {
            let mut runs = Vec::new();
            for (range, origin) in spans.iter() {
                let place = *places.entry(origin).or_insert_with(|| {
                    writers.push(origin.to_string());
                    writers.len() - 1
                });
                runs.extend([place, range.len()]);
            }
            runs
        });
        Stored { writers, origins, lines }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let named = stored.writers.iter().map(|name| named(name).ok_or_else(|| D::Error::custom("no such writer")));
        let writers: Vec<Origin> = named.collect::<Result<_, _>>()?;
        let spans = |runs: &[usize]| -> Result<Spans, D::Error> {
            let mut spans = Spans::default();
            let (pairs, rest) = runs.as_chunks::<2>();
            for [place, len] in pairs {
                let origin = writers.get(*place).ok_or_else(|| D::Error::custom("a run has no writer"))?;
                if *len == 0 || spans.len_bytes().checked_add(*len).is_none() {
                    return Err(D::Error::custom("a run has no length"));
                }
                spans.push(*len, origin.clone());
            }
            if rest.is_empty() { Ok(spans) } else { Err(D::Error::custom("the last run is cut off")) }
        };
        Ok(Attribution { origins: spans(&stored.origins)?, writers: spans(&stored.lines)? })
    }
}

const HUMANS: [(&str, How); 4] = [
    ("human", How::Observed),
    ("human reported", How::Reported),
    ("human attested", How::Attested),
    ("human inferred", How::Inferred),
];

fn named(name: &str) -> Option<Origin> {
    if name == "unknown" {
        return Some(Origin::Unknown);
    }
    if let Some((_, how)) = HUMANS.iter().find(|(human, _)| *human == name) {
        return Some(Origin::Human(*how));
    }
    let id = name.strip_prefix("ai ")?;
    (!id.is_empty()).then(|| Origin::Ai(ContributionId::new(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Attribution {
        let ai = Origin::Ai(ContributionId::new("c 1"));
        let mut origins = Spans::new(4, ai.clone());
        origins.push(2, Origin::TYPED);
        origins.push(3, Origin::Human(How::Reported));
        origins.push(1, Origin::Unknown);
        let mut writers = Spans::new(6, Origin::TYPED);
        writers.push(4, ai);
        Attribution { origins, writers }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let json = sample().to_json();
        let expected = r#"{"writers":["ai c 1","human","human reported","unknown"],"origins":[0,4,1,2,2,3,3,1],"lines":[1,6,0,4]}"#;
        assert_eq!(json, expected);
        assert_eq!(Attribution::from_json(&json, "12345\n789\n").unwrap(), sample());
    }

    #[test]
    fn the_older_form_is_read_with_each_lines_majority_as_its_last_writer() {
        let json = r#"[{"start":0,"end":3,"origin":"ai","contribution":"c1"},{"start":3,"end":8,"origin":"human"}]"#;
        let read = Attribution::from_json(json, "abcd\nef\n").unwrap();
        assert_eq!(read.origins.to_string(), "ai c1 0..3 | human 3..8");
        assert_eq!(read.writers.to_string(), "ai c1 0..5 | human 5..8");
    }

    #[test]
    fn a_damaged_form_is_an_error() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"writers":[],"origins":[],"lines":[]}"#,
            r#"{"writers":["human"],"origins":[0,4],"lines":[0,3]}"#,
            r#"{"writers":["human"],"origins":[0,4],"lines":[1,4]}"#,
            r#"{"writers":["human"],"origins":[0,4],"lines":[0,4,0]}"#,
            r#"{"writers":["human"],"origins":[0,0,0,4],"lines":[0,4]}"#,
            r#"{"writers":["human"],"origins":[0,18446744073709551615,0,5],"lines":[0,4]}"#,
            r#"{"writers":["martian"],"origins":[0,4],"lines":[0,4]}"#,
            r#"{"writers":["ai "],"origins":[0,4],"lines":[0,4]}"#,
        ] {
            assert!(Attribution::from_json(json, "abc\n").is_err(), "{json}");
        }
    }
}

//! A moment, always written the same way: RFC 3339, UTC, three decimals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch; printed as `2026-01-02T03:04:05.678Z`.
///
/// There is no `now()` here: times come in as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The first millisecond of year 0.
const YEAR_0_MS: i64 = -62_167_219_200_000;
/// The last whole hour that jiff can print in every time zone.
const YEAR_9999_MS: i64 = 253_402_200_000_000;

impl Timestamp {
    /// Makes a time from milliseconds since the Unix epoch. Outside the years 0 to 9999 it is clamped.
    pub fn from_millis(ms: i64) -> Self {
        Timestamp(ms.clamp(YEAR_0_MS, YEAR_9999_MS))
    }

    /// Returns milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the milliseconds from `earlier` to `self`, 0 if the clock went backwards.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Timestamp::from_millis(text.parse::<jiff::Timestamp>()?.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_printed_with_three_decimals_and_read_back() {
        let time = Timestamp::from_millis(1_767_322_800_000);
        assert_eq!(time.to_string(), "2026-01-02T03:00:00.000Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn a_time_far_outside_the_calendar_is_clamped_and_still_prints() {
        assert!(Timestamp::from_millis(i64::MAX).to_string().starts_with("9999-"));
        assert!(Timestamp::from_millis(i64::MIN).to_string().starts_with("0000-01-01T"));
    }
}

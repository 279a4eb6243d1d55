//! What the trail has already: a call that a tap around the same agent saw.

use serde_json::Value;

use super::Session;
use crate::hook::decode::Call;

/// So many events back another observer's record of the same call is looked for.
const OTHERS_LOOKED_AT: i64 = 500;

impl Session<'_> {
    /// Says whether a tap around the same agent, which sees its answers too, has recorded the call.
    pub(super) fn others_told(&self, call: &Call) -> bool {
        let Some(id) = &call.id else { return false };
        self.tap_told("tool.called", |path| path["tool_call_id"] == id.as_str()) > 0
    }

    /// Says whether a hook has recorded this contribution.
    pub(super) fn recorded_by_hook(&self, contribution: &str) -> bool {
        let known = self.trail.and_then(|trail| trail.by_subject(contribution).ok()).unwrap_or_default();
        known.iter().any(|stored| {
            let Ok(header) = stored.bytes.header() else { return false };
            let data: Value = serde_json::from_str(header.data).unwrap_or_default();
            header.event_type == "dev.countersign.edit.applied.v1" && data["path"]["transport"] == "hook"
        })
    }

    /// Counts what a tap has recorded lately, by type and path.
    pub(super) fn tap_told(&self, name: &str, is_it: impl Fn(&Value) -> bool) -> usize {
        let Some(trail) = self.trail else { return 0 };
        let after = trail.last_rowid().map_or(0, |last| last - OTHERS_LOOKED_AT);
        let told = trail.by_type(&format!("dev.countersign.{name}.v1"), after).unwrap_or_default();
        let by_tap = told.iter().filter(|stored| {
            let data = stored.bytes.header().ok().and_then(|header| serde_json::from_str::<Value>(header.data).ok());
            data.is_some_and(|data| data["path"]["transport"] == "tap" && is_it(&data["path"]))
        });
        by_tap.count()
    }
}

//! What somebody decided about a call: a person who was asked, a permission given earlier, or a rule.

use countersign_event::payload::tool::{DecidedBy, Decision, DecisionScope};
use serde_json::Value;

use super::Session;
use crate::hook::decode::{Call, End, Touches};
use crate::hook::store::Open;

impl Session<'_> {
    /// Says what somebody decided, where a question or a standing permission was seen.
    pub(super) fn decision(
        &mut self,
        key: &str,
        call: &Call,
        end: End,
        open: Option<&Open>,
        changed: bool,
    ) -> Option<Decision> {
        let by_input = self.store.key_of_input(call);
        let take = |kind| self.store.take(key, kind).or_else(|| self.store.take(&by_input, kind));
        let (asked, answer) = (take("asked"), take("answer"));
        let decided = |by, scope| Some(Decision { by, scope });
        match (end, answer.as_ref().and_then(Value::as_str)) {
            (End::Refused | End::Interrupted, _) | (_, Some("no")) => {
                return decided(DecidedBy::Person, DecisionScope::Once);
            }
            (_, Some("always")) => return decided(DecidedBy::Person, DecisionScope::Always),
            (_, Some(_)) => return decided(DecidedBy::Person, DecisionScope::Once),
            (End::Denied, _) => return decided(DecidedBy::Policy, DecisionScope::Once),
            (End::NotAllowed | End::Unknown, _) => return None,
            (End::Done | End::Failed | End::FailedOrDenied, None) => {}
        }
        let is_open = |mode: Option<&str>| mode == Some("acceptEdits");
        let now_open = is_open(self.said.mode.as_deref());
        if asked.is_some() {
            self.memory.allowed = true;
            let session = now_open && !is_open(open.and_then(|open| open.mode.as_deref()));
            return decided(DecidedBy::Person, if session { DecisionScope::Session } else { DecisionScope::Once });
        }
        // Nobody was asked, because a person said so earlier: the session did not begin like this.
        let granted = self.memory.allowed && now_open && !is_open(self.memory.first_mode.as_deref());
        let needs_it = matches!(call.touches, Touches::Writes(_)) || changed;
        (granted && needs_it).then_some(Decision { by: DecidedBy::Grant, scope: DecisionScope::Session })
    }
}

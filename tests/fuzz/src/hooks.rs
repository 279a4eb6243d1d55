//! Hook calls and session files of agents, each given to every client.
//!
//! The input is lines. One that is `{"event", "env", "stdin"}` is a hook call; all together are a session file.

use serde_json::Value;

use crate::hook;

/// Holds for any input: nothing panics, and the same call is read the same way.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let Ok(call) = serde_json::from_str::<Value>(line) else { continue };
        let (event, env, stdin) = (&call["event"], &call["env"], &call["stdin"]);
        hook::decode(event.as_str(), stdin, &|name| env[name].as_str().map(str::to_owned));
        // Half a call is a call, too.
        hook::decode(None, env, &|_| None);
    }
    hook::hear(&text);
}

//! A trace for people: one paragraph a contribution, the least one needs to judge it.

use serde_json::Value;

use super::place::Asked;
use crate::paint::Paint;

/// So much of a text is shown.
const TEXT_CHARS: usize = 200;

/// Writes the whole answer.
pub(super) fn write(asked: &Asked, contributions: &[Value], end: &Value, paint: Paint) -> String {
    let mut out = String::new();
    if contributions.is_empty() {
        out += &format!("{}: no AI contribution is known here\n", asked.shown);
    }
    for told in contributions {
        out += &one(told, paint);
        out.push('\n');
    }
    for (name, lines) in [("by a person", &end["lines"]["human"]), ("unknown", &end["lines"]["unknown"])] {
        let lines = lines_in_words(lines);
        if !lines.is_empty() {
            out += &format!("{} {lines}\n", paint.dim(&format!("{name:11}")));
        }
    }
    match end["complete"] == true {
        true => out += &format!("{}\n", paint.green("complete")),
        false => {
            out += &format!("{}\n", paint.yellow("incomplete:"));
            for what in end["missing"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                out += &format!("  {what}\n");
            }
        }
    }
    out
}

fn one(told: &Value, paint: Paint) -> String {
    let text = |value: &Value| clean(value.as_str().unwrap_or("?"));
    let lines = lines_in_words(&told["lines"]);
    let title = match lines.is_empty() {
        true => text(&told["place"]["path"]),
        false => lines,
    };
    let mut out = format!("{}  {}\n", paint.bold(&title), paint.dim(&text(&told["contribution"])));
    let mut line = |name: &str, value: String| out += &format!("  {} {value}\n", paint.dim(&format!("{name:9}")));
    line("model", fact(&told["model"], &["responded", "requested", "family", "provider"]));
    line("tool", fact(&told["path"], &["tool", "version", "kind", "trust"]));
    line("person", fact(&told["person"], &["id", "via"]));
    line("prompt", with_text(fact(&told["prompt"], &["turns", "class"]), &told["content"]["prompt"]));
    for turn in told["prompt"]["conversation"].as_array().into_iter().flatten() {
        line(&format!("turn {}", turn["turn"]), with_text("asked".to_owned(), &turn["prompt"]));
        line("", with_text("answered".to_owned(), &turn["output"]));
    }
    line("output", with_text(output(&told["output"]), &told["content"]["output"]));
    for act in told["acts"].as_array().into_iter().flatten() {
        let by = act["gesture"].as_str().map(|gesture| match gesture {
            "both" => "its edit and the editor's message".to_owned(),
            "edit" => "its edit".to_owned(),
            "explicit" => "the editor's message".to_owned(),
            other => clean(other),
        });
        let by = by.map(|by| format!("seen by {by}"));
        let words = ["extent", "reason"].iter().filter_map(|name| act[*name].as_str()).map(clean);
        let details: Vec<String> = words.chain(by).collect();
        line(&text(&act["kind"]), format!("{} {} {}", text(&act["time"]), details.join(", "), how(act)));
        if let Some(distance) = distance(&act["distance"]) {
            line("", format!("offered to accepted: {distance}"));
        }
    }
    if let (Some(was), Some(is)) =
        (told["retention"]["accepted_bytes"].as_u64(), told["retention"]["surviving_bytes"].as_u64())
    {
        let percent = (is * 100).checked_div(was).unwrap_or(100);
        line("left", format!("{percent} % ({is} of {was} bytes) at {}", text(&told["retention"]["moment"])));
        if let Some(distance) = distance(&told["retention"]["distance"]) {
            line("", format!("accepted to then: {distance}"));
        }
    }
    for commit in told["commits"].as_array().into_iter().flatten() {
        line("commit", format!("{} {}", text(&commit["commit"]), text(&commit["path"])));
    }
    for finding in told["findings"].as_array().into_iter().flatten() {
        line(
            "finding",
            format!("{} {} {}", text(&finding["rule"]), text(&finding["severity"]), text(&finding["state"])),
        );
    }
    out
}

/// A human edit distance in words; nothing where nothing changed.
fn distance(distance: &Value) -> Option<String> {
    let number = |name: &str| distance[name].as_u64().unwrap_or_default();
    let (inserted, deleted) = (number("inserted"), number("deleted"));
    let metric = distance["metric"].as_str().map(clean)?;
    (inserted + deleted > 0).then(|| format!("{deleted} {metric} gone, {inserted} new, {} kept", number("kept")))
}

/// A fact in one line: its members, then how it is known, or why it is not.
fn fact(fact: &Value, members: &[&str]) -> String {
    let values: Vec<String> = members
        .iter()
        .filter_map(|name| match &fact[*name] {
            Value::String(text) => Some(clean(text)),
            Value::Null => None,
            other => Some(format!("{name} {other}")),
        })
        .collect();
    match (values.is_empty(), fact["absent"].as_str()) {
        (true, Some(why)) => format!("not known ({})", why.replace('_', " ")),
        _ => format!("{} {}", values.join(", "), how(fact)),
    }
}

fn output(fact: &Value) -> String {
    match (fact["bytes"].as_u64(), fact["lines"].as_u64()) {
        (Some(bytes), Some(lines)) => format!("{bytes} bytes, {lines} lines {}", how(fact)),
        _ => self::fact(fact, &[]),
    }
}

fn how(value: &Value) -> String {
    match (value["how"].as_str(), value["confidence"].as_f64()) {
        (Some(how), Some(confidence)) => format!("[{how}, {:.0} %]", confidence * 100.0),
        (Some(how), None) => format!("[{how}]"),
        (None, _) => String::new(),
    }
}

fn with_text(line: String, slot: &Value) -> String {
    if let Some(text) = slot["text"].as_str() {
        let short: String = clean(text).chars().take(TEXT_CHARS).collect();
        return format!("{line}\n            {short}");
    }
    match (slot["state"].as_str(), slot["absent"].as_str()) {
        (Some(state), _) => format!("{line} (text {state})"),
        (None, Some(why)) => format!("{line} (text not kept: {})", why.replace('_', " ")),
        (None, None) => line,
    }
}

/// Text of somebody else's must not speak to the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Writes line ranges as a person would.
pub(super) fn lines_in_words(lines: &Value) -> String {
    let ranges = lines.as_array().into_iter().flatten().map(|range| match (&range[0], &range[1]) {
        (from, to) if from == to => format!("line {from}"),
        (from, to) => format!("lines {from}-{to}"),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_says_how_it_is_known_or_why_it_is_not() {
        assert_eq!(fact(&json!({"requested": "gpt-x", "how": "observed"}), &["requested"]), "gpt-x [observed]");
        assert_eq!(fact(&json!({"absent": "not_on_wire"}), &["requested"]), "not known (not on wire)");
        let inferred = json!({"id": "p", "how": "inferred", "confidence": 0.5});
        assert_eq!(fact(&inferred, &["id"]), "p [inferred, 50 %]");
    }

    #[test]
    fn text_of_somebody_else_cannot_speak_to_the_terminal() {
        let line = with_text(String::new(), &json!({"text": "\u{1b}[2Jgone\r\n\u{7}"}));
        assert!(!line.contains(['\u{1b}', '\r', '\u{7}']), "{line:?}");
    }
}

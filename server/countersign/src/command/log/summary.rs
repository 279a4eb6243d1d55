//! One event as one line for a person.

use countersign_event::EventBytes;
use serde_json::Value;

use crate::paint::Paint;

/// Writes time, seq, what happened, where, and by what.
pub(super) fn line(seq: u64, event: &EventBytes, paint: Paint) -> String {
    let Ok(header) = event.header() else {
        return paint.red("an event that cannot be read");
    };
    let name = header.event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1").to_owned();
    let data: Value = serde_json::from_str(header.data).unwrap_or_default();
    let painted = match name.as_str() {
        "suggestion.accepted" | "edit.applied" => paint.green(&name),
        "suggestion.rejected" => paint.yellow(&name),
        name if name.starts_with("trail.") || name == "capture.degraded" => paint.red(name),
        _ => name.clone(),
    };
    let pad = " ".repeat(24_usize.saturating_sub(name.chars().count()));
    format!("{} {seq:>6}  {painted}{pad} {}", paint.dim(&header.time.to_string()), details(&data))
}

/// The few things that tell one event of a type from another.
fn details(data: &Value) -> String {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| data.pointer(pointer).and_then(Value::as_u64);
    let mut parts = Vec::new();
    if let Some(path) = text("/place/path").or_else(|| text("/place/uri")) {
        match number("/place/range/start/line") {
            Some(line) => parts.push(format!("{path}:{}", line + 1)),
            None => parts.push(path),
        }
    }
    parts.extend(text("/path/tool"));
    parts.extend(text("/model/responded").or_else(|| text("/model/requested")));
    for pointer in ["/extent", "/moment", "/reason", "/rule", "/saw", "/scope", "/client", "/verdict", "/outcome"] {
        parts.extend(text(pointer));
    }
    if let Some(lines) = number("/output/lines") {
        parts.push(format!("{lines} line{}", if lines == 1 { "" } else { "s" }));
    }
    if let (Some(left), Some(all)) = (number("/surviving_bytes"), number("/accepted_bytes")) {
        parts.push(format!("{left} of {all} bytes left"));
    }
    if let Some(count) = number("/count") {
        parts.push(format!("{count} times"));
    }
    parts.join(" · ")
}

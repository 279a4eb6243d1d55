//! Changes of JSON that leave it JSON: a plain change of bytes would nearly always end at the parser.

use serde_json::{Value, json};

/// How deep a value may be nested to be changed.
const DEPTH_MAX: usize = 64;

/// Changes lines of JSON; every third time the bytes, as the engine would.
pub fn lines(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed) | 1 << 40);
    if random.below(3) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let mut lines: Vec<Vec<u8>> = data[..size].split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len());
        match random.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(random.below(lines.len()), lines[at].clone()),
            2 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            _ => change(&mut lines, at, &mut random),
        }
        if lines.is_empty() {
            lines.push(Vec::new());
        }
    }
    let out = lines.join(&b'\n');
    let n = out.len().min(max_size);
    data[..n].copy_from_slice(&out[..n]);
    n
}

/// Changes one value in a line, or puts in its place one of another line.
fn change(lines: &mut [Vec<u8>], at: usize, random: &mut Random) {
    let donor = lines[random.below(lines.len())].clone();
    let line = &lines[at];
    // A mark of the direction stands in front of some.
    let front = usize::from(matches!(line.first(), Some(b'<' | b'>')));
    let Ok(mut value) = serde_json::from_slice::<Value>(&line[front..]) else { return };
    let new = match random.below(3) {
        0 => {
            let front = usize::from(matches!(donor.first(), Some(b'<' | b'>')));
            let mut donor = serde_json::from_slice(&donor[front..]).unwrap_or(Value::Null);
            random.pick(&mut donor).take()
        }
        _ => random.odd(),
    };
    let place = random.pick(&mut value);
    match (random.below(4), place) {
        (0, Value::Array(items)) => items.push(new),
        (1, Value::Object(members)) => {
            drop(members.remove(&members.keys().nth(random.below(members.len())).cloned().unwrap_or_default()))
        }
        (_, place) => *place = new,
    }
    lines[at] = [&line[..front], value.to_string().as_bytes()].concat();
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }

    /// Goes down into a value, and stops anywhere.
    fn pick<'a>(&mut self, value: &'a mut Value) -> &'a mut Value {
        let mut value = value;
        for _ in 0..DEPTH_MAX {
            let n = match value {
                Value::Array(items) => items.len(),
                Value::Object(members) => members.len(),
                _ => 0,
            };
            if n == 0 || self.below(6) == 0 {
                break;
            }
            let at = self.below(n);
            value = match value {
                Value::Array(items) => &mut items[at],
                Value::Object(members) => members.values_mut().nth(at).expect("there are so many"),
                _ => unreachable!("it has parts"),
            };
        }
        value
    }

    fn odd(&mut self) -> Value {
        match self.below(18) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(0),
            3 => json!(-1),
            4 => json!(1),
            5 => json!(u64::MAX),
            6 => json!(u32::MAX),
            7 => json!(1e300),
            8 => json!(""),
            9 => json!("é🎉\r\n\0"),
            10 => json!([]),
            11 => json!({}),
            12 => json!("${1:a${2|b,c|}}$0\\"),
            15 => json!("${1é${2|é"),
            16 => json!({"kind": "snippet", "value": "a${1🎉"}),
            13 => json!("*** Begin Patch\n*** Update File: a\n@@\n-b\n+é\n*** End Patch"),
            14 => json!("@@ -1,2 +18446744073709551615,0 @@\n-a\n+b\n"),
            _ => json!([[[[]]], {"range": null}]),
        }
    }
}

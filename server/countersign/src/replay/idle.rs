//! While nothing waits: looks for something new, and says now and then that we are here.

use std::time::{Duration, Instant};

use super::client::Client;
use super::drain::Drain;

/// How often a replayer that waits looks whether something is new: events, a token, the configuration.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the collector is told where we stand while nothing is recorded. It calls a day without a word
/// silence, where something was being recorded.
pub(super) const SIGN_EVERY: Duration = Duration::from_secs(3600);

/// Waits until something was recorded or changed, or until it is time for a sign of life: the next step is
/// one then.
pub(super) fn wait(client: &Client, drain: &mut Drain<'_>, sign_after: Duration, changed: &mut dyn FnMut() -> bool) {
    let since = Instant::now();
    while !client.stopped() && !changed() && !drain.something_new() {
        if since.elapsed() >= sign_after {
            drain.announce_again();
            return;
        }
        client.wait(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    use countersign_event::batch::{Batch, BatchAnswer, Item};
    use countersign_event::chain;
    use countersign_event::payload::{Payload, trail};
    use countersign_event::{Event, How, Timestamp};
    use countersign_spool::{Append, Class, Spool};

    use super::super::client::{Stop, Target};
    use super::super::drain::Step;
    use super::*;

    /// A collector that takes everything, and the batches it got.
    fn collector() -> (String, Receiver<Batch>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (got, batches) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let batch: Batch = serde_json::from_slice(&zstd::decode_all(&body[..]).unwrap()).unwrap();
                let hash = batch.events.iter().fold(batch.previous, |hash, item| match item {
                    Item::Event(event) => chain::next(hash, event.get().as_bytes()),
                    Item::Hole(_) => unreachable!("nothing was let go"),
                });
                let acked_through = batch.first_seq - 1 + batch.events.len() as u64;
                let answer = serde_json::json!({ "acked_through": acked_through, "head_hash": hash }).to_string();
                serde_json::from_str::<BatchAnswer>(&answer).expect("it is an answer");
                // Before the answer: whoever got that finds it.
                got.send(batch).unwrap();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                write!(reader.get_mut(), "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
            }
        });
        (url, batches)
    }

    fn record(state: &Path) {
        let gap = trail::Gap { how: How::Observed, reason: "test".into(), count: None, from: None, to: None, by: None };
        let (id, time) = (uuid::Uuid::now_v7(), Timestamp::from_millis(0));
        let event = Event { id, source: "test".into(), time, subject: None, payload: Payload::TrailGap(gap) };
        let append = Append { event: event.to_bytes(), class: Class::Full, contents: Vec::new(), if_told: None };
        Spool::open(state).unwrap().append(&[append]).unwrap();
    }

    #[test]
    fn a_collector_hears_of_a_device_on_which_nothing_happens() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "cst_x").unwrap();
        let state = dir.path().join("state");
        record(&state);
        let (url, batches) = collector();
        let target = Target { url, token_file: dir.path().join("token"), ca_file: None };
        let client = Client::new(&target, Stop::never()).unwrap();
        let mut drain = Drain::new(&state, &client);
        let drained = |drain: &mut Drain<'_>| {
            while let Step::Moved(_) = drain.step().unwrap() {}
            batches.try_iter().map(|batch| batch.events.len()).collect::<Vec<_>>()
        };
        assert_eq!(drained(&mut drain), [0, 1], "where we stand, then what waited");
        wait(&client, &mut drain, Duration::ZERO, &mut || false);
        assert_eq!(drained(&mut drain), [0], "a sign of life");
        record(&state);
        wait(&client, &mut drain, SIGN_EVERY, &mut || false);
        assert_eq!(drained(&mut drain), [1], "what is new needs no sign");
    }
}

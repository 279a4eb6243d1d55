//! Events a collector refuses for good: seen, sent again, and arrived in a new place.

use countersign_event::batch::{Hole, Item};
use countersign_event::chain::Hash;
use countersign_event::digest::sha256;
use serde_json::{Value, json};

use super::wire::{Reply, Request, pass_on, serve};
use super::{Collector, Device, full, light, path};
use crate::support::{World, json_lines};

/// A collector that refuses one event, honestly: a hole stands in its archive.
fn refuses(id: String, request: &Request, address: std::net::SocketAddr) -> Option<Vec<u8>> {
    if !request.line().contains("/v1/batches") {
        return pass_on(request, address);
    }
    let mut batch = request.batch();
    let mut verdicts = Vec::new();
    for (seq, item) in (batch.first_seq..).zip(&mut batch.events) {
        if let Item::Event(event) = item
            && event.get().contains(&id)
        {
            verdicts.push(json!({ "seq": seq, "reason": "too odd" }));
            let digest = Hash(sha256(event.get().as_bytes()));
            *item = Item::Hole(Hole { seq, sha256: Some(digest), reason: "quarantined: too odd".to_owned() });
        }
    }
    let body = zstd::encode_all(&serde_json::to_vec(&batch).expect("JSON")[..], 1).expect("packed");
    let answer = String::from_utf8(pass_on(&request.with_body(&body), address)?).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let mut body: Value = serde_json::from_str(body).expect("an answer");
    body["verdicts"] = json!(verdicts);
    let body = body.to_string();
    Some(format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

#[test]
fn a_refused_event_is_listed_with_its_reason_and_arrives_when_it_is_sent_again() {
    let world = World::new();
    world.append([light(0), full(1, "c1", &json!({ "path": "a.rs" }), "let x = 1;"), light(2)]);
    let collector = Collector::start(&world);
    let token = world.token("device");
    let (address, odd) = (collector.address, super::id(1));
    let (to, _) = serve(move |request| refuses(odd.clone(), request, address).map_or(Reply::Close, Reply::Raw));
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let listed = world.json(["log", "--quarantined", "--json"]);
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["seq"], &listed[0]["reason"]), (&json!(2), &json!("too odd")));
    assert_eq!(listed[0]["event"]["id"], super::id(1));
    let told = String::from_utf8(world.run(["log", "--quarantined"]).stdout).expect("UTF-8");
    assert!(told.contains("too odd") && told.contains("--retry-quarantined"), "{told}");

    // It is still refused: again a hole, again a record, and it can be tried again.
    let retry = |to: &str| {
        let args = ["replay", "--once", "--retry-quarantined", "--to", to, "--token-file", path(&token)];
        world.countersign(args).output().expect("replay runs")
    };
    assert!(retry(&to).status.success());
    assert_eq!(world.json(["log", "--quarantined", "--json"]).len(), 1);
    assert_eq!(world.json(["verify", "--json"])[0]["ok"], true);
    // Whoever stands in between is gone: the same URL, as the cursor is kept under it.
    let output = retry(&collector.url());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.json(["log", "--quarantined", "--json"]), Vec::<Value>::new());

    let archived = json_lines(world.archived().as_bytes());
    assert_eq!(archived[1]["hole"]["seq"], 2, "its first place stays a hole");
    let times = |lines: &[Value]| lines.iter().filter(|line| line["event"]["id"] == super::id(1)).count();
    assert_eq!(times(&archived), 1, "it is there once");
    assert_eq!(times(&json_lines(world.spooled().as_bytes())), 1);
    assert_eq!(world.json(["verify", "--json"])[0]["ok"], true);
    let verified = world.verified();
    assert_eq!((&verified["ok"], &verified["contents"]["ok"]), (&json!(true), &json!(1)), "its text came too");
    let data = world.path().join("archive");
    let report = world.json(["verify", "--json", "--archive", path(&data), "--against-spool"]).remove(0);
    assert_eq!(report["against_spool"]["spool_only"], 0, "{report}");
    let again = retry(&collector.url());
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("0 quarantined"), "nothing is left to be sent again");
}

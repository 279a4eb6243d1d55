//! The routes, asked without a socket.

use std::path::Path;

use axum::body::to_bytes;
use axum::http::Method;
use countersign_event::batch::{Batch, Item};
use countersign_event::content::commit;
use countersign_event::digest::hex;
use tower::ServiceExt;

use super::*;
use crate::archive::sqlite::Sqlite;
use crate::local::Local;
use crate::roles::Role;

#[allow(dead_code, reason = "shared with the benchmarks and other tests")]
#[path = "../../tests/support/mod.rs"]
mod support;
use support::Device;

const REPOSITORY: &str = "root/example.org/r";

/// A collector in a directory, with a token of each role.
struct Collector {
    dir: tempfile::TempDir,
    router: Router,
}

impl Collector {
    fn new() -> Collector {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::start(Box::new(Sqlite::open(dir.path()).unwrap())).unwrap();
        let router = router(Shared::new(store, Keys::load_or_create(dir.path()).unwrap()));
        Collector { dir, router }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn token(&self, role: Role) -> String {
        crate::serve::token(self.path(), role, "someone").unwrap()
    }

    async fn ask(&self, method: Method, uri: &str, token: Option<&str>, body: impl Into<Body>) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, uri: &str, role: Role) -> (StatusCode, String) {
        self.ask(Method::GET, uri, Some(&self.token(role)), "").await
    }

    async fn send(&self, batch: &Batch) -> (StatusCode, String) {
        let body = serde_json::to_vec(batch).unwrap();
        self.ask(Method::POST, "/v1/batches", Some(&self.token(Role::Device)), body).await
    }

    async fn access_log(&self) -> Vec<Value> {
        lines(&self.get("/v1/access", Role::Auditor).await.1)
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An event with one kept text.
fn with_content(text: &str) -> (Device, String, Value) {
    let salt = [7; 16];
    let kept = commit(&salt, text.as_bytes());
    let mut device = Device::new(1);
    device.push(&support::event(
        1,
        "suggestion.accepted",
        &json!({
            "how": "observed", "contribution": "c1", "act": 1, "person": {"id": "p", "how": "reported"},
            "place": {"repository": REPOSITORY, "path": "src/a.rs"},
            "content": {"output": {"kept": kept, "bytes": text.len(), "reason": "always", "policy": "default"}},
        })
        .to_string(),
    ));
    let upload = json!({ "salt": hex(&salt), "text": text, "event": "019a0000-0000-7000-8000-000000000001" });
    (device, kept, upload)
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let collector = Collector::new();
    let routes = [
        ("/v1/streams/x/cursor", Action::Append),
        ("/v1/events", Action::Facts),
        ("/v1/gaps", Action::Facts),
        ("/v1/heads?stream=x&epoch=y", Action::Facts),
        ("/v1/contributions?id=x", Action::Facts),
        ("/v1/trace?path=x", Action::Facts),
        ("/v1/contributions?id=x&purpose=incident&ticket=T-1", Action::Content),
        ("/v1/trace?path=x&purpose=incident&ticket=T-1", Action::Content),
        ("/v1/access", Action::AccessLog),
        ("/v1/streams", Action::Operate),
    ];
    for role in Role::ALL {
        for (uri, action) in routes {
            let expected = if reach(role, action).is_some() { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(collector.get(uri, role).await.0, expected, "{role} {uri}");
        }
        let token = collector.token(role);
        for (method, uri) in [(Method::POST, "/v1/batches"), (Method::PUT, "/v1/contents/x")] {
            let (status, _) = collector.ask(method, uri, Some(&token), "{}").await;
            let expected = if role == Role::Device { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
            assert_eq!(status, expected, "{role} {uri}");
        }
    }
}

#[tokio::test]
async fn without_a_valid_token_nothing_but_health_is_answered() {
    let collector = Collector::new();
    for token in [None, Some(""), Some("cst_0"), Some("x y")] {
        let (status, body) = collector.ask(Method::GET, "/v1/events", token, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(lines(&body)[0]["hint"].is_string());
    }
    assert_eq!(collector.ask(Method::GET, "/v1/health", None, "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_stored_as_hashes_only() {
    let collector = Collector::new();
    let token = collector.token(Role::Device);
    for entry in std::fs::read_dir(collector.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}

#[tokio::test]
async fn events_come_back_byte_for_byte_a_page_at_a_time() {
    let collector = Collector::new();
    let mut device = Device::new(1);
    (0..5).for_each(|i| device.accept(&format!("c{i}")));
    assert_eq!(collector.send(&device.batch(1, 5)).await.0, StatusCode::OK);
    let sent: String = device
        .items
        .iter()
        .map(|item| match item {
            Item::Event(bytes) => format!("{}\n", bytes.get()),
            Item::Hole(_) => unreachable!(),
        })
        .collect();
    let (_, first) = collector.get("/v1/events?limit=3", Role::Analyst).await;
    let (_, second) = collector.get("/v1/events?limit=3&after=3", Role::Analyst).await;
    assert_eq!(first + &second, sent);
    let (_, chained) = collector.get("/v1/events?chain=1", Role::Analyst).await;
    assert_eq!(lines(&chained)[4]["hash"], device.hash(5).to_string());
}

#[tokio::test]
async fn a_text_is_kept_only_for_a_commitment_that_an_event_holds() {
    let collector = Collector::new();
    let (device, kept, upload) = with_content("fn main() {}");
    let uri = format!("/v1/contents/{kept}");
    let token = collector.token(Role::Device);
    let put = async |upload: &Value| collector.ask(Method::PUT, &uri, Some(&token), upload.to_string()).await.0;
    assert_eq!(put(&upload).await, StatusCode::NOT_FOUND);
    collector.send(&device.batch(1, 1)).await;
    let mut other = upload.clone();
    other["text"] = "fn other() {}".into();
    assert_eq!(put(&other).await, StatusCode::BAD_REQUEST);
    assert_eq!(put(&upload).await, StatusCode::CREATED);
    assert_eq!(put(&upload).await, StatusCode::OK);
}

#[tokio::test]
async fn only_a_responder_with_purpose_and_ticket_reads_a_text_and_it_lies_sealed() {
    let collector = Collector::new();
    let secret = "let canary = \"in the clear\";";
    let (device, kept, upload) = with_content(secret);
    collector.send(&device.batch(1, 1)).await;
    let token = collector.token(Role::Device);
    collector.ask(Method::PUT, &format!("/v1/contents/{kept}"), Some(&token), upload.to_string()).await;

    let with = "/v1/contributions?id=c1&purpose=incident&ticket=T-1";
    let (status, body) = collector.get(with, Role::Responder).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(lines(&body)[0]["content"]["output"]["text"], secret);
    let (_, body) = collector.get("/v1/contributions?id=c1", Role::Responder).await;
    assert!(!body.contains("canary"), "without a purpose facts are told, not texts");
    for half in ["&purpose=x", "&ticket=x", "&purpose=%20&ticket=x"] {
        let (status, _) = collector.get(&format!("/v1/contributions?id=c1{half}"), Role::Responder).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    for entry in std::fs::read_dir(collector.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[tokio::test]
async fn every_read_is_in_the_access_log_with_who_what_and_why() {
    let collector = Collector::new();
    collector.get("/v1/events?after=3", Role::Analyst).await;
    collector.get("/v1/trace?path=a.rs&purpose=incident&ticket=T-1", Role::Responder).await;
    let log = collector.access_log().await;
    let told: Vec<Value> = log.iter().map(|line| line["event"]["data"].clone()).collect();
    assert_eq!(told.len(), 3, "the auditor's own read is in it");
    assert_eq!((&told[0]["role"], &told[0]["question"]["after"]), (&json!("analyst"), &json!(3)));
    assert_eq!((&told[1]["purpose"], &told[1]["ticket"]), (&json!("incident"), &json!("T-1")));
    assert_eq!(told[2]["action"], "access_log");
}

#[tokio::test]
async fn a_read_that_cannot_be_written_down_is_refused() {
    let collector = Collector::new();
    let mut device = Device::new(1);
    device.accept("c1");
    collector.send(&device.batch(1, 1)).await;
    let db = rusqlite::Connection::open(collector.path().join("archive.db")).unwrap();
    db.execute_batch("create trigger broken before insert on records begin select raise(abort, 'no'); end").unwrap();
    for (uri, role) in [
        ("/v1/events", Role::Analyst),
        ("/v1/contributions?id=c1", Role::Analyst),
        ("/v1/trace?path=src/a.rs", Role::Responder),
        ("/v1/heads?stream=device-1&epoch=epoch-1", Role::Developer),
        ("/v1/streams", Role::Admin),
        ("/v1/gaps", Role::Analyst),
        ("/v1/access", Role::Auditor),
    ] {
        let (status, body) = collector.get(uri, role).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{uri}");
        assert!(!body.contains("device-1") && !body.contains("c1"), "{uri}: {body}");
    }
    assert!(Local::open(collector.path(), "root").unwrap().verify().is_err());
    device.accept("c2");
    assert_eq!(collector.send(&device.batch(1, 2)).await.0, StatusCode::OK, "the trail still comes in");
}

#[tokio::test]
async fn a_path_is_traced_by_repository_and_says_that_the_text_was_not_at_hand() {
    let collector = Collector::new();
    let mut device = Device::new(1);
    device.accept("c1");
    collector.send(&device.batch(1, 1)).await;
    let uri = format!("/v1/trace?repository={REPOSITORY}&path=src/a.rs");
    let told = lines(&collector.get(&uri, Role::Analyst).await.1);
    assert_eq!((&told[0]["contribution"], &told[0]["model"]["requested"]), (&json!("c1"), &json!("gpt-41-copilot")));
    assert_eq!(told[1]["complete"], false);
    for (lines_asked, found) in [("&from=1&to=4", 1), ("&from=5&to=5", 2), ("&from=7", 1)] {
        assert_eq!(lines(&collector.get(&(uri.clone() + lines_asked), Role::Analyst).await.1).len(), found);
    }
    let other = "/v1/trace?repository=other&path=src/a.rs";
    assert_eq!(lines(&collector.get(other, Role::Analyst).await.1).len(), 1);
}

#[tokio::test]
async fn an_unknown_contribution_makes_the_answer_incomplete() {
    let collector = Collector::new();
    let told = lines(&collector.get("/v1/contributions?id=nobody", Role::Analyst).await.1);
    assert_eq!(told, [json!({"complete": false, "missing": ["contribution nobody is not in the archive"]})]);
}

#[tokio::test]
async fn bad_input_is_answered_with_a_reason_and_stores_nothing() {
    let collector = Collector::new();
    let device = collector.token(Role::Device);
    let deep = "[".repeat(100_000);
    for body in ["", "null", "{}", "[]", "\u{0}", deep.as_str(), r#"{"stream":1}"#] {
        let (status, answer) = collector.ask(Method::POST, "/v1/batches", Some(&device), body.to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(lines(&answer)[0]["error"].is_string());
    }
    let large = vec![b' '; ingest::UNPACKED_BYTES_MAX + 1];
    assert_eq!(collector.ask(Method::POST, "/v1/batches", Some(&device), large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for uri in ["/v1/events?after=-1", "/v1/events?aftre=1", "/v1/events?limit=x", "/v1/trace", "/v1/contributions"] {
        let (status, answer) = collector.get(uri, Role::Analyst).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
        assert!(lines(&answer)[0]["error"].is_string(), "{uri}");
    }
    assert_eq!(collector.get("/v2/x", Role::Analyst).await.0, StatusCode::NOT_FOUND);
    assert_eq!(collector.ask(Method::DELETE, "/v1/events", None, "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(collector.get("/v1/streams", Role::Admin).await.1, "[]");
}

#[tokio::test]
async fn a_fork_is_answered_with_where_the_archive_stands_and_is_shown_to_the_admin() {
    let collector = Collector::new();
    let mut device = Device::new(1);
    device.accept("c1");
    collector.send(&device.batch(1, 1)).await;
    let mut other = Device::new(1);
    other.accept("c2");
    let (status, body) = collector.send(&other.batch(1, 1)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let told = &lines(&body)[0];
    assert_eq!((&told["kind"], &told["seq"], &told["cursor"]["acked_through"]), (&json!("fork"), &json!(1), &json!(1)));
    let streams = lines(&collector.get("/v1/streams", Role::Admin).await.1);
    assert_eq!(streams[0][0]["forks"][0]["theirs"], other.hash(1).to_string());
    let traced = lines(&collector.get("/v1/contributions?id=c1", Role::Analyst).await.1);
    assert_eq!(traced[1]["complete"], false, "an answer from a forked stream says so");
}

#[tokio::test]
async fn gaps_are_listed_for_whoever_may_see_the_stream() {
    let collector = Collector::new();
    let mut device = Device::new(1);
    (1..=4).for_each(|n| device.accept(&format!("c{n}")));
    let mut batch = device.batch(1, 1);
    batch.head = device.head(4);
    collector.send(&batch).await;
    let seen = |body: String| {
        lines(&body).iter().map(|gap| (gap["from_seq"].clone(), gap["to_seq"].clone())).collect::<Vec<_>>()
    };
    let expected = [(json!(2), json!(4))];
    assert_eq!(seen(collector.get("/v1/gaps", Role::Analyst).await.1), expected);
    let streams = lines(&collector.get("/v1/streams", Role::Admin).await.1);
    assert_eq!(streams[0][0]["gaps"][0]["to"], json!(device.head(4).time));
    let traced = lines(&collector.get("/v1/contributions?id=c1", Role::Analyst).await.1);
    let missing = traced[1]["missing"][0].as_str().unwrap();
    assert!(missing.contains("events 2 to 4 are announced by a signed head, not delivered (from 2026-"), "{missing}");
    let other = crate::serve::token(collector.path(), Role::Developer, "somebody else").unwrap();
    assert_eq!(collector.ask(Method::GET, "/v1/gaps", Some(&other), "").await, (StatusCode::OK, String::new()));
    assert_eq!(seen(collector.get("/v1/gaps", Role::Developer).await.1), expected, "their own");
}

#[tokio::test]
async fn verify_names_the_place_where_the_archive_was_changed() {
    let collector = Collector::new();
    let (mut device, kept, upload) = with_content("text");
    (0..4).for_each(|i| device.accept(&format!("c{i}")));
    collector.send(&device.batch(1, 5)).await;
    let token = collector.token(Role::Device);
    collector.ask(Method::PUT, &format!("/v1/contents/{kept}"), Some(&token), upload.to_string()).await;
    let verify = || Local::open(collector.path(), "root").unwrap().verify().unwrap();
    let report = verify();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.items, report.heads, report.contents["ok"]), (5, 1, 1));

    let db = rusqlite::Connection::open(collector.path().join("archive.db")).unwrap();
    db.execute_batch("pragma foreign_keys = 0").unwrap();
    let tamper = |sql: &str, undo: &str| {
        db.execute_batch(
            "drop trigger items_stay; drop trigger items_remain; drop trigger contents_stay; drop trigger records_stay",
        )
        .unwrap();
        db.execute_batch(sql).unwrap();
        let broken = verify().broken;
        db.execute_batch(undo).unwrap();
        db.execute_batch(
            "create trigger items_stay before update on items begin select raise(abort, ''); end;
             create trigger items_remain before delete on items begin select raise(abort, ''); end;
             create trigger contents_stay before update on contents begin select raise(abort, ''); end;
             create trigger records_stay before update on records begin select raise(abort, ''); end;",
        )
        .unwrap();
        broken.unwrap_or_else(|| panic!("{sql} was not seen"))
    };
    let keep = "create temp table kept as select * from items; ";
    let back = "delete from items; insert into items select * from kept; drop table kept";
    let broken = tamper(&format!("{keep} update items set bytes = replace(bytes, 'full', 'null') where seq = 3"), back);
    assert_eq!((broken.stream.as_str(), broken.seq), ("device-1", 3));
    let broken = tamper(&format!("{keep} delete from items where seq = 4"), back);
    assert_eq!(broken.seq, 4);
    let broken = tamper(&format!("{keep} delete from items where seq = 5"), back);
    assert_eq!(broken.seq, 5);
    let broken = tamper(
        "create temp table c as select * from contents; update contents set sealed = zeroblob(80)",
        "update contents set sealed = (select sealed from c); drop table c",
    );
    assert!(broken.what.contains(&kept));
    let broken = tamper("update records set bytes = '{}' where seq = 1", "");
    assert_eq!((broken.stream.as_str(), broken.seq), ("collector", 1));
}

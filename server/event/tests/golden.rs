//! One golden file for each type: what is written today must be readable for as long as trails live.
//!
//! After a release these files are never edited, only added to. `UPDATE_GOLDEN=1` writes new ones.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it reads golden files, and a panic is its message"
)]

use std::path::PathBuf;

use countersign_event::batch::Hole;
use countersign_event::chain::{Hash, Head};
use countersign_event::content::{Commitment, ContentName, ContentSlot, Contents, KeepReason};
use countersign_event::facts::*;
use countersign_event::payload::suggestion::*;
use countersign_event::payload::*;
use countersign_event::redact::Redaction;
use countersign_event::{Event, EventBytes, Timestamp};
use uuid::Uuid;

#[test]
fn every_type_has_a_golden_file_and_still_writes_it() {
    let samples = samples();
    let sampled: Vec<&str> = samples.iter().map(Payload::event_type).collect();
    assert_eq!(sampled, Payload::TYPES, "one sample for each type, in the order of the schema");
    for payload in samples {
        let name = short(payload.event_type()).to_owned();
        check(&format!("golden/{name}.json"), event(payload).to_bytes().as_str());
    }
}

#[test]
fn every_golden_file_is_read_into_what_was_written() {
    for payload in samples() {
        let file = dir().join(format!("golden/{}.json", short(payload.event_type())));
        let text = std::fs::read_to_string(&file).unwrap();
        let bytes = EventBytes::parse(text.trim_end().as_bytes()).unwrap();
        assert_eq!(bytes.payload().unwrap(), payload, "{}", file.display());
        assert_eq!(bytes.as_str(), text.trim_end());
    }
}

/// The fields that came after the first golden file of the type.
#[test]
fn a_test_run_by_an_agent_has_a_golden_file_too() {
    let called = samples().into_iter().find_map(|payload| match payload {
        Payload::ToolCalled(called) => Some(called),
        _ => None,
    });
    let mut called = called.unwrap();
    called.succeeded = Some(false);
    called.class = Some(tool::Class::Test);
    called.classed_by = Some(tool::ClassedBy { rule: "cargo test".into(), decides_exit: true });
    called.exit_status = Some(101);
    called.tree = Some(Fact::observed(tool::TreeState { dirty: true }));
    called.circumstances.context = vec![
        ContextItem {
            path: "src/auth.py".into(),
            digest: Some("ef".repeat(32)),
            sensitivity: Some(Sensitivity::Sensitive),
            bytes: Some(812),
            how: Some(How::Observed),
            absent: None,
        },
        ContextItem { path: "db://prod/orders".into(), absent: Some(Absent::NotOnWire), ..ContextItem::default() },
    ];
    let payload = Payload::ToolCalled(called);
    let text = event(payload.clone()).to_bytes().as_str().to_owned();
    check("golden/tool.called.test.json", &text);
    assert_eq!(EventBytes::parse(text.as_bytes()).unwrap().payload().unwrap(), payload);
}

#[test]
fn the_json_schema_on_disk_is_the_schema_of_the_types() {
    for (event_type, schema) in Payload::schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        check(&format!("../schema/{}.json", short(event_type)), &text);
    }
    let hole = serde_json::to_string_pretty(&schemars::schema_for!(Hole)).unwrap();
    check("../schema/hole.json", &hole);
}

/// What a tap records of an inline suggestion whose texts are not kept.
#[test]
fn a_light_event_stays_light() {
    let model = Fact::observed(Model { requested: Some("gpt-41-copilot".into()), ..Model::default() })
        .without(Absent::NotOnWire);
    let not_kept = ContentSlot::NotKept { absent: Absent::BelowThreshold, policy: "default".into() };
    for mut payload in samples() {
        let (fact, path) = match &mut payload {
            Payload::SuggestionOffered(data) => {
                data.circumstances = Circumstances::default();
                (&mut data.model, &mut data.path)
            }
            Payload::SuggestionAccepted(data) => {
                data.circumstances = Circumstances::default();
                data.shown = Fact::absent(Absent::NotOnWire);
                data.dwell = None;
                (&mut data.model, &mut data.path)
            }
            Payload::SuggestionRejected(data) => (&mut data.model, &mut data.path),
            _ => continue,
        };
        *fact = model.clone();
        if let Fact::Known { value, .. } = path {
            value.tool_call_id = None;
        }
        let place = payload.place_mut().unwrap();
        (place.change, place.sensitivity) = (None, None);
        let slots = payload.contents_mut().unwrap();
        slots.retain(|name, _| ![ContentName::Reasoning, ContentName::Person].contains(name));
        slots.values_mut().for_each(|slot| *slot = not_kept.clone());
        let bound = if matches!(payload, Payload::SuggestionAccepted(_)) { 1_500 } else { 1_200 };
        let event = event(payload).to_bytes();
        let size = event.as_bytes().len();
        assert!(size <= bound, "{size} bytes: {}", event.as_str());
    }
}

#[test]
fn unknown_fields_and_types_survive_byte_for_byte() {
    let json = r#"{"specversion":"1.0", "id":"01890a5d-ac96-774b-bcce-b302099a8057","source":"urn:x","type":"dev.countersign.suggestion.offered.v1","time":"2026-01-02T03:04:05.678Z","later":[1.0,2e3],"data":{"how":"observed","contribution":"c","model":{"absent":"not_on_wire"},"prompt":{"absent":"not_on_wire"},"output":{"bytes":1,"lines":1,"how":"observed","new":{"a":1.10}},"person":{"absent":"headless"},"path":{"absent":"not_on_wire"},"place":{},"extra" : true}}"#;
    let event = EventBytes::parse(json.as_bytes()).unwrap();
    assert_eq!(event.as_str(), json);
    assert!(matches!(event.payload().unwrap(), Payload::SuggestionOffered(_)));

    let json = json.replace("suggestion.offered.v1", "suggestion.dreamt.v7");
    let event = EventBytes::parse(json.as_bytes()).unwrap();
    let payload = event.payload().unwrap();
    assert_eq!(payload.event_type(), "dev.countersign.suggestion.dreamt.v7");
    assert!(serde_json::to_string(&payload).unwrap().contains(r#""extra" : true"#));
}

#[test]
fn bytes_that_are_no_event_are_refused_with_a_reason() {
    for (bytes, reason) in [
        (&b"\xff"[..], "event is not UTF-8"),
        (b"{}", "not a CloudEvents envelope"),
        (b"", "not a CloudEvents envelope"),
        (b"[1]", "not a CloudEvents envelope"),
        (
            br#"{"specversion":"0.3","id":"01890a5d-ac96-774b-bcce-b302099a8057","source":"s","type":"t","time":"2026-01-02T03:04:05Z","data":{}}"#,
            "specversion is \"0.3\", expected \"1.0\"",
        ),
    ] {
        assert_eq!(EventBytes::parse(bytes).unwrap_err().to_string(), reason);
    }
}

fn check(file: &str, expected: &str) {
    let path = dir().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{expected}\n")).unwrap();
    }
    let found = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    assert_eq!(found.trim_end(), expected, "{} differs from what the types say", path.display());
}

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn short(event_type: &str) -> &str {
    event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1")
}

fn event(payload: Payload) -> Event {
    Event {
        id: Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap(),
        source: "urn:countersign:device:0f6d9c1e-7a43-4a51-9a57-6a2c5f0f8d11".into(),
        time: Timestamp::from_millis(1_767_323_045_678),
        subject: Some("01890a5d-ac96-774b-bcce-b302099a8058".into()),
        payload,
    }
}

const CONTRIBUTION: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn samples() -> Vec<Payload> {
    let model = || {
        Fact::observed(Model {
            requested: Some("gpt-41-copilot".into()),
            responded: Some("gpt-4.1-2025-04-14".into()),
            family: Some("gpt".into()),
            provider: Some("openai".into()),
        })
    };
    let prompt =
        || Fact::reported(Prompt { turns: Some(6), class: Some("fix".into()), template: Some("review-v2".into()) });
    let output = || Fact::observed(Output { bytes: 27, lines: 1 });
    let person = || Fact::reported(Person { id: "p-7f3a9c".into(), via: Some(PersonVia::Git) });
    let path = || {
        Fact::observed(IntegrationPath {
            tool: Some("copilot".into()),
            version: Some("1.539.0".into()),
            session: Some("s-1".into()),
            request_id: Some("ea391280-4e73-4768-a43d-bba392cac283".into()),
            tool_call_id: Some("call_1".into()),
            ..IntegrationPath::new(PathKind::Ide, Transport::Tap)
        })
    };
    let place = || Place {
        repository: Some(format!("{COMMIT}@github.com/acme/app")),
        base: Some(COMMIT.into()),
        change: Some("pull/7".into()),
        uri: Some("file:///home/dev/project/wc.py".into()),
        path: Some("wc.py".into()),
        range: Some(range()),
        language: Some("python".into()),
        sensitivity: Some(Sensitivity::Sensitive),
    };
    let contents = |name| {
        Contents::from([
            (
                name,
                ContentSlot::Kept(Commitment {
                    kept: "ab".repeat(32),
                    raw: Some("cd".repeat(32)),
                    bytes: 27,
                    reason: KeepReason::Threshold,
                    policy: "default".into(),
                    absent: None,
                    redacted: vec![Redaction { kind: "github_token".into(), bytes: 40, hash: "1f2e3d4c".into() }],
                }),
            ),
            (ContentName::Reasoning, ContentSlot::Absent { absent: Absent::NotOnWire }),
            (
                ContentName::Person,
                ContentSlot::NotKept { absent: Absent::BelowThreshold, policy: "3f2c9a1b77d0".into() },
            ),
        ])
    };
    let circumstances = || Circumstances {
        context: vec![ContextItem {
            path: "src/auth.py".into(),
            digest: Some("ef".repeat(32)),
            sensitivity: Some(Sensitivity::Ordinary),
            ..ContextItem::default()
        }],
        secrets_access: Some(SecretsAccess { read: vec![".env".into()], reachable: Some(true) }),
        artifact_type: Some("code".into()),
        usage: Some(Usage {
            tokens: Some(Tokens { input: Some(900), output: Some(12), cached: Some(800), reasoning: Some(0) }),
            cost: Some(Cost { amount: 0.002, currency: "USD".into() }),
        }),
    };
    let distance = || Distance {
        metric: "tokens".into(),
        algorithm: "similar 3.2.1 histogram".into(),
        inserted: 0,
        deleted: 2,
        kept: 10,
        ratio: 0.8333,
        exact: true,
        levenshtein: Some(5),
    };
    let entered = || vec![Entered { range: range(), bytes: 27, digest: "0123456789abcdef0123456789abcdef".into() }];
    let how = How::Observed;
    vec![
        Payload::SuggestionOffered(Offered {
            how,
            contribution: CONTRIBUTION.into(),
            alternative: 1,
            model: model(),
            prompt: prompt(),
            output: output(),
            person: person(),
            path: path(),
            place: place(),
            digest: None,
            content: contents(ContentName::Output),
            circumstances: circumstances(),
        }),
        Payload::SuggestionAccepted(Accepted {
            how,
            contribution: CONTRIBUTION.into(),
            act: 1,
            extent: Extent::Full,
            gesture: Gesture::Both,
            rule: None,
            confidence: None,
            model: model(),
            prompt: Fact::absent(Absent::NotOnWire),
            output: output(),
            person: person(),
            path: path(),
            place: place(),
            entered: entered(),
            distance: distance(),
            shown: Fact::reported(Shown { at: Timestamp::from_millis(1_767_323_040_000) }),
            dwell: Some(Dwell::From5To30s),
            content: contents(ContentName::Accepted),
            circumstances: circumstances(),
        }),
        Payload::SuggestionRejected(Rejected {
            how: How::Inferred,
            contribution: CONTRIBUTION.into(),
            act: 2,
            reason: RejectReason::Undone,
            undoes: Some(1),
            rule: Some("inverse_edit".into()),
            model: model(),
            output: output(),
            person: person(),
            path: path(),
            place: place(),
            content: contents(ContentName::Output),
        }),
        Payload::EditApplied(edit::Applied {
            how,
            contribution: CONTRIBUTION.into(),
            model: model(),
            prompt: prompt(),
            output: output(),
            person: person(),
            path: path(),
            place: place(),
            before_blob: Some(COMMIT.into()),
            after_blob: Some(COMMIT.into()),
            hunks: vec![edit::Hunk { old_start: 1, old_lines: 0, new_start: 1, new_lines: 3 }],
            entered: entered(),
            rule: Some("bulk_insertion".into()),
            confidence: Some(0.3),
            content: contents(ContentName::After),
            circumstances: circumstances(),
        }),
        Payload::PromptSubmitted(prompt::Submitted {
            how,
            prompt: prompt(),
            model: model(),
            person: person(),
            path: path(),
            place: place(),
            content: contents(ContentName::Prompt),
            circumstances: circumstances(),
        }),
        Payload::ToolCalled(tool::Called {
            how,
            tool_name: "Write".into(),
            outcome: tool::Outcome::Applied,
            decision: Some(tool::Decision { by: tool::DecidedBy::Person, scope: tool::DecisionScope::Once }),
            succeeded: None,
            class: None,
            classed_by: None,
            exit_status: None,
            tree: None,
            model: model(),
            person: person(),
            path: path(),
            place: place(),
            content: contents(ContentName::Arguments),
            circumstances: circumstances(),
        }),
        Payload::ContributionMeasured(contribution::Measured {
            how,
            contribution: CONTRIBUTION.into(),
            moment: contribution::Moment::Save,
            accepted_bytes: 27,
            surviving_bytes: 21,
            distance: distance(),
            first_seen: false,
            place: place(),
        }),
        Payload::ContributionEvidenced(contribution::Evidenced {
            how: How::Reported,
            contribution: CONTRIBUTION.into(),
            act: Some(1),
            saw: "model_named".into(),
            model: Some(model()),
            prompt: Some(prompt()),
            output: Some(output()),
            person: Some(person()),
            path: path(),
            place: place(),
            content: contents(ContentName::Prompt),
        }),
        Payload::RefMoved(commit::RefMoved {
            how,
            repository: COMMIT.into(),
            reference: "refs/heads/main".into(),
            before: Some(COMMIT.into()),
            after: Some(COMMIT.into()),
            by: "post-rewrite".into(),
            rewritten: vec![(COMMIT.into(), COMMIT.into())],
        }),
        Payload::CommitAttested(commit::Attested {
            how,
            repository: COMMIT.into(),
            commit: COMMIT.into(),
            parents: vec![COMMIT.into()],
            files: vec![commit::AttestedFile {
                path: "wc.py".into(),
                blob: COMMIT.into(),
                spans: vec![commit::AttestedSpan {
                    start: 0,
                    end: 27,
                    origin: "ai".into(),
                    contribution: Some(CONTRIBUTION.into()),
                    how,
                }],
                writers: Vec::new(),
            }],
            head: Some(Head {
                stream: "s".into(),
                epoch: "e".into(),
                seq: 41,
                hash: Hash([7; 32]),
                time: Timestamp::from_millis(1_767_323_045_678),
                public_key: "11".repeat(32),
                signature: "22".repeat(64),
            }),
        }),
        Payload::FindingRaised(finding::Raised {
            how,
            rule: "shell-injection".into(),
            severity: "high".into(),
            cwe: vec!["CWE-78".into()],
            fingerprint: "0123456789abcdef".into(),
            contribution: Some(CONTRIBUTION.into()),
            place: place(),
        }),
        Payload::FindingDismissed(finding::Dismissed {
            how: How::Attested,
            rule: "shell-injection".into(),
            fingerprint: "0123456789abcdef".into(),
            reason: "input is a constant of ours".into(),
            person: person(),
            place: place(),
        }),
        Payload::FindingResolved(finding::Resolved {
            how,
            rule: "shell-injection".into(),
            fingerprint: "0123456789abcdef".into(),
            by: "edited".into(),
            place: place(),
        }),
        Payload::ModelResponded(model::Responded {
            how: How::Reported,
            model: model(),
            prompt: prompt(),
            output: output(),
            person: Fact::absent(Absent::NotSignedIn),
            path: path(),
            finish: Some("stop".into()),
            content: contents(ContentName::Output),
            circumstances: circumstances(),
        }),
        Payload::ToolDiscovered(tool::Discovered {
            how,
            tool: "copilot".into(),
            version: Some("1.539.0".into()),
            path: path(),
            captured: true,
            note: Some("sees offers and acceptances".into()),
        }),
        Payload::CaptureStarted(capture::Started {
            how,
            path: path(),
            countersign: "0.1.0".into(),
            client: Some("Neovim 0.12.0".into()),
        }),
        Payload::CapturePaused(capture::Paused {
            how: How::Attested,
            scope: "all".into(),
            person: person(),
            until: Some(Timestamp::from_millis(1_767_323_945_678)),
            by: "command".into(),
            paths: Vec::new(),
        }),
        Payload::CaptureResumed(capture::Resumed {
            how: How::Attested,
            scope: "all".into(),
            person: person(),
            by: "command".into(),
        }),
        Payload::CaptureDegraded(capture::Degraded {
            how,
            path: path(),
            reason: "malformed_frame".into(),
            detail: Some("header without Content-Length".into()),
            count: 3,
            uri: Some("file:///home/dev/project/wc.py".into()),
        }),
        Payload::CaptureStopped(capture::Stopped { how, path: path(), reason: "child_exited".into(), status: Some(0) }),
        Payload::TrailGap(trail::Gap {
            how,
            reason: "overflow".into(),
            count: Some(12),
            from: Some(Timestamp::from_millis(1_767_323_040_000)),
            to: Some(Timestamp::from_millis(1_767_323_045_000)),
            by: Some("recorder".into()),
        }),
        Payload::TrailRecovered(trail::Recovered {
            how,
            reason: "file is not a database".into(),
            set_aside: "spool.db.broken-1".into(),
            previous_epoch: Some("01890a5d-ac96-774b-bcce-b302099a8059".into()),
            previous_seq: Some(812),
            salvaged: 811,
            lost: Some(1),
        }),
        Payload::TrailForked(trail::Forked {
            how,
            stream: "s".into(),
            epoch: "e".into(),
            seq: 12,
            reason: "restored".into(),
        }),
        Payload::TrailTrimmed(trail::Trimmed {
            how,
            what: "contents".into(),
            count: 40,
            bytes: 4_000_000,
            reason: "bound".into(),
        }),
        Payload::ReviewRecorded(review::Recorded {
            how: How::Attested,
            person: person(),
            place: place(),
            contributions: vec![CONTRIBUTION.into()],
            verdict: "approved".into(),
        }),
        Payload::GateDecided(gate::Decided {
            how,
            place: place(),
            verdict: "peer".into(),
            score: Some(41.5),
            policy: "3f2c".into(),
            reasons: vec!["sensitive path".into()],
            obligations: vec!["review by an owner".into()],
        }),
    ]
}

fn range() -> Range {
    Range { start: Position { line: 3, character: 4 }, end: Position { line: 3, character: 4 } }
}

//! A conversation of several turns with Claude Code, told from the edit that it ended with.

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{Turn, anthropic, claude_code, program};
use crate::support::{World, of_type};

const PROMPTS: [&str; 6] = [
    "What is this?",
    "Which language should it be in?",
    "Tell me something that nobody keeps",
    "And something short",
    "Which name do you propose?",
    "Then write it",
];
const ANSWERS: [&str; 6] =
    ["An empty repository.", "Python.", "A secret of the third turn.", "Ok.", "slug.py.", "Here it is."];

#[test]
fn six_turns_come_back_in_order_from_the_one_edit_they_ended_with() {
    let program = program::installed("COUNTERSIGN_CLAUDE_CODE", "claude-code");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let file = root.join("slug.py");
    let mut turns: Vec<Turn> = ANSWERS[..5].iter().map(|answer| Turn::Says(answer)).collect();
    turns.push(Turn::Calls {
        id: "toolu_write",
        tool: "Write",
        input: json!({"file_path": file, "content": "def slug(text):\n    return text.lower()\n"}),
    });
    turns.push(Turn::Says(ANSWERS[5]));
    let endpoint =
        Endpoint::start(Box::new(move |request| anthropic::answer(request, &turns, "claude-sonnet-4-5-20250929")));
    claude_code::settings(&world);

    let mut session: Option<String> = None;
    for (number, prompt) in (1..).zip(PROMPTS) {
        let full = match number {
            3 => r#"full = "never""#,
            4 => "threshold_bytes = 1024",
            _ => r#"full = "always""#,
        };
        std::fs::write(world.policy_file(), format!("[tiers]\n{full}\n")).unwrap();
        let mut command = claude_code::command(&program, &world, &endpoint, &root);
        command.args(["-p", prompt]);
        if let Some(session) = &session {
            command.args(["--resume", session]);
        }
        let said: Value = serde_json::from_str(&program::run(&mut command, &world)).unwrap();
        assert_eq!(said["result"], ANSWERS[number - 1], "{said:#}");
        let id = said["session_id"].as_str().unwrap().to_owned();
        assert_eq!(session.get_or_insert(id.clone()), &id, "it is one session");
    }
    assert_eq!(endpoint.refused(), Vec::<String>::new());
    assert_eq!(program::troubles(&world), "");

    let log = world.log();
    let edits = of_type(&log, "edit.applied");
    assert_eq!(edits.len(), 1, "{edits:#?}");
    let contribution = edits[0]["data"]["contribution"].as_str().unwrap();

    // By the contribution's id, and by the lines it wrote.
    for place in [contribution.to_owned(), format!("{}:1-2", file.display())] {
        let told = world.json(["trace", "--json", &place]);
        assert_eq!(told[0]["contribution"], contribution);
        compare(&told[0]["prompt"]["conversation"], &log);
    }
    let shown = String::from_utf8(world.run(["trace", contribution]).stdout).unwrap();
    // The last prompt is the edit's own, and so told before the conversation too.
    let places: Vec<Option<usize>> = [PROMPTS[0], ANSWERS[0], PROMPTS[1], ANSWERS[4], PROMPTS[5], ANSWERS[5]]
        .iter()
        .map(|text| shown.rfind(text))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in\n{shown}");
    assert!(!shown.contains(ANSWERS[2]) && shown.contains("text not kept: policy"), "{shown}");
}

fn compare(conversation: &Value, log: &[Value]) {
    let turns = conversation.as_array().unwrap();
    assert_eq!(turns.len(), 6, "{turns:#?}");
    for (at, turn) in turns.iter().enumerate() {
        assert_eq!(turn["turn"], at + 1);
        for (side, text) in [("prompt", PROMPTS[at]), ("output", ANSWERS[at])] {
            let slot = &turn[side];
            match at + 1 {
                3 => assert_eq!((&slot["absent"], &slot["text"]), (&json!("policy"), &Value::Null), "{turn:#}"),
                4 => {
                    assert_eq!((&slot["absent"], &slot["text"]), (&json!("below_threshold"), &Value::Null), "{turn:#}")
                }
                _ => assert_eq!(slot["text"], text, "{turn:#}"),
            }
        }
        let types: Vec<&Value> = turn["events"].as_array().unwrap().iter().map(|id| type_of(log, id)).collect();
        assert_eq!(types, ["dev.countersign.prompt.submitted.v1", "dev.countersign.model.responded.v1"], "{turn:#}");
    }
}

fn type_of<'a>(log: &'a [Value], id: &Value) -> &'a Value {
    &log.iter().find(|event| event["id"] == *id).expect("the event is in the log")["type"]
}

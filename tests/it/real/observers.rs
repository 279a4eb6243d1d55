//! One edit, several observers: an agent behind the tap, our hook in its settings, the file open in an editor.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{Turn, anthropic, claude_code, program};
use crate::lsp::client::Client;
use crate::support::{DEADLINE, World, of_type, wait_for};

const BEFORE: &str = "import sys\n\ndef greet(name):\n    return 'Hi ' + name\n\nprint(greet(sys.argv[1]))\n";
const OLD: &str = "def greet(name):\n    return 'Hi ' + name\n";
const NEW: &str = "def greet(name: str) -> str:\n    if not name:\n        raise ValueError('nobody to greet')\n    return f'Hi {name}'\n";
const FAREWELL: &str = "def farewell(name: str) -> str:\n    return f'Bye {name}'\n";

/// An editor that speaks ACP to an agent behind the tap.
struct Acp {
    child: Child,
    stdin: Option<ChildStdin>,
    incoming: Receiver<Value>,
    last: u64,
}

impl Acp {
    fn start(world: &World, endpoint: &Endpoint, agent: &Path, directory: &Path) -> Acp {
        let mut command = program::agent(Path::new(env!("CARGO_BIN_EXE_countersign")), world, endpoint, directory);
        claude_code::environment(&mut command, endpoint);
        let mut child = command
            .args(["tap".as_ref(), "--".as_ref(), agent.as_os_str()])
            .env("COUNTERSIGN_HOME", world.home())
            .env("COUNTERSIGN_POLICY", world.policy_file())
            .env("ANTHROPIC_MODEL", "claude-sonnet-4-5")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tap starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).expect("a line of JSON")).is_err() {
                    return;
                }
            }
        });
        Acp { child, stdin, incoming, last: 0 }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().expect("open"), "{message}").expect("the tap reads");
    }

    /// Asks, shows what comes meanwhile, and returns the result.
    fn ask(&mut self, method: &str, params: &Value, mut meanwhile: impl FnMut(&Value)) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let said = self.incoming.recv_timeout(DEADLINE).expect("an answer in time");
            if said["method"] == "session/request_permission" {
                let outcome = json!({"outcome": {"outcome": "selected", "optionId": "allow"}});
                self.send(&json!({"jsonrpc": "2.0", "id": said["id"], "result": outcome}));
            } else if said["method"].is_string() {
                meanwhile(&said["params"]["update"]);
            } else if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {said:#}");
                return said["result"].clone();
            }
        }
    }

    fn finish(mut self) {
        self.stdin = None;
        wait_for("the end of the tap", || self.child.try_wait().expect("its status"));
    }
}

impl Drop for Acp {
    fn drop(&mut self) {
        // A test that failed must not leave an agent behind: it ends when nobody speaks to it.
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_edit_that_tap_hook_and_editor_saw_is_one_contribution() {
    let agent = program::installed("COUNTERSIGN_CLAUDE_ACP", "claude-acp");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let (greet, farewell) = (root.join("greet.py"), root.join("farewell.py"));
    std::fs::write(&greet, BEFORE).unwrap();
    let turns = vec![
        Turn::Calls { id: "toolu_01frkLiwHa761fjaVpDKuXC4", tool: "Read", input: json!({"file_path": greet}) },
        Turn::Calls {
            id: "toolu_01GHGRt9FMSdzz5Yziq4Jzxs",
            tool: "Edit",
            input: json!({"file_path": greet, "old_string": OLD, "new_string": NEW}),
        },
        Turn::Calls {
            id: "toolu_01TC3GPJRm1MfSd9e1uxJ7pR",
            tool: "Write",
            input: json!({"file_path": farewell, "content": FAREWELL}),
        },
        Turn::Says("Done."),
    ];
    let endpoint =
        Endpoint::start(Box::new(move |request| anthropic::answer(request, &turns, "claude-sonnet-4-5-20250929")));
    claude_code::settings(&world);

    let mut editor = Client::initialized(&world, json!({}));
    let files = [(&greet, BEFORE), (&farewell, "")].map(|(file, text)| {
        let uri = format!("file://{}", file.display());
        editor.open(&uri, "python", 0, text);
        (file, uri, text)
    });
    let mut shown = files.each_ref().map(|(_, _, text)| (*text).to_owned());
    // Reads every file again that is no longer as it is shown, as editors do.
    let mut reload = |editor: &mut Client| {
        for ((file, uri, _), shown) in files.iter().zip(&mut shown) {
            let now = std::fs::read_to_string(file).unwrap_or_default();
            if now != *shown {
                editor.replace(uri, 1, &now);
                *shown = now;
            }
        }
    };

    let mut acp = Acp::start(&world, &endpoint, &agent, &root);
    let capabilities = json!({"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false});
    acp.ask("initialize", &json!({"protocolVersion": 1, "clientCapabilities": capabilities}), |_| {});
    let session = acp.ask("session/new", &json!({"cwd": root, "mcpServers": []}), |_| {})["sessionId"].clone();
    let prompt = json!({"sessionId": session, "prompt": [{"type": "text", "text": "Greet politely"}]});
    let end = acp.ask("session/prompt", &prompt, |_| reload(&mut editor));
    assert_eq!(end["stopReason"], "end_turn", "{end:#}");
    reload(&mut editor);
    assert_eq!(std::fs::read_to_string(&greet).unwrap(), BEFORE.replace(OLD, NEW));
    assert_eq!(std::fs::read_to_string(&farewell).unwrap(), FAREWELL);
    wait_for("what entered the buffers", || {
        let log = world.log();
        let entered = of_type(&log, "contribution.evidenced");
        (entered.iter().filter(|event| event["data"]["saw"] == "entered_buffer").count() == 2).then_some(())
    });
    let spans = files.each_ref().map(|(_, uri, _)| editor.spans(uri));
    acp.finish();
    editor.finish();

    assert_eq!(program::troubles(&world), "");
    let log = world.log();
    let edits = of_type(&log, "edit.applied");
    let mut told: Vec<(&Value, &Value)> =
        edits.iter().map(|edit| (&edit["data"]["place"]["path"], &edit["content"]["after"])).collect();
    told.sort_by_key(|(path, _)| path.as_str());
    let after = [json!("farewell.py"), json!(FAREWELL), json!("greet.py"), json!(BEFORE.replace(OLD, NEW))];
    assert_eq!(told, [(&after[0], &after[1]), (&after[2], &after[3])], "one contribution a file");
    for edit in &edits {
        let contribution = &edit["data"]["contribution"];
        let mut saw: Vec<(&str, &str)> = log
            .iter()
            .filter(|event| event["data"]["contribution"] == *contribution)
            .map(|event| {
                let saw = event["data"]["saw"].as_str().or(event["type"].as_str()).unwrap();
                (saw, event["data"]["path"]["transport"].as_str().unwrap_or_default())
            })
            .filter(|(saw, _)| !["model_named", "dev.countersign.contribution.measured.v1"].contains(saw))
            .collect();
        saw.sort_unstable();
        let (first, second) = match edit["data"]["path"]["transport"].as_str() {
            Some("hook") => ("hook", "tap"),
            _ => ("tap", "hook"),
        };
        assert_eq!(
            saw,
            [("dev.countersign.edit.applied.v1", first), ("edit_applied", second), ("entered_buffer", "edits")]
        );
    }
    assert_eq!(of_type(&log, "prompt.submitted").len(), 1);
    let calls: Vec<String> =
        super::calls(&log).into_iter().map(|(_, tool, outcome)| format!("{tool} {outcome}")).collect();
    assert_eq!(calls, ["Read ran", "Edit applied", "Write applied"]);
    // What the agent wrote is its own; what stood there stays as unknown as it was.
    assert_eq!(spans, ["unknown 0:0-2:14 | ai 2:14-5:23 | unknown 5:23-8:0", "ai 0:0-2:0"]);
}

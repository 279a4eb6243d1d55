//! An AI's language server of the standard's inline completion, behind a real `countersign tap`. The editor's
//! side and the server's are both played here: what reaches the server lies in a file, what it answers goes
//! into a pipe.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::lsp::client::Client;
use crate::support::{World, json_lines, of_type, wait_for};

/// The stand-in: what it reads goes into the first file, what is in the second it says.
const SERVER: &str = r#"exec 3<&0; cat <&3 >"$1" & exec cat "$2""#;

/// The AI's server and the tap around it.
pub(super) struct Tapped {
    /// The editor's end.
    editor: Client,
    heard: PathBuf,
    says: File,
    offers: usize,
}

impl Tapped {
    /// Starts it, as an editor does.
    pub(super) fn start(world: &World, tool: &str) -> Tapped {
        let (heard, says) = (world.path().join("ai-heard"), world.path().join("ai-says"));
        let _ = std::fs::remove_file(&heard);
        if !says.exists() {
            assert!(Command::new("mkfifo").arg(&says).status().unwrap().success());
        }
        let mut command = world.countersign(["tap", "--tool", tool, "--", "sh", "-c", SERVER, "server"]);
        command.args([&heard, &says]);
        let editor = Client::spawn(command);
        // Both ends: otherwise this would wait for a reader that may never come.
        let says = File::options().read(true).write(true).open(&says).unwrap();
        let mut tapped = Tapped { editor, heard, says, offers: 0 };
        let capabilities = json!({ "textDocumentSync": 2, "inlineCompletionProvider": {} });
        let result = json!({ "capabilities": capabilities, "serverInfo": { "name": tool, "version": "1.0.0" } });
        tapped.ask("initialize", json!({ "processId": null, "rootUri": null, "capabilities": {} }), result);
        tapped.notify("initialized", json!({}));
        tapped
    }

    pub(super) fn open(&mut self, uri: &str, version: i64, text: &str) {
        self.editor.open(uri, "python", version, text);
    }

    pub(super) fn notify(&mut self, method: &str, params: Value) {
        self.editor.notify(method, params);
    }

    /// Asks for a completion, and is offered this one. Returns what the editor runs when it is taken.
    pub(super) fn offer(&mut self, uri: &str, range: &Value, text: &str) -> Value {
        self.offers += 1;
        let command = json!({ "title": "", "command": "ai.taken", "arguments": [format!("offer-{}", self.offers)] });
        let question = json!({
            "textDocument": { "uri": uri }, "position": range["start"], "context": { "triggerKind": 1 },
        });
        let item = json!({ "insertText": text, "range": range, "command": command });
        self.ask("textDocument/inlineCompletion", question, json!({ "items": [item] }));
        command
    }

    /// Tells that it was taken, and waits until our server knows that too.
    pub(super) fn accept(&mut self, world: &World, command: &Value) {
        let evidenced = || {
            let events = json_lines(&world.run(["log", "--json"]).stdout);
            of_type(&events, "contribution.evidenced").len()
        };
        let before = evidenced();
        let taken = json!({ "command": command["command"], "arguments": command["arguments"] });
        self.ask("workspace/executeCommand", taken, Value::Null);
        wait_for("the act to be seen in the buffer", || (evidenced() > before).then_some(()));
    }

    /// Ends it, and insists that the tap ends as its server did.
    pub(super) fn quit(mut self) {
        self.ask("shutdown", Value::Null, Value::Null);
        self.notify("exit", Value::Null);
        drop(self.says);
        self.editor.hang_up();
        assert!(self.editor.ended().success());
    }

    /// One question through the tap and its answer back.
    fn ask(&mut self, method: &str, params: Value, result: Value) {
        let id = self.editor.ask(method, params);
        let asked = json!({ "id": id }).to_string();
        let asked = asked.trim_matches(['{', '}']);
        wait_for("the question to reach the AI's server", || {
            let heard = std::fs::read_to_string(&self.heard).unwrap_or_default();
            heard.contains(&format!("{asked},")).then_some(())
        });
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        write!(self.says, "Content-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        self.editor.answer(id);
    }
}

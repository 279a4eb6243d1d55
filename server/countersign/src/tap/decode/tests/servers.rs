//! Each server's own shapes, from its messages to what a person did.

use countersign_event::Timestamp;
use countersign_provenance::join::{Joiner, Outcome};
use expect_test::{Expect, expect};

use super::*;
use crate::tap::frame::{self, Frame};

/// Plays a script: one message a line, `>` from the editor, `<` from the server; `#` is a comment, `wait`
/// lets three seconds pass. Prints what came of it.
fn check(script: &str, expected: Expect) {
    expected.assert_eq(&Stage::new(Decoder::new()).play(script));
}

struct Stage {
    decoder: Decoder,
    joiner: Joiner,
    now: i64,
    out: String,
}

impl Stage {
    fn new(decoder: Decoder) -> Stage {
        Stage { decoder, joiner: Joiner::new(), now: 0, out: String::new() }
    }

    fn play(mut self, script: &str) -> String {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.now += 100;
            if line == "wait" {
                self.now += 3000;
                self.observe(Observation::Tick);
                continue;
            }
            let (sign, body) = line.split_once(' ').unwrap();
            let direction = if sign == ">" { Direction::ToServer } else { Direction::ToEditor };
            let mut frames = frame::Decoder::new();
            frames.push(format!("{body}\n").as_bytes());
            while let Some(frame) = frames.next_frame() {
                match frame {
                    Frame::Message(body) => {
                        for seen in self.decoder.message(direction, &body) {
                            self.seen(seen);
                        }
                    }
                    other => self.out += &format!("{other:?}\n"),
                }
            }
        }
        for seen in self.decoder.end() {
            self.seen(seen);
        }
        self.observe(Observation::Ended);
        if !self.decoder.is_known() {
            self.out += "nobody knows it\n";
        }
        self.out
    }

    fn seen(&mut self, seen: Seen) {
        match seen {
            Seen::Observed(observation) => self.observe(observation),
            Seen::Taken(turn, observation) => {
                self.out += &format!("from turn {}: ", turn.number);
                self.observe(observation);
            }
            Seen::Replied(turn) => {
                self.out += &format!(
                    "turn {:?} of {:?}: {:?} -> {:?} ({:?} {:?} {:?})\n",
                    turn.turns,
                    turn.conversation,
                    turn.prompt,
                    turn.reply,
                    turn.requested,
                    turn.responded,
                    turn.request_id
                );
            }
            Seen::Named(_) | Seen::Prompted(_) => {}
            Seen::Agent(_) | Seen::SignedIn(_) | Seen::NotFollowed(_) | Seen::Unknown => {
                self.out += &format!("{seen:?}\n")
            }
        }
    }

    fn observe(&mut self, observation: Observation) {
        for outcome in self.joiner.handle(Timestamp::from_millis(self.now), observation) {
            let line = match outcome {
                Outcome::Offered(o) => {
                    let model = o.model.map_or(String::new(), |m| {
                        format!(" by {:?}/{:?} {:?} {:?}", m.requested, m.responded, m.how, m.request_id)
                    });
                    let at = o.range.map_or("?".to_owned(), |r| {
                        format!("{}:{}-{}:{}", r.start.line, r.start.character, r.end.line, r.end.character)
                    });
                    format!("offered {} {:?} {:?} at {at}{model}", o.key, o.channel, o.text)
                }
                Outcome::Accepted(a) => format!(
                    "accepted {}#{} {:?} {:?} {:?} {:?}{}",
                    a.key,
                    a.act,
                    a.extent,
                    a.gesture,
                    a.how,
                    a.inserted,
                    if a.shown.is_some() { " shown" } else { "" }
                ),
                Outcome::Rejected(r) => format!("rejected {}#{} {:?} {:?}", r.key, r.act, r.reason, r.how),
                Outcome::Forgotten { key } => format!("forgotten {key}"),
                Outcome::Evidenced { key, act, saw } => format!("evidenced {key}#{act} {saw}"),
                Outcome::Degraded { reason, .. } => format!("degraded {reason}"),
            };
            self.out += &line;
            self.out.push('\n');
        }
    }
}

const OPEN: &str = r#"> {"method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a","languageId":"x","version":0,"text":"a\nb\n"}}}"#;

/// A script that begins with an open document of the lines `a` and `b`.
fn opened(more: &str) -> String {
    format!("{OPEN}\n{more}")
}

/// An edit of the document: `LINE:FROM-TO TEXT`.
fn edit(line: u32, from: u32, to: u32, text: &str) -> String {
    let (start, end) = (json!({"line": line, "character": from}), json!({"line": line, "character": to}));
    let change = json!({"range": {"start": start, "end": end}, "text": text});
    let document = json!({"uri": "file:///a", "version": 1});
    let params = json!({"textDocument": document, "contentChanges": [change]});
    format!("> {}", json!({"method": "textDocument/didChange", "params": params}))
}

#[test]
fn a_panels_items_come_as_progress() {
    let item = |id: &str, text: &str| {
        let command = json!({"title": "", "command": "github.copilot.didAcceptPanelCompletionItem", "arguments": [id]});
        let at = json!({"line": 0, "character": 1});
        let item = json!({"insertText": text, "range": {"start": at, "end": at}, "command": command});
        let value = json!({"items": [item]});
        format!("< {}", json!({"method": "$/progress", "params": {"token": "panel-1", "value": value}}))
    };
    check(
        &opened(&format!(
            r#"
            > {{"id":1,"method":"textDocument/copilotPanelCompletion","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}},"partialResultToken":"panel-1","workDoneToken":"w"}}}}
            < {{"method":"$/progress","params":{{"token":"w","value":{{"kind":"begin"}}}}}}
            < {{"method":"$/progress","params":{{"token":"panel-1","value":{{"kind":"begin"}}}}}}
            {}
            {}
            < {{"id":1,"result":{{"items":[]}}}}
            {}
            {}
            > {{"id":2,"method":"workspace/executeCommand","params":{{"command":"github.copilot.didAcceptPanelCompletionItem","arguments":["h2"]}}}}
            "#,
            item("h1", ".one()"),
            item("h2", ".two()"),
            item("h3", ".late()"),
            edit(0, 1, 1, ".two()"),
        )),
        expect![[r#"
            offered 1 Panel ".one()" at 0:1-0:1
            offered 2 Panel ".two()" at 0:1-0:1
            accepted 2#1 Full Both Observed Some(".two()")
            rejected 1#1 Superseded Inferred
        "#]],
    );
}

#[test]
fn next_edits_may_be_of_another_file_and_end_in_three_ways() {
    check(
        &opened(&format!(
            r#"
            > {{"id":1,"method":"textDocument/copilotInlineEdit","params":{{"textDocument":{{"uri":"file:///a","version":1}},"position":{{"line":0,"character":0}}}}}}
            < {{"id":1,"result":{{"edits":[{{"text":"aa","range":{{"start":{{"line":0,"character":0}},"end":{{"line":0,"character":1}}}},"textDocument":{{"uri":"file:///a","version":1}},"command":{{"title":"t","command":"github.copilot.didAcceptCompletionItem","arguments":["one"]}}}},{{"text":"cc","range":{{"start":{{"line":0,"character":0}},"end":{{"line":0,"character":0}}}},"textDocument":{{"uri":"file:///c","version":1}},"command":{{"title":"t","command":"github.copilot.didAcceptCompletionItem","arguments":["two"]}}}}]}}}}
            > {{"method":"textDocument/didShowInlineEdit","params":{{"item":{{"command":{{"arguments":["one"]}}}}}}}}
            > {{"id":2,"method":"workspace/executeCommand","params":{{"command":"github.copilot.didAcceptCompletionItem","arguments":["one"]}}}}
            {}
            > {{"id":3,"method":"notifyNextEditRejected","params":{{"uuid":"two","reason":"ignored"}}}}
            "#,
            edit(0, 0, 1, "aa"),
        )),
        expect![[r#"
            offered 1 Edit "cc" at 0:0-0:0
            offered 2 NextEdit "aa" at 0:0-0:1
            accepted 2#1 Full Both Observed Some("aa") shown
            rejected 1#1 Ignored Reported
        "#]],
    );
}

#[test]
fn code_of_a_conversation_is_taken_from_its_turn() {
    check(
        &opened(&format!(
            r#"
            > {{"id":1,"method":"conversation/create","params":{{"workDoneToken":7,"turns":[{{"request":"old","response":"yes"}},{{"request":"new"}}],"model":"m-1","textDocument":{{"uri":"file:///a"}}}}}}
            < {{"method":"$/progress","params":{{"token":7,"value":{{"kind":"begin","conversationId":"c","turnId":"t"}}}}}}
            < {{"method":"window/logMessage","params":{{"type":3,"message":"[fetchChat] Request r1 at <https://x/chat> finished with 200 status after 1ms"}}}}
            < {{"method":"$/progress","params":{{"token":7,"value":{{"kind":"report","reply":"So:\n```\nfoo(1)\n"}}}}}}
            < {{"method":"$/progress","params":{{"token":7,"value":{{"kind":"report","editAgentRounds":[{{"roundId":1,"reply":"bar(2)\n```\n"}}]}}}}}}
            < {{"id":1,"result":{{"conversationId":"c","turnId":"t","modelName":"Model","modelInfo":{{"id":"m-1-2026"}}}}}}
            > {{"id":2,"method":"conversation/insertCode","params":{{"turnId":"t","codeBlockIndex":0,"acceptedLength":13,"totalCharacters":13,"textDocument":{{"uri":"file:///a"}}}}}}
            {}
            > {{"id":3,"method":"conversation/copyCode","params":{{"turnId":"t","codeBlockIndex":0,"copiedText":"foo(1)\nbar(2)"}}}}
            > {{"id":4,"method":"conversation/insertCode","params":{{"turnId":"nobody","codeBlockIndex":0}}}}
            > {{"id":5,"method":"conversation/turn","params":{{"workDoneToken":8,"conversationId":"c","message":"more"}}}}
            < {{"id":5,"error":{{"code":1,"message":"no"}}}}
            > {{"id":6,"method":"conversation/turn","params":{{"workDoneToken":9,"conversationId":"c","message":"again"}}}}
            "#,
            edit(1, 0, 0, "foo(1)\nbar(2)"),
        )),
        expect![[r#"
            turn Some(2) of Some("c"): Text("new") -> "So:\n```\nfoo(1)\nbar(2)\n```\n" (Some("m-1") Some("m-1-2026") Some("r1"))
            from turn 1: offered 1 Chat "foo(1)\nbar(2)" at ? by Some("m-1")/Some("m-1-2026") Observed Some("r1")
            accepted 1#1 Full Both Observed Some("foo(1)\nbar(2)")
            NotFollowed("code_of_an_unknown_turn")
            turn Some(3) of Some("c"): Text("more") -> "" (None None None)
            turn Some(4) of Some("c"): Text("again") -> "" (None None None)
        "#]],
    );
}

#[test]
fn a_setting_selects_the_model_until_the_log_names_another() {
    let ask = |id: u32, text: &str| {
        format!(
            r#"> {{"id":{id},"method":"textDocument/inlineCompletion","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}},"context":{{"triggerKind":2}}}}}}
            < {{"id":{id},"result":{{"items":[{{"insertText":"{text}"}}]}}}}"#
        )
    };
    check(
        &opened(&format!(
            r#"
            < {{"id":0,"method":"workspace/configuration","params":{{"items":[{{"section":"http"}},{{"section":"github.copilot"}}]}}}}
            > {{"id":0,"result":[{{}},{{"selectedCompletionModel":"first"}}]}}
            {}
            > {{"method":"workspace/didChangeConfiguration","params":{{"settings":{{"github":{{"copilot":{{"selectedCompletionModel":"second"}}}}}}}}}}
            {}
            < {{"method":"window/logMessage","params":{{"type":3,"message":"[fetchCompletions] Request r at <https://x/engines/third/completions> finished with 200 status"}}}}
            {}
            "#,
            ask(1, "x"),
            ask(2, "y"),
            ask(3, "z"),
        )),
        expect![[r#"
            offered 1 Inline "x" at 0:1-0:1 by Some("first")/None Reported None
            offered 2 Inline "y" at 0:1-0:1 by Some("second")/None Reported None
            rejected 1#1 Superseded Inferred
            offered 3 Inline "z" at 0:1-0:1 by Some("third")/None Inferred None
            rejected 2#1 Superseded Inferred
            rejected 3#1 SessionEnded Observed
        "#]],
    );
}

#[test]
fn llm_ls_names_the_model_and_the_decision() {
    let script = opened(&format!(
        r#"
        > {{"id":1,"method":"llm-ls/getCompletions","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}},"ide":"neovim","model":"bigcode/starcoder","apiToken":"hush","backend":"huggingface"}}}}
        < {{"id":1,"result":{{"request_id":"r1","completions":[{{"generated_text":".one()"}},{{"generated_text":".two()"}}]}}}}
        {}
        > {{"id":2,"method":"llm-ls/acceptCompletion","params":{{"requestId":"r1","acceptedCompletion":1,"shownCompletions":[0,1]}}}}
        > {{"id":3,"method":"llm-ls/getCompletions","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":1,"character":1}},"model":"m","apiToken":"hush"}}}}
        < {{"id":3,"result":{{"request_id":"r2","completions":[{{"generated_text":"?"}}]}}}}
        > {{"id":4,"method":"llm-ls/rejectCompletion","params":{{"requestId":"r2","shownCompletions":[0]}}}}
        "#,
        edit(0, 1, 1, ".two()"),
    ));
    check(
        &script,
        expect![[r#"
        offered 1 Inline ".one()" at 0:1-0:1 by Some("bigcode/starcoder")/None Observed Some("r1")
        offered 2 Inline ".two()" at 0:1-0:1 by Some("bigcode/starcoder")/None Observed Some("r1")
        accepted 2#1 Full Both Observed Some(".two()")
        rejected 1#1 Superseded Inferred
        offered 3 Inline "?" at 1:1-1:1 by Some("m")/None Observed Some("r2")
        rejected 3#1 Dismissed Reported
    "#]],
    );
}

#[test]
fn amazon_q_tells_afterwards_what_became_of_each_item() {
    check(
        &format!(
            r#"
            > {{"version":"1.0","mode":"JWT","key":"aHVzaGh1c2g="}}
            {OPEN}
            > {{"id":1,"method":"aws/textDocument/inlineCompletionWithReferences","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}},"context":{{"triggerKind":1}}}}}}
            < {{"id":1,"result":{{"sessionId":"s","items":[{{"itemId":"i1","insertText":".one()"}},{{"itemId":"i2","insertText":".two()"}},{{"itemId":"i3","insertText":"-a","isInlineEdit":true}},{{"itemId":"i4","insertText":".four()"}}]}}}}
            {}
            > {{"method":"aws/logInlineCompletionSessionResults","params":{{"sessionId":"s","completionSessionResult":{{"i1":{{"seen":true,"accepted":true,"discarded":false}},"i2":{{"seen":true,"accepted":false,"discarded":false}},"i4":{{"seen":false,"accepted":false,"discarded":true}}}}}}}}
            "#,
            edit(0, 1, 1, ".one()"),
        ),
        expect![[r#"
            NotFollowed("next_edit")
            offered 1 Inline ".one()" at 0:1-0:1
            offered 2 Inline ".two()" at 0:1-0:1
            offered 3 Inline ".four()" at 0:1-0:1
            rejected 2#1 Dismissed Reported
            rejected 3#1 NeverShown Reported
            accepted 1#1 Full Both Observed Some(".one()")
        "#]],
    );
}

#[test]
fn amazon_q_may_encrypt_its_prompts_and_inserts_code_by_name() {
    check(
        &opened(&format!(
            r#"
            > {{"id":1,"method":"aws/chat/sendChatPrompt","params":{{"message":"eyJhbGciOiJkaXIifQ..x","partialResultToken":"p"}}}}
            < {{"id":1,"result":"eyJ..y"}}
            > {{"id":2,"method":"aws/chat/sendChatPrompt","params":{{"tabId":"tab","prompt":{{"prompt":"do it","escapedPrompt":"do it"}},"textDocument":{{"uri":"file:///a"}},"partialResultToken":"q"}}}}
            < {{"method":"$/progress","params":{{"token":"q","value":{{"messageId":"m","body":"```\nfoo"}}}}}}
            < {{"id":2,"result":{{"messageId":"m","body":"```\nfoo()\n```"}}}}
            > {{"method":"aws/chat/insertToCursorPosition","params":{{"tabId":"tab","messageId":"m","code":"foo()","codeBlockIndex":0,"textDocument":{{"uri":"file:///a"}}}}}}
            {}
            "#,
            edit(0, 1, 1, "foo()"),
        )),
        expect![[r#"
            turn None of None: Encrypted -> "" (None None None)
            turn Some(1) of Some("tab"): Text("do it") -> "```\nfoo()\n```" (None None None)
            from turn 2: offered 1 Chat "foo()" at ?
            accepted 1#1 Full Both Observed Some("foo()")
        "#]],
    );
}

#[test]
fn tabby_tells_views_selections_and_dismissals() {
    let offer = |id: u32, line: u32, completion: &str, text: &str| {
        format!(
            r#"> {{"id":{id},"method":"textDocument/inlineCompletion","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":{line},"character":1}},"context":{{"triggerKind":0}}}}}}
            < {{"id":{id},"result":{{"isIncomplete":false,"items":[{{"insertText":"{text}","range":{{"start":{{"line":{line},"character":1}},"end":{{"line":{line},"character":1}}}},"data":{{"eventId":{{"completionId":"{completion}","choiceIndex":0}}}}}}]}}}}"#
        )
    };
    let event = |kind: &str, completion: &str| {
        format!(
            r#"> {{"method":"tabby/telemetry/event","params":{{"type":{kind},"eventId":{{"completionId":"{completion}","choiceIndex":0}},"viewId":"v","elapsed":3}}}}"#
        )
    };
    check(
        &opened(&format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            offer(1, 0, "c1", ".one().two()"),
            event(r#""view""#, "c1"),
            event(r#""select","selectKind":"line""#, "c1"),
            edit(0, 1, 1, ".one()"),
            event(r#""select""#, "c1"),
            edit(0, 7, 7, ".two()"),
            offer(2, 1, "c2", "?"),
            event(r#""view""#, "c2"),
            event(r#""dismiss""#, "c2"),
        )),
        expect![[r#"
            offered 1 Inline ".one().two()" at 0:1-0:1
            accepted 1#1 Partial Both Observed Some(".one()") shown
            accepted 1#2 Full Both Observed Some(".two()") shown
            offered 2 Inline "?" at 1:1-1:1
            rejected 2#1 Dismissed Reported
        "#]],
    );
}

#[test]
fn edits_of_commands_and_code_actions_are_offers() {
    let start = r#"
        > {"id":1,"method":"initialize","params":{"clientInfo":{"name":"helix","version":"25"}}}
        < {"id":1,"result":{"capabilities":{"executeCommandProvider":{"commands":["generateDocs","refactorFromComment"]},"textDocumentSync":{"change":1}}}}"#;
    // helix-gpt answers a command by a request of its own under the same id.
    check(
        &format!(
            r#"{start}
            {OPEN}
            > {{"id":2,"method":"workspace/executeCommand","params":{{"command":"generateDocs","arguments":[{{"query":"a"}}]}}}}
            < {{"id":2,"method":"workspace/applyEdit","params":{{"label":"generateDocs","edit":{{"changes":{{"file:///a":[{{"range":{{"start":{{"line":0,"character":0}},"end":{{"line":1,"character":0}}}},"newText":"doc\na\n"}}]}}}}}}}}
            > {{"method":"textDocument/didChange","params":{{"textDocument":{{"uri":"file:///a"}},"contentChanges":[{{"text":"doc\na\nb\n"}}]}}}}
            > {{"id":2,"result":{{"applied":true}}}}
            < {{"id":3,"method":"workspace/applyEdit","params":{{"edit":{{"documentChanges":[{{"kind":"create","uri":"file:///n"}},{{"textDocument":{{"uri":"file:///a","version":null}},"edits":[{{"range":{{"start":{{"line":0,"character":0}},"end":{{"line":0,"character":3}}}},"newText":"DOC"}}]}}]}}}}}}
            > {{"id":3,"result":{{"applied":false}}}}
            "#
        ),
        expect![[r#"
            offered 1 Edit "doc\na\n" at 0:0-1:0
            accepted 1#1 Full Both Observed Some("doc\na\n")
            offered 2 Edit "DOC" at 0:0-0:3
            rejected 2#1 Dismissed Reported
        "#]],
    );
    // lsp-ai resolves a code action; the edit alone says that it was taken.
    check(
        &format!(
            r#"
            > {{"id":1,"method":"initialize","params":{{"initializationOptions":{{"memory":{{}},"models":{{"one":{{"type":"open_ai","model":"m-7b","auth_token":"hush"}}}},"completion":{{"model":"one","parameters":{{}}}}}}}}}}
            < {{"id":1,"result":{{"capabilities":{{"textDocumentSync":2}}}}}}
            {OPEN}
            > {{"id":2,"method":"codeAction/resolve","params":{{"title":"Complete here","data":{{}}}}}}
            < {{"id":2,"result":{{"title":"Complete here","edit":{{"changes":{{"file:///a":[{{"range":{{"start":{{"line":0,"character":0}},"end":{{"line":0,"character":1}}}},"newText":"a = 1 + 2"}},{{"range":{{"start":{{"line":1,"character":0}},"end":{{"line":1,"character":1}}}},"newText":""}}]}}}}}}}}
            {}
            "#,
            edit(0, 0, 1, "a = 1 + 2"),
        ),
        expect![[r#"
            offered 1 Edit "a = 1 + 2" at 0:0-0:1 by Some("m-7b")/None Reported None
            accepted 1#1 Full Edit Inferred Some("a = 1 + 2")
        "#]],
    );
}

#[test]
fn a_generation_is_an_offer_at_the_cursor() {
    let script = opened(&format!(
        r#"
        > {{"id":1,"method":"textDocument/generation","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}},"model":"one","parameters":{{}}}}}}
        < {{"id":1,"result":{{"generatedText":" + 1"}}}}
        {}
        "#,
        edit(0, 1, 1, " + 1"),
    ));
    let told = Stage::new(Decoder::new().knowing(None, "lsp-ai")).play(&script);
    expect![[r#"
        offered 1 Inline " + 1" at 0:1-0:1
        accepted 1#1 Full Edit Inferred Some(" + 1")
    "#]]
    .assert_eq(&told);
}

#[test]
fn channels_that_are_known_and_not_followed_are_said() {
    check(
        r#"
        > {"id":1,"method":"backgroundAgent/create","params":{}}
        > {"id":2,"method":"git/commitGenerate","params":{}}
        > {"id":3,"method":"conversation/notifyCodeAcceptance","params":{"turnId":"t","acceptedFileCount":1,"totalFileCount":1}}
        < {"id":3,"method":"conversation/invokeClientTool","params":{"name":"insert_edit_into_file"}}
        > {"id":4,"method":"tabby/chat/edit","params":{}}
        > {"id":5,"method":"checkStatus","params":{}}
        "#,
        expect![[r#"
            NotFollowed("agent")
            NotFollowed("commit_message")
            NotFollowed("agent_edit")
            NotFollowed("agent_edit")
            NotFollowed("chat")
        "#]],
    );
}

#[test]
fn a_menu_counts_only_where_the_ai_is_known() {
    let menu = |items: Value| {
        format!(
            r#"> {{"id":1,"method":"textDocument/completion","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":1}}}}}}
            < {}"#,
            json!({"id": 1, "result": {"isIncomplete": false, "items": items}})
        )
    };
    let ordinary = json!([{"label": "append", "insertText": "append($0)", "insertTextFormat": 2}]);
    check(
        &opened(&menu(ordinary.clone())),
        expect![[r#"
        NotFollowed("completion_menu")
        nobody knows it
    "#]],
    );
    let told = Stage::new(Decoder::new().knowing(Some("mine"), "sh")).play(&opened(&menu(ordinary)));
    expect![[r#"
        offered 1 Menu "append($0)" at 0:0-0:1
        rejected 1#1 SessionEnded Observed
    "#]]
    .assert_eq(&told);
    check(
        &opened(&menu(json!([
            {"label": "other", "kind": 3},
            {"label": "x", "detail": "x(1)", "insertText": "x(1)", "preselect": true},
            {"label": "ai - y", "textEdit": {"newText": "y", "insert": {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 1}},
                "replace": {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 1}}}},
        ]))),
        expect![[r#"
            NotFollowed("completion_menu")
            offered 1 Menu "x(1)" at 0:1-0:1
            offered 2 Menu "y" at 0:1-0:1
            rejected 1#1 SessionEnded Observed
            rejected 2#1 SessionEnded Observed
        "#]],
    );
}

#[test]
fn cody_has_names_of_its_own_for_everything() {
    check(
        r#"
        > {"id":1,"method":"autocomplete/execute","params":{"uri":"file:///z","position":{"line":0,"character":0},"triggerKind":"Automatic"}}
        > {"method":"textDocument/didOpen","params":{"uri":"file:///a","content":"a\nb\n"}}
        > {"method":"textDocument/didChange","params":{"uri":"file:///a","selection":{}}}
        > {"id":2,"method":"autocomplete/execute","params":{"uri":"file:///a","position":{"line":0,"character":1},"triggerKind":"Automatic"}}
        < {"id":2,"result":{"items":[{"id":"one","insertText":"a.one()","range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}}}],"completionEvent":{}}}
        > {"method":"autocomplete/completionSuggested","params":{"completionID":"one"}}
        > {"method":"autocomplete/completionAccepted","params":{"completionID":"one"}}
        > {"method":"textDocument/didChange","params":{"uri":"file:///a","contentChanges":[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}},"text":"a.one()"}]}}
        > {"id":3,"method":"chat/submitMessage","params":{"id":"c","message":{"command":"submit","text":"hi"}}}
        "#,
        expect![[r#"
            offered 1 Inline "a.one()" at 0:0-0:1
            accepted 1#1 Full Both Observed Some(".one()") shown
            NotFollowed("chat")
        "#]],
    );
}

#[test]
fn continue_tells_the_acceptance_and_no_edits() {
    check(
        r#"
        > {"messageId":"m1","messageType":"autocomplete/complete","data":{"completionId":"c1","filepath":"file:///a","pos":{"line":3,"character":4},"recentlyEditedFiles":[]}}
        < {"messageId":"m1","messageType":"autocomplete/complete","data":{"done":true,"content":["one()"],"status":"success"}}
        > {"messageId":"m2","messageType":"autocomplete/accept","data":{"completionId":"c1"}}
        wait
        > {"messageId":"m3","messageType":"autocomplete/complete","data":{"completionId":"c2","filepath":"/a b","pos":{"line":3,"character":4}}}
        < {"messageId":"m3","messageType":"autocomplete/complete","data":["two()"]}
        > {"messageId":"m4","messageType":"autocomplete/cancel","data":null}
        "#,
        expect![[r#"
            offered 1 Inline "one()" at 3:4-3:4
            accepted 1#1 Full Explicit Reported None
            offered 2 Inline "two()" at 3:4-3:4
            rejected 2#1 SessionEnded Observed
        "#]],
    );
}

#[test]
fn supermaven_sends_whole_files_and_answers_in_pieces() {
    check(
        r#"
        > {"kind":"greeting","allowGitignore":false}
        > {"kind":"state_update","newId":"1","updates":[{"kind":"file_update","path":"/a","content":"é\nb\n"},{"kind":"cursor_update","path":"/a","offset":4}]}
        < SM-MESSAGE {"kind":"response","stateId":"1","items":[{"kind":"text","text":".one"}]}
        < SM-MESSAGE {"kind":"response","stateId":"1","items":[{"kind":"barrier"},{"kind":"text","text":"()"},{"kind":"end"}]}
        > {"kind":"state_update","newId":"2","updates":[{"kind":"file_update","path":"/a","content":"é\nb.one()\n"}]}
        > {"kind":"state_update","newId":"3","updates":[{"kind":"cursor_update","path":"/a","offset":0}]}
        < SM-MESSAGE {"kind":"response","stateId":"3","items":[{"kind":"jump"}]}
        < SM-MESSAGE {"kind":"metadata","dustStrings":[]}
        "#,
        expect![[r#"
            offered 1 Inline ".one()" at 1:1-1:1
            accepted 1#1 Full Edit Inferred Some(".one()")
            NotFollowed("supermaven_edit")
        "#]],
    );
}

#[test]
fn nothing_of_a_token_is_kept() {
    let mut decoder = Decoder::new();
    for message in [
        r#"{"id":1,"method":"initialize","params":{"initializationOptions":{"config":{"server":{"token":"hush"}},"models":{"a":{"model":"m","auth_token":"hush"}},"completion":{"model":"a"}}}}"#,
        r#"{"id":2,"method":"llm-ls/getCompletions","params":{"textDocument":{"uri":"u"},"position":{"line":0,"character":0},"apiToken":"hush","model":"m"}}"#,
        r#"[1,{"func":"initialize","args":[{"config":{"server":{"token":"hush"}}}]}]"#,
        r#"{"version":"1.0","mode":"JWT","key":"hush"}"#,
        r#"{"id":3,"method":"github/didChangeAuth","params":{"accessToken":"hush"}}"#,
    ] {
        let seen = decoder.message(Direction::ToServer, message.as_bytes());
        assert!(!format!("{seen:?} {decoder:?}").contains("hush"), "{message}");
    }
}

//! Each rule finds what it is for, and is silent about what only looks like it.

use std::sync::LazyLock;

use crate::{Engine, Language};

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

fn lines(language: Language, text: &str, rule: &str) -> Vec<usize> {
    let report = ENGINE.check(language, text);
    let found = report.findings.iter().filter(|finding| finding.rule == rule);
    found.map(|finding| 1 + text[..finding.range.start].matches('\n').count()).collect()
}

const GUARDED: &str =
    "@app.post('/a')\n@login_required\ndef a():\n    pass\n\n@app.post('/b')\n@login_required\ndef b():\n    pass\n\n";

#[test]
fn a_route_without_the_guard_of_its_neighbours_is_found() {
    let text = format!("{GUARDED}@app.post('/c')\ndef c():\n    save()\n");
    assert_eq!(lines(Language::Python, &text, "missing-authz"), [12]);
    let text = "app.get('/a', auth, (req, res) => { res.json(1); });\napp.post('/b', auth, (req, res) => { res.json(1); });\napp.post('/c', (req, res) => { save(req.body); });\n";
    assert_eq!(lines(Language::JavaScript, text, "missing-authz"), [3]);
}

#[test]
fn public_routes_reading_routes_and_files_without_guards_are_left_alone() {
    for last in [
        "@app.post('/login')\ndef login():\n    pass\n",
        "@app.get('/c')\ndef c():\n    pass\n",
        "@app.post('/c')\ndef c():\n    if not current_user.is_admin:\n        abort(403)\n",
    ] {
        assert_eq!(lines(Language::Python, &format!("{GUARDED}{last}"), "missing-authz"), [0; 0], "{last}");
    }
    let none = GUARDED.replace("@login_required\n", "") + "@app.post('/c')\ndef c():\n    pass\n";
    assert_eq!(lines(Language::Python, &none, "missing-authz"), [0; 0]);
    let all = format!("@app.before_request\ndef guard():\n    pass\n\n{GUARDED}@app.post('/c')\ndef c():\n    pass\n");
    assert_eq!(lines(Language::Python, &all, "missing-authz"), [0; 0]);
}

#[test]
fn a_change_of_rights_without_a_record_is_found_and_folded() {
    let silent = "@app.post('/users/<id>/role')\ndef set_role(id):\n    users[id].role = 1\n";
    assert_eq!(lines(Language::Python, silent, "no-audit-log"), [2]);
    let logged = silent.to_owned() + "    logger.info('role of %s', id)\n";
    assert_eq!(lines(Language::Python, &logged, "no-audit-log"), [0; 0]);
    let report = ENGINE.check(Language::Python, silent);
    assert!(report.findings.iter().filter(|finding| finding.rule == "no-audit-log").all(|f| f.folded.is_some()));
}

#[test]
fn a_loop_that_tries_again_at_once_for_ever_is_found() {
    let python = "def f():\n    while True:\n        try:\n            requests.post(URL, timeout=5)\n            break\n        except Exception:\n            continue\n";
    let waits = python.replace("continue", "time.sleep(1)");
    let script = "async function f() { while (true) { try { await send(); return; } catch (e) {} } }";
    let go = "package a\nfunc f() {\n\tfor {\n\t\terr := send()\n\t\tif err != nil {\n\t\t\tcontinue\n\t\t}\n\t\treturn\n\t}\n}\n";
    assert_eq!(lines(Language::Python, &python.replace("timeout=5", "json=b"), "retry-forever"), [2]);
    assert_eq!(lines(Language::Python, &waits, "retry-forever"), [0; 0]);
    assert_eq!(lines(Language::JavaScript, script, "retry-forever"), [1]);
    assert_eq!(lines(Language::Go, go, "retry-forever"), [3]);
    let asks = "while True:\n    try:\n        n = int(text())\n        break\n    except ValueError:\n        pass\n";
    assert_eq!(lines(Language::Python, asks, "retry-forever"), [0; 0]);
}

#[test]
fn a_cipher_of_ones_own_is_found_and_a_librarys_is_not() {
    let own = "def encrypt(text, key):\n    out = ''\n    for i, c in enumerate(text):\n        out += chr(ord(c) ^ ord(key[i % len(key)]))\n    return out\n";
    let library = "def encrypt(text, key):\n    box = Fernet(key)\n    return [box.encrypt(t) for t in text]\n";
    let checksum = "def checksum(text):\n    s = 0\n    for c in text:\n        s = s ^ ord(c)\n    return s\n";
    assert_eq!(lines(Language::Python, own, "diy-crypto"), [1]);
    assert_eq!(lines(Language::Python, library, "diy-crypto"), [0; 0]);
    assert_eq!(lines(Language::Python, checksum, "diy-crypto"), [0; 0]);
}

#[test]
fn a_function_that_stands_there_already_is_found_under_any_name() {
    let body = |name: &str, arg: &str| {
        let mut text = format!("def {name}({arg}):\n    total = 0\n");
        for i in 0..12 {
            text.push_str(&format!("    if {arg}.get({i}) > {i}:\n        total = total + {arg}.get({i}) * 2\n"));
        }
        text + "    return total\n\n\n"
    };
    let twice = body("sum_a", "rows") + &body("sum_b", "items");
    assert_eq!(lines(Language::Python, &twice, "clones"), [30]);
    let different = body("sum_a", "rows") + &body("sum_b", "items").replace("* 2", "- 2");
    assert_eq!(lines(Language::Python, &different, "clones"), [0; 0]);
    assert_eq!(lines(Language::Python, "def a(x):\n    return x\n\ndef b(y):\n    return y\n", "clones"), [0; 0]);
}

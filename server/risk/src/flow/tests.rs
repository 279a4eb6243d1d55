//! What the walk knows of values, seen by what the shell rule says of them.

use std::sync::LazyLock;

use crate::{Engine, Language};

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

fn found(language: Language, text: &str) -> Vec<String> {
    let report = ENGINE.check(language, text);
    let ours = report.findings.into_iter().filter(|finding| finding.rule == "shell-injection");
    ours.map(|finding| text[finding.range].to_owned()).collect()
}

#[test]
fn a_value_is_followed_through_names_and_branches() {
    for (body, dirty) in [
        ("b = a\n    c = 'rm ' + b\n    os.system(c)", true),
        ("b = 'x'\n    if a:\n        b = a\n    os.system(b)", true),
        ("b = a\n    b = 'x'\n    os.system(b)", false),
        ("b = a\n    if b:\n        b = 'x'\n    else:\n        b = 'y'\n    os.system(b)", false),
        ("if a not in ('x', 'y'):\n        return\n    os.system(a)", false),
        ("if True:\n        b = 'x'\n    else:\n        b = a\n    os.system(b)", false),
        ("b = []\n    b.append(a)\n    os.system(' '.join(b))", true),
        ("b, c = a, 'x'\n    os.system(c)", false),
        ("for b in ['x', 'y']:\n        os.system(b)", false),
        ("for b in a:\n        os.system(b)", true),
        ("b = {'x': 'ls'}\n    os.system(b[a])", false),
        ("os.system('kill %d' % int(a))", false),
        ("b = shlex.quote(a)\n    os.system(f'ls {b}')", false),
        ("b = shlex.quote(a)\n    os.system(f'ls {b} {a}')", true),
    ] {
        let text = format!("import os, shlex\ndef f(a):\n    {body}\n");
        assert_eq!(!found(Language::Python, &text).is_empty(), dirty, "{body}");
    }
}

#[test]
fn a_finding_says_where_its_value_comes_from() {
    let text = "import os\n@app.route('/')\ndef f():\n    name = request.args['n']\n    os.system('ls ' + name)\n";
    let report = ENGINE.check(Language::Python, text);
    let finding = report.findings.iter().find(|finding| finding.rule == "shell-injection").unwrap();
    assert_eq!(&text[finding.source.clone().unwrap()], "request.args");
}

#[test]
fn half_of_a_function_is_judged() {
    assert_eq!(found(Language::Python, "        cmd = 'rm ' + path\n        os.system(cmd)\n    except:\n").len(), 1);
    assert_eq!(
        found(Language::JavaScript, "  });\n  child_process.exec('rm ' + name, (err) => {\n    if (err) {\n").len(),
        1
    );
}

#[test]
fn a_text_of_branches_and_names_costs_no_more_than_its_size() {
    let mut text = String::from("import os\ndef f(a):\n");
    for i in 0..3000 {
        text.push_str(&format!("    n{i} = a\n    if n{i}:\n        n{i} = 'x'\n"));
    }
    text.push_str("    os.system(a)\n");
    let report = ENGINE.check(Language::Python, &text);
    assert!(report.findings.iter().any(|finding| finding.rule == "shell-injection"));
}

//! A page for each rule, `docs/<id>.md`, made of the rule's own file and cases.
//!
//! `UPDATE_PAGES=1` writes them; without it they are compared, so that none is stale.

#![allow(clippy::disallowed_methods, reason = "a test: it reads and writes the pages on disk")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::finding::Severity;
use crate::rules::FILES;
use crate::{infra, packages, semantic};

/// What a page says.
#[derive(Default)]
struct Page {
    severity: String,
    message: String,
    cwe: BTreeSet<String>,
    why: String,
    fix: String,
    languages: BTreeSet<String>,
    /// By language, one case that is found and one that is left alone.
    cases: BTreeMap<String, (String, String)>,
}

impl Page {
    fn render(&self, id: &str) -> String {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut page = format!("# {id}\n\n{}.\n\n", sentence(&self.message));
        page.push_str(&format!("- Severity: {}\n- Weaknesses: {}\n", self.severity, list(&self.cwe)));
        page.push_str(&format!("- Languages: {}\n\n", list(&self.languages)));
        page.push_str(&format!("**Why models write it:** {}.\n\n**What to do:** {}.\n", self.why, self.fix));
        for (language, (found, left)) in &self.cases {
            page.push_str(&format!("\n## {language}\n\nFound:\n\n```{language}\n{}\n```\n", found.trim_end()));
            page.push_str(&format!("\nLeft alone:\n\n```{language}\n{}\n```\n", left.trim_end()));
        }
        page
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn word(severity: Severity) -> String {
    severity.as_str().to_owned()
}

fn pages() -> BTreeMap<String, Page> {
    let mut pages: BTreeMap<String, Page> = BTreeMap::new();
    for (name, yaml) in FILES.iter().filter(|(name, _)| name.contains('/')) {
        let rule: Value = ast_grep_config::from_str(yaml).unwrap();
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/rules/{name}.test.yml"));
        let cases: Value = ast_grep_config::from_str(&fs::read_to_string(cases).unwrap()).unwrap();
        let page = pages.entry(rule["id"].as_str().unwrap().to_owned()).or_default();
        page.severity = match rule["severity"].as_str().unwrap() {
            "error" => word(Severity::High),
            "warning" => word(Severity::Medium),
            _ => word(Severity::Low),
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (page.message, page.why) = (text(&rule["message"]), text(&rule["metadata"]["why"]));
        page.fix = text(&rule["metadata"]["fix"]);
        page.cwe.extend(rule["metadata"]["cwe"].as_array().unwrap().iter().map(text));
        let folder = name.split('/').next().unwrap();
        let own = [(folder.to_owned(), cases.clone())];
        let all: Vec<(String, Value)> = match cases.as_object() {
            Some(map) if folder == "flow" => map.clone().into_iter().filter(|(_, value)| value.is_object()).collect(),
            _ => own.to_vec(),
        };
        for (language, cases) in all {
            let both = (text(&cases["invalid"][0]), text(&cases["valid"][0]));
            page.languages.insert(language.clone());
            page.cases.insert(language, both);
        }
    }
    let code = "Go, Java, JavaScript, Python, Rust, TypeScript";
    let abouts = semantic::RULES.iter().map(|(about, _)| (*about, code));
    for (about, languages) in abouts.chain([(&packages::ABOUT, "Go, JavaScript, TypeScript")]) {
        let page = Page {
            severity: word(about.severity),
            message: about.message.to_owned(),
            cwe: about.cwe.iter().map(|cwe| (*cwe).to_owned()).collect(),
            why: about.why.to_owned(),
            fix: about.fix.to_owned(),
            languages: [languages.to_owned()].into(),
            cases: BTreeMap::new(),
        };
        pages.insert(about.id.to_owned(), page);
    }
    for finding in infra::every_rule() {
        let page = Page {
            severity: word(finding.severity),
            message: finding.message,
            cwe: finding.cwe.into_iter().collect(),
            why: finding.why,
            fix: finding.fix_hint,
            languages: ["Terraform, YAML, JSON, Dockerfile".to_owned()].into(),
            cases: BTreeMap::new(),
        };
        pages.insert(finding.rule, page);
    }
    pages
}

#[test]
fn every_rule_has_its_page_and_the_pages_say_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = pages();
    assert!(pages.len() >= 60, "{}", pages.len());
    if std::env::var_os("UPDATE_PAGES").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (id, page) in &pages {
            fs::write(folder.join(format!("{id}.md")), page.render(id)).unwrap();
        }
    }
    let on_disk: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".md").to_owned())
        .collect();
    assert_eq!(on_disk, pages.keys().cloned().collect(), "UPDATE_PAGES=1 writes them");
    for (id, page) in &pages {
        let written = fs::read_to_string(folder.join(format!("{id}.md"))).unwrap();
        assert_eq!(written, page.render(id), "{id}: UPDATE_PAGES=1 writes it");
    }
}

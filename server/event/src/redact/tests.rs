//! The promises of redaction, as properties.

use proptest::prelude::*;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(b"device key")
}

/// Builds a secret of a well-known shape from random letters.
fn planted() -> impl Strategy<Value = String> {
    let body = "[A-Za-z0-9]{36}";
    prop_oneof![
        body.prop_map(|b| format!("gh{}{b}", "p_")),
        body.prop_map(|b| format!("sk-{}{b}", "ant-")),
        body.prop_map(|b| format!("sk{}{b}", "_live_")),
        body.prop_map(|b| format!("np{}{b}", "m_")),
        "[A-Za-z0-9]{35}".prop_map(|b| format!("AI{}{b}", "za")),
        "[A-Z2-7]{16}".prop_map(|b| format!("AK{}{b}", "IA")),
        (body, body).prop_map(|(a, b)| format!("ey{}{a}.{b}.{a}", "J")),
        "([A-Za-z0-9+/]{64}\n){1,5}".prop_map(|b| format!("-----BEGIN PRIVATE KEY-----\n{b}-----END PRIVATE KEY-----")),
    ]
    .prop_filter("runs of one letter and sample words are examples", |s| {
        let lower = s.to_ascii_lowercase();
        let run = s.as_bytes().windows(5).any(|w| w.iter().all(|b| *b == w[0]));
        !run && !lower.contains("your")
            && !lower.contains("example")
            && !lower.contains("placeholder")
            && distinct(s) > 10
    })
}

fn distinct(text: &str) -> usize {
    let mut bytes: Vec<u8> = text.bytes().collect();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len()
}

/// Text around a secret: code, prose, JSON, escapes, anything that does not glue to a word.
fn around() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \\t\\n\"'(=,;:{}\\[\\]éß€😀]{0,20}",
        Just("password = \"".to_owned()),
        Just("{\"token\": \"".to_owned()),
        Just("Authorization: Bearer ".to_owned()),
        Just("[redacted:jwt:".to_owned()),
        Just("export TOKEN=".to_owned()),
        Just("\\n".to_owned()),
    ]
}

#[test]
fn a_mark_in_a_name_makes_no_secret_of_its_value() {
    let text = r#"{"postgres://user:s3cr3tP4sswr0d@db.example.org/x":"plain"}"#;
    let once = redactor().redact_json(text);
    assert!(once.text.contains("url-password") && once.text.contains("plain"), "{}", once.text);
    assert_eq!(redactor().redact_json(&once.text).count, 0);
}

proptest! {
    #[test]
    fn a_planted_secret_never_survives(
        parts in prop::collection::vec((around(), planted()), 1..5), end in around(),
    ) {
        let mut text = String::new();
        for (before, secret) in &parts {
            text.push_str(before);
            text.push(' ');
            text.push_str(secret);
            text.push(' ');
        }
        text.push_str(&end);
        let redacted = redactor().redact(&text);
        for (_, secret) in &parts {
            let tail = &secret[secret.len() / 2..secret.len() / 2 + 8];
            prop_assert!(!redacted.text.contains(tail), "{} left of {}", tail, redacted.text);
        }
        prop_assert_eq!(redactor().redact(&redacted.text).text, redacted.text);
    }

    #[test]
    fn any_text_is_redacted_once_and_for_all(text in "\\PC{0,200}|[ -~\n]{0,400}") {
        let once = redactor().redact(&text);
        let twice = redactor().redact(&once.text);
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert_eq!(twice.count, 0);
    }

    #[test]
    fn pieces_of_secrets_in_any_order_never_panic(
        pieces in prop::collection::vec(prop_oneof![
            Just("-----BEGIN ".to_owned()), Just("PRIVATE KEY-----".to_owned()), Just("-----END ".to_owned()),
            Just("[redacted:".to_owned()), Just("jwt:0123abcd]".to_owned()), Just("password=".to_owned()),
            Just("\"token\": \"".to_owned()), Just("://".to_owned()), Just("@".to_owned()), Just("eyJ".to_owned()),
            Just("--password ".to_owned()), Just("é".to_owned()), Just("\\".to_owned()), Just("\n".to_owned()),
            "[A-Za-z0-9+/]{1,70}", "\\PC{0,5}",
        ], 0..40),
    ) {
        let text = pieces.concat();
        let once = redactor().redact(&text);
        prop_assert_eq!(redactor().redact(&once.text).text, once.text);
        redactor().redact_json(&text);
    }

    #[test]
    fn plain_words_come_back_as_they_were(text in "([a-z]{1,9}[ .,\n]){0,60}") {
        let redacted = redactor().redact(&text);
        prop_assert_eq!(redacted.text, text);
        prop_assert_eq!(redacted.count, 0);
    }
}

#[test]
fn equal_secrets_get_equal_marks_and_other_keys_other_marks() {
    let token = format!("gh{}{}", "p_", "aB3dE5fG7hJ9kL2mN4pQ6rS8tU0vW1xYzC77");
    let redacted = redactor().redact(&format!("a {token} b {token}"));
    assert_eq!(redacted.count, 2);
    let mark = redacted.text.split(' ').nth(1).unwrap();
    assert!(mark.starts_with("[redacted:github-token:") && mark.len() == 32, "{mark}");
    assert_eq!(redacted.text, format!("a {mark} b {mark}"));
    assert_ne!(Redactor::new(b"other").redact(&token).text, mark);
}

#[test]
fn strings_under_secret_names_are_hidden_in_json_whatever_they_look_like() {
    let text =
        r#"{"apiKey":"abc","nested":{"auth":{"user":"ann","n":3}},"author":"ann","max_tokens":4,"keyboard":"us"}"#;
    let redacted = redactor().redact_json(text);
    assert_eq!(redacted.count, 2);
    let value: Value = serde_json::from_str(&redacted.text).unwrap();
    assert!(value["apiKey"].as_str().unwrap().starts_with("[redacted:named-value:"));
    assert!(value["nested"]["auth"]["user"].as_str().unwrap().starts_with("[redacted:"));
    assert_eq!(value["author"], "ann");
    assert_eq!(value["keyboard"], "us");
    assert_eq!(value["max_tokens"], 4);
    assert_eq!(redactor().redact_json(&redacted.text).text, redacted.text);
}

#[test]
fn json_without_secrets_and_broken_json_keep_their_bytes() {
    for text in ["{ \"b\" : 1,\n \"a\": \"x\" }", "{\"token\": \"abc", "", "[1, 2"] {
        assert_eq!(redactor().redact_json(text).text, text);
    }
}

#[test]
fn each_secret_taken_out_leaves_its_kind_its_length_and_the_hash_of_its_mark() {
    let secret = "ghp_Zk3vQ9xWn2LrT7yBc5MdF8hJsP4gUa6EoV1i";
    let redacted = Redactor::new(b"key").redact(&format!("a = 1\nuse {secret} here"));
    let [taken] = &redacted.taken[..] else { panic!("{:?}", redacted.taken) };
    assert_eq!(taken.bytes, secret.len() as u64);
    assert!(redacted.text.contains(&format!("[redacted:{}:{}]", taken.kind, taken.hash)), "{}", redacted.text);
}

#[test]
fn a_text_that_is_json_only_without_its_secrets_is_redacted_as_json() {
    // A key's line ends, raw inside a string, are what is no JSON.
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END PRIVATE KEY-----";
    let text = format!(r#"{{"note":"{key}","apiKey":"of no known shape"}}"#);
    let redacted = redactor().redact_json(&text);
    assert!(!redacted.text.contains("of no known shape"), "{}", redacted.text);
    assert_eq!(redacted.count, 2);
    assert_eq!(redactor().redact_json(&redacted.text).count, 0);
}

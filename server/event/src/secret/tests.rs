//! Tables of what is a secret and what only looks like one.

use super::*;

/// Tokens are put together at run time: a scanner that reads this file must find nothing.
fn tokens() -> Vec<(&'static str, String)> {
    let r = |n: usize| "aB3dE5fG7hJ9kL2mN4pQ6rS8tU0vW1xYzC".chars().cycle().take(n).collect::<String>();
    let hex = |n: usize| "3f9a1c7e5b2d8046".chars().cycle().take(n).collect::<String>();
    let upper = |n: usize| "Q7XJ2MZK4WPT6RVB".chars().cycle().take(n).collect::<String>();
    vec![
        ("aws-access-key-id", format!("AK{}{}", "IA", upper(16))),
        ("github-token", format!("gh{}{}", "p_", r(36))),
        ("github-token", format!("github{}{}", "_pat_", r(60))),
        ("gitlab-token", format!("gl{}{}", "pat-", r(20))),
        ("slack-token", format!("xo{}123456789012-{}", "xb-", r(24))),
        ("stripe-key", format!("sk{}{}", "_live_", r(24))),
        ("anthropic-key", format!("sk-{}{}", "ant-api03-", r(90))),
        ("openai-key", format!("sk-{}{}", "proj-", r(60))),
        ("openai-key", format!("s{}{}", "k-", r(48))),
        ("google-api-key", format!("AI{}{}", "za", r(35))),
        ("google-oauth", format!("GOC{}{}", "SPX-", r(28))),
        ("npm-token", format!("np{}{}", "m_", r(36))),
        ("pypi-token", format!("py{}{}", "pi-", r(100))),
        ("sendgrid-key", format!("S{}{}.{}", "G.", r(22), r(43))),
        ("twilio-key", format!("S{}{}", "K", hex(32))),
        ("jwt", format!("ey{}{}.{}.{}", "J", r(33), r(60), r(43))),
        ("vault-token", format!("hv{}{}", "s.", r(40))),
        ("digitalocean-token", format!("do{}{}", "p_v1_", hex(64))),
        ("databricks-token", format!("da{}{}", "pi", hex(32))),
        ("square-token", format!("sq{}{}", "0csp-", r(43))),
        ("airtable-token", format!("pa{}{}.{}", "t", r(14), hex(64))),
        ("notion-token", format!("nt{}{}", "n_", r(46))),
        ("figma-token", format!("fi{}{}", "gd_", r(43))),
        ("postman-key", format!("PM{}{}-{}", "AK-", hex(24), hex(34))),
        ("sentry-token", format!("snt{}{}", "rys_", r(80))),
        ("doppler-token", format!("dp{}{}", ".pt.", r(43))),
        ("pulumi-token", format!("pu{}{}", "l-", hex(40))),
        ("rubygems-key", format!("ruby{}{}", "gems_", hex(48))),
        ("crates-token", format!("ci{}{}", "o", r(32))),
        ("brevo-key", format!("xkey{}{}-{}", "sib-", hex(64), r(16))),
        ("planetscale-token", format!("pscale{}{}", "_tkn_", r(43))),
        ("supabase-key", format!("sb{}{}", "p_", hex(40))),
        ("heroku-key", format!("HR{}{}", "KU-", r(60))),
        ("buildkite-token", format!("bk{}{}", "ua_", hex(40))),
        ("replicate-token", format!("r{}{}", "8_", r(37))),
        ("perplexity-key", format!("pp{}{}", "lx-", r(48))),
        ("nvidia-key", format!("nv{}{}", "api-", r(64))),
        ("docker-swarm-token", format!("SWM{}{}-{}", "TKN-1-", hex(50), hex(25))),
        ("onepassword-token", format!("op{}{}", "s_eyJ", r(120))),
        ("alibaba-key", format!("LT{}{}", "AI", r(20))),
    ]
}

fn kinds(text: &str) -> Vec<(&'static str, &str)> {
    Detector::shared().find(text).into_iter().map(|secret| (secret.kind, &text[secret.range])).collect()
}

#[test]
fn every_shape_compiles_and_has_keywords() {
    for shape in SHAPES {
        assert!(!shape.keywords.is_empty(), "{}", shape.kind);
        assert!(shape.pattern.starts_with('^'), "{}", shape.kind);
        compile(shape);
    }
    let kinds: std::collections::BTreeSet<&str> = SHAPES.iter().map(|shape| shape.kind).collect();
    assert!(kinds.len() >= 60, "{}", kinds.len());
}

#[test]
fn known_tokens_are_found_wherever_they_stand() {
    for (kind, token) in tokens() {
        for (before, after) in [
            ("", ""),
            ("key = \"", "\""),
            ("before ", " after"),
            ("{\\\"a\\\":\\\"", "\\\"}"),
            ("line\\n", "\\nline"),
            ("für(", ")ö"),
            ("https://x.test/?k=", "&b=1"),
            ("-H 'Authorization: Bearer ", "'"),
            ("TOKEN=", "\n"),
        ] {
            let text = format!("{before}{token}{after}");
            let found = kinds(&text);
            assert!(
                found.iter().any(|(k, value)| *k == kind && value.contains(token.as_str())),
                "{kind} in {before:?}..{after:?}: {found:?}"
            );
        }
    }
}

#[test]
fn assignments_of_random_values_are_found_by_name() {
    for text in [
        r#"password = "hunter2!""#,
        r#"DB_PASSWORD: 'kX9#mP2qL'"#,
        r#"{"apiKey": "9f8a7b6c5d4e3f2a1b0c"}"#,
        r#"{\"client_secret\": \"9f8a7bQc5d4e3f2a1b0c\"}"#,
        r#"const authToken: string = "Zk3v9Qw7Lx2Tn8Rb";"#,
        r#"static SECRET_KEY: &str = "Zk3v9Qw7Lx2Tn8Rb";"#,
        r#"os.environ["API_SECRET"] = "Zk3v9Qw7Lx2Tn8Rb""#,
        "export GH_TOKEN=Zk3v9Qw7Lx2Tn8Rb\n",
        "db_password: Zk3v9Qw7Lx\n",
        "mysql --password Zk3v9Qw7Lx -h db",
        "mysql --password=Zk3v9Qw7Lx -h db",
        "curl -u admin:Zk3v9Qw7Lx https://x.test",
        "postgres://app:Zk3v9Qw7Lx@db.internal:5432/app",
        "Authorization: Bearer Zk3v9Qw7Lx2Tn8Rb0pYd",
        "aws_secret_access_key = Zk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx2Tn8Rb0pYd",
        "DefaultEndpointsProtocol=https;AccountKey=Zk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx==;",
        r#"auth("x", {"password", "Zk3v9Qw7Lx"})"#,
    ] {
        let found = kinds(text);
        assert!(
            found.iter().any(|(_, v)| v.contains("Zk3v9Qw7Lx")
                || v.contains("hunter2!")
                || v.contains("kX9#mP2qL")
                || v.contains("5d4e3f2a1b0c")),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_private_key_is_found_over_all_its_lines() {
    let body = "MIIEowIBAAKCAQEAuZk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw\n".repeat(5);
    for label in ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
        let key = format!("-----BEGIN {label}-----\n{body}-----END {label}-----");
        let text = format!("a = '''{key}'''\nb = 1\n");
        assert_eq!(kinds(&text), [("private-key", key.as_str())]);
        let escaped = key.replace('\n', "\\n");
        let text = format!("{{\"key\":\"{escaped}\",\"b\":1}}");
        assert_eq!(kinds(&text), [("private-key", escaped.as_str())]);
    }
    let cut = format!("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{body}");
    let text = format!("{cut}\nnothing more, prose.\n");
    let found = kinds(&text);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.ends_with("Zk3v9Qw"), "{found:?}");
    assert!(!found[0].1.contains("prose"));
}

#[test]
fn examples_lookups_and_ordinary_code_are_not_secrets() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "api_key = \"your-key-here\"",
        "api_key = \"sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        "token: <token>",
        "password = \"<your password 1>\"",
        "password = os.environ[\"DB_PASSWORD1\"]",
        "password = os.getenv('DB_PASSWORD_2')",
        "const token = process.env.API_TOKEN2;",
        "token = \"${TOKEN_2}\"",
        "token = f\"{prefix}-{user1}\"",
        "PASSWORD=$DB_PASSWORD1",
        "db = connect(password=os.env2[\"X\"], token=SECURE_CONFIG2['x'])",
        "password: ${{ secrets.DB_PASSWORD1 }}",
        "let token = self.next_token2();",
        "token = tokenizer.decode(ids2)",
        "def login(user, password: str = None):",
        "password=password1",
        "password_field: \"input-1\"",
        "\"token_type\": \"bearer2x9Q\"",
        "max_tokens = \"4096\"",
        "\"secretName\": \"prod-db-1\"",
        "password: \"Enter at least 8 characters\"",
        "tokenizer = \"gpt2-xl-v1.0-a9\"",
        "secretary = \"Anna Maria 2\"",
        "https://example.com/a:b@c",
        "postgres://user:password@localhost/db",
        "the bearer of this-token-is-not-a-secret",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "risk-assessment task_sk disk sketch SKU12 desk-top-1234567890123456789012",
        "sha256 3f9a1c7e5b2d80463f9a1c7e5b2d80463f9a1c7e5b2d80463f9a1c7e5b2d8046",
        "\"integrity\": \"sha512-Zk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx2Tn8Rb0pYd==\"",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn the_specific_shape_names_what_a_general_one_also_matches() {
    let token = tokens().remove(1).1;
    let text = format!("github_token = \"{token}\"");
    assert_eq!(kinds(&text), [("github-token", token.as_str())]);
}

#[test]
fn a_mark_is_no_secret_and_hides_none() {
    let token = tokens().remove(1).1;
    let body = "MIIEowIBAAKCAQEAuZk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw7Lx2Tn8Rb0pYdZk3v9Qw\n".repeat(3);
    for text in [
        format!("[redacted:{token}]"),
        format!("[redacted:jwt:{token}]"),
        format!("[redacted:jwt:0123abcd {token}]"),
        "password = \"[redacted:jwt:0123abcd]kX9#mP2qL\"".to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\n{body}[redacted:jwt:0123abcd]\n{body}-----END PRIVATE KEY-----"),
    ] {
        assert_eq!(kinds(&text).len(), 1, "{text}");
    }
    for text in [
        "password = \"[redacted:password:0123abcd]\"",
        "TOKEN=[redacted:secret:0123abcd]",
        "mysql --password [redacted:secret-flag:0123abcd] -h db",
        "{\"token\": \"[redacted:named-value:0123abcd]\"}",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

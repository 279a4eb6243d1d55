//! The table of known secrets: a new shape is a row.
//!
//! Order is priority: the first row that matches a place names it, so the general ones come last.

use super::value::{self, Context};

/// What a secret looks like.
#[derive(Debug)]
pub(super) struct Shape {
    /// Stable name, also printed in marks and findings.
    pub(super) kind: &'static str,
    /// Any of these must stand in the text (ASCII case is ignored).
    pub(super) keywords: &'static [&'static str],
    /// Where the pattern is tried.
    pub(super) anchor: Anchor,
    /// Anchored with `^`; the group `v` is the secret, without one the whole match.
    pub(super) pattern: &'static str,
    /// The last word: entropy, placeholders, surroundings.
    pub(super) accept: fn(&Context<'_>) -> bool,
}

/// Where the pattern of a shape is tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// At the keyword, which begins the secret and may not stand inside a word.
    Token,
    /// At the keyword, which only introduces the secret.
    Start,
    /// Behind the keyword.
    After,
    /// A PEM block, over several lines.
    Pem,
}

const fn token(kind: &'static str, keywords: &'static [&'static str], pattern: &'static str) -> Shape {
    Shape { kind, keywords, anchor: Anchor::Token, pattern, accept: value::token }
}

#[rustfmt::skip]
pub(super) const SHAPES: &[Shape] = &[
    Shape { kind: "private-key", keywords: &["-----BEGIN "], anchor: Anchor::Pem, pattern: "^", accept: value::any },
    Shape { kind: "age-key", keywords: &["AGE-SECRET-KEY-1"], anchor: Anchor::Token, pattern: "^AGE-SECRET-KEY-1[0-9A-Z]{58}", accept: value::token },
    token("aws-access-key-id", &["AKIA", "ASIA"], "^(?:AKIA|ASIA)[A-Z2-7]{16}"),
    Shape {
        kind: "aws-secret-key", keywords: &["secret_access_key", "secretaccesskey", "secret-access-key", "aws_secret_key", "aws_secret"], anchor: Anchor::After,
        pattern: r#"^[A-Za-z_]{0,16}\\{0,3}["'`]?\]?[ \t]{0,8}(?:=>|:=|[:=])?[ \t]{0,8}\\{0,3}["'`]?(?P<v>[A-Za-z0-9+/]{40})"#, accept: value::token,
    },
    token("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], "^gh[pousr]_[A-Za-z0-9]{36,255}"),
    token("github-token", &["github_pat_"], "^github_pat_[A-Za-z0-9_]{22,255}"),
    token("gitlab-token", &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"], "^gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20,255}"),
    token("slack-token", &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xapp-"], r"^(?:xox[abprs]|xoxe(?:\.xox[bp])?|xapp)-[A-Za-z0-9-]{10,255}"),
    Shape { kind: "slack-webhook", keywords: &["hooks.slack.com/"], anchor: Anchor::Start, pattern: "^hooks\\.slack\\.com/(?:services|workflows|triggers)/(?P<v>[A-Za-z0-9/_-]{20,200})", accept: value::token },
    token("stripe-key", &["sk_live_", "rk_live_", "sk_test_", "rk_test_"], "^[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
    token("webhook-secret", &["whsec_"], "^whsec_[A-Za-z0-9+/]{24,255}={0,2}"),
    token("anthropic-key", &["sk-ant-"], "^sk-ant-[A-Za-z0-9_-]{20,255}"),
    token("openai-key", &["sk-"], "^sk-(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,255}"),
    token("openai-key", &["sk-"], "^sk-[A-Za-z0-9]{20,255}"),
    token("google-api-key", &["AIza"], "^AIza[A-Za-z0-9_-]{35}"),
    token("google-oauth", &["GOCSPX-"], "^GOCSPX-[A-Za-z0-9_-]{24,64}"),
    token("google-oauth", &["ya29."], r"^ya29\.[A-Za-z0-9_-]{20,1024}"),
    token("npm-token", &["npm_"], "^npm_[A-Za-z0-9]{36}"),
    token("pypi-token", &["pypi-"], "^pypi-[A-Za-z0-9_-]{50,1000}"),
    token("sendgrid-key", &["SG."], r"^SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    token("twilio-key", &["SK"], "^SK[0-9a-f]{32}"),
    token("mailgun-key", &["key-"], "^key-[0-9a-f]{32}"),
    token("huggingface-token", &["hf_"], "^hf_[A-Za-z]{34}"),
    token("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], "^do[opr]_v1_[0-9a-f]{64}"),
    token("docker-token", &["dckr_pat_", "dckr_oat_"], "^dckr_[po]at_[A-Za-z0-9_-]{20,64}"),
    token("shopify-token", &["shpat_", "shpca_", "shppa_", "shpss_"], "^shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    token("databricks-token", &["dapi"], "^dapi[0-9a-f]{32}"),
    token("vault-token", &["hvs.", "hvb."], r"^hv[sb]\.[A-Za-z0-9_-]{24,255}"),
    token("atlassian-token", &["ATATT3"], "^ATATT3[A-Za-z0-9_=-]{60,255}"),
    token("linear-key", &["lin_api_"], "^lin_api_[A-Za-z0-9]{32,64}"),
    token("grafana-token", &["glsa_"], "^glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    token("xai-key", &["xai-"], "^xai-[A-Za-z0-9]{60,100}"),
    token("groq-key", &["gsk_"], "^gsk_[A-Za-z0-9]{40,64}"),
    token("gitlab-token", &["glsoat-", "glimt-", "glagent-", "gloas-", "glffct-"], "^gl(?:soat|imt|agent|oas|ffct)-[A-Za-z0-9_-]{20,255}"),
    token("square-token", &["EAAA", "sq0csp-", "sq0atp-"], "^(?:EAAA[A-Za-z0-9_-]{60}|sq0(?:csp|atp)-[A-Za-z0-9_-]{22,43})"),
    token("facebook-token", &["EAAC"], "^EAAC[A-Za-z0-9]{60,400}"),
    token("dropbox-token", &["sl."], r"^sl\.[A-Za-z0-9_-]{130,400}"),
    token("airtable-token", &["pat"], r"^pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    token("notion-token", &["secret_", "ntn_"], "^(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{46})"),
    token("figma-token", &["figd_"], "^figd_[A-Za-z0-9_-]{40,64}"),
    token("postman-key", &["PMAK-"], "^PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    token("newrelic-key", &["NRAK-", "NRJS-", "NRII-"], "^(?:NRAK-[A-Z0-9]{27}|NRJS-[0-9a-f]{19}|NRII-[A-Za-z0-9_-]{32})"),
    token("sentry-token", &["sntrys_", "sntryu_"], "^sntry[su]_[A-Za-z0-9+/=_-]{60,300}"),
    token("doppler-token", &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa."], r"^dp\.(?:pt|st|ct|sa)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    token("pulumi-token", &["pul-"], "^pul-[0-9a-f]{40}"),
    token("terraform-token", &["atlasv1."], r"^atlasv1\.[A-Za-z0-9_-]{60,70}"),
    Shape { kind: "terraform-token", keywords: &[".atlasv1."], anchor: Anchor::After, pattern: "^(?P<v>[A-Za-z0-9_-]{60,70})", accept: value::token },
    token("rubygems-key", &["rubygems_"], "^rubygems_[0-9a-f]{48}"),
    token("nuget-key", &["oy2"], "^oy2[a-z0-9]{43}"),
    token("crates-token", &["cio"], "^cio[A-Za-z0-9]{32}"),
    token("clojars-token", &["CLOJARS_"], "^(?i:clojars_)[A-Za-z0-9]{60}"),
    token("artifactory-key", &["AKCp", "cmVmdGtu"], "^(?:AKCp[A-Za-z0-9]{69}|cmVmdGtu[A-Za-z0-9]{56})"),
    Shape { kind: "discord-webhook", keywords: &["/api/webhooks/"], anchor: Anchor::After, pattern: "^[0-9]{17,20}/(?P<v>[A-Za-z0-9_-]{60,80})", accept: value::token },
    Shape { kind: "teams-webhook", keywords: &[".webhook.office.com/webhookb2/"], anchor: Anchor::After, pattern: "^(?P<v>[A-Za-z0-9@/-]{60,250})", accept: value::token },
    token("brevo-key", &["xkeysib-"], "^xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    token("sendinblue-smtp", &["xsmtpsib-"], "^xsmtpsib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    token("resend-key", &["re_"], "^re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"),
    token("easypost-key", &["EZAK", "EZTK"], "^EZ[AT]K[A-Za-z0-9]{54}"),
    token("shippo-key", &["shippo_live_", "shippo_test_"], "^shippo_(?:live|test)_[0-9a-f]{40}"),
    token("planetscale-token", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], "^pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}"),
    token("supabase-key", &["sbp_", "sb_secret_"], "^(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{20,64})"),
    token("fly-token", &["fo1_", "FlyV1 "], "^(?:fo1_[A-Za-z0-9_-]{40,60}|FlyV1 fm[12][ar]?_[A-Za-z0-9+/=,_-]{60,500})"),
    token("render-key", &["rnd_"], "^rnd_[A-Za-z0-9]{28,40}"),
    token("heroku-key", &["HRKU-"], "^HRKU-[A-Za-z0-9_-]{36,64}"),
    token("netlify-token", &["nfp_"], "^nfp_[A-Za-z0-9_]{36,60}"),
    token("sourcegraph-token", &["sgp_"], "^sgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    token("buildkite-token", &["bkua_"], "^bkua_[0-9a-f]{40}"),
    token("dynatrace-token", &["dt0c01.", "dt0s01."], r"^dt0[cs]01\.[A-Z2-7]{24}\.[A-Z2-7]{64}"),
    token("prefect-key", &["pnu_"], "^pnu_[A-Za-z0-9]{36}"),
    token("readme-key", &["rdme_"], "^rdme_[a-z0-9]{70}"),
    token("scalingo-token", &["tk-us-"], "^tk-us-[A-Za-z0-9_-]{48}"),
    token("frameio-token", &["fio-u-"], "^fio-u-[A-Za-z0-9_=-]{64}"),
    token("duffel-token", &["duffel_live_", "duffel_test_"], "^duffel_(?:live|test)_[A-Za-z0-9_=-]{43}"),
    token("typeform-token", &["tfp_"], r"^tfp_[A-Za-z0-9_.=-]{59}"),
    token("flutterwave-key", &["FLWSECK_TEST-", "FLWSECK-"], "^FLWSECK(?:_TEST)?-[0-9a-hA-H]{12,40}(?:-X)?"),
    token("perplexity-key", &["pplx-"], "^pplx-[A-Za-z0-9]{40,64}"),
    token("replicate-token", &["r8_"], "^r8_[A-Za-z0-9]{37}"),
    token("langsmith-key", &["lsv2_pt_", "lsv2_sk_"], "^lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    token("nvidia-key", &["nvapi-"], "^nvapi-[A-Za-z0-9_-]{60,80}"),
    token("tavily-key", &["tvly-"], "^tvly-[A-Za-z0-9-]{30,60}"),
    token("contentful-token", &["CFPAT-"], "^CFPAT-[A-Za-z0-9_-]{43}"),
    token("grafana-token", &["glc_"], "^glc_[A-Za-z0-9+/]{32,400}={0,2}"),
    token("vault-token", &["hvr."], r"^hvr\.[A-Za-z0-9_-]{24,255}"),
    token("aws-session-token", &["IQoJb3JpZ2lu"], "^IQoJb3JpZ2lu[A-Za-z0-9+/=]{100,1500}"),
    token("alibaba-key", &["LTAI"], "^LTAI[A-Za-z0-9]{17,21}"),
    token("tencent-key", &["AKID"], "^AKID[A-Za-z0-9]{32}"),
    token("yandex-key", &["AQVN", "y0_"], "^(?:AQVN[A-Za-z0-9_-]{35,38}|y0_[A-Za-z0-9_-]{50,60})"),
    token("adobe-token", &["p8e-"], "^p8e-[A-Za-z0-9]{32}"),
    token("docker-swarm-token", &["SWMTKN-1-"], "^SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}"),
    token("onepassword-token", &["ops_eyJ"], "^ops_eyJ[A-Za-z0-9+/=_-]{60,2000}"),
    token("onepassword-key", &["A3-"], "^A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}"),
    token("jwt", &["eyJ"], r"^eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    Shape { kind: "azure-key", keywords: &["AccountKey=", "SharedAccessKey="], anchor: Anchor::After, pattern: "^(?P<v>[A-Za-z0-9+/]{40,100}={0,2})", accept: value::token },
    Shape { kind: "url-password", keywords: &["://"], anchor: Anchor::After, pattern: r#"^[A-Za-z0-9._~%+-]{0,64}:(?P<v>[^ \t\r\n/@:"'`<>\[\]]{3,256})@[A-Za-z0-9\[]"#, accept: value::password },
    Shape { kind: "authorization", keywords: &["bearer ", "basic ", "token "], anchor: Anchor::After, pattern: r"^(?P<v>[A-Za-z0-9+/._~-]{16,}={0,2})", accept: value::header },
    Shape { kind: "basic-credentials", keywords: &[" -u ", " --user "], anchor: Anchor::After, pattern: r#"^\\{0,3}["']?[A-Za-z0-9_.@-]{1,64}:(?P<v>[^ \t\r\n"'`\\]{6,256})"#, accept: value::password },
    Shape { kind: "secret-flag", keywords: &["password ", "passwd ", "token ", "secret ", "api-key ", "apikey "], anchor: Anchor::After, pattern: r#"^\\{0,3}["']?(?P<v>[^ \t\r\n"'`\\]{6,512})"#, accept: value::flag },
    Shape { kind: "password", keywords: &["passw", "pwd", "passphrase"], anchor: Anchor::After, pattern: ASSIGNED, accept: value::assigned_password },
    Shape { kind: "secret", keywords: &["secret", "token", "api_key", "apikey", "api-key", "access_key", "accesskey", "auth_key", "authkey", "private_key", "encryption_key", "signing_key", "credential", "_auth"], anchor: Anchor::After, pattern: ASSIGNED, accept: value::assigned_secret },
];

/// The rest of the name, perhaps a type, an assignment sign and a literal; or a bare value as in
/// `.env` files and command lines.
const ASSIGNED: &str = concat!(
    r#"^[A-Za-z0-9_.-]{0,40}\\{0,3}["'`]?\]?[ \t]{0,40}"#,
    r#"(?::[ \t]{0,4}[A-Za-z&'<>\[\]_|. ]{1,40}[ \t]{0,4}=|=>|:=|={1,3}|:|,)[ \t]{0,40}"#,
    r#"(?:[a-zA-Z]{0,2}\\{0,3}["'`])?"#,
    r#"(?P<v>[^ \t\r\n"'`\\]{6,})"#,
);

//! Tokens, one-time codes and persons in SQLite.

use rusqlite::params;

use super::{Sqlite, during};
use crate::archive::tokens::{CodeRow, TokenRow, Tokens};
use crate::archive::{ArchiveError, Outcome};
use crate::roles::Role;

impl Tokens for Sqlite {
    fn token(&mut self, digest: &[u8; 32]) -> Outcome<Option<TokenRow>> {
        let sql = "select role, subject, stream, replaces, issued_at, ended_at from tokens where digest = ?1";
        let found = self.one(sql, [digest], |row| {
            let role = row.get::<_, String>(0)?.parse::<Role>();
            let row = TokenRow {
                digest: *digest,
                role: Role::Device,
                subject: row.get(1)?,
                stream: row.get(2)?,
                replaces: row.get(3)?,
                issued_ms: row.get(4)?,
                ended_ms: row.get(5)?,
            };
            Ok(role.map(|role| TokenRow { role, ..row }))
        })?;
        found.transpose().map_err(|unknown| ArchiveError::Damaged(format!("a token: {unknown}")))
    }

    fn put_token(&mut self, token: &TokenRow) -> Outcome<()> {
        self.write(
            "keep a token",
            "insert into tokens (digest, role, subject, stream, replaces, issued_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![token.digest, token.role.as_str(), token.subject, token.stream, token.replaces, token.issued_ms],
        )
    }

    fn token_seen(&mut self, digest: &[u8; 32], replaces: &[u8; 32], now_ms: i64) -> Outcome<()> {
        let what = "replace a token";
        let end = "update tokens set ended_at = ?3 where ended_at is null \
                   and (digest = ?2 or (replaces = ?2 and digest <> ?1))";
        self.write(what, end, params![digest, replaces, now_ms])?;
        self.write(what, "update tokens set replaces = null where digest = ?1", [digest])
    }

    fn end_tokens(&mut self, subject: &str, stream: Option<&str>, now_ms: i64) -> Outcome<usize> {
        if stream.is_none() {
            // A used code is good for its own device until it expires, an unused one for any.
            let sql = "update codes set expires_at = ?2 where subject = ?1 and expires_at > ?2";
            self.write("end codes", sql, params![subject, now_ms])?;
        }
        let sql = "update tokens set ended_at = ?3 where subject = ?1 and (?2 is null or stream = ?2) \
                   and ended_at is null";
        let mut statement = self.db.prepare_cached(sql).map_err(during("end tokens"))?;
        statement.execute(params![subject, stream, now_ms]).map_err(during("end tokens"))
    }

    fn code(&mut self, digest: &[u8; 32]) -> Outcome<Option<CodeRow>> {
        self.one("select subject, expires_at, stream from codes where digest = ?1", [digest], |row| {
            Ok(CodeRow { subject: row.get(0)?, expires_ms: row.get(1)?, stream: row.get(2)? })
        })
    }

    fn put_code(&mut self, digest: &[u8; 32], code: &CodeRow, now_ms: i64) -> Outcome<()> {
        self.write(
            "keep a code",
            "insert into codes (digest, subject, issued_at, expires_at) values (?1, ?2, ?3, ?4)",
            params![digest, code.subject, now_ms, code.expires_ms],
        )
    }

    fn code_used(&mut self, digest: &[u8; 32], stream: &str, now_ms: i64) -> Outcome<()> {
        self.write(
            "use a code",
            "update codes set stream = ?2, used_at = ?3 where digest = ?1",
            params![digest, stream, now_ms],
        )
    }

    fn put_person(&mut self, stream: &str, person: &str, subject: &str, now_ms: i64) -> Outcome<()> {
        self.write(
            "link a pseudonym",
            "insert or replace into persons (stream, person, subject, linked_at) values (?1, ?2, ?3, ?4)",
            params![stream, person, subject, now_ms],
        )
    }

    fn subject_of(&mut self, stream: &str, person: &str) -> Outcome<Option<String>> {
        self.one("select subject from persons where stream = ?1 and person = ?2", [stream, person], |row| row.get(0))
    }
}

//! How a device comes to its token, and to the next one.
//!
//! A code says whose device it is and works once; the device's signature says which one. From then on
//! the stream is bound to this key, the token is good for this stream alone, and the pseudonyms of the
//! person are linked with the subject. Codes and tokens are kept as hashes. No clock, no randomness.

use countersign_event::digest::{hex, sha256, unhex};
use countersign_event::enrol::{Enrolled, Enrolment, PERSONS_MAX};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::archive::tokens::{CodeRow, TokenRow};
use crate::archive::{Archive, ArchiveError, Stream};
use crate::auth::{Caller, fresh};
use crate::roles::Role;

/// Marks our codes for people and for secret scanners.
const PREFIX: &str = "cse_";
/// Names in an enrolment are no longer than this.
const NAME_BYTES_MAX: usize = 128;

/// Why a code is not exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody made such a code.
    Unknown,
    /// It was good until then.
    Expired,
    /// Another device used it.
    Used,
    /// The stream belongs to another key.
    OtherKey,
    /// The stream belongs to somebody else.
    OtherSubject,
}

/// Makes a one-time code for devices of `subject`, stores its hash and returns the code.
///
/// Errors: the archive could not be written.
pub fn issue(
    archive: &mut dyn Archive,
    subject: &str,
    secret: [u8; 16],
    now_ms: i64,
    expires_ms: i64,
) -> Result<String, ArchiveError> {
    let code = format!("{PREFIX}{}", hex(&secret));
    let row = CodeRow { subject: subject.to_owned(), expires_ms, stream: None };
    archive.put_code(&sha256(code.as_bytes()), &row, now_ms)?;
    Ok(code)
}

/// An enrolment that the device's key stands behind.
pub(crate) struct Checked {
    enrolment: Enrolment,
    public_key: [u8; 32],
}

impl Checked {
    /// Returns the device's stream.
    pub(crate) fn stream(&self) -> &str {
        &self.enrolment.stream
    }
}

/// Checks an enrolment against itself.
///
/// Errors: what is wrong with it, for its sender.
pub(crate) fn check(enrolment: Enrolment) -> Result<Checked, &'static str> {
    let names = enrolment.persons.iter().chain([&enrolment.stream]);
    if names
        .into_iter()
        .any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control))
    {
        return Err("stream and persons are names of 1 to 128 printable bytes");
    }
    if enrolment.persons.len() > PERSONS_MAX {
        return Err("too many persons");
    }
    let public_key = unhex::<32>(&enrolment.public_key).ok_or("public_key is not 64 hexadecimal digits")?;
    let signature = unhex::<64>(&enrolment.signature).ok_or("signature is not 128 hexadecimal digits")?;
    let key = VerifyingKey::from_bytes(&public_key).map_err(|_| "public_key is no key")?;
    key.verify_strict(&enrolment.signed_message(), &Signature::from_bytes(&signature))
        .map_err(|_| "the signature does not hold")?;
    Ok(Checked { enrolment, public_key })
}

/// Exchanges a code for a token. The same device may do it again until the code expires: the answer to
/// its first try may have been lost. Its earlier tokens end.
pub(crate) fn exchange(
    archive: &mut dyn Archive,
    checked: &Checked,
    secret: [u8; 32],
    now_ms: i64,
) -> Result<Result<Enrolled, Denied>, ArchiveError> {
    let Enrolment { code, stream, persons, .. } = &checked.enrolment;
    let digest = sha256(code.trim().as_bytes());
    let Some(row) = archive.code(&digest)? else { return Ok(Err(Denied::Unknown)) };
    if row.stream.as_ref().is_some_and(|used| used != stream) {
        return Ok(Err(Denied::Used));
    }
    if row.expires_ms <= now_ms {
        return Ok(Err(Denied::Expired));
    }
    match archive.stream(stream)? {
        Some(bound) if bound.public_key != checked.public_key => return Ok(Err(Denied::OtherKey)),
        Some(bound) if bound.subject != row.subject => return Ok(Err(Denied::OtherSubject)),
        Some(_) => {}
        None => {
            let bound = Stream { id: stream.clone(), public_key: checked.public_key, subject: row.subject.clone() };
            archive.put_stream(&bound, now_ms)?;
        }
    }
    archive.code_used(&digest, stream, now_ms)?;
    archive.end_tokens(&row.subject, Some(stream), now_ms)?;
    for person in persons {
        archive.put_person(stream, person, &row.subject, now_ms)?;
    }
    let (token, digest) = fresh(secret);
    archive.put_token(&TokenRow {
        digest,
        role: Role::Device,
        subject: row.subject.clone(),
        stream: Some(stream.clone()),
        replaces: None,
        issued_ms: now_ms,
        ended_ms: None,
    })?;
    Ok(Ok(Enrolled { token, subject: row.subject }))
}

/// Makes a device's next token. The present one stays good until the new one is seen.
pub(crate) fn rotate(
    archive: &mut dyn Archive,
    caller: &Caller,
    secret: [u8; 32],
    now_ms: i64,
) -> Result<Enrolled, ArchiveError> {
    let (token, digest) = fresh(secret);
    archive.put_token(&TokenRow {
        digest,
        role: caller.role,
        subject: caller.subject.clone(),
        stream: caller.stream.clone(),
        replaces: Some(caller.token),
        issued_ms: now_ms,
        ended_ms: None,
    })?;
    Ok(Enrolled { token, subject: caller.subject.clone() })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::archive::sqlite::Sqlite;
    use crate::archive::tokens::Tokens;
    use crate::auth::{self, Who};

    fn archive(dir: &tempfile::TempDir) -> Sqlite {
        let mut archive = Sqlite::open(dir.path()).unwrap();
        archive.begin().unwrap();
        archive
    }

    fn enrolment(code: &str, stream: &str, key: u8) -> Enrolment {
        let key = SigningKey::from_bytes(&[key; 32]);
        let mut enrolment = Enrolment {
            code: code.to_owned(),
            stream: stream.to_owned(),
            public_key: hex(key.verifying_key().as_bytes()),
            persons: vec!["p1".to_owned()],
            signature: String::new(),
        };
        enrolment.signature = hex(&key.sign(&enrolment.signed_message()).to_bytes());
        enrolment
    }

    fn try_it(archive: &mut Sqlite, enrolment: Enrolment, n: u8, now_ms: i64) -> Result<Enrolled, Denied> {
        exchange(archive, &check(enrolment).unwrap(), [n; 32], now_ms).unwrap()
    }

    fn holds(archive: &mut Sqlite, token: &str, now_ms: i64) -> Option<Caller> {
        match auth::who(archive, token, now_ms).unwrap() {
            Who::Caller(caller) => Some(caller),
            Who::Ended | Who::Nobody => None,
        }
    }

    #[test]
    fn a_code_is_good_for_one_device_until_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let archive = &mut archive(&dir);
        let code = issue(archive, "ann", [1; 16], 0, 100).unwrap();
        assert_eq!(try_it(archive, enrolment("cse_other", "s1", 1), 1, 1), Err(Denied::Unknown));
        let first = try_it(archive, enrolment(&code, "s1", 1), 2, 1).unwrap();
        assert_eq!(first.subject, "ann");
        assert_eq!(try_it(archive, enrolment(&code, "s2", 2), 3, 2), Err(Denied::Used));
        // The same device again, whose answer was lost: it gets another token, and the lost one ends.
        let second = try_it(archive, enrolment(&code, "s1", 1), 4, 3).unwrap();
        assert_eq!(holds(archive, &first.token, 4), None);
        assert_eq!(holds(archive, &second.token, 4).unwrap().stream.as_deref(), Some("s1"));
        assert_eq!(try_it(archive, enrolment(&code, "s1", 1), 5, 100), Err(Denied::Expired));
        assert_eq!(archive.subject_of("s1", "p1").unwrap().as_deref(), Some("ann"));
    }

    #[test]
    fn a_stream_stays_with_its_key_and_its_subject() {
        let dir = tempfile::tempdir().unwrap();
        let archive = &mut archive(&dir);
        let codes = [(1, "ann"), (2, "ann"), (3, "bob")].map(|(n, who)| issue(archive, who, [n; 16], 0, 100).unwrap());
        try_it(archive, enrolment(&codes[0], "s1", 1), 1, 1).unwrap();
        assert_eq!(try_it(archive, enrolment(&codes[1], "s1", 2), 2, 1), Err(Denied::OtherKey));
        assert_eq!(try_it(archive, enrolment(&codes[2], "s1", 1), 3, 1), Err(Denied::OtherSubject));
        assert!(try_it(archive, enrolment(&codes[1], "s1", 1), 4, 1).is_ok());
    }

    #[test]
    fn nobody_enrols_a_device_whose_key_they_do_not_have() {
        let good = enrolment("c", "s1", 1);
        assert!(check(good.clone()).is_ok());
        let other = hex(SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes());
        for bad in [
            Enrolment { public_key: other, ..good.clone() },
            Enrolment { stream: "s2".to_owned(), ..good.clone() },
            Enrolment { code: "d".to_owned(), ..good.clone() },
            Enrolment { persons: vec!["p2".to_owned()], ..good.clone() },
            Enrolment { signature: String::new(), ..good.clone() },
            Enrolment { stream: "s\n".to_owned(), ..good.clone() },
            Enrolment { public_key: "00".repeat(32), ..good },
        ] {
            assert!(check(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_old_token_is_good_until_the_new_one_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let archive = &mut archive(&dir);
        let code = issue(archive, "ann", [1; 16], 0, 100).unwrap();
        let old = try_it(archive, enrolment(&code, "s1", 1), 1, 1).unwrap().token;
        let caller = holds(archive, &old, 2).unwrap();
        // The answer with the first was lost; whoever finds it later holds nothing.
        let lost = rotate(archive, &caller, [2; 32], 2).unwrap().token;
        let new = rotate(archive, &caller, [3; 32], 3).unwrap().token;
        assert!(holds(archive, &old, 4).is_some());
        assert!(holds(archive, &new, 5).is_some());
        assert_eq!(auth::who(archive, &old, 6).unwrap(), Who::Ended);
        assert_eq!(auth::who(archive, &lost, 6).unwrap(), Who::Ended);
        assert!(holds(archive, &new, 7).is_some());
        assert_eq!(archive.end_tokens("ann", None, 8).unwrap(), 1);
        assert_eq!(auth::who(archive, &new, 9).unwrap(), Who::Ended);
        assert_eq!(
            try_it(archive, enrolment(&code, "s1", 1), 4, 9),
            Err(Denied::Expired),
            "nor does its code let it in"
        );
        assert_eq!(auth::who(archive, "cst_never", 9).unwrap(), Who::Nobody);
    }
}

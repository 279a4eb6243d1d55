//! Texts in the archive: sealed under a key of one person in one repository, which is wrapped under
//! the collector's own. Destroy the wrapped key, and every text of that person there is gone.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use countersign_event::batch::ContentUpload;
use countersign_event::content::{CONTENT_BYTES_MAX, commit};

use crate::archive::{Archive, ArchiveError, Sealed, WrappedKey};
use crate::keys::random;

/// Salts of more bytes are refused.
const SALT_BYTES_MAX: usize = 64;
const NONCE_BYTES: usize = 24;

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new.
    New,
    /// It was there.
    Already,
    /// No archived event holds this commitment, so far.
    Unannounced,
}

/// What stands behind a commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The text.
    Text(String),
    /// It has not come.
    Pending,
    /// Its key was destroyed.
    Erased,
}

/// A text whose commitment has been checked.
pub(crate) struct Checked {
    kept: String,
    event: String,
    salt: Vec<u8>,
    text: String,
}

/// Checks an upload against the commitment it was sent under.
///
/// Errors: what is wrong with it, for its sender.
pub(crate) fn check(kept: &str, upload: ContentUpload) -> Result<Checked, &'static str> {
    let salt = unhex(&upload.salt).ok_or("salt is not hexadecimal")?;
    if salt.len() > SALT_BYTES_MAX {
        return Err("salt is longer than 64 bytes");
    }
    if upload.text.len() > CONTENT_BYTES_MAX {
        return Err("text is longer than 1 MiB");
    }
    if commit(&salt, upload.text.as_bytes()) != kept {
        return Err("text and salt do not give this commitment");
    }
    Ok(Checked { kept: kept.to_owned(), event: upload.event, salt, text: upload.text })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// Seals a text and keeps it. The same one twice is one.
pub(crate) fn keep(
    archive: &mut dyn Archive,
    master: &[u8; 32],
    content: &Checked,
    now_ms: i64,
) -> Result<Kept, ArchiveError> {
    if archive.content(&content.kept)?.is_some() {
        return Ok(Kept::Already);
    }
    let Some((person, repository)) = archive.owner_of(&content.kept)? else { return Ok(Kept::Unannounced) };
    let (id, key) = match archive.key_for(&person, &repository)? {
        Some(wrapped) => (wrapped.id, unwrap(master, &wrapped)?),
        None => {
            let key = randomness()?;
            let wrapped = seal(master, &owner(&person, &repository), &key)?;
            (archive.put_key(&person, &repository, &wrapped)?, key)
        }
    };
    let mut plain = vec![content.salt.len() as u8];
    plain.extend_from_slice(&content.salt);
    plain.extend_from_slice(content.text.as_bytes());
    let sealed = Sealed { event: content.event.clone(), key: id, sealed: seal(&key, content.kept.as_bytes(), &plain)? };
    archive.put_content(&content.kept, &sealed, now_ms)?;
    Ok(Kept::New)
}

/// Opens a kept text and checks it against its commitment once more.
///
/// Errors: `Damaged` where it cannot be opened with its key or is not what was committed to.
pub(crate) fn open(archive: &mut dyn Archive, master: &[u8; 32], kept: &str) -> Result<Opened, ArchiveError> {
    let Some(content) = archive.content(kept)? else { return Ok(Opened::Pending) };
    let Some(wrapped) = archive.key(content.key)? else { return Ok(Opened::Erased) };
    let key = unwrap(master, &wrapped)?;
    let damaged = || ArchiveError::Damaged(format!("content {kept} is not what was committed to"));
    let plain = unseal(&key, kept.as_bytes(), &content.sealed).ok_or_else(damaged)?;
    let (salt_len, rest) = plain.split_first().ok_or_else(damaged)?;
    let (salt, text) = rest.split_at_checked(usize::from(*salt_len)).ok_or_else(damaged)?;
    if commit(salt, text) != kept {
        return Err(damaged());
    }
    String::from_utf8(text.to_vec()).map(Opened::Text).map_err(|_| damaged())
}

fn owner(person: &str, repository: &str) -> Vec<u8> {
    let mut out = (person.len() as u64).to_be_bytes().to_vec();
    out.extend_from_slice(person.as_bytes());
    out.extend_from_slice(repository.as_bytes());
    out
}

fn unwrap(master: &[u8; 32], key: &WrappedKey) -> Result<[u8; 32], ArchiveError> {
    let damaged = || ArchiveError::Damaged(format!("content key {} cannot be opened with collector.key", key.id));
    let plain = unseal(master, &owner(&key.person, &key.repository), &key.wrapped).ok_or_else(damaged)?;
    plain.try_into().map_err(|_| damaged())
}

fn seal(key: &[u8; 32], about: &[u8], plain: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let nonce: [u8; NONCE_BYTES] = randomness()?;
    let sealed = XChaCha20Poly1305::new(&(*key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
        .expect("a text of a mebibyte is far below the cipher's limit");
    Ok([&nonce[..], &sealed].concat())
}

fn unseal(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    XChaCha20Poly1305::new(&(*key).into()).decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: about }).ok()
}

fn randomness<const N: usize>() -> Result<[u8; N], ArchiveError> {
    random().map_err(|error| ArchiveError::Engineering { what: "draw randomness", source: std::sync::Arc::new(error) })
}

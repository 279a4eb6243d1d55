//! Texts at rest: compressed, sealed with a key of their own, that key wrapped by the device's.
//!
//! Salt and text are sealed together, so destroying the wrapped key destroys both, and the
//! commitment in the event says nothing any more. A sealed text is bound to its event, name and
//! commitment: put in another one's place it does not open.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use countersign_event::content::{ContentName, NewContent, commit};
use serde::{Deserialize, Serialize};

use crate::{Device, SpoolError, sys};

const NONCE_BYTES: usize = 24;

/// Texts shorter than this are not worth compressing (measured: zstd gains nothing below).
const COMPRESS_FROM_BYTES: usize = 256;

/// The largest plain text a sealed one may unpack to; contents are at most 1 MiB, snapshots are larger.
const PLAIN_BYTES_MAX: usize = 1 << 30;

/// A text as it touches the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) name: String,
    pub(crate) kept: String,
    pub(crate) bytes: u64,
    pub(crate) boxed: SealedBox,
}

/// A sealed text and its wrapped key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedBox {
    #[serde(with = "crate::inbox::hexed")]
    pub(crate) wrapped_key: Vec<u8>,
    #[serde(with = "crate::inbox::hexed")]
    pub(crate) sealed: Vec<u8>,
}

/// A content of the spool, or what became of it.
#[derive(Clone, PartialEq, Eq)]
pub enum ContentState {
    /// It is here, opens, and matches its commitment.
    Ok {
        /// Its name in the event.
        name: ContentName,
        /// The redacted text.
        text: String,
        /// What the commitment was salted with.
        salt: Vec<u8>,
    },
    /// Let go to make room; recorded in the trail.
    Shed,
    /// Its key was destroyed on request.
    Erased,
    /// There is no such content and no record of why.
    Missing,
}

impl std::fmt::Debug for ContentState {
    /// Never prints the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ContentState::Ok { .. } => "Ok",
            ContentState::Shed => "Shed",
            ContentState::Erased => "Erased",
            ContentState::Missing => "Missing",
        })
    }
}

impl Sealed {
    pub(crate) fn new(content: &NewContent, event: &str, device: &Device) -> Result<Sealed, SpoolError> {
        let name = content.name.as_str().to_owned();
        let kept = content.commitment.kept.clone();
        let mut plain = (content.salt.len() as u64).to_be_bytes().to_vec();
        plain.extend_from_slice(&content.salt);
        plain.extend_from_slice(content.text.as_bytes());
        let boxed = SealedBox::seal(&plain, &bound_to(event, &name, &kept), device)?;
        Ok(Sealed { name, kept, bytes: content.text.len() as u64, boxed })
    }
}

/// Opens a content: its salt and its text, checked against the commitment.
pub(crate) fn open(
    boxed: &SealedBox,
    event: &str,
    name: &str,
    kept: &str,
    device: &Device,
) -> Result<(Vec<u8>, String), SpoolError> {
    let broken = || SpoolError::Sealed { what: format!("content {kept}") };
    let plain = boxed.open(&bound_to(event, name, kept), device).ok_or_else(broken)?;
    let (salt_len, rest) = plain.split_first_chunk::<8>().ok_or_else(broken)?;
    let salt_len = usize::try_from(u64::from_be_bytes(*salt_len)).map_err(|_| broken())?;
    let (salt, text) = rest.split_at_checked(salt_len).ok_or_else(broken)?;
    if commit(salt, text) != kept {
        return Err(broken());
    }
    Ok((salt.to_vec(), String::from_utf8(text.to_vec()).map_err(|_| broken())?))
}

/// Reads a content's name. `None` for one of a later version.
pub(crate) fn name_of(name: &str) -> Option<ContentName> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// Lengths first: no two triples give the same bytes.
fn bound_to(event: &str, name: &str, kept: &str) -> Vec<u8> {
    let mut out = b"countersign.content.v1".to_vec();
    for part in [event, name, kept] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

impl Device {
    /// Compresses and seals bytes that wait in a file outside the spool, bound to where they belong.
    pub fn seal(&self, plain: &[u8], bound_to: &str) -> Result<Vec<u8>, SpoolError> {
        let boxed = SealedBox::seal(plain, &bound_outside(bound_to), self)?;
        let mut out = (boxed.wrapped_key.len() as u64).to_be_bytes().to_vec();
        out.extend_from_slice(&boxed.wrapped_key);
        out.extend_from_slice(&boxed.sealed);
        Ok(out)
    }

    /// Opens what [`Device::seal`] sealed. `None` where a byte was changed or it belongs elsewhere.
    pub fn unseal(&self, sealed: &[u8], bound_to: &str) -> Option<Vec<u8>> {
        let (length, rest) = sealed.split_first_chunk::<8>()?;
        let (key, sealed) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        let boxed = SealedBox { wrapped_key: key.to_vec(), sealed: sealed.to_vec() };
        boxed.open(&bound_outside(bound_to), self)
    }
}

fn bound_outside(bound_to: &str) -> Vec<u8> {
    [b"countersign.outside.v1", bound_to.as_bytes()].concat()
}

impl SealedBox {
    /// Compresses and seals under a new random key.
    pub(crate) fn seal(plain: &[u8], bound_to: &[u8], device: &Device) -> Result<SealedBox, SpoolError> {
        let compressed = (plain.len() >= COMPRESS_FROM_BYTES).then(|| zstd::bulk::compress(plain, 1).ok()).flatten();
        let packed = match compressed.filter(|compressed| compressed.len() < plain.len()) {
            Some(compressed) => [&[1], compressed.as_slice()].concat(),
            None => [&[0], plain].concat(),
        };
        let key = sys::random::<32>()?;
        Ok(SealedBox {
            wrapped_key: encrypt(device.wrapping_key(), &key, bound_to)?,
            sealed: encrypt(&key, &packed, bound_to)?,
        })
    }

    /// Opens. `None` where a byte was changed, or key or place are others.
    pub(crate) fn open(&self, bound_to: &[u8], device: &Device) -> Option<Vec<u8>> {
        let key: [u8; 32] = decrypt(device.wrapping_key(), &self.wrapped_key, bound_to)?.try_into().ok()?;
        let packed = decrypt(&key, &self.sealed, bound_to)?;
        let (&how, body) = packed.split_first()?;
        match how {
            0 => Some(body.to_vec()),
            1 => {
                let size = zstd::zstd_safe::get_frame_content_size(body).ok()??;
                let size = usize::try_from(size).ok().filter(|&size| size <= PLAIN_BYTES_MAX)?;
                zstd::bulk::decompress(body, size).ok()
            }
            _ => None,
        }
    }
}

fn encrypt(key: &[u8; 32], plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, SpoolError> {
    let nonce = sys::random::<NONCE_BYTES>()?;
    let sealed = XChaCha20Poly1305::new(&(*key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: bound_to })
        .expect("texts are far below the cipher's 256 GiB");
    Ok([&nonce, sealed.as_slice()].concat())
}

fn decrypt(key: &[u8; 32], sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    XChaCha20Poly1305::new(&(*key).into()).decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: bound_to }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_event::content::KeepReason;

    fn device() -> (tempfile::TempDir, Device) {
        let dir = tempfile::tempdir().unwrap();
        let device = Device::load_or_create(dir.path()).unwrap();
        (dir, device)
    }

    fn sealed(text: &str, device: &Device) -> Sealed {
        let content =
            NewContent::new(ContentName::Output, text.to_owned(), text, vec![5; 16], KeepReason::Always, "default");
        Sealed::new(&content, "event", device).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_short_or_long() {
        let (_dir, device) = device();
        for text in ["", "x", &"ab".repeat(5000), &"é∂".repeat(100)] {
            let it = sealed(text, &device);
            let (salt, opened) = open(&it.boxed, "event", "output", &it.kept, &device).unwrap();
            assert_eq!((salt, opened.as_str()), (vec![5; 16], text));
        }
    }

    #[test]
    fn a_long_text_is_compressed_before_it_is_sealed() {
        let (_dir, device) = device();
        assert!(sealed(&"let x = 1;\n".repeat(1000), &device).boxed.sealed.len() < 500);
    }

    #[test]
    fn a_text_that_was_sealed_with_a_commitment_to_another_does_not_open() {
        let (_dir, device) = device();
        let mut content =
            NewContent::new(ContentName::Output, "text".to_owned(), "text", vec![5; 16], KeepReason::Always, "default");
        content.text = "another".to_owned();
        let it = Sealed::new(&content, "event", &device).unwrap();
        assert!(open(&it.boxed, "event", "output", &it.kept, &device).is_err());
    }

    #[test]
    fn a_changed_byte_another_place_or_another_device_do_not_open() {
        let (_dir, device) = device();
        let it = sealed("text", &device);
        for i in 0..it.boxed.sealed.len() {
            let mut changed = it.boxed.clone();
            changed.sealed[i] ^= 1;
            assert!(open(&changed, "event", "output", &it.kept, &device).is_err(), "byte {i}");
        }
        assert!(open(&it.boxed, "other", "output", &it.kept, &device).is_err());
        assert!(open(&it.boxed, "event", "prompt", &it.kept, &device).is_err());
        let (_dir, stranger) = self::device();
        assert!(open(&it.boxed, "event", "output", &it.kept, &stranger).is_err());
    }
}

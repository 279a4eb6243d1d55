//! Who this device is: one file of keys, made once, never replaced, never printed.
//!
//! Each purpose has a key of its own, so that one can be destroyed without the others.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_event::Timestamp;
use countersign_event::chain::{Hash, Head};
use countersign_event::digest::{hex, keyed, unhex};
use countersign_event::enrol::Enrolment;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::open::{FileLock, Layout, Patience};
use crate::{SpoolError, sys};

/// The device: its id and its keys.
pub struct Device {
    /// A UUID, made at random; says nothing about the machine.
    pub id: String,
    signing: SigningKey,
    wrapping: [u8; 32],
    digest: [u8; 32],
    redaction: [u8; 32],
    pseudonym: [u8; 32],
}

/// `device.key` on disk.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    version: u32,
    device: String,
    signing: String,
    wrapping: String,
    digest: String,
    redaction: String,
    pseudonym: String,
}

impl std::fmt::Debug for Device {
    /// Never prints a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Device {
    /// Reads `device.key`, or makes it. However many processes start at once, all get the same device.
    ///
    /// Errors: `Device` where the file is there but no key file of ours; it is left as it is.
    pub fn load_or_create(state: &Path) -> Result<Device, SpoolError> {
        Device::obtain(&Layout::new(state), &Patience::default())
    }

    pub(crate) fn obtain(layout: &Layout, patience: &Patience) -> Result<Device, SpoolError> {
        if let Some(device) = Device::read(&layout.key)? {
            return Ok(device);
        }
        sys::private_dir(&layout.state)?;
        let _lock = FileLock::take(&layout.lock, patience)?;
        if let Some(device) = Device::read(&layout.key)? {
            return Ok(device);
        }
        let random = || sys::random::<32>().map(|bytes| hex(&bytes));
        let file = KeyFile {
            version: 1,
            device: uuid::Builder::from_random_bytes(sys::random()?).into_uuid().to_string(),
            signing: random()?,
            wrapping: random()?,
            digest: random()?,
            redaction: random()?,
            pseudonym: random()?,
        };
        let json = serde_json::to_string(&file).expect("a key file is all strings");
        let temporary = layout.state.join(format!(".device.key.{}", std::process::id()));
        let _ = fs::remove_file(&temporary); // a leftover of a process that was killed here
        sys::write_whole(&temporary, &layout.key, (json + "\n").as_bytes())?;
        Device::read(&layout.key)?
            .ok_or_else(|| SpoolError::Device { path: layout.key.clone(), reason: "it vanished after it was written" })
    }

    /// Reads the key file. `None` where there is none.
    pub(crate) fn read(path: &PathBuf) -> Result<Option<Device>, SpoolError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(SpoolError::io("read", path, e)),
        };
        sys::private_file(path)?;
        let bad = |reason| SpoolError::Device { path: path.clone(), reason };
        let file: KeyFile = serde_json::from_str(&text).map_err(|_| bad("it is not a key file"))?;
        if file.version != 1 {
            return Err(bad("a later version of countersign wrote it"));
        }
        let key = |text: &str| unhex::<32>(text).ok_or_else(|| bad("a key in it is not 64 hexadecimal digits"));
        Uuid::parse_str(&file.device).map_err(|_| bad("the device id in it is not a UUID"))?;
        Ok(Some(Device {
            signing: SigningKey::from_bytes(&key(&file.signing)?),
            wrapping: key(&file.wrapping)?,
            digest: key(&file.digest)?,
            redaction: key(&file.redaction)?,
            pseudonym: key(&file.pseudonym)?,
            id: file.device,
        }))
    }

    /// Returns the device as the `source` of its events.
    pub fn urn(&self) -> String {
        format!("urn:countersign:device:{}", self.id)
    }

    /// Returns the name of the device's stream: one spool, one stream, named like the device.
    pub fn stream(&self) -> &str {
        &self.id
    }

    /// Returns the key under which observers of this device digest what entered.
    pub fn digest_key(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the key under which equal secrets get equal marks.
    pub fn redaction_key(&self) -> &[u8; 32] {
        &self.redaction
    }

    /// Returns the key that wraps the keys of contents and snapshots.
    pub(crate) fn wrapping_key(&self) -> &[u8; 32] {
        &self.wrapping
    }

    /// Returns a name for somebody that only this device can connect with them.
    pub fn pseudonym(&self, who: &str) -> String {
        hex(&keyed(&self.pseudonym, who.as_bytes())[..16])
    }

    /// Returns the public half of the key that signs heads.
    pub fn public_key(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// Makes the request by which this device gets a token for a one-time code.
    pub fn enrolment(&self, code: &str, persons: Vec<String>) -> Enrolment {
        let mut enrolment = Enrolment {
            code: code.to_owned(),
            stream: self.stream().to_owned(),
            public_key: hex(&self.public_key()),
            persons,
            signature: String::new(),
        };
        enrolment.signature = hex(&self.signing.sign(&enrolment.signed_message()).to_bytes());
        enrolment
    }

    /// Signs a head.
    pub fn sign_head(&self, stream: &str, epoch: &str, seq: u64, hash: Hash, time: Timestamp) -> Head {
        let signature = self.signing.sign(&Head::message(stream, epoch, seq, hash, time));
        Head {
            stream: stream.to_owned(),
            epoch: epoch.to_owned(),
            seq,
            hash,
            time,
            public_key: hex(&self.public_key()),
            signature: hex(&signature.to_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_processes_starting_at_once_become_one_device() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..16).map(|_| scope.spawn(|| Device::load_or_create(dir.path()).unwrap().id)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        for bad in ["", "{}", "not json", "{\"version\":2}"] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(Device::load_or_create(dir.path()), Err(SpoolError::Device { .. })), "{bad:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_for_its_owner_alone_even_if_somebody_opened_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = dir.path().join("device.key");
        Device::load_or_create(dir.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Device::load_or_create(dir.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_device_never_prints_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let device = Device::load_or_create(dir.path()).unwrap();
        assert_eq!(format!("{device:?}"), format!("Device {{ id: {:?}, .. }}", device.id));
    }
}

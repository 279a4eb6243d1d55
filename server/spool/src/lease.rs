//! Who replays: one process of the device at a time.

use std::path::Path;

use crate::open::{FileLock, Layout};
use crate::{SpoolError, sys};

/// The right to replay. It ends when it is dropped and when its process dies, however it dies.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "held, not read: the lock is on the open file")] FileLock);

impl Lease {
    /// Takes the lease. `None` while another holder has it. Never waits.
    pub fn try_take(state: &Path) -> Result<Option<Lease>, SpoolError> {
        sys::private_dir(state)?;
        Ok(FileLock::try_take(&Layout::new(state).lease)?.map(Lease))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_lease_and_it_is_free_when_that_one_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lease::try_take(dir.path()).unwrap();
        assert!(first.is_some());
        assert!(Lease::try_take(dir.path()).unwrap().is_none());
        drop(first);
        assert!(Lease::try_take(dir.path()).unwrap().is_some());
    }
}

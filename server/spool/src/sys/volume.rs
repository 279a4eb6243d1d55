//! On what kind of file system a directory lies.
//!
//! SQLite's WAL is shared memory: two machines that open one spool over a network each have their own, and
//! break the file. What is not known to be somebody else's disk counts as local: the file systems by which a
//! container or a virtual machine sees the disk of its own host are used by that one machine alone.

use std::path::Path;

/// Returns the name of the network file system that a directory lies on. `None` where it lies on a disk of
/// this machine, as far as anybody can tell.
pub(crate) fn network(dir: &Path) -> Option<String> {
    #[cfg(test)]
    if let Some(name) = pretend::network(dir) {
        return Some(name);
    }
    imp::network(dir)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// From statfs(2) and the kernel's `include/uapi/linux/magic.h`.
    const MAGICS: &[(u32, &str)] = &[
        (0x6969, "nfs"),
        (0x517B, "smb"),
        (0xFF53_4D42, "cifs"),
        (0xFE53_4D42, "smb2"),
        (0x5346_414F, "afs"),
        (0x6B41_4653, "afs"),
        (0x7375_7245, "coda"),
        (0x564C, "ncp"),
        (0x00C3_6400, "ceph"),
        (0x0BD0_0BD0, "lustre"),
        (0x4750_4653, "gpfs"),
        (0x1983_0326, "beegfs"),
        (0x2003_0528, "orangefs"),
        (0x7461_636F, "ocfs2"),
        (0x0116_1970, "gfs2"),
    ];
    const FUSE: u32 = 0x6573_5546;
    /// What follows `fuse.` in the type of a mount; others may well be local, as an encrypted home is.
    const FUSES: &[&str] = &[
        "sshfs",
        "rclone",
        "s3fs",
        "goofys",
        "gcsfuse",
        "blobfuse",
        "blobfuse2",
        "glusterfs",
        "ceph",
        "ceph-fuse",
        "davfs",
        "juicefs",
        "mfs",
        "seaweedfs",
        "curlftpfs",
        "smbnetfs",
        "gvfsd-fuse",
        "afpfs",
        "hdfs",
    ];

    pub(super) fn network(dir: &Path) -> Option<String> {
        // The word's width and sign differ by processor, the magic is 32 bits.
        let magic = rustix::fs::statfs(dir).ok()?.f_type as u32;
        if magic != FUSE {
            return of_magic(magic).map(str::to_owned);
        }
        let dev = fs::metadata(dir).ok()?.dev();
        let dev = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
        of_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?, &dev)
    }

    pub(super) fn of_magic(magic: u32) -> Option<&'static str> {
        MAGICS.iter().find(|(it, _)| *it == magic).map(|(_, name)| *name)
    }

    /// Looks a device up among the mounts: `id parent major:minor root point options … - type source options`.
    pub(super) fn of_mount(mountinfo: &str, dev: &str) -> Option<String> {
        let mount = mountinfo.lines().find(|line| line.split(' ').nth(2) == Some(dev))?;
        let kind = mount.split(" - ").nth(1)?.split(' ').next()?;
        FUSES.contains(&kind.strip_prefix("fuse.")?).then(|| kind.to_owned())
    }
}

#[cfg(target_os = "macos")]
mod imp {
    use std::path::Path;

    /// `MNT_LOCAL` of `sys/mount.h`.
    const LOCAL: u32 = 0x1000;

    pub(super) fn network(dir: &Path) -> Option<String> {
        let found = rustix::fs::statfs(dir).ok()?;
        let name = found.f_fstypename.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte as u8));
        (found.f_flags & LOCAL == 0).then(|| name.collect())
    }
}

#[cfg(windows)]
mod imp {
    use std::path::{Component, Path, Prefix};

    /// A drive letter that stands for a share has the share's name once it is resolved.
    pub(super) fn network(dir: &Path) -> Option<String> {
        let resolved = dir.canonicalize().ok()?;
        let Component::Prefix(prefix) = resolved.components().next()? else { return None };
        matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..)).then(|| "share".to_owned())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod imp {
    pub(super) fn network(_dir: &std::path::Path) -> Option<String> {
        None
    }
}

/// Network file systems that tests have.
#[cfg(test)]
pub(crate) mod pretend {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    static MOUNTS: Mutex<Vec<(PathBuf, &str)>> = Mutex::new(Vec::new());

    pub(crate) fn mount(dir: &Path, name: &'static str) {
        MOUNTS.lock().unwrap().push((dir.to_owned(), name));
    }

    pub(crate) fn unmount(dir: &Path) {
        MOUNTS.lock().unwrap().retain(|(it, _)| it != dir);
    }

    pub(super) fn network(dir: &Path) -> Option<String> {
        MOUNTS.lock().unwrap().iter().find(|(it, _)| dir.starts_with(it)).map(|(_, name)| (*name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_directory_of_this_machine_is_on_its_own_disk() {
        assert_eq!(imp::network(tempfile::tempdir().unwrap().path()), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_their_magic_and_mounts_of_fuse_by_their_type() {
        assert_eq!(imp::of_magic(0x6969), Some("nfs"));
        assert_eq!(imp::of_magic(0xFF53_4D42), Some("cifs"));
        for local in [0xEF53, 0x9123_683E, 0x5846_5342, 0x0102_1994, 0x794C_7630, 0x0102_1997] {
            assert_eq!(imp::of_magic(local), None, "ext, btrfs, xfs, tmpfs, overlay, 9p: {local:x}");
        }
        let mounts = "30 27 0:44 / /mnt/far rw,relatime shared:9 - fuse.sshfs me@far: rw,user_id=0\n\
                      31 27 0:45 / /home/me rw - fuse.gocryptfs /crypt rw\n\
                      32 27 8:1 / / rw - ext4 /dev/sda1 rw\n";
        assert_eq!(imp::of_mount(mounts, "0:44").as_deref(), Some("fuse.sshfs"));
        assert_eq!(imp::of_mount(mounts, "0:45"), None);
        assert_eq!(imp::of_mount(mounts, "8:1"), None);
        assert_eq!(imp::of_mount("not a mountinfo", "0:44"), None);
    }
}

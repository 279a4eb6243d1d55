//! A machine of their own for some processes: its clock jumps and its disk fills up while they run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// As `machine.c` reads it: what the clock is off, the room that is left, how often there was none.
const CLOCK_AT: u64 = 0;
const ROOM_AT: u64 = 8;
const REFUSED_AT: u64 = 16;
const WITHOUT_END: i64 = i64::MAX / 2;

pub(super) struct Machine {
    path: PathBuf,
    numbers: File,
}

impl Machine {
    pub(super) fn new(path: PathBuf) -> Machine {
        let numbers = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        numbers.set_len(24).expect("room for three numbers");
        let machine = Machine { path, numbers };
        machine.set_room(None);
        machine
    }

    /// Lets a command run on this machine.
    pub(super) fn host(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &*LIBRARY).env("MACHINE", &self.path);
    }

    /// Sets the clock so many seconds on, or back.
    pub(super) fn clock_jumps(&self, seconds: i64) {
        self.put(CLOCK_AT, self.get(CLOCK_AT) + seconds);
    }

    /// From now on files may grow by so many bytes, or as they like.
    pub(super) fn set_room(&self, bytes: Option<u64>) {
        self.put(ROOM_AT, bytes.map_or(WITHOUT_END, |bytes| bytes as i64));
    }

    /// How often something found no room.
    pub(super) fn refused(&self) -> u64 {
        self.get(REFUSED_AT) as u64
    }

    fn get(&self, at: u64) -> i64 {
        let mut bytes = [0; 8];
        self.numbers.read_exact_at(&mut bytes, at).expect("it is as long as it was made");
        i64::from_ne_bytes(bytes)
    }

    fn put(&self, at: u64, number: i64) {
        self.numbers.write_all_at(&number.to_ne_bytes(), at).expect("the file takes a number");
    }
}

/// Compiled once; nothing but the C compiler that SQLite needs as well.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (source, made) = (dir.path().join("machine.c"), dir.path().join("machine.so"));
    std::fs::write(&source, include_str!("machine.c")).expect("a source file");
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let compiled = cc.args(["-shared", "-fPIC", "-O1", "-o"]).args([&made, &source]).status();
    assert!(compiled.expect("a C compiler runs").success());
    // Where others run these tests as well, the last one's is the same.
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine.so");
    std::fs::rename(&made, &library).expect("a place for it");
    library
});

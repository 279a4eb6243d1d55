//! A file system below SQLite that writes down what reaches the disk and when it was synced, so that
//! the files can be laid out afterwards as a crash at any moment would have left them.
//!
//! It passes every call on to the system's own and only listens: locks and the WAL's shared memory
//! are real, and a laid-out spool has no shared memory file, as after a restart. Nothing is really
//! synced: what a sync is worth here is decided when the files are laid out.

#![allow(unsafe_code, reason = "SQLite's file system interface is C")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, OnceLock};

use rusqlite::ffi;

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// SQLite opened a file that may be new.
    Open(String),
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        size: usize,
    },
    Sync(String),
    /// The name is gone, for good where the directory was synced too.
    Delete {
        file: String,
        synced: bool,
    },
    /// The script has something to say about what it was promised up to here.
    Told(usize),
}

/// A step, and how the ordinary files stood when it was taken.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) step: Step,
    /// Bytes in the side file, which only grows.
    pub(crate) heads: usize,
    /// The letters in the inbox.
    pub(crate) letters: BTreeSet<String>,
}

#[derive(Default)]
struct Tape {
    dir: Option<PathBuf>,
    entries: Vec<Entry>,
    letters: BTreeMap<String, Vec<u8>>,
}

fn tape() -> MutexGuard<'static, Tape> {
    static TAPE: Mutex<Tape> = Mutex::new(Tape { dir: None, entries: Vec::new(), letters: BTreeMap::new() });
    TAPE.lock().unwrap()
}

/// Everything a run wrote.
pub(crate) struct Recording {
    pub(crate) entries: Vec<Entry>,
    /// Every letter there ever was.
    pub(crate) letters: BTreeMap<String, Vec<u8>>,
}

/// What happens to the files of one directory, while it is written down; one at a time.
pub(crate) struct Recorder(#[expect(dead_code, reason = "held, not read: others wait for it")] MutexGuard<'static, ()>);

/// Begins to write down what happens to the files of a directory.
pub(crate) fn record(dir: &Path) -> Recorder {
    static ONE: Mutex<()> = Mutex::new(());
    install();
    // A test that failed while it recorded says so itself.
    let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *tape() = Tape { dir: Some(dir.canonicalize().unwrap()), ..Tape::default() };
    Recorder(one)
}

impl Recorder {
    pub(crate) fn end(self) -> Recording {
        let tape = std::mem::take(&mut *tape());
        Recording { entries: tape.entries, letters: tape.letters }
    }
}

/// Notes that the script was promised something.
pub(crate) fn tell(n: usize) {
    note(None, Step::Told(n));
}

fn note(file: Option<&Path>, step: Step) {
    let mut tape = tape();
    let Some(dir) = tape.dir.clone() else { return };
    if file.is_some_and(|file| file.parent() != Some(&dir)) {
        return;
    }
    let heads = std::fs::metadata(dir.join("heads.jsonl")).map_or(0, |it| it.len() as usize);
    let mut letters = BTreeSet::new();
    for entry in std::fs::read_dir(dir.join("inbox")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".letter") {
            // Gone already where it was taken in meanwhile, and then known.
            if let Ok(bytes) = std::fs::read(entry.path()) {
                tape.letters.insert(name.clone(), bytes);
            }
            letters.insert(name);
        }
    }
    tape.entries.push(Entry { step, heads, letters });
}

/// One open file; the system's own follows it in memory.
#[repr(C)]
struct Listening {
    base: ffi::sqlite3_file,
    path: *mut PathBuf,
}

/// SAFETY: everything below is called by SQLite alone, with a file that `open` made: `szOsFile` says
/// that the system's own lies behind ours.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<Listening>().add(1).cast() }
}

unsafe fn methods(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    unsafe { &*(*inner(file)).pMethods }
}

/// Path and name, `None` where SQLite named it itself (a temporary file).
unsafe fn named(file: *mut ffi::sqlite3_file) -> Option<(&'static Path, String)> {
    let path = unsafe { (*file.cast::<Listening>()).path.as_ref() }?;
    Some((path, path.file_name()?.to_str()?.to_owned()))
}

macro_rules! pass_on {
    ($name:ident, $method:ident $(, $arg:ident: $type:ty)*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $arg: $type)*) -> c_int {
            unsafe { methods(file).$method.unwrap()(inner(file) $(, $arg)*) }
        }
    };
}

pass_on!(read, xRead, to: *mut c_void, count: c_int, at: i64);
pass_on!(file_size, xFileSize, size: *mut i64);
pass_on!(lock, xLock, level: c_int);
pass_on!(unlock, xUnlock, level: c_int);
pass_on!(check_reserved, xCheckReservedLock, out: *mut c_int);
pass_on!(control, xFileControl, op: c_int, arg: *mut c_void);
pass_on!(sector_size, xSectorSize);
pass_on!(characteristics, xDeviceCharacteristics);
pass_on!(shm_map, xShmMap, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
pass_on!(shm_lock, xShmLock, offset: c_int, n: c_int, flags: c_int);
pass_on!(shm_unmap, xShmUnmap, delete: c_int);

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe { methods(file).xShmBarrier.unwrap()(inner(file)) }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, count: c_int, at: i64) -> c_int {
    if let Some((path, name)) = unsafe { named(file) } {
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), count as usize) }.to_vec();
        note(Some(path), Step::Write { file: name, at: at as usize, bytes });
    }
    unsafe { methods(file).xWrite.unwrap()(inner(file), from, count, at) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    if let Some((path, name)) = unsafe { named(file) } {
        note(Some(path), Step::Truncate { file: name, size: size as usize });
    }
    unsafe { methods(file).xTruncate.unwrap()(inner(file), size) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    if let Some((path, name)) = unsafe { named(file) } {
        note(Some(path), Step::Sync(name));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let listening = file.cast::<Listening>();
        if !(*listening).path.is_null() {
            drop(Box::from_raw((*listening).path));
            (*listening).path = std::ptr::null_mut();
        }
        methods(file).xClose.unwrap()(inner(file))
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The system's own file system, by address.
static SYSTEM: OnceLock<usize> = OnceLock::new();

fn system() -> *mut ffi::sqlite3_vfs {
    *SYSTEM.get().unwrap() as *mut ffi::sqlite3_vfs
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        let listening = file.cast::<Listening>();
        (*listening).base.pMethods = std::ptr::null();
        (*listening).path = std::ptr::null_mut();
        let opened = (*system()).xOpen.unwrap()(system(), name, inner(file), flags, out);
        if opened != ffi::SQLITE_OK {
            if let Some(methods) = (*inner(file)).pMethods.as_ref() {
                methods.xClose.unwrap()(inner(file));
            }
            return opened;
        }
        if !name.is_null() {
            let path = path_of(name);
            let short = path.file_name().unwrap().to_str().unwrap().to_owned();
            note(Some(&path), Step::Open(short));
            (*listening).path = Box::into_raw(Box::new(path));
        }
        (*listening).base.pMethods = &METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    let path = unsafe { path_of(name) };
    let deleted = unsafe { (*system()).xDelete.unwrap()(system(), name, 0) };
    if deleted == ffi::SQLITE_OK {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        note(Some(&path), Step::Delete { file, synced: sync_dir != 0 });
    }
    deleted
}

unsafe fn path_of(name: *const c_char) -> PathBuf {
    PathBuf::from(unsafe { CStr::from_ptr(name) }.to_str().unwrap())
}

/// Puts the listener below every connection of this process from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        SYSTEM.set(system as usize).unwrap();
        // A copy: its other functions look at nothing but `pAppData`, which is the same.
        let mut vfs = *system;
        vfs.szOsFile += size_of::<Listening>() as c_int;
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = c"listening".as_ptr();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SQLite keeps the pointer for the life of the process.
        let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1);
        assert_eq!(registered, ffi::SQLITE_OK);
    });
}

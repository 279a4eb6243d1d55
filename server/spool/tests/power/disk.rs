//! What is on the disk after a crash: the recorded steps up to some moment, with what nobody synced
//! kept, forgotten or torn.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::vfs::{Recording, Step};

/// How a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process is killed: the system still has every write.
    Process,
    /// The power goes: only what was synced is there.
    Power,
    /// The power goes while the disk works: of what was not synced any part may be there, cut at any
    /// sector, in any order.
    Torn,
}

/// The smallest thing a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    /// Since then.
    unsynced: Vec<Change>,
    /// The name survives power loss.
    named: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, new) => {
                if bytes.len() < at + new.len() {
                    bytes.resize(at + new.len(), 0);
                }
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            Change::Truncate(size) => bytes.resize(*size, 0),
        }
    }

    fn torn(&self, dice: &mut Dice) -> Option<Change> {
        match self {
            Change::Write(at, new) => match dice.below(3) {
                0 => None,
                1 => Some(Change::Write(*at, new[..SECTOR * dice.below(new.len() / SECTOR + 1)].to_vec())),
                _ => Some(self.clone()),
            },
            Change::Truncate(_) => (dice.below(2) == 0).then(|| self.clone()),
        }
    }
}

/// Numbers that are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

/// The disk, step by step.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    /// Deleted names that power loss may bring back.
    undead: BTreeMap<String, File>,
    /// How many steps it has taken.
    pub(crate) steps: usize,
}

impl Disk {
    /// The same disk under the next process, with a recording of its own.
    pub(crate) fn after_restart(&self) -> Disk {
        Disk { steps: 0, ..self.clone() }
    }

    /// Takes one more step of a recording.
    pub(crate) fn step(&mut self, step: &Step) {
        self.steps += 1;
        match step {
            Step::Open(file) => {
                // The database itself was made whole and under its name before SQLite saw it.
                let named = file == "spool.db";
                self.files.entry(file.clone()).or_insert_with(|| File { named, ..File::default() });
            }
            Step::Write { file, at, bytes } => self.change(file, Change::Write(*at, bytes.clone())),
            Step::Truncate { file, size } => self.change(file, Change::Truncate(*size)),
            Step::Sync(name) => {
                let Some(file) = self.files.get_mut(name) else { return };
                for change in std::mem::take(&mut file.unsynced) {
                    change.apply(&mut file.synced);
                }
                // SQLite syncs the directory with the first sync of a journal or WAL it made.
                if !std::mem::replace(&mut file.named, true) {
                    self.undead.clear();
                }
            }
            Step::Delete { file, synced } => {
                if let Some(gone) = self.files.remove(file)
                    && gone.named
                {
                    self.undead.insert(file.clone(), gone);
                }
                if *synced {
                    self.undead.clear();
                }
            }
            Step::Told(_) => {}
        }
    }

    fn change(&mut self, file: &str, change: Change) {
        self.files.get_mut(file).unwrap().unsynced.push(change);
    }

    /// Writes the files as a crash at this moment leaves them.
    pub(crate) fn lay_out(&self, recording: &Recording, from: &Path, to: &Path, crash: Crash, dice: &mut Dice) {
        fs::copy(from.join("device.key"), to.join("device.key")).unwrap();
        for (name, file) in &self.files {
            if crash != Crash::Process && !file.named && dice.below(2) == 0 {
                continue;
            }
            let mut bytes = file.synced.clone();
            for change in &file.unsynced {
                match crash {
                    Crash::Process => change.apply(&mut bytes),
                    Crash::Power => {}
                    Crash::Torn => change.torn(dice).into_iter().for_each(|it| it.apply(&mut bytes)),
                }
            }
            fs::write(to.join(name), bytes).unwrap();
        }
        if crash != Crash::Process {
            for (name, file) in &self.undead {
                if !self.files.contains_key(name) && dice.below(2) == 0 {
                    fs::write(to.join(name), &file.synced).unwrap();
                }
            }
        }
        self.ordinary(recording, from, to, crash, dice);
    }

    /// The side file and the inbox. Whoever writes them syncs before going on, so what stood there at
    /// a step was synced by then; what came between two steps may be torn. A letter that was taken in
    /// and unlinked may come back, because no directory was synced for it.
    fn ordinary(&self, recording: &Recording, from: &Path, to: &Path, crash: Crash, dice: &mut Dice) {
        let Some(now) = self.steps.checked_sub(1).map(|last| &recording.entries[last]) else { return };
        let whole = fs::read(from.join("heads.jsonl")).unwrap_or_default();
        let next = recording.entries.get(self.steps).map_or(now.heads, |entry| entry.heads);
        let mut length = now.heads;
        if crash == Crash::Torn {
            length += dice.below(next - now.heads + 1);
        }
        if length > 0 {
            fs::write(to.join("heads.jsonl"), &whole[..length]).unwrap();
        }
        fs::create_dir_all(to.join("inbox")).unwrap();
        let earlier = || recording.entries[..self.steps].iter().flat_map(|entry| &entry.letters);
        let mut letters = now.letters.clone();
        if crash == Crash::Torn {
            letters.extend(earlier().filter(|_| dice.below(2) == 0).cloned());
        }
        for letter in letters {
            fs::write(to.join("inbox").join(&letter), &recording.letters[&letter]).unwrap();
        }
    }
}

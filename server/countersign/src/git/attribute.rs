//! Who wrote a text of a repository: the pure history, fed with the spool, git's objects and reflogs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_event::payload::edit::Hunk;
use countersign_provenance::attribution::Attribution;
use countersign_provenance::history::{self, History, Look, Moment, Seen, Source, TextId};
use countersign_provenance::spans::Origin;
use countersign_spool::{BlobKey, GitState, Kind, Observed, Reader, SpoolError, TextRef};

use super::graph::{self, Graph};
use super::objects::{Objects, TEXT_BYTES_MAX};
use super::state::{Layout, git_blob_like, real};

/// Returns who wrote a text that a file has now, or an editor has of it. Outside a repository only what was
/// seen at its path is known.
///
/// Errors: the spool can't be read. What git can't say is not known.
pub(crate) fn of_text(reader: &Reader, file: &Path, text: &str) -> Result<Attribution, SpoolError> {
    let file = real(file);
    let layout = file.parent().and_then(super::root_of).and_then(|root| Layout::of_root(&root));
    match layout.and_then(|layout| Some((layout.path_of(&file)?, layout))) {
        Some((path, layout)) => match Attributor::open(reader, &layout)? {
            Some(mut attributor) => Ok(attributor.of_text(&path, text)),
            None => Ok(Attribution::new(text.len(), Origin::Unknown)),
        },
        None => Ok(Attributor::outside(reader, &file)?.of_text(&file.to_string_lossy(), text)),
    }
}

/// The past of one repository, and who wrote its texts as far as it was asked.
pub(crate) struct Attributor<'a> {
    /// `None` outside a repository.
    layout: Option<Layout>,
    history: History<Texts<'a>>,
}

impl<'a> Attributor<'a> {
    /// Reads what was seen in a repository, and its graph since then. `None` where nothing was ever seen.
    pub(crate) fn open(reader: &'a Reader, layout: &Layout) -> Result<Option<Attributor<'a>>, SpoolError> {
        let common_dir = layout.common_dir.to_string_lossy();
        let root = layout.worktree.to_string_lossy();
        let observed = reader.observed_in(&common_dir, &root)?;
        let mut texts = Texts::new(reader, Some(Objects::of(&layout.git_dir)));
        texts.is_partial = is_partial(layout);
        let mut worktrees: HashMap<&str, Arc<str>> = HashMap::new();
        let mut seen = Vec::with_capacity(observed.len());
        for it in &observed {
            // Without a place it was seen before there was a repository.
            let (worktree, path) = match &it.repository {
                Some(place) => (place.worktree.as_str(), Some(place.path.as_str())),
                None => (&*root, it.path.get(root.len() + 1..)),
            };
            let worktree = Arc::clone(worktrees.entry(worktree).or_insert_with(|| worktree.into()));
            seen.extend(path.map(|path| texts.seen(it, &worktree, path)));
        }
        if seen.is_empty() {
            return Ok(None);
        }
        let mut named: Vec<&str> = Vec::new();
        for state in observed.iter().filter_map(|it| it.git.as_ref()).flat_map(|it| [Some(it), it.until.as_deref()]) {
            named.extend(state.into_iter().flat_map(names));
        }
        named.sort_unstable();
        named.dedup();
        let first = observed.iter().find_map(|it| it.git.as_ref());
        let older: Vec<&str> = first.into_iter().flat_map(names).collect();
        let kept = super::settle::place(reader.directory(), layout).with_extension("graph");
        let mut graph = Graph::read(&kept);
        graph.update(&mut Objects::of(&layout.git_dir), &named, &older);
        graph.keep(&kept);
        let commits = graph.commits(&mut |oid| texts.of_blob(oid));
        let dirs = worktrees.values().filter_map(|worktree| {
            let layout = Layout::of_root(Path::new(&**worktree))?;
            Some((layout.git_dir, Arc::clone(worktree)))
        });
        let dirs: HashMap<PathBuf, Arc<str>> = dirs.collect();
        let entries = graph::reflogs(&layout.common_dir, &dirs);
        let stashes = graph::stashes(&layout.common_dir);
        let history = History::new(seen, commits, entries, stashes, texts);
        Ok(Some(Attributor { layout: Some(layout.clone()), history }))
    }

    /// Reads what was seen of a file that is in no repository, in its order.
    pub(crate) fn outside(reader: &'a Reader, file: &Path) -> Result<Attributor<'a>, SpoolError> {
        let path = file.to_string_lossy();
        let mut texts = Texts::new(reader, None);
        let seen = reader.observed_at(&path)?.iter().map(|it| texts.seen(it, &"".into(), path.as_ref())).collect();
        let history = History::new(seen, Vec::new(), Vec::new(), Vec::new(), texts);
        Ok(Attributor { layout: None, history })
    }

    /// Returns who wrote a text that stands at a path of the work tree now; outside a repository at an
    /// absolute path.
    pub(crate) fn of_text(&mut self, path: &str, text: &str) -> Attribution {
        let Some(layout) = self.layout.clone() else {
            let id = self.history.source().of_bytes(text.as_bytes());
            return self.history.of_text("", path, Moment::default(), Vec::new(), id, &text.into());
        };
        let state = layout.state();
        let source = self.history.source();
        let id = source.of_bytes(text.as_bytes());
        let head = state.head.as_deref();
        let is_new = head.is_none_or(|head| source.at(head, path).is_none());
        let worktree = layout.worktree.to_string_lossy();
        let mut gone = if is_new { gone(&layout) } else { Vec::new() };
        if is_new {
            let seen = self.history.paths_seen(&worktree).into_iter();
            let left: Vec<Arc<str>> =
                seen.filter(|path| layout.worktree.join(&**path).symlink_metadata().is_err()).collect();
            gone.extend(left);
            self.history.set_gone(&worktree, gone.iter().cloned());
        }
        self.history.of_text(&worktree, path, moment(&state), gone, id, &text.into())
    }

    /// Returns the text of a path in a commit, and who wrote it. `None` where there is none that is text.
    pub(crate) fn of_version(&mut self, commit: &str, path: &str) -> Option<Arc<history::Known>> {
        self.history.of_version(commit, path)
    }

    /// Counts the texts that were seen and can't be read any more.
    pub(crate) fn broken(&mut self) -> usize {
        self.history.source().broken
    }

    /// The history itself.
    pub(crate) fn history(&mut self) -> &mut History<Texts<'a>> {
        &mut self.history
    }
}

/// Says whether a clone left objects behind.
fn is_partial(layout: &Layout) -> bool {
    let packs = std::fs::read_dir(layout.common_dir.join("objects/pack"));
    packs.into_iter().flatten().flatten().any(|it| it.path().extension().is_some_and(|it| it == "promisor"))
}

/// Paths that HEAD has and the work tree has not: a file that is new may have been one of them.
fn gone(layout: &Layout) -> Vec<Arc<str>> {
    let output = super::objects::command(&layout.git_dir)
        .arg("--work-tree")
        .arg(&layout.worktree)
        .args(["diff-index", "-z", "--name-only", "--diff-filter=D", "--no-renames", "HEAD"])
        .current_dir(&layout.worktree)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).split_terminator('\0').take(256).map(Arc::from).collect()
}

fn names(state: &GitState) -> impl Iterator<Item = &str> {
    let all =
        [&state.head, &state.merge_head, &state.cherry_pick_head, &state.revert_head, &state.rebase_head, &state.stash];
    all.into_iter().filter_map(|id| id.as_deref())
}

fn moment(state: &GitState) -> Moment {
    let special = [&state.merge_head, &state.cherry_pick_head, &state.revert_head, &state.rebase_head];
    Moment {
        head: state.head.as_deref().map(Arc::from),
        special: special.into_iter().flatten().map(|id| id.as_str().into()).collect(),
        stash: state.stash.as_deref().map(Arc::from),
        reflog_len: state.reflog_len,
    }
}

/// Texts by number, from the spool or from git.
pub(crate) struct Texts<'a> {
    reader: &'a Reader,
    objects: Option<Objects>,
    by_key: HashMap<BlobKey, TextId>,
    places: Vec<Place>,
    at: HashMap<(String, String), Option<TextId>>,
    /// Texts that were kept, and are neither in the spool nor in git any more.
    broken: usize,
    /// git has not fetched every object.
    is_partial: bool,
}

#[derive(Default)]
struct Place {
    oid: Option<String>,
    kept: Option<TextRef>,
    /// `Some(None)`: looked for and not found.
    text: Option<Option<Arc<str>>>,
}

impl<'a> Texts<'a> {
    fn new(reader: &'a Reader, objects: Option<Objects>) -> Texts<'a> {
        Texts {
            reader,
            objects,
            by_key: HashMap::new(),
            places: Vec::new(),
            at: HashMap::new(),
            broken: 0,
            is_partial: false,
        }
    }

    fn of_key(&mut self, key: BlobKey) -> TextId {
        let next = TextId(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        let id = *self.by_key.entry(key).or_insert(next);
        if id == next {
            self.places.push(Place::default());
        }
        id
    }

    fn of_blob(&mut self, oid: &str) -> TextId {
        // A device without keys has seen nothing, so any name does.
        let id = self.of_key(self.reader.blob_key(oid).unwrap_or_default());
        self.places[id.0 as usize].oid.get_or_insert_with(|| oid.to_owned());
        id
    }

    /// Numbers a text that is at hand.
    pub(crate) fn of_bytes(&mut self, bytes: &[u8]) -> TextId {
        let like = self.places.iter().find_map(|place| place.oid.as_deref());
        let oid = git_blob_like(bytes, like);
        self.of_key(self.reader.blob_key(&oid).unwrap_or_default())
    }

    /// git's name of a text, where git has it.
    pub(crate) fn oid(&self, id: TextId) -> Option<&str> {
        self.places.get(id.0 as usize)?.oid.as_deref()
    }

    fn seen(&mut self, it: &Observed, worktree: &Arc<str>, path: &str) -> Seen {
        let text = it.text.zip(it.blob).map(|(kept, blob)| {
            let id = self.of_key(blob);
            self.places[id.0 as usize].kept = Some(kept);
            id
        });
        let look = match (it.kind, &it.contribution) {
            (Kind::Ai, Some(contribution)) => Look::Ai(contribution.as_str().into()),
            (Kind::Human, _) => Look::Human,
            (Kind::Saved, _) => Look::Saved,
            _ => Look::Before,
        };
        let hunks: Option<Vec<Hunk>> = it.hunks_json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Seen {
            seq: it.seq,
            look,
            worktree: Arc::clone(worktree),
            path: path.into(),
            text,
            call: it.call.as_deref().map(Arc::from),
            moment: it.git.as_ref().map(moment).unwrap_or_default(),
            until: it.git.as_ref().and_then(|git| git.until.as_deref()).map(moment),
            hunks: hunks.unwrap_or_default(),
            time_ms: it.time.map_or(0, |time| time.as_millis()),
            is_noted: it.has_spans && it.kind != Kind::Saved,
        }
    }

    fn fetch(&mut self, id: TextId) -> Option<Arc<str>> {
        let place = self.places.get(id.0 as usize)?;
        let kept = place.kept.and_then(|kept| self.reader.snapshot_text(kept).ok().flatten());
        let bytes = match (kept, &place.oid) {
            (Some(bytes), _) => bytes,
            (None, Some(oid)) => self.objects.as_mut()?.blob(oid)?,
            (None, None) => {
                self.broken += usize::from(place.kept.is_some());
                return None;
            }
        };
        if bytes.len() as u64 > TEXT_BYTES_MAX || bytes.contains(&0) {
            return None;
        }
        String::from_utf8(bytes).ok().map(Arc::from)
    }
}

impl Source for Texts<'_> {
    fn text(&mut self, id: TextId) -> Option<Arc<str>> {
        if let Some(known) = self.places.get(id.0 as usize).and_then(|place| place.text.clone()) {
            return known;
        }
        let text = self.fetch(id);
        if let Some(place) = self.places.get_mut(id.0 as usize) {
            place.text = Some(text.clone());
        }
        text
    }

    fn at(&mut self, commit: &str, path: &str) -> Option<TextId> {
        let key = (commit.to_owned(), path.to_owned());
        if let Some(known) = self.at.get(&key) {
            return *known;
        }
        let name = format!("{commit}:{path}");
        let object = self.objects.as_mut().and_then(|objects| objects.name(&name));
        let oid = match object {
            Some(object) => Some(object.oid).filter(|_| object.is_blob),
            // It may be there without having been fetched.
            None if self.is_partial => self.objects.as_ref().and_then(|objects| objects.oid(&name)),
            None => None,
        };
        let found = oid.map(|oid| self.of_blob(&oid));
        self.at.insert(key, found);
        found
    }

    fn saved(&mut self, seq: i64, text: &str) -> Option<Attribution> {
        let json = self.reader.snapshot_spans(seq).ok().flatten()?;
        Attribution::from_json(&json, text).ok()
    }

    fn attested(&mut self, commit: &str, path: &str, text: &str) -> Option<Attribution> {
        super::attested::of(self.reader, commit, path, text)
    }

    fn is_in_git(&mut self, id: TextId) -> bool {
        self.oid(id).is_some()
    }
}

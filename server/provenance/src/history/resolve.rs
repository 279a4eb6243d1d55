//! Explains nodes by others, each once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_event::facts::How;

use super::candidates::{GROUP_MAX, Node, Now, Past};
use super::facts::{Commit, Entry, Look, Moment, Seen, Source, TextId};
use super::vanished::{key, vanished};
use crate::attribution::Attribution;
use crate::carry::{self, Tier, carry};
use crate::spans::{ContributionId, Origin};
use crate::text::lines_of;

/// Stands for "not explained yet" while a text is being explained.
const OPEN: &str = "\0open";

/// A text and who wrote it.
#[derive(Debug)]
pub struct Known {
    /// The text.
    pub text: Arc<str>,
    /// Who wrote it.
    pub attribution: Attribution,
}

/// The past of a repository, and what was found out about it so far.
pub struct History<S> {
    pub(super) past: Past,
    pub(super) source: S,
    known: HashMap<Node, Option<Arc<Known>>>,
    keys: HashMap<TextId, Arc<HashSet<u64>>>,
    /// Nodes that would have explained themselves.
    pub(super) circles: usize,
}

/// What must be known first.
type Needs = Vec<Node>;

impl<S: Source> History<S> {
    /// Takes what is known. Observations are in their order; stashes the oldest first.
    pub fn new(seen: Vec<Seen>, commits: Vec<Commit>, entries: Vec<Entry>, stashes: Vec<Arc<str>>, source: S) -> Self {
        let past = Past::new(seen, commits, entries, stashes);
        History { past, source, known: HashMap::new(), keys: HashMap::new(), circles: 0 }
    }

    /// Returns who wrote a path in a commit. `None` where there is no such text.
    pub fn of_version(&mut self, commit: &str, path: &str) -> Option<Arc<Known>> {
        let (commit, path): (Arc<str>, Arc<str>) = (commit.into(), path.into());
        let made = self.past.made(&commit, &path).unwrap_or(commit);
        self.resolve(Node::Version(made, path))
    }

    /// Returns the commit that made a path what it is in another. `None` where it is older than all that was seen.
    pub fn made(&self, commit: &str, path: &str) -> Option<Arc<str>> {
        self.past.made(&commit.into(), &path.into())
    }

    /// Returns who wrote a text that stands in a work tree now. `gone` are paths that HEAD has or somebody
    /// saw, and that are not there; `id` is the text's number.
    pub fn of_text(
        &mut self,
        worktree: &str,
        path: &str,
        moment: Moment,
        gone: Vec<Arc<str>>,
        id: TextId,
        text: &Arc<str>,
    ) -> Attribution {
        let now = Now { worktree: worktree.into(), path: path.into(), moment, gone };
        loop {
            match self.explain(None, &now, id, text, &Origin::Unknown) {
                Ok(attribution) => return attribution,
                Err(needs) => needs.into_iter().for_each(|node| {
                    self.resolve(node);
                }),
            }
        }
    }

    /// Returns the commits there are, in their order, with the paths that each made.
    pub fn versions(&self) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
        let mut commits: Vec<&Commit> = self.past.commits.values().collect();
        commits.sort_by_key(|commit| self.past.order.of_commit(&commit.id));
        let of = |commit: &Commit| {
            let mut paths: Vec<Arc<str>> =
                commit.changes.iter().filter(|it| it.new.is_some()).map(|it| Arc::clone(&it.path)).collect();
            paths.sort();
            paths.dedup();
            paths.retain(|path| self.past.made(&commit.id, path).as_ref() == Some(&commit.id));
            (Arc::clone(&commit.id), paths)
        };
        commits.into_iter().map(of).collect()
    }

    /// Takes paths that were seen in a work tree and are not there now. To be told before anything is asked.
    pub fn set_gone(&mut self, worktree: &str, paths: impl IntoIterator<Item = Arc<str>>) {
        let worktree: Arc<str> = worktree.into();
        self.past.gone.extend(paths.into_iter().map(|path| (Arc::clone(&worktree), path)));
    }

    /// Returns the paths that were seen in a work tree.
    pub fn paths_seen(&self, worktree: &str) -> Vec<Arc<str>> {
        let here = self.past.seen.iter().filter(|it| *it.worktree == *worktree);
        let mut paths: Vec<Arc<str>> = here.map(|it| Arc::clone(&it.path)).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns a commit's parents.
    pub fn parents(&self, commit: &str) -> Vec<Arc<str>> {
        self.past.commits.get(commit).map(|commit| commit.parents.clone()).unwrap_or_default()
    }

    /// Says whether an AI's edit was seen from both sides, so that its lines are its own for sure.
    pub fn is_inferred(&self, contribution: &str) -> bool {
        let edits = self.past.seen.iter().enumerate();
        let mut edits = edits.filter(|(_, it)| matches!(&it.look, Look::Ai(id) if **id == *contribution)).peekable();
        edits.peek().is_some() && edits.all(|(at, _)| self.past.before_of(at).is_none())
    }

    /// Gives back where texts came from.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    pub(super) fn resolve(&mut self, node: Node) -> Option<Arc<Known>> {
        let mut waiting = vec![node.clone()];
        let mut begun: HashSet<Node> = HashSet::new();
        while let Some(top) = waiting.pop() {
            if self.known.contains_key(&top) {
                continue;
            }
            match self.attempt(&top) {
                Ok(found) => drop(self.known.insert(top, found.map(Arc::new))),
                Err(needs) => {
                    begun.insert(top.clone());
                    waiting.push(top);
                    for need in needs {
                        // By the order of nodes there are no circles; should there be one, nothing is guessed.
                        if begun.contains(&need) {
                            self.circles += 1;
                            self.known.insert(need, None);
                        } else {
                            waiting.push(need);
                        }
                    }
                }
            }
        }
        self.known.get(&node).cloned().flatten()
    }

    fn attempt(&mut self, node: &Node) -> Result<Option<Known>, Needs> {
        if let Node::Vanished(before, after) = node {
            return self.attempt_vanished(before, after.as_deref());
        }
        let Some(id) = self.past.text_of(node, &mut self.source) else { return Ok(None) };
        let Some(text) = self.source.text(id) else { return Ok(None) };
        let told = match node {
            Node::Seen(at) if self.past.seen[*at].look == Look::Saved || self.past.seen[*at].is_noted => {
                self.source.saved(self.past.seen[*at].seq, &text)
            }
            Node::Version(commit, path) => self.source.attested(commit, path, &text),
            _ => None,
        };
        if let Some(attribution) = told.filter(|told| told.covers(text.len())) {
            return Ok(Some(Known { text, attribution }));
        }
        if matches!(node, Node::Seen(at) if self.past.seen[*at].is_noted && self.past.seen[*at].look != Look::Saved) {
            // What explained it is gone, and so is the note.
            return Ok(Some(Known { attribution: Attribution::new(text.len(), Origin::Unknown), text }));
        }
        let actor = match node {
            Node::Seen(at) => match &self.past.seen[*at].look {
                Look::Ai(id) => Origin::Ai(ContributionId::new(id)),
                Look::Human => Origin::Human(How::Reported),
                Look::Before | Look::Saved => Origin::Unknown,
            },
            _ => Origin::Unknown,
        };
        let attribution = self.explain(Some(node), &Now::default(), id, &text, &actor)?;
        Ok(Some(Known { text, attribution }))
    }

    fn attempt_vanished(&mut self, before: &Node, after: Option<&Node>) -> Result<Option<Known>, Needs> {
        let Some(was) = self.known.get(before) else { return Err(vec![before.clone()]) };
        let Some(was) = was.clone() else { return Ok(None) };
        // Only its text is asked for, not who wrote it.
        let is = after.and_then(|after| self.past.text_of(after, &mut self.source));
        let is = is.and_then(|id| self.source.text(id)).unwrap_or_default();
        let (text, attribution) = vanished(&was.text, &was.attribution, &is);
        Ok((!text.is_empty()).then(|| Known { text: text.into(), attribution }))
    }

    /// Explains a text by what may explain it.
    fn explain(
        &mut self,
        node: Option<&Node>,
        now: &Now,
        id: TextId,
        text: &Arc<str>,
        actor: &Origin,
    ) -> Result<Attribution, Needs> {
        let edit = match node {
            Some(Node::Seen(at)) => Some(*at),
            _ => None,
        };
        let follows = edit.and_then(|at| self.past.before_of(at).map(|before| (at, before)));
        let is_edit = edit.is_some_and(|at| matches!(self.past.seen[at].look, Look::Ai(_) | Look::Human));
        // Right after an edit the same text elsewhere says nothing, unless git ran meanwhile.
        let may_be_same = match follows {
            Some((at, before)) if is_edit => {
                self.past.seen[before].text == Some(id) || self.past.seen[at].until.is_some()
            }
            _ => true,
        };
        if may_be_same {
            for same in self.past.same(node, now, id, &mut self.source) {
                match self.known.get(&same) {
                    None => return Err(vec![same]),
                    Some(Some(known)) if known.attribution.covers(text.len()) => return Ok(known.attribution.clone()),
                    Some(_) => {}
                }
            }
        }
        let open = Origin::Ai(ContributionId::new(OPEN));
        let hunks = edit.filter(|_| is_edit).map(|at| self.past.seen[at].hunks.clone()).filter(|it| !it.is_empty());
        let mut found: Vec<(Arc<Known>, Tier)> = Vec::new();
        let mut left: Option<HashSet<u64>> = None;
        let groups = self.past.groups(node, now, &mut self.source);
        let start: Vec<Node> = groups.iter().take(2).flatten().map(|(node, _)| node.clone()).collect();
        for (number, group) in groups.into_iter().enumerate() {
            let mut needs = Vec::new();
            let mut added = Vec::new();
            for (candidate, tier) in group {
                if added.len() + needs.len() >= GROUP_MAX {
                    break;
                }
                if let Some(left) = &left
                    && !self.may_explain(&candidate, left)
                {
                    continue;
                }
                match self.known.get(&candidate) {
                    None => needs.push(candidate),
                    Some(None) => {}
                    Some(Some(known)) => added.push((Arc::clone(known), tier)),
                }
            }
            if !needs.is_empty() {
                return Err(needs);
            }
            if added.is_empty() && !(number == 0 && found.is_empty()) {
                continue;
            }
            found.extend(added);
            if found.is_empty() {
                continue;
            }
            let attempt = carried(&found, text, &open, hunks.as_deref());
            let open_keys = unexplained(text, &attempt, &open);
            let is_done = open_keys.is_empty();
            left = Some(open_keys);
            if is_done {
                break;
            }
        }
        if is_edit && start.iter().any(|node| self.is_lost(node)) {
            // Nobody can tell what is new in it.
            return Ok(carried(&found, text, &Origin::Unknown, None));
        }
        if let (true, None, Some(at)) = (is_edit, follows, edit) {
            // Somebody's word covers what is new, not what stood elsewhere before.
            let left = left.unwrap_or_else(|| unexplained(text, &Attribution::new(text.len(), open.clone()), &open));
            let elsewhere = self.past.elsewhere(at).into_iter();
            let elsewhere: Vec<Node> = elsewhere.filter(|node| self.may_explain(node, &left)).take(GROUP_MAX).collect();
            for node in elsewhere {
                let id = self.past.text_of(&node, &mut self.source);
                let Some(text) = id.and_then(|id| self.source.text(id)) else { continue };
                let attribution = Attribution::new(text.len(), Origin::Unknown);
                found.push((Arc::new(Known { text, attribution }), Tier::Weak));
            }
        }
        Ok(carried(&found, text, actor, hunks.as_deref()))
    }

    /// Says whether a node has a text that can't be read.
    fn is_lost(&mut self, node: &Node) -> bool {
        self.past.text_of(node, &mut self.source).is_some_and(|id| self.source.text(id).is_none())
    }

    /// Says whether a node has any of the lines that are left.
    fn may_explain(&mut self, node: &Node, left: &HashSet<u64>) -> bool {
        let whole = match node {
            Node::Vanished(before, _) => before,
            other => other,
        };
        let id = self.past.text_of(whole, &mut self.source);
        id.is_some_and(|id| !self.keys_of(id).is_disjoint(left))
    }

    /// Returns the lines of a text; nothing where it can't be read.
    pub(super) fn keys_of(&mut self, id: TextId) -> Arc<HashSet<u64>> {
        if let Some(keys) = self.keys.get(&id) {
            return Arc::clone(keys);
        }
        let keys = self.source.text(id).map_or_else(HashSet::new, |text| {
            lines_of(&text).into_iter().filter_map(|line| key(&text[line])).collect()
        });
        let keys = Arc::new(keys);
        self.keys.insert(id, Arc::clone(&keys));
        keys
    }
}

fn carried(
    found: &[(Arc<Known>, Tier)],
    text: &str,
    actor: &Origin,
    hunks: Option<&[countersign_event::payload::edit::Hunk]>,
) -> Attribution {
    let known: Vec<carry::Known<'_>> = found
        .iter()
        .map(|(known, tier)| carry::Known { text: &known.text, attribution: &known.attribution, tier: *tier })
        .collect();
    carry(&known, text, actor, hunks)
}

/// Returns the lines of which no word is explained.
fn unexplained(text: &str, attribution: &Attribution, open: &Origin) -> HashSet<u64> {
    let is_open = |line: &std::ops::Range<usize>| {
        let content = &text[line.clone()];
        attribution.origins.within(line.clone()).all(|(span, origin)| {
            let part = &content.as_bytes()[span.start - line.start..span.end - line.start];
            origin == open || part.iter().all(u8::is_ascii_whitespace)
        })
    };
    lines_of(text).into_iter().filter(is_open).filter_map(|line| key(&text[line])).collect()
}

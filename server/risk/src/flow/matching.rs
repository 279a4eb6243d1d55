//! Asks the rules, wherever the walk comes to something they look at.

use std::ops::Range;

use tree_sitter::Node;

use super::rule::{Condition, On, Pick, Test};
use super::shape::{Handler, Shape};
use super::value::{Value, from};
use super::walk::Walk;
use super::{Hit, value};

/// Most finds of one text.
const HITS_MAX: usize = 2000;
/// Longest source a rule looks at as text.
const SOURCE_BYTES_MAX: usize = 400;

/// An argument and what is known of it.
pub(super) struct Given<'t> {
    pub(super) name: Option<&'t str>,
    pub(super) value: Value,
    pub(super) node: Node<'t>,
}

/// A place, and what a rule may ask about it.
struct Site<'s, 't> {
    node: Node<'t>,
    args: &'s [Given<'t>],
    /// `base`, `value`, `left`, `right`.
    named: Vec<(&'static str, &'s Value, Node<'t>)>,
}

impl<'t> Walk<'t, '_> {
    pub(super) fn on_call(&mut self, node: Node<'t>, path: &str, base: Option<&Value>, args: &[Given<'t>]) {
        let clauses: Vec<usize> = self.flow.calls.find(path).collect();
        let site = Site { node, args, named: base.map(|base| ("base", base, node)).into_iter().collect() };
        self.ask(&clauses, &site);
        let named: Vec<(&str, &Given<'t>)> = args.iter().filter_map(|arg| Some((arg.name?, arg))).collect();
        for (name, arg) in named {
            self.on_named(arg.node, name, arg.node, &arg.value);
            let clauses = self.flow.pairs.get(name).cloned().unwrap_or_default();
            let site = Site { node: arg.node, args, named: vec![("value", &arg.value, arg.node)] };
            self.ask(&clauses, &site);
        }
    }

    /// A literal of a named type is asked about like a call of its constructor.
    pub(super) fn on_literal_of(&mut self, node: Node<'t>, path: &str, whole: &Value) {
        let clauses: Vec<usize> = self.flow.calls.find(&format!("{path}.literal")).collect();
        let args = [Given { name: None, value: whole.clone(), node }];
        self.ask(&clauses, &Site { node, args: &args, named: vec![("value", whole, node)] });
    }

    pub(super) fn on_assign(&mut self, node: Node<'t>, target: Node<'t>, from: Node<'t>, value: &Value, op: &str) {
        let (path, name) = match self.shape(target) {
            Shape::Name(name) => (name.to_owned(), name),
            Shape::Member { base, name } => {
                let base = self.eval(base);
                (format!("{}.{name}", base.path.as_deref().unwrap_or("_")), name)
            }
            Shape::Index { base, key } => {
                let base = self.eval(base);
                let key = key.map(|key| self.eval(key)).unwrap_or_default();
                let name = key.text.as_deref().unwrap_or("[]").replace('.', "_");
                let path = format!("{}.{name}", base.path.as_deref().unwrap_or("_"));
                let clauses: Vec<usize> = self.flow.assigns.find(&path).collect();
                let site = Site {
                    node,
                    args: &[],
                    named: vec![("value", value, from), ("base", &base, node), ("key", &key, node)],
                };
                self.ask(&clauses, &site);
                self.on_named(node, &name, from, value);
                return;
            }
            _ => return,
        };
        if op == "in" {
            return;
        }
        let clauses: Vec<usize> = self.flow.assigns.find(&path).collect();
        self.ask(&clauses, &Site { node, args: &[], named: vec![("value", value, from)] });
        self.on_named(node, name, from, value);
    }

    pub(super) fn on_pair(&mut self, _: Node<'t>, typed: Option<&str>, key: &str, from: Node<'t>, value: &Value) {
        let clauses = self.flow.pairs.get(key).cloned().unwrap_or_default();
        let site = Site { node: from, args: &[], named: vec![("value", value, from)] };
        self.ask(&clauses, &site);
        let _ = typed;
        self.on_named(from, key, from, value);
    }

    /// A name gets a value.
    fn on_named(&mut self, node: Node<'t>, name: &str, from: Node<'t>, value: &Value) {
        let flow = self.flow;
        let matches = |clause: &usize| matches!(&flow.clauses[*clause].on, On::Bind(regex) if regex.is_match(name));
        let clauses: Vec<usize> = flow.binds.iter().copied().filter(matches).collect();
        self.ask(&clauses, &Site { node, args: &[], named: vec![("value", value, from)] });
    }

    pub(super) fn on_read(&mut self, node: Node<'t>, value: &Value) {
        if let Some(path) = &value.path {
            let clauses: Vec<usize> = self.flow.reads.find(path).collect();
            self.ask(&clauses, &Site { node, args: &[], named: vec![("value", value, node)] });
        }
    }

    pub(super) fn on_return(&mut self, node: Node<'t>, value: &Value) {
        let name = self.frames.last().map_or(String::new(), |frame| frame.name.clone());
        let flow = self.flow;
        let matches = |clause: &usize| matches!(&flow.clauses[*clause].on, On::Return(regex) if regex.is_match(&name));
        let clauses: Vec<usize> = flow.returns.iter().copied().filter(matches).collect();
        self.ask(&clauses, &Site { node, args: &[], named: vec![("value", value, node)] });
    }

    pub(super) fn on_compare(&mut self, node: Node<'t>, op: &str, left: (Node<'t>, &Value), right: (Node<'t>, &Value)) {
        let flow = self.flow;
        let matches =
            |clause: &usize| matches!(&flow.clauses[*clause].on, On::Compare(ops) if ops.iter().any(|o| o == op));
        let clauses: Vec<usize> = flow.compares.iter().copied().filter(matches).collect();
        let named = vec![("left", left.1, left.0), ("right", right.1, right.0)];
        self.ask(&clauses, &Site { node, args: &[], named });
    }

    pub(super) fn on_catch(&mut self, handler: &Handler<'t>) {
        let flow = self.flow;
        let matches =
            |clause: &usize| matches!(&flow.clauses[*clause].on, On::Catch(regex) if regex.is_match(handler.types));
        let clauses: Vec<usize> = flow.catches.iter().copied().filter(matches).collect();
        let body = handler.body.unwrap_or(handler.node);
        let value = Value::default();
        self.ask(&clauses, &Site { node: handler.node, args: &[], named: vec![("value", &value, body)] });
    }

    pub(super) fn on_literal(&mut self, node: Node<'t>, text: &str) {
        let flow = self.flow;
        let matches = |clause: &usize| matches!(&flow.clauses[*clause].on, On::Literal(regex) if regex.is_match(text));
        let clauses: Vec<usize> = flow.literals.iter().copied().filter(matches).collect();
        let value = Value::text(text);
        self.ask(&clauses, &Site { node, args: &[], named: vec![("value", &value, node)] });
    }

    fn ask(&mut self, clauses: &[usize], site: &Site<'_, 't>) {
        for &at in clauses {
            if self.hits.len() >= HITS_MAX {
                return;
            }
            if let Some(hit) = self.hit(at, site) {
                self.hits.push(hit);
            }
        }
    }

    /// Judges one clause at one place.
    fn hit(&self, at: usize, site: &Site<'_, 't>) -> Option<Hit> {
        let clause = &self.flow.clauses[at];
        let frame = self.frames.last()?;
        let handler = self.frames.iter().any(|frame| frame.handler);
        if clause.handler && !handler || clause.looped && frame.loops == 0 {
            return None;
        }
        let clean = self.flow.abouts[clause.rule].clean;
        let mut marked: Option<Range<usize>> = None;
        let mut source = None;
        for condition in &clause.conditions {
            let found = self.holds(condition, site, clean)?;
            if let (Some((value, range)), true) = (found, condition.follows()) {
                source = source.or(value.source());
                marked = Some(range);
            }
        }
        let around = |regex: &regex::Regex| self.text.get(frame.range.clone()).is_some_and(|text| regex.is_match(text));
        let anywhere = |regex: &regex::Regex| regex.is_match(self.text);
        let statement = |regex: &regex::Regex| regex.is_match(self.statement(site.node));
        let whole = site.node.byte_range();
        let wanted = [
            (clause.within.as_ref().map(around), true),
            (clause.unless.as_ref().map(around), false),
            (clause.file.as_ref().map(anywhere), true),
            (clause.unless_file.as_ref().map(anywhere), false),
            (clause.statement.as_ref().map(statement), true),
            (clause.unless_statement.as_ref().map(statement), false),
        ];
        if wanted.iter().any(|(found, wanted)| found.is_some_and(|found| found != *wanted)) {
            return None;
        }
        Some(Hit { clause: at, range: self.pointed(whole.clone(), marked), whole, source })
    }

    /// Points at the whole place if it stands on one line, else at what matters of it.
    fn pointed(&self, whole: Range<usize>, marked: Option<Range<usize>>) -> Range<usize> {
        let lines = |range: &Range<usize>| self.text[range.clone()].lines().count();
        if lines(&whole) <= 1 {
            return whole;
        }
        let sure = marked.is_some();
        let best = marked.unwrap_or(whole);
        if lines(&best) <= if sure { 4 } else { 1 } {
            return best;
        }
        let first = self.text[best.clone()].lines().next().map_or(0, str::len);
        best.start..best.start + first.max(1).min(best.len())
    }

    /// Returns the source of the statement `node` stands in.
    fn statement(&self, node: Node<'t>) -> &'t str {
        let mut at = node;
        for _ in 0..12 {
            if at.kind().ends_with("statement") || at.kind().ends_with("declaration") || at.kind().contains("clause") {
                break;
            }
            match at.parent() {
                Some(parent) if parent.parent().is_some() && !parent.kind().contains("block") => at = parent,
                _ => break,
            }
        }
        self.cut(at.byte_range())
    }

    /// Returns the source at `range`, as much as a rule looks at.
    fn cut(&self, range: Range<usize>) -> &'t str {
        let text = self.text.get(range).unwrap_or_default();
        let mut end = text.len().min(SOURCE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }

    /// Tells whether `condition` holds, and of what.
    fn holds<'s>(&self, condition: &Condition, site: &'s Site<'s, 't>, clean: u32) -> Option<Option<Found<'s>>> {
        if condition.picks.is_empty() {
            return condition.tests.iter().all(|test| self.passes(test, None, site, clean)).then_some(None);
        }
        let candidates: Vec<Found<'_>> = condition.picks.iter().flat_map(|pick| candidates(pick, site)).collect();
        if condition.tests.iter().any(|test| matches!(test, Test::Absent)) {
            return candidates.is_empty().then_some(None);
        }
        candidates
            .into_iter()
            .find(|found| condition.tests.iter().all(|test| self.passes(test, Some(found), site, clean)))
            .map(Some)
    }

    fn passes<'s>(&self, test: &Test, found: Option<&Found<'s>>, site: &'s Site<'s, 't>, clean: u32) -> bool {
        if let Test::Any(conditions) = test {
            return conditions.iter().any(|condition| match (condition.picks.is_empty(), found) {
                (true, Some(_)) => condition.tests.iter().all(|test| self.passes(test, found, site, clean)),
                _ => self.holds(condition, site, clean).is_some(),
            });
        }
        if let Test::NotCondition(condition) = test {
            return self.holds(condition, site, clean).is_none();
        }
        let Some((value, range)) = found else { return false };
        let harmless =
            value.clean == value::clean::ALL || value.clean & (clean | value::clean::CHECKED) != 0 && clean != 0;
        match test {
            Test::From(bits) => value.from & bits & from::DYNAMIC != 0 && !harmless,
            Test::Built => value.built && value.is_dynamic() && !harmless,
            Test::Constant => value.from & from::DYNAMIC == 0,
            Test::Literal => value.text.is_some(),
            Test::List => value.items.is_some(),
            Test::Absent => false,
            Test::Present => true,
            Test::Text(regex) => value.text.as_ref().is_some_and(|text| regex.is_match(text)),
            Test::Prefix(regex) => {
                value.prefix.as_ref().or(value.text.as_ref()).is_some_and(|text| regex.is_match(text))
            }
            Test::Source(regex) => regex.is_match(self.cut(range.clone())),
            Test::Path(globs) => value.path.as_ref().is_some_and(|path| globs.iter().any(|glob| glob.matches(path))),
            Test::Number(least, most) => value.number.is_some_and(|n| (*least..=*most).contains(&n)),
            Test::Not(tests) => !tests.iter().all(|test| self.passes(test, found, site, clean)),
            Test::NotCondition(_) | Test::Any(_) => false,
        }
    }
}

impl Condition {
    /// Tells whether the condition is about where a value comes from.
    fn follows(&self) -> bool {
        self.tests.iter().any(|test| match test {
            Test::From(_) | Test::Built => true,
            Test::Any(conditions) => conditions.iter().any(Self::follows),
            _ => false,
        })
    }
}

/// A value and where it stands.
type Found<'s> = (&'s Value, Range<usize>);

fn candidates<'s>(pick: &Pick, site: &'s Site<'s, '_>) -> Vec<Found<'s>> {
    let one = |arg: &'s Given<'_>| (&arg.value, arg.node.byte_range());
    let name = match pick {
        Pick::At(at) => {
            let positional = site.args.iter().filter(|arg| arg.name.is_none());
            return positional.skip(*at).take(1).map(one).collect();
        }
        Pick::Named(name) => name.as_str(),
    };
    match name {
        "base" | "value" | "left" | "right" | "key" => {
            let named = site.named.iter().filter(|(key, _, _)| *key == name);
            named.map(|(_, value, node)| (*value, node.byte_range())).collect()
        }
        "any" => site.args.iter().map(one).collect(),
        "rest" => site.args.iter().skip(1).map(one).collect(),
        "last" => site.args.last().map(one).into_iter().collect(),
        _ => {
            let direct = site.args.iter().filter(|arg| arg.name == Some(name)).map(one);
            let members = site.args.iter().filter_map(|arg| arg.value.pairs.as_ref()).flat_map(|pairs| {
                let named = pairs.iter().filter(|pair| &*pair.key == name);
                named.map(|pair| (&pair.value, pair.range.0 as usize..pair.range.1 as usize))
            });
            direct.chain(members).collect()
        }
    }
}

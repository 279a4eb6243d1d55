//! The go-between: what it does to requests, answers and connections, one fault after another.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;

use super::{Dice, until};
use crate::replay::Collector;
use crate::replay::wire::{Certificate, Greeting, Reply, Request, answer, pass_on, serve_greeting};

/// What can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    RequestLost,
    AnswerLost,
    RequestReset,
    AnswerReset,
    AnswerTorn,
    Doubled,
    /// An older request comes again after newer ones.
    OldAgain,
    /// It is lost as far as the sender can tell, and comes after newer ones.
    Delayed,
    AnswerDelayed,
    HalfOpen,
    HalfOpenAfterAll,
    CollectorKilledBefore,
    CollectorKilledAfter,
    Is500,
    Is502Html,
    Is503RetryAfter,
    Is429RetryAfter,
    Is429RetryAfterSoon,
    Is413,
    Is400,
    Is400Html,
    Is401,
    Is403Html,
    Is404Html,
    Is409Html,
    Redirected,
    Html,
    AnotherObject,
    WrongTypes,
    NumberTooLarge,
    Truncated,
    /// Taken or not, and the answer says another hash.
    AnotherHash,
    /// More is acknowledged than was sent.
    TooMuch,
    /// True, and not what it has.
    BackInTime,
    /// It can never take the first of these.
    Never,
}

impl Fault {
    const ALL: [Fault; 35] = {
        use Fault::*;
        [
            RequestLost,
            AnswerLost,
            RequestReset,
            AnswerReset,
            AnswerTorn,
            Doubled,
            OldAgain,
            Delayed,
            AnswerDelayed,
            HalfOpen,
            HalfOpenAfterAll,
            CollectorKilledBefore,
            CollectorKilledAfter,
            Is500,
            Is502Html,
            Is503RetryAfter,
            Is429RetryAfter,
            Is429RetryAfterSoon,
            Is413,
            Is400,
            Is400Html,
            Is401,
            Is403Html,
            Is404Html,
            Is409Html,
            Redirected,
            Html,
            AnotherObject,
            WrongTypes,
            NumberTooLarge,
            Truncated,
            AnotherHash,
            TooMuch,
            BackInTime,
            Never,
        ]
    };

    /// Says whether it says something about the events of a batch.
    fn needs_events(self) -> bool {
        matches!(self, Fault::AnotherHash | Fault::TooMuch | Fault::BackInTime | Fault::Never)
    }
}

/// What can go wrong with a new connection under TLS.
const GREETINGS: [Greeting; 3] = [Greeting::Reset, Greeting::Garbage, Greeting::Silence];

fn name(greeting: Greeting) -> String {
    format!("Tls{greeting:?}")
}

/// How often each thing happened.
pub(super) type Counts = BTreeMap<String, u64>;

/// Everything that must have happened once many runs are over.
pub(super) fn kinds() -> impl Iterator<Item = String> {
    let requests = Fault::ALL.iter().map(|it| format!("{it:?}"));
    requests.chain(GREETINGS.map(name))
}

/// Stands between the device and a collector.
pub(super) struct Between {
    /// Where the device sends to.
    pub(super) to: String,
    /// How many requests came.
    pub(super) requests: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

struct Shared {
    /// It ends with its run, not with the last connection.
    collector: Weak<Mutex<Collector>>,
    address: SocketAddr,
    peace: AtomicBool,
    plan: Mutex<Plan>,
    counts: Mutex<Counts>,
    turned_away: AtomicUsize,
    /// Requests that were passed on, to come again.
    old: Mutex<Vec<Request>>,
    /// Requests on their way.
    under_way: Mutex<Vec<Request>>,
}

/// What comes next: first what this seed must try, then anything.
struct Plan {
    dice: Dice,
    faults: VecDeque<Fault>,
    greetings: VecDeque<Greeting>,
}

impl Between {
    /// The faults of four seeds in turn are others, so that ten seeds have all of them.
    pub(super) fn start(seed: u64, collector: &Arc<Mutex<Collector>>, tls: Option<&Certificate>) -> Between {
        let turn = |of: usize, length: usize| (0..of).map(move |i| (seed as usize * of + i) % length);
        let plan = Plan {
            dice: Dice(seed ^ 0xfa17),
            faults: turn(4, Fault::ALL.len()).map(|i| Fault::ALL[i]).collect(),
            greetings: tls.iter().flat_map(|_| GREETINGS).collect(),
        };
        let shared = Arc::new(Shared {
            address: collector.lock().unwrap().address,
            collector: Arc::downgrade(collector),
            peace: AtomicBool::new(false),
            plan: Mutex::new(plan),
            counts: Mutex::default(),
            turned_away: AtomicUsize::default(),
            old: Mutex::default(),
            under_way: Mutex::default(),
        });
        let (greeter, replier) = (Arc::clone(&shared), Arc::clone(&shared));
        let greet = move || greeter.greet();
        let (to, requests) = serve_greeting(tls, greet, move |request| replier.reply(request));
        Between { to, requests, shared }
    }

    /// How many requests came, and connections that got no further.
    pub(super) fn words(&self) -> u64 {
        (self.requests.load(Ordering::SeqCst) + self.shared.turned_away.load(Ordering::SeqCst)) as u64
    }

    /// Says whether everything happened that this seed must try.
    pub(super) fn is_through(&self) -> bool {
        let plan = self.shared.plan.lock().unwrap();
        plan.faults.is_empty() && plan.greetings.is_empty()
    }

    /// From now on it only passes on.
    pub(super) fn peace(&self) -> Counts {
        self.shared.peace.store(true, Ordering::SeqCst);
        self.shared.counts.lock().unwrap().clone()
    }
}

impl Shared {
    fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    fn is_peace(&self) -> bool {
        self.peace.load(Ordering::SeqCst)
    }

    fn greet(&self) -> Greeting {
        let mut plan = self.plan.lock().unwrap();
        if self.is_peace() || plan.greetings.is_empty() {
            return Greeting::Welcome;
        }
        // Between them some get through, or nothing else would happen.
        if plan.dice.below(2) == 0 {
            return Greeting::Welcome;
        }
        let greeting = plan.greetings.pop_front().expect("it is not empty");
        drop(plan);
        self.count(&name(greeting));
        self.turned_away.fetch_add(1, Ordering::SeqCst);
        greeting
    }

    fn reply(&self, request: &Request) -> Reply {
        let has_events = request.line().contains("/v1/batches") && !request.batch().events.is_empty();
        let next = {
            let mut plan = self.plan.lock().unwrap();
            let fits = |it: &Fault| has_events || !it.needs_events();
            match plan.dice.below(2) {
                _ if self.is_peace() => None,
                0 => None,
                _ => match plan.faults.iter().position(fits) {
                    Some(at) => plan.faults.remove(at),
                    None => {
                        let at = plan.dice.below(Fault::ALL.len() as u64) as usize;
                        Some(Fault::ALL[at]).filter(fits)
                    }
                },
            }
        };
        let Some(fault) = next else {
            let answer = self.pass(request);
            self.old.lock().unwrap().push(request.clone());
            return really(answer);
        };
        self.count(&format!("{fault:?}"));
        self.happens(fault, request)
    }

    /// Passes a request on, after those that are late.
    fn pass(&self, request: &Request) -> Option<Vec<u8>> {
        let answer = pass_on(request, self.address);
        let late = std::mem::take(&mut *self.under_way.lock().unwrap());
        for request in late {
            pass_on(&request, self.address);
        }
        answer
    }

    fn kill(&self) {
        let Some(collector) = self.collector.upgrade() else { return };
        // The run that broke may have held it.
        collector.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    fn happens(&self, fault: Fault, request: &Request) -> Reply {
        let (html, json) = ("<html>It works!</html>", "application/json");
        let plain = |status: &str| answer(status, json, r#"{"error":"no"}"#);
        let page = |status: &str| answer(status, "text/html", html);
        match fault {
            Fault::RequestLost => Reply::Close,
            Fault::AnswerLost => {
                self.pass(request);
                Reply::Close
            }
            Fault::RequestReset => Reply::Reset,
            Fault::AnswerReset => {
                self.pass(request);
                Reply::Reset
            }
            Fault::AnswerTorn => Reply::Torn(self.pass(request).unwrap_or_default()),
            Fault::Doubled => {
                self.pass(request);
                really(self.pass(request))
            }
            Fault::OldAgain => {
                let answer = self.pass(request);
                let older = self.old.lock().unwrap().pop();
                if let Some(older) = older {
                    pass_on(&older, self.address);
                }
                really(answer)
            }
            Fault::Delayed => {
                self.under_way.lock().unwrap().push(request.clone());
                Reply::Close
            }
            Fault::AnswerDelayed => {
                let answer = self.pass(request);
                until(|| false, Duration::from_millis(100));
                really(answer)
            }
            Fault::HalfOpen => Reply::Hang,
            Fault::HalfOpenAfterAll => {
                self.pass(request);
                Reply::Hang
            }
            Fault::CollectorKilledBefore => {
                self.kill();
                really(self.pass(request))
            }
            Fault::CollectorKilledAfter => {
                self.pass(request);
                self.kill();
                Reply::Close
            }
            Fault::Is500 => answer("500 Oops", "text/plain", "oops"),
            Fault::Is502Html => page("502 Bad Gateway"),
            Fault::Is503RetryAfter => answer("503 Busy\r\nretry-after: 7", json, r#"{"error":"busy"}"#),
            Fault::Is429RetryAfter => answer("429 Slowly\r\nretry-after: 1", json, r#"{"error":"slowly"}"#),
            Fault::Is429RetryAfterSoon => answer("429 Slowly\r\nretry-after: soon", "text/html", html),
            Fault::Is413 => page("413 Large"),
            Fault::Is400 => plain("400 Bad"),
            Fault::Is400Html => page("400 Bad"),
            Fault::Is401 => plain("401 No"),
            Fault::Is403Html => page("403 No"),
            Fault::Is404Html => page("404 Nothing"),
            Fault::Is409Html => page("409 Conflict"),
            Fault::Redirected => answer("302 Found\r\nlocation: http://127.0.0.1:1/", "text/plain", ""),
            Fault::Html => page("200 OK"),
            Fault::AnotherObject => answer("200 OK", json, "[]"),
            Fault::WrongTypes => answer("200 OK", json, r#"{"acked_through":"all","head_hash":7}"#),
            Fault::NumberTooLarge => answer("200 OK", json, r#"{"acked_through":18446744073709551616,"head_hash":""}"#),
            Fault::Truncated => {
                let mut whole = self.pass(request).unwrap_or_default();
                whole.truncate(whole.len() * 2 / 3);
                Reply::Last(whole)
            }
            Fault::AnotherHash | Fault::TooMuch => {
                let (batch, more) = (request.batch(), if fault == Fault::TooMuch { 100 } else { 0 });
                if batch.first_seq % 2 == 0 {
                    self.pass(request);
                }
                let through = batch.first_seq - 1 + batch.events.len() as u64 + more;
                answer("200 OK", json, &json!({ "acked_through": through, "head_hash": "00".repeat(32) }).to_string())
            }
            Fault::BackInTime => {
                let batch = request.batch();
                let told = json!({ "acked_through": batch.first_seq - 1, "head_hash": batch.previous });
                answer("200 OK", json, &told.to_string())
            }
            Fault::Never => {
                let batch = request.batch();
                let told = json!({
                    "acked_through": batch.first_seq - 1, "head_hash": batch.previous,
                    "verdicts": [{ "seq": batch.first_seq, "reason": "never" }],
                });
                answer("200 OK", json, &told.to_string())
            }
        }
    }
}

fn really(passed: Option<Vec<u8>>) -> Reply {
    passed.map_or(Reply::Close, Reply::Raw)
}

//! What the store is told to do wrong: before or after a request took effect.
//!
//! Fed by tests and by `demo`, obeyed by `gate` and, for conditions, by `endpoint`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use s3s::{S3Error, s3_error};

use super::failure;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are S3's own")]
pub enum RequestKind {
    PutObject,
    GetObject,
    HeadObject,
    DeleteObject,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListObjects,
    HeadBucket,
    CreateBucket,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// Reads a path-style request.
    pub(super) fn of(method: &Method, path: &str, query: &str) -> Self {
        let has = |name: &str| query.split('&').any(|it| it.split('=').next() == Some(name));
        let is_object =
            path.trim_start_matches('/').split_once('/').is_some_and(|it| !it.1.is_empty());
        match (method.as_str(), is_object) {
            ("PUT", true) if has("uploadId") => Self::UploadPart,
            ("PUT", true) => Self::PutObject,
            ("POST", true) if has("uploads") => Self::CreateMultipartUpload,
            ("POST", true) if has("uploadId") => Self::CompleteMultipartUpload,
            ("GET", true) => Self::GetObject,
            ("HEAD", true) => Self::HeadObject,
            ("DELETE", true) if has("uploadId") => Self::AbortMultipartUpload,
            ("DELETE", true) => Self::DeleteObject,
            ("GET", false) if has("list-type") => Self::ListObjects,
            ("HEAD", false) => Self::HeadBucket,
            ("PUT", false) => Self::CreateBucket,
            _ => Self::Other,
        }
    }

    /// Whether a full store refuses it.
    const fn needs_room(self) -> bool {
        matches!(
            self,
            Self::PutObject
                | Self::CreateMultipartUpload
                | Self::UploadPart
                | Self::CompleteMultipartUpload
        )
    }
}

/// What the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503 SlowDown.
    SlowDown,
    /// 500 InternalError.
    InternalError,
    /// 409 ConditionalRequestConflict.
    Conflict,
    /// 403 AccessDenied.
    AccessDenied,
    /// 507, no room left.
    Full,
    /// The connection is closed without an answer.
    Cut,
    /// The answer is right but comes late. Before the effect, this is a request that lingers on
    /// its way: it takes effect even if the client has given it up by then.
    Delay(Duration),
}

impl Fault {
    /// The error to answer with, if that is what the fault is.
    pub(super) fn answer(self) -> Option<S3Error> {
        Some(match self {
            Self::SlowDown => s3_error!(SlowDown, "asked to slow down"),
            Self::InternalError => s3_error!(InternalError, "asked to fail"),
            Self::Conflict => s3_error!(ConditionalRequestConflict, "asked to conflict"),
            Self::AccessDenied => s3_error!(AccessDenied, "asked to deny"),
            Self::Full => failure::full(),
            Self::Cut | Self::Delay(_) => return None,
        })
    }
}

/// On which side of the request's effect a fault stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The store has done nothing.
    Before,
    /// The store has done all, and the client does not hear of it.
    After,
}

/// A fault for some of the requests to come.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// The requests concerned; `None` is all.
    pub kind: Option<RequestKind>,
    /// Only those whose path holds this; empty is all.
    pub path_holds: String,
    /// How many of them; `u64::MAX` is all until `Faults::clear`.
    pub times: u64,
    /// Before or after the effect.
    pub when: When,
    /// What happens.
    pub fault: Fault,
}

/// The switches, shared between the store and whoever turns them.
#[derive(Debug, Default)]
pub struct Faults {
    plans: Mutex<Vec<FaultPlan>>,
    seen: Mutex<HashMap<RequestKind, u64>>,
    full: AtomicBool,
    away: AtomicBool,
    ignores_if_none_match: AtomicBool,
}

impl Faults {
    /// Lets the next `times` requests of a kind fail.
    pub fn fail_next(&self, kind: RequestKind, times: u64, when: When, fault: Fault) {
        self.plan(FaultPlan { kind: Some(kind), path_holds: String::new(), times, when, fault });
    }

    /// Adds a plan behind those that are there; a request meets the first that concerns it.
    pub fn plan(&self, plan: FaultPlan) {
        lock(&self.plans).push(plan);
    }

    /// Forgets all plans, and turns all switches back.
    pub fn clear(&self) {
        lock(&self.plans).clear();
        self.set_full(false);
        self.set_away(false);
        self.set_ignores_if_none_match(false);
    }

    /// Whether the store takes no more bytes.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Whether every connection is cut at its next request.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// Whether `If-None-Match` is overlooked, as some stores do.
    pub fn set_ignores_if_none_match(&self, ignores: bool) {
        self.ignores_if_none_match.store(ignores, Ordering::Relaxed);
    }

    /// How many requests of a kind came, failed ones among them.
    pub fn seen(&self, kind: RequestKind) -> u64 {
        lock(&self.seen).get(&kind).copied().unwrap_or_default()
    }

    pub(super) fn ignores_if_none_match(&self) -> bool {
        self.ignores_if_none_match.load(Ordering::Relaxed)
    }

    /// Counts a request and says what it meets.
    pub(super) fn meet(&self, kind: RequestKind, path: &str) -> Option<(When, Fault)> {
        *lock(&self.seen).entry(kind).or_default() += 1;
        if self.away.load(Ordering::Relaxed) {
            return Some((When::Before, Fault::Cut));
        }
        if kind.needs_room() && self.full.load(Ordering::Relaxed) {
            return Some((When::Before, Fault::Full));
        }
        let mut plans = lock(&self.plans);
        let plan = plans.iter_mut().find(|plan| {
            plan.times > 0
                && plan.kind.is_none_or(|it| it == kind)
                && path.contains(&plan.path_holds)
        })?;
        if plan.times < u64::MAX {
            plan.times -= 1;
        }
        Some((plan.when, plan.fault))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let of = |method: &str, uri: &str| {
            let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
            RequestKind::of(&method.parse().unwrap(), path, query)
        };
        assert_eq!(of("PUT", "/b/a/k?x-id=PutObject"), RequestKind::PutObject);
        assert_eq!(of("PUT", "/b/k?partNumber=1&uploadId=7"), RequestKind::UploadPart);
        assert_eq!(of("POST", "/b/k?uploads"), RequestKind::CreateMultipartUpload);
        assert_eq!(of("POST", "/b/k?uploadId=7"), RequestKind::CompleteMultipartUpload);
        assert_eq!(of("DELETE", "/b/k?uploadId=7"), RequestKind::AbortMultipartUpload);
        assert_eq!(of("DELETE", "/b/k"), RequestKind::DeleteObject);
        assert_eq!(of("GET", "/b/?list-type=2&prefix=a/b"), RequestKind::ListObjects);
        assert_eq!(of("GET", "/b?uploads"), RequestKind::Other);
        assert_eq!(of("HEAD", "/b"), RequestKind::HeadBucket);
        assert_eq!(of("HEAD", "/b/"), RequestKind::HeadBucket);
        assert_eq!(of("HEAD", "/b/k"), RequestKind::HeadObject);
        assert_eq!(of("PUT", "/b"), RequestKind::CreateBucket);
    }

    #[test]
    fn a_plan_is_used_up_and_the_next_one_follows() {
        let faults = Faults::default();
        faults.fail_next(RequestKind::PutObject, 1, When::Before, Fault::SlowDown);
        faults.plan(FaultPlan {
            kind: None,
            path_holds: "/dead/".to_owned(),
            times: u64::MAX,
            when: When::After,
            fault: Fault::Cut,
        });
        assert_eq!(faults.meet(RequestKind::HeadObject, "/b/k"), None);
        let first = faults.meet(RequestKind::PutObject, "/b/dead/k");
        assert_eq!(first, Some((When::Before, Fault::SlowDown)));
        for _ in 0..3 {
            let later = faults.meet(RequestKind::PutObject, "/b/dead/k");
            assert_eq!(later, Some((When::After, Fault::Cut)));
        }
        assert_eq!(faults.meet(RequestKind::PutObject, "/b/k"), None);
        faults.clear();
        assert_eq!(faults.meet(RequestKind::PutObject, "/b/dead/k"), None);
        assert_eq!(faults.seen(RequestKind::PutObject), 6);
        assert_eq!(faults.seen(RequestKind::HeadObject), 1);
    }

    #[test]
    fn a_full_store_still_reads_and_removes() {
        let faults = Faults::default();
        faults.set_full(true);
        let met = |kind| faults.meet(kind, "/b/k").is_some();
        assert!(met(RequestKind::PutObject) && met(RequestKind::UploadPart));
        assert!(!met(RequestKind::GetObject) && !met(RequestKind::DeleteObject));
    }
}

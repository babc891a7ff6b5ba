//! What stands in the bucket: lists the roots of a topic, looks at what is ours by its name, and
//! hands it to the judge in the pipeline.
//!
//! ```text
//! walk (LIST, folders ahead) > name > cache, else HEAD (many at once, in order) > Gathering
//! ```
//! Used by `audit` and `recover`.

mod cache;
mod patience;
mod walk;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use self::cache::Cache;
pub(super) use self::cache::CacheDir;
pub(super) use self::patience::patiently;
use self::walk::Root;
use crate::pipeline::audit::{
    Gathering, ObjectName, Roots, Said, Standing, TimeSpan, TopicHoldings, of_short_form, said_by,
    short_form,
};
use crate::pipeline::{layout_hash, short_hash};
use crate::record::{HeadOutcome, HiveKey, ObjectAddress, OffsetRange, StoreError};
use crate::s3::{ListedObject, Store};

/// Objects that are looked at, at the same time, over all topics.
const HEADS_AT_ONCE: usize = 128;

/// How far it is.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) listed: AtomicU64,
    pub(super) looked: AtomicU64,
    pub(super) cached: AtomicU64,
    /// Objects and bytes that were read in whole.
    pub(super) read: AtomicU64,
    pub(super) read_bytes: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) listed: u64,
    pub(super) looked_at: u64,
    /// Known from an earlier run.
    pub(super) known: u64,
    pub(super) read: u64,
    pub(super) read_bytes: u64,
}

impl Counts {
    pub(super) fn now(&self) -> Seen {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Seen {
            listed: of(&self.listed),
            looked_at: of(&self.looked),
            known: of(&self.cached),
            read: of(&self.read),
            read_bytes: of(&self.read_bytes),
        }
    }
}

/// What all topics of a run share.
#[derive(Clone)]
pub(super) struct Surveyor {
    store: Store,
    /// Names the store in the cache.
    store_name: Arc<str>,
    group_hash: Arc<str>,
    cache: Option<CacheDir>,
    permits: Arc<Semaphore>,
    pub(super) counts: Arc<Counts>,
}

/// What is wanted of a topic.
pub(super) struct Wanted {
    pub(super) roots: Roots,
    pub(super) standings: BTreeMap<i32, Standing>,
    pub(super) span: Option<TimeSpan>,
    /// Names alone.
    pub(super) listing_only: bool,
    /// Every batch is kept, for a closer look.
    pub(super) keep_all: bool,
}

impl Surveyor {
    pub(super) fn new(
        store: Store,
        store_name: &str,
        group_id: &str,
        cache: Option<CacheDir>,
    ) -> Self {
        Self {
            store,
            store_name: store_name.into(),
            group_hash: short_hash(group_id.as_bytes()).into(),
            cache,
            permits: Arc::new(Semaphore::new(HEADS_AT_ONCE)),
            counts: Arc::default(),
        }
    }

    /// The store that is looked at.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Looks at everything of a topic.
    pub(super) async fn survey(&self, wanted: Wanted) -> Result<TopicHoldings, StoreError> {
        let layout = Arc::clone(wanted.roots.layout());
        let Wanted { roots, standings, span, listing_only, keep_all } = wanted;
        let hash = layout_hash(&layout);
        let gathering = Gathering::new(roots.clone(), &self.group_hash, &hash, standings, keep_all);
        let table = self.root(&roots, roots.table(), span);
        let dead_letters = self.root(&roots, roots.dead_letters(), None);
        let mut look = Look { surveyor: self, roots: &roots, span, listing_only, gathering };
        look.at(table, span.is_some()).await?;
        look.at(dead_letters, span.is_some()).await?;
        Ok(look.gathering.finish())
    }

    fn root(&self, roots: &Roots, prefix: &str, span: Option<TimeSpan>) -> Root {
        let layout = roots.layout();
        let by_time = matches!(layout.partition_by.first(), Some(HiveKey::Dt));
        Root {
            store: self.store.clone(),
            bucket: Arc::clone(&layout.bucket),
            prefix: prefix.to_owned(),
            span: span.filter(|_| by_time),
            flat_if_many: !by_time,
        }
    }
}

/// A look at the roots of one topic.
struct Look<'a> {
    surveyor: &'a Surveyor,
    roots: &'a Roots,
    span: Option<TimeSpan>,
    listing_only: bool,
    gathering: Gathering,
}

/// An object whose turn comes when those before it have had theirs.
enum Turn {
    Known(ListedObject, ObjectName, Said),
    Asked(ListedObject, ObjectName, JoinHandle<Result<HeadOutcome, StoreError>>),
}

impl Look<'_> {
    async fn at(&mut self, root: Root, in_part: bool) -> Result<(), StoreError> {
        let place = (&*self.surveyor.store_name, &*root.bucket, &*root.prefix);
        let dir = self.surveyor.cache.as_ref().filter(|_| !self.listing_only);
        let mut cache = Cache::open(dir, place, in_part);
        let known = self.span.map(|_| self.gathering.spans());
        let mut pages = root.walk();
        let mut turns = VecDeque::new();
        while let Some(page) = pages.recv().await {
            for object in page? {
                self.surveyor.counts.listed.fetch_add(1, Ordering::Relaxed);
                let Some(name) = self.admitted(&object, known.as_ref()) else { continue };
                if self.listing_only {
                    self.gathering.add_name(&name, object.size);
                    continue;
                }
                turns.push_back(self.turn(object, name, &mut cache));
                self.take_turns(&mut turns, HEADS_AT_ONCE, &mut cache).await?;
            }
        }
        self.take_turns(&mut turns, 0, &mut cache).await?;
        cache.finish();
        Ok(())
    }

    /// The name of an object that is ours and wanted. Dead letters have no times in their names:
    /// those of the offsets that the table has shown count.
    fn admitted(
        &mut self,
        object: &ListedObject,
        known: Option<&BTreeMap<i32, OffsetRange>>,
    ) -> Option<ObjectName> {
        let name = match self.roots.read(&object.key) {
            Ok(name) => name,
            Err(why) => {
                self.gathering.add_stranger(&object.key, why);
                return None;
            }
        };
        let is_wanted = match (&name.path, self.span) {
            (_, None) => true,
            (Some(path), Some(span)) => span.may_stand_in(path),
            (None, Some(_)) => known
                .and_then(|known| known.get(&name.partition))
                .is_some_and(|it| (it.base..it.end).contains(&name.first)),
        };
        is_wanted.then_some(name)
    }

    fn turn(&self, object: ListedObject, name: ObjectName, cache: &mut Cache) -> Turn {
        let kept = cache.find(&object).and_then(|text| of_short_form(self.roots, &text));
        if let Some(said) = kept {
            self.surveyor.counts.cached.fetch_add(1, Ordering::Relaxed);
            return Turn::Known(object, name, said);
        }
        let (store, permits) = (self.surveyor.store.clone(), Arc::clone(&self.surveyor.permits));
        let counts = Arc::clone(&self.surveyor.counts);
        let bucket = Arc::clone(&self.roots.layout().bucket);
        let address = ObjectAddress { bucket, key: object.key.as_str().into() };
        let head = tokio::spawn(async move {
            // It is closed only when the process ends.
            let _permit = permits.acquire_owned().await;
            let found = patiently(|| store.head(&address)).await;
            counts.looked.fetch_add(1, Ordering::Relaxed);
            found
        });
        Turn::Asked(object, name, head)
    }

    /// Takes those whose turn it is until at most so many wait, and all that need no waiting.
    async fn take_turns(
        &mut self,
        turns: &mut VecDeque<Turn>,
        at_most: usize,
        cache: &mut Cache,
    ) -> Result<(), StoreError> {
        while let Some(turn) = turns.pop_front() {
            let (object, name, said) = match turn {
                Turn::Known(object, name, said) => (object, name, Ok(said)),
                Turn::Asked(object, name, head) if turns.len() < at_most && !head.is_finished() => {
                    turns.push_front(Turn::Asked(object, name, head));
                    return Ok(());
                }
                Turn::Asked(object, name, head) => match answer(head).await? {
                    HeadOutcome::Missing => {
                        self.gathering.add_vanished();
                        continue;
                    }
                    HeadOutcome::Found { metadata, .. } => (object, name, said_by(&metadata)),
                },
            };
            // Of another topic there is no short form.
            if let Ok(said) = &said
                && said.0.from.topic == *self.roots.topic()
            {
                cache.keep(&object, &short_form(said));
            }
            self.gathering.add(name, object.size, said);
        }
        Ok(())
    }
}

async fn answer(
    head: JoinHandle<Result<HeadOutcome, StoreError>>,
) -> Result<HeadOutcome, StoreError> {
    // It is never aborted, so it can only have panicked.
    head.await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

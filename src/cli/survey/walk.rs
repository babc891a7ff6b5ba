//! The keys below a root, in order, several folders listed at once.
//!
//! The first level of the Hive path is asked for, and of its folders some are listed ahead of the
//! one whose turn it is. So a listing is several times as fast as one page after the other, and
//! still comes in the order of keys.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::patience::patiently;
use crate::pipeline::audit::TimeSpan;
use crate::record::StoreError;
use crate::s3::{ListedObject, ListedPage, Store};

/// Folders that are listed at the same time, of one root.
const FOLDERS_AT_ONCE: usize = 12;
/// Pages that wait to be taken, of each folder.
const PAGES_AHEAD: usize = 2;

pub(super) type Page = Result<Vec<ListedObject>, StoreError>;

/// What is walked.
#[derive(Clone)]
pub(super) struct Root {
    pub(super) store: Store,
    pub(super) bucket: Arc<str>,
    /// With its slash.
    pub(super) prefix: String,
    /// Where folders of the first level are days: those that are wanted.
    pub(super) span: Option<TimeSpan>,
    /// Very many folders are listed in one go; for those that are values of fields.
    pub(super) flat_if_many: bool,
}

/// What is sent next, or is being listed to be sent later.
enum Slot {
    Objects(Vec<ListedObject>),
    Folder(Receiver<Page>),
}

/// Something on the first level.
enum Entry {
    Object(ListedObject),
    Folder(String),
}

impl Root {
    /// Starts to walk; pages come in the order of keys.
    pub(super) fn walk(self) -> Receiver<Page> {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = self.send_all(&sender).await {
                // Whoever hung up has lost interest.
                let _ = sender.send(Err(error)).await;
            }
        });
        pages
    }

    async fn send_all(&self, pages: &Sender<Page>) -> Result<(), StoreError> {
        let mut next = None;
        loop {
            let page = self.page(&self.prefix, true, next).await?;
            // A request for each of very many folders would take longer than listing them flat.
            if self.flat_if_many && page.next.is_some() && page.objects.is_empty() {
                return self.send_folder(&self.prefix, pages).await;
            }
            next = page.next.clone();
            self.send_level(page, pages).await;
            if next.is_none() || pages.is_closed() {
                return Ok(());
            }
        }
    }

    /// A page of the first level: its objects, and all that its folders hold.
    async fn send_level(&self, page: ListedPage, pages: &Sender<Page>) {
        let mut entries = in_order(page).filter(|entry| self.is_wanted(entry));
        let mut ahead: VecDeque<Slot> = VecDeque::new();
        loop {
            while ahead.len() < FOLDERS_AT_ONCE
                && let Some(entry) = entries.next()
            {
                match (entry, ahead.back_mut()) {
                    (Entry::Object(object), Some(Slot::Objects(some))) => some.push(object),
                    (Entry::Object(object), _) => ahead.push_back(Slot::Objects(vec![object])),
                    (Entry::Folder(prefix), _) => {
                        ahead.push_back(Slot::Folder(self.begin_folder(prefix)));
                    }
                }
            }
            match ahead.pop_front() {
                Some(Slot::Objects(objects)) => drop(pages.send(Ok(objects)).await),
                Some(Slot::Folder(mut folder)) => {
                    while let Some(page) = folder.recv().await {
                        if pages.send(page).await.is_err() {
                            return;
                        }
                    }
                }
                None => return,
            }
        }
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        match (entry, self.span) {
            (Entry::Folder(prefix), Some(span)) => {
                let name = prefix.strip_prefix(&self.prefix).unwrap_or(prefix);
                span.may_stand_in(name.trim_end_matches('/'))
            }
            _ => true,
        }
    }

    fn begin_folder(&self, prefix: String) -> Receiver<Page> {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let root = self.clone();
        tokio::spawn(async move {
            if let Err(error) = root.send_folder(&prefix, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        pages
    }

    /// All keys below a prefix, page after page.
    async fn send_folder(&self, prefix: &str, pages: &Sender<Page>) -> Result<(), StoreError> {
        let mut next = None;
        loop {
            let page = self.page(prefix, false, next).await?;
            next = page.next;
            if pages.send(Ok(page.objects)).await.is_err() || next.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        folders: bool,
        next: Option<String>,
    ) -> Result<ListedPage, StoreError> {
        patiently(|| self.store.list_page(&self.bucket, prefix, folders, next.clone())).await
    }
}

/// Objects and folders of a page, in the order in which their keys are.
fn in_order(page: ListedPage) -> impl Iterator<Item = Entry> {
    let objects = page.objects.into_iter().map(Entry::Object);
    let mut entries: Vec<_> = objects.chain(page.folders.into_iter().map(Entry::Folder)).collect();
    entries.sort_by(|one, other| one.key().cmp(other.key()));
    entries.into_iter()
}

impl Entry {
    fn key(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Folder(prefix) => prefix,
        }
    }
}

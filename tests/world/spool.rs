//! A spool in memory that fails in every way: it gives no file, writes nothing or a part, and reads
//! nothing or something else, once or for good.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use kafka_s3_sink::record::{
    Body, PutRequest, Spool, SpoolFile, SpooledBytes, StoreError, StoreErrorClass,
};

use crate::dice::Dice;
use crate::world::World;

/// What has happened in the spools of a world since it was last told.
pub(crate) type Happened = Arc<Mutex<Vec<&'static str>>>;

/// The spool of one process.
#[derive(Debug)]
pub(crate) struct ShakySpool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    head: usize,
    faults: bool,
    dice: Mutex<Dice>,
    happened: Happened,
}

impl Inner {
    fn happens(&self, once_in: u64, what: &'static str) -> bool {
        let happens = self.faults && self.dice.lock().unwrap().one_in(once_in);
        if happens {
            self.saw(what);
        }
        happens
    }

    fn saw(&self, what: &'static str) {
        self.happened.lock().unwrap().push(what);
    }
}

impl ShakySpool {
    pub(crate) fn new(mut dice: Dice, faults: bool, happened: &Happened) -> Self {
        let head = 1 + dice.below(200) as usize;
        let (dice, happened) = (Mutex::new(dice), Arc::clone(happened));
        Self(Arc::new(Inner { head, faults, dice, happened }))
    }
}

impl Spool for ShakySpool {
    fn head(&self) -> usize {
        self.0.head
    }

    fn open(&self) -> Option<Arc<dyn SpoolFile>> {
        if self.0.happens(6, "spool gives no file") {
            return None;
        }
        let lost = self.0.happens(6, "spool loses a file");
        Some(Arc::new(ShakyFile { spool: Arc::clone(&self.0), bytes: Mutex::default(), lost }))
    }
}

#[derive(Debug)]
struct ShakyFile {
    spool: Arc<Inner>,
    bytes: Mutex<Vec<u8>>,
    /// Nothing of it can be read, ever.
    lost: bool,
}

impl ShakyFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap()
    }
}

impl SpoolFile for ShakyFile {
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut held = self.bytes();
        held.truncate(at as usize);
        assert_eq!(held.len() as u64, at, "a hole");
        if self.spool.happens(8, "spool is full") {
            held.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        held.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
        if self.lost || self.spool.happens(8, "spool does not read once") {
            return Err(io::Error::other("an I/O error"));
        }
        let mut bytes = self.bytes()[at as usize..at as usize + len].to_vec();
        if self.spool.happens(12, "spool reads something else") {
            bytes[len / 2] ^= 1;
        }
        Ok(bytes.into())
    }

    fn damaged(&self) {
        self.spool.saw("damage seen");
    }
}

impl World {
    /// The spool of a new process, in worlds that have one.
    pub(crate) fn spool(&mut self) -> Option<Arc<dyn Spool>> {
        if !self.spools {
            return None;
        }
        let dice = Dice::new(self.dice.below(u64::from(u32::MAX)));
        Some(Arc::new(ShakySpool::new(dice, self.faults, &self.happened)))
    }

    /// What the edge to the store does with a body: it is sent whole and right, or not at all.
    pub(crate) fn read_back(&mut self, request: &PutRequest) -> Result<Vec<u8>, StoreError> {
        let Body { spooled, crc32, .. } = &request.body;
        let class = StoreErrorClass::Unreadable;
        let lost = |message: &str| StoreError { class, message: message.to_owned() };
        let bytes = request.body.joined().map_err(|error| lost(&error.to_string()))?;
        if crc32fast::hash(&bytes) != *crc32 {
            if let Some(SpooledBytes { file, .. }) = spooled {
                file.damaged();
            }
            return Err(lost("it is not what was written"));
        }
        if spooled.is_some() {
            self.note("spool read back", || request.address.to_string());
        }
        Ok(bytes)
    }

    /// Tells what happened in the spools.
    pub(crate) fn note_spools(&mut self) {
        let happened = std::mem::take(&mut *self.happened.lock().unwrap());
        happened.into_iter().for_each(|what| self.note(what, String::new));
    }
}

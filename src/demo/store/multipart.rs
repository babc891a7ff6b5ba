//! Uploads in parts: kept aside until their completion claims the name, as S3 does it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::dto::{Checksum, CompletedPart};
use s3s::{S3Result, s3_error};

use super::failure;
use super::files::{Incoming, Sidecar, Tree};
use super::receive::{Received, checked, etag, hasher};

/// All parts but the last have at least this many bytes.
const PART_MIN: u64 = 5 << 20;

/// An upload that is open.
struct Upload {
    bucket: String,
    sidecar: Sidecar,
    begun: SystemTime,
    parts: BTreeMap<i32, Received>,
}

/// One line of the list of open uploads.
pub(super) struct OpenUpload {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) begun: SystemTime,
}

/// All open uploads. They live as long as the process; their parts are swept with it.
#[derive(Default)]
pub(super) struct Uploads {
    open: Mutex<HashMap<String, Upload>>,
    made: AtomicU64,
}

impl Uploads {
    pub(super) fn create(&self, bucket: &str, sidecar: Sidecar) -> String {
        let begun = SystemTime::now();
        // The time keeps the ids of two runs apart.
        let since = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let id = format!("{:x}-{:x}", since.as_nanos(), self.made.fetch_add(1, Ordering::Relaxed));
        let upload = Upload { bucket: bucket.to_owned(), sidecar, begun, parts: BTreeMap::new() };
        self.lock().insert(id.clone(), upload);
        id
    }

    /// Refuses parts of an upload that is not open, before their bytes are taken in.
    pub(super) fn need(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        match self.lock().get(id) {
            Some(upload) if upload.bucket == bucket && upload.sidecar.key == key => Ok(()),
            _ => Err(no_such_upload()),
        }
    }

    /// Keeps a part; one of the same number is replaced.
    pub(super) fn add(&self, id: &str, number: i32, part: Received) -> S3Result<()> {
        let mut open = self.lock();
        let upload = open.get_mut(id).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, part);
        Ok(())
    }

    pub(super) fn abort(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        self.need(id, bucket, key)?;
        self.lock().remove(id);
        Ok(())
    }

    /// Joins the parts and gives the whole its name. If that fails the upload stays open.
    pub(super) fn complete(
        &self,
        tree: &Tree,
        id: &str,
        wanted: &[CompletedPart],
        only_if_free: bool,
    ) -> S3Result<Sidecar> {
        // Taken out meanwhile, so that of two completions one finds no upload.
        let upload = self.lock().remove(id).ok_or_else(no_such_upload)?;
        let done = upload.join(tree, wanted).and_then(|(whole, sidecar)| {
            tree.place(&upload.bucket, &whole, &sidecar, only_if_free).map_err(failure::tree)?;
            Ok(sidecar)
        });
        if done.is_err() {
            self.lock().insert(id.to_owned(), upload);
        }
        done
    }

    /// The open uploads of a bucket under a prefix, by key.
    pub(super) fn list(&self, bucket: &str, prefix: &str) -> Vec<OpenUpload> {
        let open = self.lock();
        let of_ours =
            open.iter().filter(|(_, it)| it.bucket == bucket && it.sidecar.key.starts_with(prefix));
        let mut found: Vec<_> = of_ours
            .map(|(id, upload)| OpenUpload {
                id: id.clone(),
                key: upload.sidecar.key.clone(),
                begun: upload.begun,
            })
            .collect();
        found.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        found
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn join(&self, tree: &Tree, wanted: &[CompletedPart]) -> S3Result<(Incoming, Sidecar)> {
        let parts = self.choose(wanted)?;
        let incoming = tree.incoming();
        let mut whole = File::create(incoming.path()).map_err(failure::io)?;
        let mut sums = hasher(&Checksum::default());
        let mut size = 0;
        for part in parts {
            let mut file = File::open(part.file.path()).map_err(failure::io)?;
            size += copy(&mut file, &mut whole, |bytes| sums.update(bytes)).map_err(failure::io)?;
        }
        let crc32 = checked(sums.finalize(), &Checksum::default())?;
        let etag = etag(&crc32, size);
        Ok((incoming, Sidecar { etag, crc32, ..self.sidecar.clone() }))
    }

    /// The parts that the client names, if they are what it thinks they are.
    fn choose(&self, wanted: &[CompletedPart]) -> S3Result<Vec<&Received>> {
        if wanted.is_empty() {
            return Err(s3_error!(MalformedXML, "a completion names at least one part"));
        }
        let mut chosen: Vec<&Received> = Vec::with_capacity(wanted.len());
        let mut before = 0;
        for named in wanted {
            let number = named.part_number.unwrap_or_default();
            if number <= before {
                return Err(s3_error!(InvalidPartOrder, "part {number} after part {before}"));
            }
            before = number;
            let tag = named.e_tag.as_ref().map(|tag| tag.value());
            match self.parts.get(&number) {
                Some(part) if tag.is_none_or(|tag| tag == part.etag()) => chosen.push(part),
                _ => return Err(s3_error!(InvalidPart, "part {number} is not there as named")),
            }
        }
        let all_but_last = &chosen[..chosen.len() - 1];
        if all_but_last.iter().any(|part| part.size < PART_MIN) {
            return Err(s3_error!(EntityTooSmall, "all parts but the last have at least 5 MiB"));
        }
        Ok(chosen)
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(NoSuchUpload, "there is no such upload: it was completed or aborted, or never begun")
}

fn copy(from: &mut File, to: &mut File, mut see: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(copied);
        }
        see(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

//! Objects as plain files under their keys, so that people and DuckDB can read them.
//!
//! ```text
//! <root>/<bucket>/<key>             the objects, nothing else
//! <root>/.meta/<bucket>/<hash>.json what HEAD tells about each
//! <root>/.incoming/                 bodies that are not complete yet
//! ```
//! No bucket's name begins with a dot, so the three cannot meet. One process owns a root; a name
//! comes into being by link(2), which replaces nothing, so of many writers exactly one wins.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why the tree did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    #[error("there is no bucket of that name")]
    NoSuchBucket,
    #[error("there is no object of that name")]
    NoSuchKey,
    #[error("there is an object of that name already")]
    Taken,
    #[error("this store keeps objects as files and cannot have that key: {0}")]
    BadKey(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is known of an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    pub(super) key: String,
    pub(super) etag: String,
    /// In base64, as S3 writes it.
    pub(super) crc32: String,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// An object as it stands.
pub(super) struct Stored {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) sidecar: Sidecar,
}

/// A file that is removed when it is dropped.
pub(super) struct Incoming(PathBuf);

impl Incoming {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It is gone already where it was renamed, and swept at the next start where this fails.
        let _ = fs::remove_file(&self.0);
    }
}

/// The folder that holds everything.
pub(super) struct Tree {
    root: PathBuf,
    /// Held while an object and its sidecar change or are looked up, so that they belong together.
    lock: Mutex<()>,
    next_incoming: AtomicU64,
}

impl Tree {
    /// Opens a folder, made if it is not there; what was left incomplete is swept.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join(".incoming");
        if incoming.exists() {
            fs::remove_dir_all(&incoming)?;
        }
        fs::create_dir_all(&incoming)?;
        Ok(Self { root: root.to_owned(), lock: Mutex::new(()), next_incoming: AtomicU64::new(0) })
    }

    /// Makes a bucket; false if it was there.
    pub(super) fn create_bucket(&self, bucket: &str) -> io::Result<bool> {
        fs::create_dir_all(self.root.join(".meta").join(bucket))?;
        match fs::create_dir(self.root.join(bucket)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            made => made.map(|()| true),
        }
    }

    pub(super) fn need_bucket(&self, bucket: &str) -> Result<PathBuf, TreeError> {
        let path = self.root.join(bucket);
        if path.is_dir() { Ok(path) } else { Err(TreeError::NoSuchBucket) }
    }

    /// A name for a body that comes in.
    pub(super) fn incoming(&self) -> Incoming {
        let number = self.next_incoming.fetch_add(1, Ordering::Relaxed);
        Incoming(self.root.join(".incoming").join(number.to_string()))
    }

    /// Gives a complete body its key; with `only_if_free` it replaces nothing.
    pub(super) fn place(
        &self,
        bucket: &str,
        body: &Incoming,
        sidecar: &Sidecar,
        only_if_free: bool,
    ) -> Result<(), TreeError> {
        let path = self.object_path(bucket, &sidecar.key)?;
        let beside = self.incoming();
        fs::write(beside.path(), serde_json::to_vec(sidecar).map_err(io::Error::from)?)?;
        let _guard = self.lock();
        if path.is_dir() {
            return Err(TreeError::BadKey("other keys have it as a folder"));
        }
        if only_if_free && path.exists() {
            return Err(TreeError::Taken);
        }
        make_folders(&path)?;
        fs::rename(beside.path(), self.sidecar_path(bucket, &sidecar.key))?;
        if !only_if_free {
            return Ok(fs::rename(body.path(), &path)?);
        }
        fs::hard_link(body.path(), &path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => TreeError::Taken,
            _ => error.into(),
        })
    }

    /// Opens an object; what was opened stays whole, whatever replaces it.
    pub(super) fn look(&self, bucket: &str, key: &str) -> Result<Stored, TreeError> {
        let path = self.object_path(bucket, key)?;
        let _guard = self.lock();
        let file = File::open(&path).map_err(missing)?;
        let facts = file.metadata()?;
        if facts.is_dir() {
            return Err(TreeError::NoSuchKey);
        }
        let sidecar = match fs::read(self.sidecar_path(bucket, key)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from)?,
            // Somebody put a file there by hand: an object without metadata.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sidecar::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Stored { size: facts.len(), modified: facts.modified()?, file, sidecar })
    }

    /// Removes an object, and the folders that it leaves empty; nothing to remove is fine.
    pub(super) fn remove(&self, bucket: &str, key: &str) -> Result<(), TreeError> {
        let path = self.object_path(bucket, key)?;
        let _guard = self.lock();
        match fs::remove_file(&path).map_err(missing) {
            Err(TreeError::NoSuchKey) => return Ok(()),
            removed => removed?,
        }
        let _ = fs::remove_file(self.sidecar_path(bucket, key));
        let bucket = self.root.join(bucket);
        for folder in path.ancestors().skip(1).take_while(|folder| **folder != bucket) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// All keys of a bucket with their sizes and times, in the order that S3 lists them.
    pub(super) fn list(
        &self,
        bucket: &str,
    ) -> Result<BTreeMap<String, (u64, SystemTime)>, TreeError> {
        let root = self.need_bucket(bucket)?;
        let mut found = BTreeMap::new();
        let _guard = self.lock();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let (path, facts) =
                    entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
                if facts.is_dir() {
                    folders.push(path);
                } else if let Some(key) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                    found.insert(key.to_owned(), (facts.len(), facts.modified()?));
                }
            }
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object_path(&self, bucket: &str, key: &str) -> Result<PathBuf, TreeError> {
        let bucket = self.need_bucket(bucket)?;
        for name in key.split('/') {
            match name {
                "" => return Err(TreeError::BadKey("a part of it is empty")),
                "." | ".." => return Err(TreeError::BadKey("a part of it is a dot or two")),
                name if name.len() > 255 => {
                    return Err(TreeError::BadKey("a part of it is over 255 bytes"));
                }
                name if name.contains('\0') => return Err(TreeError::BadKey("it has a NUL")),
                _ => {}
            }
        }
        Ok(bucket.join(key))
    }

    /// By hash, for `a` and `a.json/b` may both be keys, and names of files are short.
    fn sidecar_path(&self, bucket: &str, key: &str) -> PathBuf {
        let hash = Sha256::digest(key.as_bytes());
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.root.join(".meta").join(bucket).join(name + ".json")
    }
}

fn make_folders(path: &Path) -> Result<(), TreeError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            TreeError::BadKey("a part of it is an object already")
        }
        _ => error.into(),
    })
}

fn missing(error: io::Error) -> TreeError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            TreeError::NoSuchKey
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_bucket() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        tree.create_bucket("lake").unwrap();
        fs::write(dir.path().join("x"), "not in the bucket").unwrap();
        for key in ["..", "../x", "a/../../x", "./x", "a/./b", "/etc/hostname", "a\0b"] {
            assert!(matches!(tree.look("lake", key), Err(TreeError::BadKey(_))), "{key}");
            assert!(matches!(tree.remove("lake", key), Err(TreeError::BadKey(_))), "{key}");
        }
        assert!(dir.path().join("x").exists());
    }
}

//! The tree of objects as people like to see it: folders with counts, and a few names.
//!
//! Fed by the folder that `store` keeps; feeds the screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::DemoError;

/// Names shown in a folder before the rest is only counted.
const NAMES_SHOWN: usize = 2;

/// Folders named in a folder before the rest is only counted; the fullest is named anyway.
const FOLDERS_SHOWN: usize = 5;

/// A file below a folder: its path from there, and its size.
pub(super) type Found = (PathBuf, u64);

/// All files below a folder, by path; none if the folder is not there.
pub(super) fn files(root: &Path) -> Result<Vec<Found>, DemoError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| DemoError::files(&folder, error);
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let facts = entry.metadata().map_err(failed)?;
            if facts.is_dir() {
                folders.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(root) {
                found.push((path.to_owned(), facts.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Draws the folder; the first line is `title` with the count of all.
pub fn tree(root: &Path, title: &str) -> Result<String, DemoError> {
    let mut top = Folder::default();
    for (path, size) in files(root)? {
        let names: Vec<_> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        top.add(&names, size);
    }
    let mut out = String::new();
    top.draw(&mut out, title, "");
    Ok(out)
}

#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: Vec<(String, u64)>,
    objects: u64,
    bytes: u64,
}

impl Folder {
    fn add(&mut self, names: &[String], size: u64) {
        self.objects += 1;
        self.bytes += size;
        match names {
            [name] => self.files.push((name.clone(), size)),
            [first, rest @ ..] => self.folders.entry(first.clone()).or_default().add(rest, size),
            [] => {}
        }
    }

    /// Writes the line of this folder, then what is in it, each line behind `margin`.
    fn draw(&self, out: &mut String, name: &str, margin: &str) {
        let _ = writeln!(out, "{}", self.heading(name));
        let mut rows = self.rows().into_iter().peekable();
        while let Some(row) = rows.next() {
            let last = rows.peek().is_none();
            let _ = write!(out, "{margin}{}", if last { "└── " } else { "├── " });
            let inner = format!("{margin}{}", if last { "    " } else { "│   " });
            match row {
                Row::Open(name, folder) => folder.draw(out, name, &inner),
                Row::Text(text) => {
                    let _ = writeln!(out, "{text}");
                }
            }
        }
    }

    /// What stands below this folder. Only the fullest folder is opened, or a few days of data
    /// would fill the screen.
    fn rows(&self) -> Vec<Row<'_>> {
        let fullest = self.folders.iter().max_by_key(|(_, folder)| folder.objects);
        let fullest = fullest.map(|(name, _)| name);
        let mut rows = Vec::new();
        for (place, (name, folder)) in self.folders.iter().enumerate() {
            if Some(name) == fullest {
                rows.push(Row::Open(name, folder));
            } else if place < FOLDERS_SHOWN {
                rows.push(Row::Text(folder.heading(name)));
            }
        }
        let hidden = self.folders.len() - rows.len();
        if hidden > 0 {
            let plural = if hidden == 1 { "" } else { "s" };
            rows.push(Row::Text(format!("... and {hidden} more folder{plural}")));
        }
        let names = self.files.iter().take(NAMES_SHOWN);
        rows.extend(names.map(|(name, bytes)| Row::Text(format!("{name}  {}", size(*bytes)))));
        let hidden = self.files.len().saturating_sub(NAMES_SHOWN);
        if hidden > 0 {
            rows.push(Row::Text(format!("... and {hidden} more")));
        }
        rows
    }

    fn heading(&self, name: &str) -> String {
        let plural = if self.objects == 1 { "" } else { "s" };
        format!("{name}  {} object{plural}, {}", self.objects, size(self.bytes))
    }
}

/// One line below a folder, and what may hang on it.
enum Row<'a> {
    Open(&'a str, &'a Folder),
    Text(String),
}

fn size(bytes: u64) -> String {
    const UNITS: &[&str] = &["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, bytes: usize) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; bytes]).unwrap();
    }

    #[test]
    fn the_tree_shows_folders_counts_and_a_few_names() {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("raw/dt=1/hour=00/a.gz", 10),
            ("raw/dt=1/hour=00/b.gz", 2048),
            ("raw/dt=1/hour=00/c.gz", 1),
            ("raw/dt=1/hour=00/d.gz", 1),
            ("raw/dt=2/hour=00/e.gz", 1 << 21),
            ("raw/dt=2/hour=01/f.gz", 1),
        ] {
            put(dir.path(), path, bytes);
        }
        let wanted = "\
lake  6 objects, 2.0 MiB
└── raw  6 objects, 2.0 MiB
    ├── dt=1  4 objects, 2.0 KiB
    │   └── hour=00  4 objects, 2.0 KiB
    │       ├── a.gz  10 B
    │       ├── b.gz  2.0 KiB
    │       └── ... and 2 more
    └── dt=2  2 objects, 2.0 MiB
";
        assert_eq!(tree(dir.path(), "lake").unwrap(), wanted);
    }

    #[test]
    fn many_folders_are_counted_and_the_fullest_is_opened_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        for hour in 0..9 {
            put(dir.path(), &format!("hour={hour}/a"), 1);
        }
        put(dir.path(), "hour=7/b", 1);
        let drawn = tree(dir.path(), "lake").unwrap();
        let shown: Vec<_> = drawn.lines().filter_map(|line| line.split("hour=").nth(1)).collect();
        let shown: String = shown.iter().map(|line| &line[..1]).collect();
        assert_eq!(shown, "012347");
        assert!(drawn.contains("├── hour=7  2 objects, 2 B\n│   ├── a  1 B\n"), "{drawn}");
        assert!(drawn.ends_with("└── ... and 3 more folders\n"), "{drawn}");
    }

    #[test]
    fn no_folder_is_an_empty_tree() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = tree(&dir.path().join("none"), "lake").unwrap();
        assert_eq!(drawn, "lake  0 objects, 0 B\n");
    }
}

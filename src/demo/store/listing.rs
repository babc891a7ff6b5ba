//! One page of a listing, as ListObjectsV2 cuts it.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// The last key or common prefix that the client knows already.
    pub(super) after: Option<&'a str>,
    pub(super) max: usize,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page<'a, T> {
    pub(super) objects: Vec<(&'a str, &'a T)>,
    pub(super) folders: Vec<&'a str>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<&'a str>,
}

/// Cuts a page out of all keys.
pub(super) fn page<'a, T>(all: &'a BTreeMap<String, T>, query: Query<'_>) -> Page<'a, T> {
    let mut page = Page { objects: Vec::new(), folders: Vec::new(), next: None };
    let from = match query.after {
        Some(after) => Bound::Excluded(after),
        None => Bound::Included(query.prefix),
    };
    let mut last = None;
    for (key, value) in all.range::<str, _>((from, Bound::Unbounded)) {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            if key.as_str() < query.prefix {
                continue;
            }
            break;
        };
        let folder = folder(key, rest, query.delimiter);
        // A folder stands once for all of its keys, on this page or on one before.
        if folder.is_some_and(|it| page.folders.last() == Some(&it) || query.after == Some(it)) {
            continue;
        }
        if page.objects.len() + page.folders.len() == query.max {
            page.next = last;
            break;
        }
        match folder {
            Some(folder) => page.folders.push(folder),
            None => page.objects.push((key, value)),
        }
        last = Some(folder.unwrap_or(key));
    }
    page
}

/// The common prefix that a key belongs to, if the delimiter cuts it.
fn folder<'a>(key: &'a str, rest: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = rest.find(delimiter)?;
    Some(&key[..key.len() - rest.len() + at + delimiter.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeMap<String, ()> {
        names.iter().map(|name| ((*name).to_owned(), ())).collect()
    }

    /// Reads all pages, and gives keys and folders in the order they came.
    fn walk(
        all: &BTreeMap<String, ()>,
        prefix: &str,
        delimiter: Option<&str>,
        max: usize,
    ) -> Vec<String> {
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let query = Query { prefix, delimiter, after: after.as_deref(), max };
            let page = page(all, query);
            assert!(page.objects.len() + page.folders.len() <= max);
            let mut both: Vec<_> = page
                .objects
                .iter()
                .map(|(key, ())| *key)
                .chain(page.folders)
                .map(str::to_owned)
                .collect();
            both.sort();
            seen.extend(both);
            match page.next {
                Some(next) => after = Some(next.to_owned()),
                None => return seen,
            }
        }
    }

    #[test]
    fn every_page_size_gives_all_keys_in_order() {
        let all = keys(&["a", "b-1", "b/1", "b/2", "b0", "c/d/e", "ü"]);
        for max in 1..9 {
            assert_eq!(walk(&all, "", None, max), ["a", "b-1", "b/1", "b/2", "b0", "c/d/e", "ü"]);
            assert_eq!(walk(&all, "b/", None, max), ["b/1", "b/2"]);
            assert_eq!(walk(&all, "b", Some("/"), max), ["b-1", "b/", "b0"]);
            assert_eq!(walk(&all, "", Some("/"), max), ["a", "b-1", "b/", "b0", "c/", "ü"]);
            assert_eq!(walk(&all, "x", None, max), [""; 0]);
        }
    }

    #[test]
    fn a_start_before_the_prefix_is_no_loss_and_one_behind_it_is_the_end() {
        let all = keys(&["a", "b/1", "c"]);
        let query = |after| Query { prefix: "b/", delimiter: None, after: Some(after), max: 9 };
        assert_eq!(page(&all, query("a")).objects, [("b/1", &())]);
        assert!(page(&all, query("b/1")).objects.is_empty());
        assert!(page(&all, query("z")).objects.is_empty());
    }

    #[test]
    fn a_page_of_none_is_empty_and_says_no_more() {
        let all = keys(&["a"]);
        let page = page(&all, Query { prefix: "", delimiter: None, after: None, max: 0 });
        assert!(page.objects.is_empty() && page.next.is_none());
    }
}

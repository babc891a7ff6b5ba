//! What a key says: whether it is the name of an object of ours, and of which.
//!
//! Fed with the keys of listings, in which anything may stand. The inverse of `pipeline::key`.

use std::sync::Arc;

use super::super::key::{dead_letter_key, dead_letter_root, extension, object_key, topic_prefix};
use crate::record::{Compression, Layout, ObjectAddress, Offset, TopicPartition};

const CODECS: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::None];

/// Where the objects of a topic stand.
#[derive(Clone, Debug)]
pub struct Roots {
    topic: Arc<str>,
    layout: Arc<Layout>,
    table: String,
    dead_letters: String,
}

/// What the name of an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The number of the Kafka partition.
    pub partition: i32,
    /// The offset of the batch's first landing record.
    pub first: Offset,
    /// As its extension says.
    pub compression: Compression,
    /// Its Hive path, without slashes at the ends; `None` for dead letters.
    pub path: Option<Arc<str>>,
}

/// Why a key is no name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Readers of the table do not see it: a folder's marker, or a name that begins with `_` or
    /// a dot.
    Hidden,
    /// Readers of the table take it for a part of it.
    Foreign(&'static str),
}

impl Roots {
    /// Where the objects of this topic stand in this layout.
    pub fn of(layout: &Arc<Layout>, topic: &str) -> Self {
        Self {
            topic: topic.into(),
            layout: Arc::clone(layout),
            table: topic_prefix(layout, topic),
            dead_letters: dead_letter_root(layout, topic),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The layout in force.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// What the keys of the topic's table begin with.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// What the keys of the topic's dead letters begin with.
    pub fn dead_letters(&self) -> &str {
        &self.dead_letters
    }

    /// A Kafka partition of the topic.
    pub fn partition(&self, number: i32) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.topic), number)
    }

    /// Reads a key.
    pub fn read(&self, key: &str) -> Result<ObjectName, Stranger> {
        let (below, is_table) = match key.strip_prefix(&self.table) {
            Some(below) => (below, true),
            None => match key.strip_prefix(&self.dead_letters) {
                Some(below) => (below, false),
                None => return Err(strange(key)),
            },
        };
        if below.is_empty() || below.ends_with('/') {
            return Err(Stranger::Hidden);
        }
        let (path, name) = below.rsplit_once('/').unwrap_or(("", below));
        let (partition, first, compression) = self.read_name(name).ok_or_else(|| strange(below))?;
        let path = is_table.then_some(path);
        match path {
            Some(path) if !is_hive_path(path) || below.starts_with('/') => Err(strange(below)),
            None if name != below => Err(strange(below)),
            _ => Ok(ObjectName { partition, first, compression, path: path.map(Arc::from) }),
        }
    }

    /// `<topic>-<partition>-<20 digits>.<extension>`.
    fn read_name(&self, name: &str) -> Option<(i32, Offset, Compression)> {
        let rest = name.strip_prefix(&*self.topic)?.strip_prefix('-')?;
        let (partition, rest) = rest.split_once('-')?;
        let (first, ending) = rest.split_once('.')?;
        let compression = CODECS.into_iter().find(|codec| extension(*codec) == ending)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = partition == "0" || !partition.starts_with('0');
        if first.len() != 20 || !digits(first) || !digits(partition) || !canonical {
            return None;
        }
        Some((partition.parse().ok()?, Offset(first.parse().ok()?), compression))
    }

    /// The address of an object of that name.
    pub fn address(&self, name: &ObjectName) -> ObjectAddress {
        let layout = Layout { compression: name.compression, ..(*self.layout).clone() };
        let from = self.partition(name.partition);
        let key = match &name.path {
            Some(path) => object_key(&layout, &from, path, name.first),
            None => dead_letter_key(&layout, &from, name.first),
        };
        ObjectAddress { bucket: layout.bucket, key: key.into() }
    }
}

fn strange(below: &str) -> Stranger {
    let is_hidden = |part: &str| part.starts_with(['_', '.']);
    if below.split('/').any(is_hidden) {
        Stranger::Hidden
    } else {
        Stranger::Foreign("its name is none that this sink gives")
    }
}

fn is_hive_path(path: &str) -> bool {
    let is_level = |level: &str| {
        level.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    };
    path.is_empty() || path.split('/').all(is_level)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::layout::tests::sample;
    use super::*;

    fn roots(topic: &str) -> Roots {
        Roots::of(&Arc::new(sample()), topic)
    }

    proptest! {
        #[test]
        fn every_name_that_is_given_is_read(
            topic in "[a-z0-9._-]{1,12}", partition in 0i32..=i32::MAX, first in 0i64..=i64::MAX,
            codec in 0usize..3, path in proptest::option::of("([a-z_]{1,4}=[a-z0-9_.-]{1,9}){0,1}"),
        ) {
            let roots = roots(&topic);
            let name = ObjectName {
                partition,
                first: Offset(first),
                compression: CODECS[codec],
                path: path.map(Arc::from),
            };
            let address = roots.address(&name);
            prop_assert_eq!(roots.read(&address.key), Ok(name), "{}", address.key);
        }

        #[test]
        fn no_key_makes_the_reader_fall(key in ".{0,40}", below in "[-t0-9./=_]{0,40}") {
            let roots = roots("t");
            let _ = roots.read(&key);
            if let Ok(name) = roots.read(&format!("raw/t/{below}")) {
                let address = roots.address(&name);
                prop_assert_eq!(&*address.key, format!("raw/t/{below}"));
            }
        }
    }

    #[test]
    fn what_readers_do_not_see_is_told_from_what_they_do() {
        let roots = roots("t");
        let name = "t-0-00000000000000000007.json.gz";
        for hidden in ["raw/t/", "raw/t/dt=x/", "raw/t/_SUCCESS", "raw/t/.tmp/a", "raw/t/dt=x/_b"] {
            assert_eq!(roots.read(hidden), Err(Stranger::Hidden), "{hidden}");
        }
        for foreign in [
            "raw/t/a.csv".to_owned(),
            "raw/t/dt=x/t-0-7.json.gz".to_owned(),
            format!("raw/t/dt=x/t-00-{}", &name[4..]),
            format!("raw/t/dt=x/{name}.bak"),
            format!("raw/t/dt/{name}"),
            format!("raw/t//{name}"),
            format!("dead-letters/raw/t/dt=x/{name}"),
            format!("raw/t/u-0-{}", &name[4..]),
            "raw/t/t-0-99999999999999999999.json".to_owned(),
            name.to_owned(),
        ] {
            assert!(matches!(roots.read(&foreign), Err(Stranger::Foreign(_))), "{foreign}");
        }
        assert!(roots.read(&format!("raw/t/{name}")).is_ok_and(|it| it.path == Some("".into())));
        assert!(
            roots.read(&format!("dead-letters/raw/t/{name}")).is_ok_and(|it| it.path.is_none())
        );
    }
}

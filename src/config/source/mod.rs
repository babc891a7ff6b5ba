//! The two layers of a configuration, one TOML file below and the environment above, merged by
//! the `config` crate, and the place of every key in them.
//!
//! Feeds `walk`, which checks the merged tree against the schema.

mod env;
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ::config::{Config, ConfigError as LayerError, Map, Source, Value};

pub(super) use env::PREFIX;
#[cfg(test)]
pub(super) use env::with_credentials;
pub use env::{Variable, environment};
pub(super) use file::literal;

use super::error::{ConfigError, Place};

/// The keys of a value from the root down.
pub(super) type Path = Vec<String>;

/// A table of values.
pub(super) type Table = Map<String, Value>;

/// A file that was read, or a text that stands for one.
pub(super) struct File<'a> {
    /// What errors call it.
    pub(super) name: Arc<str>,
    /// What it says.
    pub(super) text: &'a str,
}

/// Both layers in one tree.
pub(super) struct Tree {
    /// The merged values.
    pub(super) root: Table,
    /// Where they were written.
    pub(super) places: Places,
}

/// Where every key was written.
pub(super) struct Places {
    file: BTreeMap<Path, Place>,
    env: BTreeMap<Path, Place>,
    whole: Place,
}

impl Places {
    /// Where the key stands that counts: the environment is above the file.
    pub(super) fn of(&self, path: &[String]) -> Place {
        self.exact(path)
            .or_else(|| self.below(path))
            .or_else(|| path.split_last().map(|(_, parent)| self.of(parent)))
            .unwrap_or_else(|| self.whole.clone())
    }

    /// Whether the value of this key comes from the environment.
    pub(super) fn is_env(&self, path: &[String]) -> bool {
        self.env.contains_key(path)
    }

    /// Where to put what is missing: its section, else the file, else the environment.
    pub(super) fn for_missing(&self, section: &str) -> Place {
        self.file.get(&[section.to_owned()][..]).unwrap_or(&self.whole).clone()
    }

    fn exact(&self, path: &[String]) -> Option<Place> {
        // An element of a list that the environment replaced stands where the list does.
        let mut upwards = (1..=path.len()).rev().map(|len| &path[..len]);
        let env = upwards.find_map(|path| self.env.get(path));
        env.or_else(|| self.file.get(path)).cloned()
    }

    /// A table that only environment variables made stands where the first of them stands.
    fn below(&self, path: &[String]) -> Option<Place> {
        let (key, place) = self.env.range(path.to_vec()..).next()?;
        (!path.is_empty() && key.starts_with(path)).then(|| place.clone())
    }
}

/// Reads both layers. What the file says is not looked at if it is not TOML.
pub(super) fn read(
    file: Option<&File<'_>>,
    env: impl Iterator<Item = Variable>,
    errors: &mut Vec<ConfigError>,
) -> Result<Tree, Vec<ConfigError>> {
    let (below, file_places) = match file {
        Some(file) => file::layer(file, errors)?,
        None => Default::default(),
    };
    let (above, env_places) = env::layer(env, errors);
    let whole = file.map_or(Place::Environment, |file| Place::File(Arc::clone(&file.name)));
    let root = merged(below, above).map_err(|error| vec![internal(&whole, &error)])?;
    Ok(Tree { root, places: Places { file: file_places, env: env_places, whole } })
}

/// The one key at the top of a layer: below it the `config` crate takes names as they are, at
/// the top it would read `a.b` as a path.
const ROOT: &str = "root";

fn merged(below: Table, above: Table) -> Result<Table, LayerError> {
    Config::builder().add_source(Layer(below)).add_source(Layer(above)).build()?.get_table(ROOT)
}

fn internal(whole: &Place, error: &LayerError) -> ConfigError {
    let message = format!("the layers cannot be merged: {error}");
    ConfigError::Value { place: whole.clone(), key: ROOT.to_owned(), message }
}

#[derive(Clone)]
struct Layer(Table);

impl fmt::Debug for Layer {
    /// Values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table, LayerError> {
        Ok(Table::from([(ROOT.to_owned(), Value::new(None, self.0.clone()))]))
    }
}

//! The layer of the file. It is parsed with `toml`, which keeps the place of every key.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::config::{Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{File, Path, Table};
use crate::config::error::{ConfigError, Place};

type Places = BTreeMap<Path, Place>;

/// Reads a file; all that the parser finds wrong comes back at once.
pub(super) fn layer(
    file: &File<'_>,
    errors: &mut Vec<ConfigError>,
) -> Result<(Table, Places), Vec<ConfigError>> {
    let (table, faults) = DeTable::parse_recoverable(file.text);
    if !faults.is_empty() {
        return Err(faults.iter().map(|fault| not_toml(file, fault)).collect());
    }
    let mut reader = Reader { file, path: Path::new(), places: Places::new(), errors };
    let root = reader.table(table.get_ref());
    Ok((root, reader.places))
}

/// Reads one TOML value, as the defaults of the schema are written.
pub(in crate::config) fn literal(text: &str) -> Option<Value> {
    let file = File { name: "default".into(), text };
    let value = DeValue::parse(text).ok()?;
    let mut errors = Vec::new();
    let path = Path::new();
    Some(
        Reader { file: &file, path, places: Places::new(), errors: &mut errors }
            .value(value.get_ref()),
    )
}

/// The parser's message, without the line of the source that its `Display` would quote.
fn not_toml(file: &File<'_>, fault: &toml::de::Error) -> ConfigError {
    let start = fault.span().map_or(0, |span| span.start);
    ConfigError::NotToml { place: place(file, start), reason: fault.message().to_owned() }
}

fn place(file: &File<'_>, offset: usize) -> Place {
    let before = file.text.get(..offset).unwrap_or(file.text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::Line {
        file: Arc::clone(&file.name),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

struct Reader<'a, 'f> {
    file: &'a File<'f>,
    path: Path,
    places: Places,
    errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_, '_> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        if self.has_foreign_names() {
            let mut flat = Table::new();
            self.flatten(table, "", &mut flat);
            return flat;
        }
        let mut values = Table::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let value = self.at(name.clone(), key.span().start, value);
            values.insert(name, value);
        }
        values
    }

    /// A value one step down, whose place is noted.
    fn at(&mut self, name: String, offset: usize, value: &Spanned<DeValue<'_>>) -> Value {
        self.path.push(name);
        self.places.insert(self.path.clone(), place(self.file, offset));
        let value = self.value(value.get_ref());
        self.path.pop();
        value
    }

    fn value(&mut self, value: &DeValue<'_>) -> Value {
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| ValueKind::String(number.to_string()), narrowed),
            DeValue::Float(number) => {
                number.as_str().parse().map_or(ValueKind::Float(f64::NAN), ValueKind::Float)
            }
            DeValue::Boolean(value) => ValueKind::Boolean(*value),
            // Dates are wanted as texts; people may leave the quotes out.
            DeValue::Datetime(time) => ValueKind::String(time.to_string()),
            DeValue::Array(items) => ValueKind::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.at(index.to_string(), item.span().start, item))
                    .collect(),
            ),
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Value::new(None, kind)
    }

    /// Whether the keys here are properties of Kafka's or librdkafka's own.
    fn has_foreign_names(&self) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        matches!(path[..], ["kafka", "librdkafka"] | ["topic", _, "properties"])
    }

    /// TOML reads `sasl.mechanism = "PLAIN"` as a table in a table; librdkafka wants one name.
    fn flatten(&mut self, table: &DeTable<'_>, prefix: &str, flat: &mut Table) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                self.flatten(inner, &format!("{name}."), flat);
                continue;
            }
            let path: Path = self.path.iter().chain([&name]).cloned().collect();
            let before = self.places.get(&path).cloned();
            let value = self.at(name.clone(), self.name_start(key.span().start), value);
            if let Some(before) = before {
                self.twice(before.max(self.places[&path].clone()), &name);
            }
            flat.insert(name, value);
        }
    }

    /// Where the dotted name begins whose last step is here.
    fn name_start(&self, offset: usize) -> usize {
        let before = &self.file.text[..offset];
        let start = before.rfind(['\n', '{', ',']).map_or(0, |edge| edge + 1);
        offset - before[start..].trim_start().len()
    }

    fn twice(&mut self, place: Place, name: &str) {
        self.errors.push(ConfigError::Value {
            place,
            key: format!("{}.{name}", self.path.join(".")),
            message: "set twice; keep one of the two".to_owned(),
        });
    }
}

fn narrowed(number: i128) -> ValueKind {
    i64::try_from(number).map_or(ValueKind::I128(number), ValueKind::I64)
}

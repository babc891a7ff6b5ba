//! From sampled lines to the columns of a table, of types that lose nothing. Pure.
//!
//! | values seen | type | why |
//! |---|---|---|
//! | whole numbers that fit 64 bits | `bigint` | |
//! | numbers with a point, an exponent or beyond 64 bits, ever | `double` | both SerDes read 1.5 as 1 in a `bigint`, in silence |
//! | texts; values of more than one kind | `string` | OpenX gives the text of whatever stands there |
//! | objects | `struct` of the same | |
//! | arrays | `array` of the same | |
//! | null alone, empty objects and arrays | `string`, `array<string>` | nothing is known |

use std::collections::BTreeMap;

use serde_json::Value;

/// Objects deeper than this are texts: Glue takes a type of 131,072 characters.
const DEEPEST: usize = 8;
/// An object of more members is a map in disguise.
const MEMBERS_AT_MOST: usize = 200;

/// What a value was seen to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// Null, or not there.
    #[default]
    Unknown,
    Boolean,
    Bigint,
    Double,
    Text,
    Struct(BTreeMap<String, Shape>),
    Array(Box<Shape>),
}

impl Shape {
    pub(super) fn of(value: &Value, depth: usize) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Bool(_) => Self::Boolean,
            // A token with a point or an exponent is no integer to serde_json either.
            Value::Number(number) if number.is_i64() => Self::Bigint,
            Value::Number(_) => Self::Double,
            Value::String(_) => Self::Text,
            Value::Array(_) | Value::Object(_) if depth >= DEEPEST => Self::Text,
            Value::Array(items) => {
                let item = |shape: Self, item| shape.and(Self::of(item, depth + 1));
                Self::Array(Box::new(items.iter().fold(Self::Unknown, item)))
            }
            Value::Object(members) if members.len() > MEMBERS_AT_MOST => Self::Text,
            Value::Object(members) => {
                let mut fields: BTreeMap<String, Self> = BTreeMap::new();
                for (name, value) in members {
                    let seen = Self::of(value, depth + 1);
                    let known = fields.entry(name.to_lowercase()).or_default();
                    *known = std::mem::take(known).and(seen);
                }
                Self::Struct(fields)
            }
        }
    }

    /// What holds both.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, seen) | (seen, Self::Unknown) => seen,
            (Self::Bigint, Self::Double) | (Self::Double, Self::Bigint) => Self::Double,
            (Self::Struct(mut fields), Self::Struct(others)) => {
                for (name, shape) in others {
                    let known = fields.entry(name).or_default();
                    *known = std::mem::take(known).and(shape);
                }
                if fields.len() > MEMBERS_AT_MOST { Self::Text } else { Self::Struct(fields) }
            }
            (Self::Array(one), Self::Array(other)) => Self::Array(Box::new(one.and(*other))),
            (one, other) if one == other => one,
            _ => Self::Text,
        }
    }

    /// The type, as Hive writes it.
    pub(super) fn hive(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Bigint => "bigint".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Unknown | Self::Text => "string".to_owned(),
            Self::Array(item) => format!("array<{}>", item.hive()),
            // A struct has members, and names that Hive can read without quotes.
            Self::Struct(fields) if fields.is_empty() || !fields.keys().all(|it| is_plain(it)) => {
                "string".to_owned()
            }
            Self::Struct(fields) => {
                let field = |(name, shape): (&String, &Self)| format!("{name}:{}", shape.hive());
                format!("struct<{}>", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Whether a name of a member needs no quotes in a type.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name in the table, lower case, of letters, digits and underscores.
    pub(super) name: String,
    /// The member's name, where it is another one.
    pub(super) member: Option<String>,
    /// Its type, as Hive writes it.
    pub(super) hive: String,
}

/// The columns of these lines, in order of their names, and what a reader ought to know. A member
/// whose column is known without them is left out.
pub(super) fn columns<'l>(
    lines: impl IntoIterator<Item = &'l [u8]>,
    keys: &[String],
    known: Option<&str>,
) -> (Vec<Column>, Vec<String>) {
    let (mut members, mut warnings): (BTreeMap<String, Shape>, _) = (BTreeMap::new(), Vec::new());
    let mut spellings: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for line in lines {
        // A line with half a surrogate pair is JSON, and no text that we could look at.
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else { continue };
        for (name, value) in object.iter().filter(|(name, _)| known != Some(name)) {
            let lower = name.to_lowercase();
            let known = members.entry(lower.clone()).or_default();
            *known = std::mem::take(known).and(Shape::of(value, 0));
            *spellings.entry(lower).or_default().entry(name.clone()).or_default() += 1;
        }
    }
    for (lower, names) in spellings.iter().filter(|(_, names)| names.len() > 1) {
        let names: Vec<_> = names.keys().map(|name| format!("{name:?}")).collect();
        warnings.push(format!(
            "members that only case tells apart share the column {lower:?}: {}; where one line has \
             two of them, Athena refuses it or shows one",
            names.join(", ")
        ));
    }
    let mut taken: Vec<String> = keys.to_vec();
    let mut columns = Vec::new();
    for (member, shape) in &members {
        let name = free_name(&cleaned(member), &taken);
        if keys.contains(member) {
            warnings.push(format!(
                "the member {member:?} has the name of a partition key, so it is the column {name:?}"
            ));
        }
        taken.push(name.clone());
        let member = (name != *member).then(|| member.clone());
        columns.push(Column { name, member, hive: shape.hive() });
    }
    (columns, warnings)
}

/// Letters, digits and underscores, as Glue and Hive want names.
pub(super) fn cleaned(member: &str) -> String {
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' };
    let name: String = member.chars().map(plain).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn free_name(wanted: &str, taken: &[String]) -> String {
    let suffixed = (2..).map(|n| format!("{wanted}_{n}"));
    let first = (!taken.iter().any(|it| it == wanted)).then(|| wanted.to_owned());
    let others = std::iter::once(format!("{wanted}_field")).chain(suffixed);
    first.unwrap_or_else(|| {
        others.into_iter().find(|name| !taken.contains(name)).expect("numbers do not end")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(lines: &[&str], keys: &[&str]) -> Vec<(String, String)> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let (columns, _) = columns(lines.iter().map(|line| line.as_bytes()), &keys, None);
        columns.into_iter().map(|column| (column.name, column.hive)).collect()
    }

    fn one(lines: &[&str]) -> String {
        types(lines, &[]).remove(0).1
    }

    #[test]
    fn a_column_that_is_ever_fractional_is_double() {
        assert_eq!(one(&[r#"{"a":1}"#, r#"{"a":2}"#]), "bigint");
        for other in ["1.5", "1.0", "1e3", "9223372036854775808", "-0.1"] {
            assert_eq!(one(&[r#"{"a":1}"#, &format!(r#"{{"a":{other}}}"#)]), "double", "{other}");
        }
    }

    #[test]
    fn what_conflicts_is_text_and_null_decides_nothing() {
        assert_eq!(one(&[r#"{"a":null}"#]), "string");
        assert_eq!(one(&[r#"{"a":null}"#, r#"{"a":true}"#, "{}"]), "boolean");
        assert_eq!(one(&[r#"{"a":true}"#, r#"{"a":1}"#]), "string");
        assert_eq!(one(&[r#"{"a":{"b":1}}"#, r#"{"a":"x"}"#]), "string");
    }

    #[test]
    fn structs_and_arrays_hold_what_all_lines_hold() {
        assert_eq!(
            one(&[r#"{"a":{"x":1,"Y":[1]}}"#, r#"{"a":{"x":1.5,"y":[null,"t"]}}"#]),
            "struct<x:double,y:array<string>>"
        );
        assert_eq!(one(&[r#"{"a":[]}"#]), "array<string>");
        assert_eq!(one(&[r#"{"a":{}}"#]), "string");
        assert_eq!(one(&[r#"{"a":{"x y":1}}"#]), "string");
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(12), "]".repeat(12));
        assert!(one(&[&deep]).ends_with(&format!("string{}", ">".repeat(8))));
    }

    #[test]
    fn names_are_made_to_fit_and_told() {
        let lines = [r#"{"dt":1,"User Id":2,"user_id":3,"größe":4,"DT":5}"#];
        let keys = ["dt".to_owned()];
        let (columns, warnings) = columns(lines.iter().map(|line| line.as_bytes()), &keys, None);
        let names: Vec<_> = columns.iter().map(|it| (&*it.name, it.member.as_deref())).collect();
        assert_eq!(
            names,
            [
                ("dt_field", Some("dt")),
                ("gr__e", Some("größe")),
                ("user_id", Some("user id")),
                ("user_id_field", Some("user_id")),
            ]
        );
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}

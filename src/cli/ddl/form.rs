//! The forms in which a table is written: for Athena, for Glue's API, for CloudFormation. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::table::Table;

const SERDE: &str = "org.openx.data.jsonserde.JsonSerDe";
const INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";

/// `CREATE EXTERNAL TABLE`, as Athena takes it.
pub(super) fn athena(table: &Table, database: Option<&str>) -> String {
    let database = database.map(|name| format!("`{name}`.")).unwrap_or_default();
    let columns: Vec<_> =
        table.columns.iter().map(|it| format!("  `{}` {}", it.name, escaped(&it.hive))).collect();
    let mut text = format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {database}`{}` (\n{}\n)\nCOMMENT {}\n",
        table.name,
        columns.join(",\n"),
        quoted(&table.comment)
    );
    if !table.keys.is_empty() {
        let keys: Vec<_> = table.keys.iter().map(|key| format!("`{key}` string")).collect();
        let _ = writeln!(text, "PARTITIONED BY ({})", keys.join(", "));
    }
    let _ = writeln!(text, "ROW FORMAT SERDE '{SERDE}'");
    if !table.serde_parameters.is_empty() {
        let _ = writeln!(text, "WITH SERDEPROPERTIES ({})", properties(&table.serde_parameters));
    }
    let _ = writeln!(text, "STORED AS INPUTFORMAT '{INPUT}'\nOUTPUTFORMAT '{OUTPUT}'");
    let _ = writeln!(text, "LOCATION {}", quoted(&table.location));
    let _ = writeln!(text, "TBLPROPERTIES ({});", properties(&table.parameters));
    text
}

/// The type with its members in backticks, for `timestamp` and many others are reserved words.
/// Glue's API wants them bare.
fn escaped(hive: &str) -> String {
    let mut parts: Vec<_> = hive.split(':').map(str::to_owned).collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let name = part.rfind(['<', ',']).map_or(0, |at| at + 1);
        part.insert(name, '`');
        part.push('`');
    }
    parts.join(":")
}

fn properties(of: &BTreeMap<String, String>) -> String {
    let one =
        |(name, value): (&String, &String)| format!("\n  {} = {}", quoted(name), quoted(value));
    of.iter().map(one).collect::<Vec<_>>().join(",") + "\n"
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `TableInput` of Glue's `CreateTable`.
pub(super) fn glue(table: &Table) -> Value {
    let column = |name: &str, hive: &str| json!({ "Name": name, "Type": hive });
    let columns: Vec<_> = table.columns.iter().map(|it| column(&it.name, &it.hive)).collect();
    let keys: Vec<_> = table.keys.iter().map(|key| column(key, "string")).collect();
    let mut parameters = table.parameters.clone();
    parameters.insert("EXTERNAL".to_owned(), "TRUE".to_owned());
    json!({
        "Name": table.name,
        "Description": table.comment,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": keys,
        "StorageDescriptor": {
            "Columns": columns,
            "Location": table.location,
            "InputFormat": INPUT,
            "OutputFormat": OUTPUT,
            "SerdeInfo": { "SerializationLibrary": SERDE, "Parameters": table.serde_parameters },
        },
    })
}

/// Resources of a CloudFormation template, as JSON, which it takes as well as YAML.
pub(super) fn cloudformation(tables: &[Table], database: &str) -> Value {
    let resource = |table: &Table| {
        let words = table.name.split('_').map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            })
        });
        let properties = json!({
            "CatalogId": { "Ref": "AWS::AccountId" },
            "DatabaseName": database,
            "TableInput": glue(table),
        });
        let resource = json!({ "Type": "AWS::Glue::Table", "Properties": properties });
        (format!("Table{}", words.collect::<String>()), resource)
    };
    let resources: serde_json::Map<_, _> = tables.iter().map(resource).collect();
    json!({ "Resources": resources })
}

#[cfg(test)]
mod tests {
    use super::super::columns::Column;
    use super::*;

    fn table() -> Table {
        let column = |name: &str, member: Option<&str>, hive: &str| Column {
            name: name.to_owned(),
            member: member.map(str::to_owned),
            hive: hive.to_owned(),
        };
        let pairs = |of: &[(&str, &str)]| {
            of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Table {
            name: "clicks_eu".into(),
            comment: "records of the Kafka topic clicks.eu".into(),
            columns: vec![column("a", None, "bigint"), column("dt_field", Some("dt"), "string")],
            keys: vec!["dt".into()],
            location: "s3://lake/raw/clicks.eu/".into(),
            serde_parameters: pairs(&[("mapping.dt_field", "dt")]),
            parameters: pairs(&[("classification", "json"), ("projection.enabled", "true")]),
        }
    }

    #[test]
    fn athena_reads_it() {
        let wanted = "\
CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`clicks_eu` (
  `a` bigint,
  `dt_field` string
)
COMMENT 'records of the Kafka topic clicks.eu'
PARTITIONED BY (`dt` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
  'mapping.dt_field' = 'dt'
)
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://lake/raw/clicks.eu/'
TBLPROPERTIES (
  'classification' = 'json',
  'projection.enabled' = 'true'
);
";
        assert_eq!(athena(&table(), Some("lake")), wanted);
    }

    #[test]
    fn members_are_escaped_for_athena_alone() {
        let hive = "struct<timestamp:bigint,of:array<struct<end:string>>>";
        let wanted = "struct<`timestamp`:bigint,`of`:array<struct<`end`:string>>>";
        assert_eq!(escaped(hive), wanted);
        assert_eq!(escaped("array<string>"), "array<string>");
    }

    #[test]
    fn glue_and_cloudformation_say_the_same() {
        let template = cloudformation(&[table()], "lake");
        let resource = &template["Resources"]["TableClicksEu"];
        assert_eq!(resource["Properties"]["TableInput"], glue(&table()));
        assert_eq!(glue(&table())["PartitionKeys"][0]["Type"], "string");
    }
}

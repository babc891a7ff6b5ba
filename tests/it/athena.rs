//! What the sink wrote is read through exactly what `ddl` prints: a stand-in for AWS takes the text
//! as Athena and Glue do, and a real Trino, of which Athena's engine comes, reads the table.

mod forms;
mod lake;
mod queries;
mod reading;
mod relay;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::minio::Minio;
use crate::support::trino::Trino;
use relay::Relay;

const RESULTS: &str = "athena-results";

/// Athena's two halves: who takes statements about tables, and who reads them.
struct Athena {
    cloud: Mutex<Cloud>,
    trino: Trino,
    /// Between Trino and the store.
    relay: Relay,
}

impl Athena {
    fn start(minio: &Minio) -> Self {
        let mut cloud = Cloud::ministack();
        cloud.call("s3", "create_bucket", json!({"Bucket": RESULTS}));
        let relay = Relay::start(minio.port());
        let trino = Trino::start(&relay.endpoint(), &cloud.endpoint);
        Self { cloud: Mutex::new(cloud), trino, relay }
    }

    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn call(&self, service: &str, method: &str, params: Value) -> Value {
        self.cloud().call(service, method, params)
    }

    fn deploy(&self, stack: &str, template: &str, parameters: &[(&str, &str)]) {
        self.cloud().deploy(stack, template, parameters).expect("a stack");
    }

    fn create_database(&self, name: &str) {
        self.call("glue", "create_database", json!({"DatabaseInput": {"Name": name}}));
    }

    /// Runs each of the statements, as a person pastes them, one at a time.
    fn run(&self, text: &str) {
        for statement in text.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
            self.run_one(statement);
        }
    }

    fn run_one(&self, statement: &str) {
        let results = json!({"OutputLocation": format!("s3://{RESULTS}/")});
        let params = json!({"QueryString": statement, "ResultConfiguration": results});
        let started = self.call("athena", "start_query_execution", params);
        let id = json!({"QueryExecutionId": started["QueryExecutionId"]});
        loop {
            let found = self.call("athena", "get_query_execution", id.clone());
            let status = &found["QueryExecution"]["Status"];
            match status["State"].as_str().expect("a state") {
                "SUCCEEDED" => break,
                "QUEUED" | "RUNNING" => std::thread::sleep(Duration::from_millis(20)),
                _ => panic!("{status:#}\n{statement}"),
            }
        }
        let name = regex::Regex::new("TABLE IF NOT EXISTS `(.+)`.`(.+)`").expect("regex");
        let name = name.captures(statement).expect("a table with its database");
        self.read_quotes(&name[1], &name[2]);
    }

    /// The stand-in keeps the quotes of a struct's members, which Athena takes as what they are.
    fn read_quotes(&self, database: &str, name: &str) {
        let mut table = self.table(database, name);
        let columns = table["StorageDescriptor"]["Columns"].as_array_mut().expect("columns");
        for column in columns {
            let kind = column["Type"].as_str().expect("a type").replace('`', "");
            column["Type"] = kind.into();
        }
        let update = json!({"DatabaseName": database, "TableInput": table});
        self.call("glue", "update_table", update);
    }

    /// A table, as what it was made of.
    fn table(&self, database: &str, name: &str) -> Value {
        let params = json!({"DatabaseName": database, "Name": name});
        let mut found = self.call("glue", "get_table", params)["Table"].take();
        let parts = ["Name", "Parameters", "PartitionKeys", "StorageDescriptor", "TableType"];
        parts.map(|part| (part.to_owned(), found[part].take())).into_iter().collect()
    }
}

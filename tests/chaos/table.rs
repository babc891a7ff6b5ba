//! How often each kind of fault occurred, and what was counted, by scenario.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::Fault;
use crate::oracle::Count;
use crate::scenario::Scenario;
use crate::story::Told;

/// See the module.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<&'static str>,
    expected: BTreeSet<Fault>,
    faults: BTreeMap<Fault, BTreeMap<&'static str, u64>>,
    counts: BTreeMap<&'static str, (u64, Count)>,
    deeds: BTreeMap<String, u64>,
}

impl Table {
    /// Takes in how one scenario went.
    pub(crate) fn add(&mut self, scenario: &Scenario, told: &Told) {
        let name = scenario.name;
        if !self.columns.contains(&name) {
            self.columns.push(name);
        }
        self.expected.extend(scenario.faults());
        for (fault, count) in &told.faults {
            *self.faults.entry(*fault).or_default().entry(name).or_default() += count;
        }
        for (how, count) in &told.deeds {
            *self.deeds.entry(how.clone()).or_default() += count;
        }
        let (runs, count) = self.counts.entry(name).or_default();
        *runs += 1;
        count.records += told.count.records;
        count.objects += told.count.objects;
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        let heads = self.columns.iter().map(|name| format!("{name:>10}")).collect::<String>();
        println!("\n{:<48}{:>10}{heads}", "", "all");
        let line = |what: &str, of: &dyn Fn(&str) -> u64| {
            let cells: Vec<u64> = self.columns.iter().map(|name| of(name)).collect();
            let text = cells.iter().map(|cell| format!("{cell:>10}")).collect::<String>();
            println!("{what:<48}{:>10}{text}", cells.iter().sum::<u64>());
        };
        let none = BTreeMap::new();
        for fault in &self.expected {
            let of = self.faults.get(fault).unwrap_or(&none);
            line(fault.name(), &|name| of.get(name).copied().unwrap_or(0));
        }
        let of = |name: &str| self.counts.get(name).copied().unwrap_or_default();
        line("runs", &|name| of(name).0);
        line("objects", &|name| of(name).1.objects);
        line("records counted", &|name| of(name).1.records);
        for (how, count) in &self.deeds {
            println!("{count:>10}  {how}");
        }
        println!();
    }

    /// Kinds that occurred less often than they should have.
    pub(crate) fn shortfall(&self, least: u64) -> Vec<String> {
        let count = |fault: &Fault| self.faults.get(fault).map_or(0, |of| of.values().sum());
        let short = self.expected.iter().map(|fault| (fault, count(fault)));
        let short = short.filter(|(_, count): &(_, u64)| *count < least);
        short.map(|(fault, count)| format!("{}: {count} of {least}", fault.name())).collect()
    }
}

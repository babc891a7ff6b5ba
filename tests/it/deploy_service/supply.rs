//! Licences, sources and bans: what is linked may be, by deny.toml, and cargo-deny would say if not.

use std::process::Command;

use super::{repository, said};
use crate::needs_servers;
use crate::support::workdir::WorkDir;

fn judge(args: &[&str]) -> (i32, String) {
    said(Command::new(repository().join("deploy/packages/supply-chain.sh")).args(args))
}

#[test]
fn what_is_linked_may_be() {
    needs_servers!();
    let (code, text) = judge(&[]);
    assert!(code == 0 && text.contains("bans ok, licenses ok, sources ok"), "{code}: {text}");
}

#[test]
fn what_may_not_be_is_seen() {
    needs_servers!();
    let dir = WorkDir::new("deny");
    let rules = std::fs::read_to_string(repository().join("deny.toml")).expect("the rules");
    for (right, wrong, found) in [
        ("  \"BSD-3-Clause\",\n", "", "licenses FAILED"),
        ("crate = \"native-tls\"", "crate = \"openssl-sys\"", "bans FAILED"),
        ("index\"]", "other\"]", "sources FAILED"),
    ] {
        let file = dir.path().join("deny.toml");
        let changed = rules.replacen(right, wrong, 1);
        assert_ne!(changed, rules, "{right}");
        std::fs::write(&file, changed).expect("a file");
        let (code, text) = judge(&["--config", file.to_str().expect("a path")]);
        assert!(code != 0 && text.contains(found), "{found}: {code}: {text}");
    }
}

//! The little HTTP that looking at servers takes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The value of the field `address` in the log, be it of lines for people or of JSON.
pub(crate) fn logged_address(log: &str) -> Option<String> {
    let pattern = regex::Regex::new(r#"address"?[=:]\s*"?([0-9.]+:[0-9]+)"#).expect("a pattern");
    pattern.captures(log).map(|found| found[1].to_owned())
}

/// One GET on a connection of its own.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    request(address, &format!("GET {path}"), &[], "")
}

/// One request on a connection of its own: `METHOD PATH`, headers, body.
pub(crate) fn request(
    address: &str,
    what: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut request = format!("{what} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The samples of Prometheus's text format.
pub(crate) fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = samples.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    parsed.collect()
}

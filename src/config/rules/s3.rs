//! Texts of `[s3]`.

use hyper::Uri;

use super::plain;

/// What some store accepts: AWS's own rules are stricter, and `warnings` speaks of them.
const MAX_BUCKET: usize = 255;

/// A bucket's name.
pub(in crate::config) fn bucket(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let problem = if text.is_empty() {
        "empty".to_owned()
    } else if let Some(rest) = text.strip_prefix("s3://") {
        let name = rest.split('/').next().unwrap_or_default();
        format!("{text:?} is a URL; write {name:?}, and the rest as layout.prefix")
    } else if text.starts_with("arn:") {
        format!("{text:?} is an ARN; write the name, or an access point's alias")
    } else if let Some((name, rest)) = text.split_once('/') {
        format!("{text:?} has a slash in it; write {name:?}, and {rest:?} as layout.prefix")
    } else if !(3..=MAX_BUCKET).contains(&text.len()) {
        format!("{text:?} has {} characters; a bucket's name has 3 to 63", text.len())
    } else if !text.chars().all(allowed) {
        format!("{text:?} is not a bucket's name; allowed: letters, digits, . - _")
    } else {
        return Ok(());
    };
    Err(problem)
}

/// Whether AWS itself would take the bucket's name.
pub(in crate::config) fn is_aws_bucket(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&text.len())
        && text.chars().all(inner)
        && text.starts_with(edge)
        && text.ends_with(edge)
        && !text.contains("..")
}

/// A region's name.
pub(in crate::config) fn region(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.chars().all(allowed) {
        return Ok(());
    }
    Err(format!("{text:?} is not a region's name, such as \"eu-central-1\""))
}

/// `http(s)://host[:port][/path]`.
pub(in crate::config) fn endpoint(text: &str) -> Result<(), String> {
    const FORM: &str = "write it like \"https://s3.example.com\" or \"http://127.0.0.1:9000\"";
    if text.contains('@') {
        // Not quoted: what stands before the @ may be a password.
        return Err("has an @ in it; credentials are not written here, they come from the AWS \
                    SDK's default chain"
            .to_owned());
    }
    let uri: Uri = text.parse().map_err(|_| format!("{text:?} is not a URL; {FORM}"))?;
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let has_port = authority.len() > host.len();
    let problem = match uri.scheme_str() {
        None => "does not begin with http:// or https://",
        Some("http" | "https") if host.is_empty() => "has no host",
        // The parser takes any digits for a port.
        Some("http" | "https") if has_port && !matches!(uri.port_u16(), Some(1..)) => {
            "has a port that is not a number from 1 to 65535"
        }
        Some("http" | "https") if uri.query().is_some() => "has a query",
        Some("http" | "https") => return Ok(()),
        Some(_) => "is neither http nor https",
    };
    Err(format!("{text:?} {problem}; {FORM}"))
}

/// Whether an endpoint sends bytes in the clear beyond this machine.
pub(in crate::config) fn is_open_road(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && !local
}

/// A storage class; stores have their own, so any word passes.
pub(in crate::config) fn storage_class(text: &str) -> Result<(), String> {
    plain(text)
}

/// A KMS key.
pub(in crate::config) fn kms_key_id(text: &str) -> Result<(), String> {
    plain(text)
}

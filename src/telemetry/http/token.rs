//! The bearer token.

use std::hint::black_box;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::telemetry::TelemetryError;

/// The token that a request must bring, kept as a hash only.
#[derive(Clone)]
pub(super) struct Token {
    hash: [u8; 32],
}

impl Token {
    /// Reads it from a file.
    pub(super) fn read(path: &Path) -> Result<Self, TelemetryError> {
        Ok(Self { hash: hash(first_line(path)?.as_bytes()) })
    }

    /// Whether the value of an `Authorization` header brings it.
    pub(super) fn allows(&self, authorization: &[u8]) -> bool {
        // The scheme's case does not count (RFC 9110).
        let Some((scheme, token)) = authorization.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && equal(&self.hash, &hash(token.trim_ascii()))
    }
}

/// The first line of a file, which is the token; spaces around it do not count.
pub(super) fn first_line(path: &Path) -> Result<String, TelemetryError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TelemetryError::TokenFile { path: path.into(), source })?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(TelemetryError::EmptyToken { path: path.into() }),
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Takes the same time wherever the two differ; hashes have one length, so that tells nothing.
fn equal(ours: &[u8; 32], theirs: &[u8; 32]) -> bool {
    let differences = ours.iter().zip(theirs).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, TelemetryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Token::read(file.path())
    }

    #[test]
    fn the_first_line_is_the_token() {
        let token = token(" s3cret \nand a remark\n").unwrap();
        assert!(token.allows(b"Bearer s3cret"));
        assert!(token.allows(b"bearer  s3cret"));
        assert!(!token.allows(b"Bearer s3cre"));
        assert!(!token.allows(b"Bearer s3crets"));
        assert!(!token.allows(b"Bearer S3CRET"));
        assert!(!token.allows(b"Basic s3cret"));
        assert!(!token.allows(b"s3cret"));
        assert!(!token.allows(b"Bearer "));
        assert!(!token.allows(b""));
    }

    #[test]
    fn hashes_that_differ_in_one_bit_anywhere_are_not_equal() {
        let ours = hash(b"s3cret");
        assert!(equal(&ours, &ours.clone()));
        for byte in 0..32 {
            for bit in 0..8 {
                let mut theirs = ours;
                theirs[byte] ^= 1 << bit;
                assert!(!equal(&ours, &theirs));
            }
        }
    }

    #[test]
    fn a_file_without_a_token_is_an_error_that_names_setting_and_file() {
        for text in ["", "\ns3cret\n", "   \n"] {
            let error = token(text).err().unwrap().to_string();
            assert!(error.starts_with("http.token_file: the first line of /"), "{error}");
        }
        let error = Token::read(Path::new("no/such/file")).err().unwrap().to_string();
        assert!(error.starts_with("http.token_file: cannot read no/such/file: No such"), "{error}");
    }
}

//! The `s3` room against a real MinIO, and against servers that misbehave on purpose.

mod answers;
mod credentials;
mod errors;
mod fixtures;
mod hang;
mod list;
mod multipart;
mod probe;
mod proxy;
mod put;
mod rights;
mod spooled;
mod tls;

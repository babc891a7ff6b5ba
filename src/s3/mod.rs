//! The store: objects go up under names that must be free, and are looked at by HEAD.
//!
//! Fed by `daemon`, which executes what the pipeline decided, and by `cli`, which lists and reads
//! what is there; it feeds nobody but its caller.
//! The only room (beside `demo`) that imports the AWS SDK. It decides nothing and retries nothing
//! but the pieces of one multipart upload: every failure goes back with a class, and the pipeline
//! does the rest.

#![allow(clippy::disallowed_methods, reason = "an edge: it compares the store's clock with ours")]

mod body;
mod classes;
mod client;
mod connect;
mod errors;
mod get;
mod head;
mod list;
mod multipart;
mod parts;
mod pieces;
mod probe;
mod put;
mod tls;

pub use client::Store;
pub use errors::S3Error;
pub use get::ObjectBytes;
pub use list::{ListedObject, ListedPage, OpenedUpload};
pub use probe::ConditionalPut;

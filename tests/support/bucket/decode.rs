//! From stored bytes to text, as strictly as the pickiest reader would.

use std::io::{BufRead, Read};

/// Trino refuses larger windows.
const LARGEST_ZSTD_WINDOW: u64 = 8 << 20;

/// The text of an object, its compression told from the key's extension as Athena does.
pub(super) fn text(key: &str, stored: &[u8]) -> Result<Vec<u8>, String> {
    if stored.is_empty() {
        return Err("is empty".to_owned());
    }
    match key.rsplit_once('.').map(|(_, extension)| extension) {
        Some("gz") => gunzip(stored),
        Some("zst") => unzstd(stored),
        Some("json") => Ok(stored.to_vec()),
        _ => Err("has no extension that a reader knows".to_owned()),
    }
}

fn gunzip(stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(stored.len() * 5);
    let mut decoder = flate2::bufread::GzDecoder::new(stored);
    decoder.read_to_end(&mut text).map_err(|error| format!("gzip: {error}"))?;
    match decoder.into_inner() {
        [] => Ok(text),
        rest => Err(format!("{} bytes follow its first gzip member", rest.len())),
    }
}

fn unzstd(stored: &[u8]) -> Result<Vec<u8>, String> {
    let window = zstd_window(stored).ok_or("is no zstd frame")?;
    if window > LARGEST_ZSTD_WINDOW {
        return Err(format!("has a zstd window of {window} bytes"));
    }
    let mut text = Vec::with_capacity(stored.len() * 5);
    let decoder = zstd::stream::read::Decoder::with_buffer(stored);
    let mut decoder = decoder.map_err(|error| format!("zstd: {error}"))?.single_frame();
    decoder.read_to_end(&mut text).map_err(|error| format!("zstd: {error}"))?;
    match decoder.finish().fill_buf() {
        Ok([]) => Ok(text),
        _ => Err("more follows its first zstd frame".to_owned()),
    }
}

/// The window that a frame's header asks for (RFC 8878, 3.1.1.1).
fn zstd_window(stored: &[u8]) -> Option<u64> {
    let header = stored.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let descriptor = *header.first()?;
    if descriptor & 0x20 == 0 {
        let window = *header.get(1)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the window is the content, whose size stands after the dictionary's id.
    let at = 1 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = 1 << (descriptor >> 6);
    let bytes = header.get(at..at + size_bytes)?;
    let size = bytes.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    Some(if size_bytes == 2 { size + 256 } else { size })
}

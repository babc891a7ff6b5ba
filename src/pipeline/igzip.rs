//! gzip by Intel's ISA-L: several times as fast as zlib at its default level, for objects a sixth
//! larger (of the sample events; `cargo bench --bench lane` tells).
//!
//! `encode` uses it for the fast levels where it was built in (the feature `isal`). It picks its code
//! by the processor that it runs on, and knows others than Intel's.

use std::ptr;

use isal_sys::igzip_lib as c;

use super::segments::Segments;

/// The largest of its levels.
pub(super) const LEVELS: u32 = 3;
/// What a stream and its tables take: see [`level_buffer`].
pub(super) const STATE_BYTES: u64 =
    (size_of::<c::isal_zstream>() + level_buffer(LEVELS) + GATHERED) as u64;

/// Lines are gathered up to this much: each call begins by copying the window (32 KiB) into the
/// stream's own buffer. With pieces of 16 KiB it compresses at four fifths of the speed of this, and
/// four times as much gains 2%.
const GATHERED: usize = 128 << 10;
/// What small objects never fill is not taken for them.
const GATHERED_AT_FIRST: usize = 16 << 10;

/// Compresses into one gzip member.
pub(super) struct Igzip {
    /// On the heap, for it is large and points into itself.
    stream: Box<c::isal_zstream>,
    /// What the stream points to.
    _level_buffer: Vec<u8>,
    gathered: Vec<u8>,
    sink: Segments,
}

// SAFETY: the stream's pointers lead to its own buffers, and to input and output only within a call.
unsafe impl Send for Igzip {}

impl Igzip {
    /// At a level from 1 to [`LEVELS`].
    pub(super) fn new(level: u32, sink: Segments) -> Self {
        let mut level_buffer = vec![0; level_buffer(level)];
        let mut stream = Box::<c::isal_zstream>::new_uninit();
        // SAFETY: it fills the box, and zero is a value of each of its fields: numbers, pointers,
        // arrays of numbers.
        let mut stream = unsafe {
            stream.as_mut_ptr().write_bytes(0, 1);
            stream.assume_init()
        };
        // SAFETY: it writes into the stream alone.
        unsafe { c::isal_deflate_init(&raw mut *stream) };
        stream.level = level;
        stream.level_buf = level_buffer.as_mut_ptr();
        stream.level_buf_size = level_buffer.len() as u32;
        stream.gzip_flag = c::IGZIP_GZIP as u16;
        let gathered = Vec::with_capacity(GATHERED_AT_FIRST);
        Self { stream, _level_buffer: level_buffer, gathered, sink }
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let gathered = self.gathered.len() + bytes.len();
        if gathered <= GATHERED {
            if gathered > self.gathered.capacity() {
                self.gathered.reserve_exact(GATHERED - self.gathered.len());
            }
            self.gathered.extend_from_slice(bytes);
            return;
        }
        self.compress_gathered();
        if bytes.len() < GATHERED {
            self.gathered.extend_from_slice(bytes);
        } else {
            self.compress(bytes);
        }
    }

    fn compress_gathered(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.compress(&gathered);
        gathered.clear();
        self.gathered = gathered;
    }

    fn compress(&mut self, bytes: &[u8]) {
        // Its counters have 32 bits.
        for bytes in bytes.chunks(1 << 30) {
            self.stream.next_in = bytes.as_ptr().cast_mut();
            self.stream.avail_in = bytes.len() as u32;
            while self.stream.avail_in > 0 {
                self.step();
            }
        }
        self.stream.next_in = ptr::null_mut();
    }

    /// Ends the member.
    pub(super) fn finish(mut self) -> Segments {
        self.compress_gathered();
        self.stream.end_of_stream = 1;
        while self.stream.internal_state.state != c::isal_zstate_state_ZSTATE_END {
            self.step();
        }
        self.sink
    }

    /// What it gave out so far.
    pub(super) const fn sink(&self) -> &Segments {
        &self.sink
    }

    /// Compresses until the input is used up or the open segment is full.
    fn step(&mut self) {
        let room = self.sink.room();
        let capacity = room.len();
        self.stream.next_out = room.as_mut_ptr().cast();
        self.stream.avail_out = capacity as u32;
        // SAFETY: input and output are as long as is said, and the level's buffer as it must be; the
        // input is only read.
        let code = unsafe { c::isal_deflate(&raw mut *self.stream) };
        assert_eq!(code, c::COMP_OK as i32, "ISA-L refuses parameters that never change");
        let written = capacity - self.stream.avail_out as usize;
        self.stream.next_out = ptr::null_mut();
        // SAFETY: that many bytes of the room were written.
        unsafe { self.sink.filled(written) };
    }
}

/// Twice as much makes objects 0.05% smaller.
const fn level_buffer(level: u32) -> usize {
    (match level {
        1 => c::ISAL_DEF_LVL1_MEDIUM,
        2 => c::ISAL_DEF_LVL2_MEDIUM,
        _ => c::ISAL_DEF_LVL3_MEDIUM,
    }) as usize
}

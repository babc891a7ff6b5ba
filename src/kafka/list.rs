//! Lists of Kafka partitions, as librdkafka takes and gives them.

use std::ffi::{CString, c_int};
use std::ptr::{self, NonNull};

use rdkafka::bindings as c;

use super::native::string;
use crate::record::TopicPartition;

/// One entry of a list, copied out of C.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) metadata: Vec<u8>,
    /// The raw code: a newer broker may send one that the bindings have no name for.
    pub(super) error: i32,
}

/// A list of Kafka partitions.
pub(super) struct PartitionList(NonNull<c::rd_kafka_topic_partition_list_t>);

impl PartitionList {
    pub(super) fn new(capacity: usize) -> Self {
        // SAFETY: no precondition; the call aborts rather than return null.
        let list = unsafe { c::rd_kafka_topic_partition_list_new(capacity as c_int) };
        Self(NonNull::new(list).unwrap_or_else(|| unreachable!("list_new returned null")))
    }

    /// A list of these, all at one offset.
    pub(super) fn at<'a>(
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        offset: i64,
    ) -> Self {
        let mut list = Self::new(16);
        for partition in partitions {
            list.push(partition, offset, &[]);
        }
        list
    }

    /// Adds one entry. A topic's name never holds a NUL, so such a one is left out.
    pub(super) fn push(&mut self, partition: &TopicPartition, offset: i64, metadata: &[u8]) {
        let Ok(topic) = CString::new(&*partition.topic) else { return };
        // SAFETY: the list is alive, the name is copied; the element is written to before any
        // other call could move it; the metadata is malloc'd because the list frees it.
        unsafe {
            let element = c::rd_kafka_topic_partition_list_add(
                self.ptr(),
                topic.as_ptr(),
                partition.partition,
            );
            (*element).offset = offset;
            if !metadata.is_empty() {
                let copy = libc::malloc(metadata.len());
                assert!(!copy.is_null(), "out of memory");
                ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
                (*element).metadata = copy;
                (*element).metadata_size = metadata.len();
            }
        }
    }

    pub(super) fn ptr(&self) -> *mut c::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is alive; the entries are copies.
        unsafe { entries(self.ptr()) }
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { c::rd_kafka_topic_partition_list_destroy(self.ptr()) };
    }
}

/// Copies a C list.
///
/// # Safety
/// The list is null or alive.
pub(super) unsafe fn entries(list: *const c::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: `elems` holds `cnt` valid elements (it may be null when there are none).
    unsafe { (0..(*list).cnt as usize).map(|i| entry((*list).elems.add(i))).collect() }
}

/// Copies one element of a C list.
///
/// # Safety
/// The element is alive.
pub(super) unsafe fn entry(element: *const c::rd_kafka_topic_partition_t) -> Entry {
    // SAFETY: as promised by the caller; `err` is read as a plain number because a broker may
    // send a code for which the Rust enum has no variant.
    unsafe {
        let metadata = if (*element).metadata.is_null() {
            Vec::new()
        } else {
            std::slice::from_raw_parts((*element).metadata.cast(), (*element).metadata_size)
                .to_vec()
        };
        Entry {
            partition: TopicPartition::new(string((*element).topic), (*element).partition),
            offset: (*element).offset,
            metadata,
            error: ptr::addr_of!((*element).err).cast::<i32>().read(),
        }
    }
}

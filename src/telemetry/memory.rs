//! The resident size of this process, for the memory gauge and for the daemon's budget.

use std::sync::OnceLock;

/// The bytes of this process that lie in memory now, librdkafka's included; `None` where the
/// system has no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(resident_pages(&statm)? * page_size())
}

/// The second field of `statm`.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn page_size() -> u64 {
    static PAGE_SIZE: OnceLock<u64> = OnceLock::new();
    *PAGE_SIZE.get_or_init(|| {
        // SAFETY: sysconf reads a constant of the system and touches no memory of ours.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(size).unwrap_or(4096)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_field_counts_the_resident_pages() {
        assert_eq!(resident_pages("14318 3071 1534 5 0 1021 0\n"), Some(3071));
        assert_eq!(resident_pages("14318"), None);
        assert_eq!(resident_pages("14318 many"), None);
    }

    fn seen_by_the_kernel() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The margins are wide, for other tests allocate at the same time.
    #[test]
    fn the_resident_size_agrees_with_the_kernel_and_grows_with_what_is_touched() {
        const TOUCHED: u64 = 256 << 20;
        let before = resident_bytes().unwrap();
        assert!(before.abs_diff(seen_by_the_kernel()) < TOUCHED / 2, "{before}");
        let block = std::hint::black_box(vec![1_u8; TOUCHED as usize]);
        let after = resident_bytes().unwrap();
        assert!(after > before + TOUCHED / 2, "{before} then {after}");
        drop(block);
    }
}

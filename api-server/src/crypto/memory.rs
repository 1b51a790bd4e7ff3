//! How much memory the machine, or the container, lets this process have.

use std::{fs, path::Path};

/// Where the two generations of control groups say their limit, as seen from
/// inside a container.
const LIMIT_FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Kept for everything that is not hashing.
const RESERVED: u64 = 64 * 1024 * 1024;

/// The memory limit in bytes, if there is one.
#[must_use]
pub fn limit() -> Option<u64> {
    LIMIT_FILES
        .iter()
        .filter_map(|file| read_limit(Path::new(file)))
        .min()
}

fn read_limit(file: &Path) -> Option<u64> {
    parse_limit(&fs::read_to_string(file).ok()?)
}

/// `max` means none; so does the older generation's number near `i64::MAX`.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes| bytes < 1 << 60)
}

/// How many hashes may be computed at once: `max(1, min(cores, (limit −
/// 64 MiB) / memory per hash))`.
#[must_use]
pub fn hash_threads(cores: usize, limit: Option<u64>, bytes_per_hash: u64) -> usize {
    let by_memory = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit.saturating_sub(RESERVED) / bytes_per_hash).unwrap_or(usize::MAX)
    });
    cores.min(by_memory).max(1)
}

/// How much memory hashes may take together, in KiB: all that there is but
/// what is kept for the rest.
#[must_use]
pub fn hash_memory_kib(limit: Option<u64>) -> u64 {
    limit.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED) / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn both_generations_are_read() {
        assert_eq!(parse_limit("268435456\n"), Some(268_435_456));
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit(""), None);
    }

    #[test]
    fn memory_and_cores_both_bound_the_threads() {
        assert_eq!(hash_threads(2, None, 19 * MIB), 2);
        assert_eq!(hash_threads(64, Some(256 * MIB), 19 * MIB), 10);
        assert_eq!(hash_threads(4, Some(64 * MIB), 19 * MIB), 1);
        assert_eq!(hash_threads(4, Some(MIB), 19 * MIB), 1);
        assert_eq!(hash_threads(0, None, 19 * MIB), 1);
        assert_eq!(hash_memory_kib(Some(256 * MIB)), 192 * 1024);
        assert_eq!(hash_memory_kib(Some(MIB)), 0);
    }
}

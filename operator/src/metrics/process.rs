//! What the kernel says of this process; nothing where it has no `/proc`.

/// CPU time in seconds, of all threads, those that ended included.
pub(super) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the name in parentheses, may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // proc_pid_stat(5): utime and stime are the 14th and 15th field, in ticks
    // of which Linux shows programs 100 a second (USER_HZ).
    let user: u32 = fields.nth(11)?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

/// Resident memory in bytes, from `/proc/self/status`, which unlike `statm`
/// does not count in pages of unknown size.
pub(super) fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_costs_time_and_memory() {
        let before = cpu_seconds().unwrap();
        let begin = Instant::now();
        while cpu_seconds().unwrap() < before + 0.05 {
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        assert!(resident_memory().unwrap() > 100_000);
    }
}

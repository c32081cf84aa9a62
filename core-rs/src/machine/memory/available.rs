//! How much memory this process may still use: the least of what the machine has free and what the groups that the process
//! is in (containers) leave.

/// Bytes that may be touched before something is ended for want of memory; nothing where the system does not say. Caches
/// of files count as free, because they give way.
pub fn available() -> Option<usize> {
    imp::available()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs::read_to_string;
    use std::path::Path;

    pub fn available() -> Option<usize> {
        let machine = read_to_string("/proc/meminfo").ok().and_then(|text| free_of_machine(&text));
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        groups.lines().filter_map(free_of_group).chain(machine).min()
    }

    /// The number behind a word that a line begins with.
    fn field(text: &str, name: &str) -> Option<usize> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    }

    /// Of `/proc/meminfo`, which counts in KiB.
    pub fn free_of_machine(meminfo: &str) -> Option<usize> {
        let swap = field(meminfo, "SwapFree").unwrap_or(0);
        Some(field(meminfo, "MemAvailable")?.saturating_add(swap).saturating_mul(1024))
    }

    /// Of the group in a line of `/proc/self/cgroup`, and of those around it: their limits hold too.
    fn free_of_group(line: &str) -> Option<usize> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let [root, limit, usage, cache] = match controllers {
            "" => ["/sys/fs/cgroup", "memory.max", "memory.current", ""],
            "memory" => ["/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"],
            _ => return None,
        };
        let path = Path::new(path.trim_start_matches('/'));
        // In a container the path may be one outside of it; the group's own files are at the root then.
        path.ancestors().filter_map(|path| free_of_folder(&Path::new(root).join(path), limit, usage, cache)).min()
    }

    pub fn free_of_folder(folder: &Path, limit: &str, usage: &str, cache: &str) -> Option<usize> {
        let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<usize>().ok();
        let (limit, usage) = (number(limit)?, number(usage)?); // a limit of "max" is none
        let statistics = read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cached = |name: &str| field(&statistics, &format!("{cache}{name}")).unwrap_or(0);
        let cached = cached("inactive_file").saturating_add(cached("active_file"));
        Some(limit.saturating_sub(usage.saturating_sub(cached)))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub fn available() -> Option<usize> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::imp::{free_of_folder, free_of_machine};

    #[test]
    fn available_is_some_of_what_the_machine_has() {
        let free = super::available().unwrap();
        assert!(free > 1 << 20 && free < 1 << 50, "{free}");
    }

    #[test]
    fn caches_and_swap_count_as_free_and_no_limit_is_none() {
        let text = "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   40 kB\nSwapFree: 2 kB\n";
        assert_eq!(free_of_machine(text), Some(42 * 1024));
        assert_eq!(free_of_machine("MemTotal: 100 kB"), None);
        let folder = std::env::temp_dir().join(format!("cloze-cgroup-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let free = || free_of_folder(&folder, "memory.max", "memory.current", "");
        assert_eq!(free(), None);
        write("memory.current", "900\n");
        write("memory.max", "1000\n");
        write("memory.stat", "anon 700\ninactive_file 120\nactive_file 80\n");
        assert_eq!(free(), Some(300));
        write("memory.max", "500\n");
        assert_eq!(free(), Some(0));
        write("memory.max", "max\n");
        assert_eq!(free(), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

use super::*;

fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("a file");
    }
    root
}

const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        1024000 kB\nMemFree: 1 kB\n");

#[test]
fn the_machine_alone() {
    assert_eq!(memory(root(&[MEMINFO]).path()), Some(1_024_000 * 1024));
    assert_eq!(memory(root(&[]).path()), None);
    assert_eq!(memory(root(&[("proc/meminfo", "MemTotal: many kB\n")]).path()), None);
}

#[test]
fn version_2_takes_the_smallest_limit_on_the_way_up() {
    let files = [
        MEMINFO,
        ("proc/self/cgroup", "0::/system.slice/sink.service\n"),
        ("sys/fs/cgroup/system.slice/sink.service/memory.max", "max\n"),
        ("sys/fs/cgroup/system.slice/memory.max", "300000000\n"),
    ];
    assert_eq!(memory(root(&files).path()), Some(300_000_000));
}

#[test]
fn version_2_in_a_container_of_its_own() {
    let files =
        [MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "268435456\n")];
    assert_eq!(memory(root(&files).path()), Some(268_435_456));
}

#[test]
fn version_1_in_a_container_that_sees_the_hosts_path() {
    let files = [
        MEMINFO,
        ("proc/self/cgroup", "12:cpu,cpuacct:/docker/abc\n7:memory:/docker/abc\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n"),
    ];
    assert_eq!(memory(root(&files).path()), Some(134_217_728));
}

#[test]
fn version_1_without_a_limit_leaves_the_machine() {
    let files = [
        MEMINFO,
        ("proc/self/cgroup", "7:memory:/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ];
    assert_eq!(memory(root(&files).path()), Some(1_024_000 * 1024));
}

#[test]
fn this_machine_tells_what_it_has() {
    let machine = Machine::read();
    assert!(machine.cores >= 1);
    assert_eq!(machine.memory.is_some(), cfg!(target_os = "linux"));
    assert!(machine.memory.is_none_or(|bytes| bytes > 1 << 20));
}

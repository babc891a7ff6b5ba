//! The script itself, in a machine that is booted for it.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::release::mirror;
use super::shipped;
use crate::support::kafka::{Broker, Bulk, Version};
use crate::support::machine::Machine;
use crate::support::workdir::{WorkDir, free_port};

const DATA: &str = "/var/lib/kafka";
const RELEASE: [&str; 4] = ["--mirror", "file:///srv/mirror", "--keys", "/srv/mirror/KEYS"];

fn machine() -> Option<Machine> {
    if !crate::support::tools::machine_is_here() {
        return None;
    }
    Machine::boot(&[(&*shipped(), "/srv/kafka"), (mirror(), "/srv/mirror")])
}

fn install<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["/srv/kafka/install.sh"], args, &["--listen", "127.0.0.1"], &RELEASE].concat()
}

#[test]
fn a_newer_version_over_an_older_one_keeps_configuration_data_and_offsets() {
    let Some(machine) = machine() else { return };
    let (port, second) = (free_port().to_string(), free_port().to_string());
    let with = |version| {
        let ports = ["--port", &port, "--controller-port", &second];
        machine.run(&install(&[&[version, "kraft", DATA], &ports[..]].concat()))
    };
    let said = with("4.1.1");
    assert!(said.contains("Kafka 4.1.1 (kraft) is installed, node 1"), "{said}");
    let bootstrap = format!("127.0.0.1:{port}");
    let broker = Broker::elsewhere(Version::V4, bootstrap, WorkDir::new("elsewhere"));
    broker.create_topic("kept", 2, &[]);
    broker.produce_many(&Bulk::new("kept", 2, 100));
    broker.set_offset("group", "kept", 1, 42);
    let settings = "/etc/kafka/server.properties";
    machine.run(&["sed", "-i", "s/=43200/=50000/", settings]);
    let again = with("4.1.1");
    assert!(again.contains("server.properties stays as it is"), "{again}");

    let said = with("4.2.0");
    assert!(said.contains("Kafka 4.2.0 (kraft) is installed"), "{said}");
    assert!(machine.run(&["cat", settings]).contains("offsets.retention.minutes=50000"));
    assert!(machine.run(&["cat", &format!("{settings}.new")]).contains("minutes=43200"));
    let running = machine.show("kafka", "MainPID");
    let files = machine.run(&["ls", "-l", &format!("/proc/{running}/fd")]);
    assert!(files.contains("kafka_2.13-4.2.0.jar"), "the old one runs: {files}");
    assert_eq!(broker.log_bounds("kept", 1), (0, 50));
    assert_eq!(broker.committed("group", "kept", 1).offset, Some(42));

    let (code, said) = machine.try_run(&install(&["4.1.1", "kraft", DATA]));
    assert!(code == 1 && said.contains("Kafka 4.2.0 is installed, which is newer"), "{said}");
    let (code, said) = machine.try_run(&install(&["3.9.1", "zookeeper", DATA]));
    assert!(code == 1 && said.contains("which is newer"), "{said}");
}

/// The address of a mirror that has no release, and whose clock is as many seconds ahead.
fn mirror_of_time(offset: i64) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(offset);
            let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
            let answer = format!(
                "HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

/// What a script of the machine does before the installation, and what the installation then says.
const TROUBLE: &[(&str, &str)] = &[
    ("mount -t tmpfs -o size=20M none /opt", "MiB are free in /opt, and the program needs 700"),
    (
        "mount -t tmpfs -o size=20M none /var/lib",
        "MiB are free in /var/lib, and the data needs 1024",
    ),
    ("mount --bind /dev/null /usr/bin/java", "there is no /usr/bin/java: apt-get install openjdk"),
    (
        "printf '%s\\n' '#!/bin/sh' 'echo \"version \\\"11.0.2\\\"\" >&2' > /j && chmod +x /j && \
         mount --bind /j /usr/bin/java",
        "needs Java 17 or later, and /usr/bin/java is 11",
    ),
    (
        "printf '#!/bin/sh\\n[ \"$1\" = +%%s ] && echo 99 || echo 1970-01-01' > /d && chmod +x /d && \
         mount --bind /d /usr/bin/date",
        "the clock says 1970-01-01, which cannot be",
    ),
    ("echo ID=gentoo > /o && mount --bind /o /etc/os-release", "this distribution (gentoo"),
    (
        "printf 'ID=amzn\\nVERSION_ID=2\\n' > /o && mount --bind /o /etc/os-release",
        "Amazon Linux 2 is too old",
    ),
    ("mount --bind /dev/null /usr/bin/gpg", "there is no gpg: install it"),
    (
        "cp /srv/mirror/*4.2.0* /m && echo x >> /m/kafka_2.13-4.2.0.tgz",
        "SHA-512 is not the published",
    ),
    (
        "cp /srv/mirror/*4.2.0* /m && cd /m && echo x >> kafka_2.13-4.2.0.tgz && \
         sha512sum kafka_2.13-4.2.0.tgz > kafka_2.13-4.2.0.tgz.sha512",
        "is not signed by one of the keys",
    ),
    ("cp /srv/mirror/*4.1.1* /m", "no release of Kafka 4.2.0 was found; looked in: file:///m"),
    (
        "mkdir -p /etc/kafka && echo zookeeper.connect=x > /etc/kafka/server.properties",
        "runs with ZooKeeper",
    ),
    ("usermod -d /x games && setpriv --reuid=games true", "this must run as root"),
];

#[test]
fn what_a_machine_lacks_is_told_and_nothing_is_installed() {
    let Some(machine) = machine() else { return };
    for (trouble, wanted) in TROUBLE {
        let root =
            if wanted.contains("as root") { "setpriv --reuid=games --clear-groups" } else { "" };
        let other = if trouble.contains("/m") { "file:///m" } else { RELEASE[1] };
        // What is mounted is seen by this shell alone.
        let script = format!(
            "set -e; rm -rf /m /etc/kafka; mkdir /m; {trouble}; set +e; {root} /srv/kafka/install.sh \
             4.2.0 kraft {DATA} --listen 127.0.0.1 --mirror {other} --keys /srv/mirror/KEYS; exit $?"
        );
        let (code, said) = machine.try_run(&["unshare", "--mount", "bash", "-c", &script]);
        assert!(code == 1 && said.contains(wanted), "{trouble}: {code}: {said}");
        let (code, _) = machine.try_run(&["test", "-e", "/opt/kafka/current"]);
        assert_eq!(code, 1, "{trouble}: it was installed all the same");
    }
    machine.run(&["rm", "-rf", "/etc/kafka"]);
    for (offset, wanted) in [
        (3_600, "s off what the mirror says: look at chronyc tracking"),
        (-3_600, "s off what the mirror says: look at chronyc tracking"),
        (200, "no release of Kafka 4.2.0 was found; looked in: http"),
    ] {
        let mirror = mirror_of_time(offset);
        let other = ["--mirror", &*mirror, "--keys", "/srv/mirror/KEYS"];
        let args = ["/srv/kafka/install.sh", "4.2.0", "kraft", DATA, "--listen", "127.0.0.1"];
        let (code, said) = machine.try_run(&[&args[..], &other].concat());
        assert!(code == 1 && said.contains(wanted), "{offset}: {code}: {said}");
    }
    // The address of the default route, where there is one that is private.
    let fake = format!(
        "mkdir -p /f && printf '#!/bin/sh\\necho 192.0.2.1 via 10.1.0.1 dev eth0 src 10.1.2.3 uid 0' > /f/ip && \
         chmod +x /f/ip && PATH=/f:$PATH /srv/kafka/install.sh 4.2.0 kraft {DATA} --config-only /c && cat /c/bootstrap.env"
    );
    assert_eq!(machine.run(&["bash", "-c", &fake]), "KAFKA_BOOTSTRAP=10.1.2.3:9092\n");
}

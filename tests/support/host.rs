//! A host of its own for a test: a network namespace with its own `/etc/hosts` and `/etc/resolv.conf`. Linux,
//! root.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::dns_server::DnsServer;
use crate::programs::{Program, Terminal, at_home, executable};
use crate::skipped;

/// A host with no network except the one that a test gives it. It disappears with this value, and also if the
/// test is killed.
///
/// Its programs see its own files in place of `/etc/hosts` and `/etc/resolv.conf`.
#[derive(Debug)]
pub struct Host {
    /// Keeps the namespaces. It ends when its stdin is closed.
    keeper: Child,
    files: TempDir,
}

impl Host {
    /// A host with the interface `lo` alone, with an empty `/etc/hosts`, and without name servers. `None` if
    /// this user or this system cannot have one. It has been reported on stderr then.
    ///
    /// # Panics
    /// If there can be no temporary folders.
    pub fn new() -> Option<Self> {
        match Self::try_new() {
            Ok(host) => Some(host),
            Err(reason) => {
                skipped(&format!("no network namespace can be made here: {reason}"));
                None
            }
        }
    }

    fn try_new() -> io::Result<Self> {
        let files = tempfile::tempdir()?;
        for name in FILES {
            fs::write(files.path().join(name), "")?;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-ec", KEEP]).current_dir(files.path());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn()?;
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect(PIPED)).read_line(&mut line)?;
        if line.trim() != "ready" {
            let said = keeper.wait_with_output()?.stderr;
            return Err(io::Error::other(String::from_utf8_lossy(&said).trim().to_owned()));
        }
        Ok(Self { keeper, files })
    }

    /// Replaces the text of its `/etc/hosts`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set_hosts(&self, text: &str) {
        self.write(FILES[0], text);
    }

    /// Replaces the text of its `/etc/resolv.conf`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set_resolv_conf(&self, text: &str) {
        self.write(FILES[1], text);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.files.path().join(name), text).expect("the folder is the test's own");
    }

    /// Runs `ip` with these arguments, separated by blanks, on this host.
    ///
    /// # Panics
    /// If it fails.
    pub fn ip(&self, arguments: &str) {
        let output = self.command("ip").args(arguments.split(' ')).output().expect("nsenter starts");
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Connects `self` and `other` by a cable. On both hosts its end is `name`, without an address.
    ///
    /// # Panics
    /// If it fails.
    pub fn connect(&self, other: &Self, name: &str) {
        self.ip(&format!("link add {name} type veth peer name {name} netns {}", other.keeper.id()));
        for host in [self, other] {
            host.ip(&format!("link set {name} up"));
        }
    }

    /// A command that runs `program` on this host.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.command_in(Path::new("/"), program)
    }

    /// Starts the program of `package` on this host, [`at_home`] in `folder`.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub fn start(&self, package: &'static str, folder: &Path, arguments: &[&str]) -> Program {
        let mut command = self.command_in(folder, executable(package));
        Program::start_command(at_home(&mut command, folder).args(arguments))
    }

    /// Starts the program of `package` on this host, at a terminal of `size` (rows, columns), at home in
    /// `folder`.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub fn start_at_terminal(
        &self,
        package: &'static str,
        folder: &Path,
        arguments: &[&str],
        size: (u16, u16),
    ) -> Terminal {
        let mut command = self.command_in(folder, executable(package));
        Terminal::start_command(command.args(arguments), folder, size)
    }

    /// A mount namespace is entered at its root, so the working directory comes last.
    fn command_in(&self, folder: &Path, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.keeper.id().to_string()).args(["--net", "--mount"]);
        command.args(["env", "--chdir"]).arg(folder).arg(program.as_ref());
        command
    }

    /// Calls `make` on this host, and returns its result. Sockets that it opens stay on this host.
    ///
    /// # Panics
    /// If the host cannot be entered, or `make` panics.
    pub fn on<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let enter = self.entrance();
        thread::scope(|scope| {
            // Only this thread moves, and it ends here.
            let made = scope.spawn(move || {
                enter();
                make()
            });
            made.join().expect("it is made")
        })
    }

    /// A runtime with tasks that run on this host. What is not spawned, but awaited by the test itself, does
    /// not.
    ///
    /// # Panics
    /// If there can be no runtime.
    pub fn runtime(&self) -> Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().on_thread_start(self.entrance());
        builder.build().expect("there are threads left")
    }

    /// Moves the thread that calls it to this host.
    fn entrance(&self) -> impl Fn() + Send + Sync + 'static {
        let namespace = format!("/proc/{}/ns/net", self.keeper.id());
        move || {
            let namespace = File::open(&namespace).expect("the keeper runs");
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).expect("root may");
        }
    }

    /// A DNS server at port 53 of `ip` of this host, served by tasks of the current tokio runtime.
    ///
    /// # Panics
    /// If `ip` is not an address of this host, or has a DNS server already.
    pub fn dns_server(&self, ip: Ipv4Addr) -> DnsServer {
        let socket = self.on(|| std::net::UdpSocket::bind((ip, DNS_PORT))).expect("the port is free");
        DnsServer::start_on(socket).expect("a socket of tokio")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It fails if the keeper has ended.
        _ = self.keeper.kill();
        _ = self.keeper.wait();
    }
}

/// The script of the keeper, which has files of its own and waits for the end of its stdin.
const KEEP: &str = "mount --bind hosts /etc/hosts; mount --bind resolv.conf /etc/resolv.conf; ip link set lo up; \
     echo ready; exec cat";

const FILES: [&str; 2] = ["hosts", "resolv.conf"];

const DNS_PORT: u16 = 53;

const PIPED: &str = "it was set to be piped";

//! The node under a service manager: notifications, and the socket that is passed.

use integration_tests::raw_user::uninterrupted;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use integration_tests::programs::{
    DEADLINE, NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
    write_settings,
};
use mi_agent_core::{Agent, LocateError, RequestSchedule};
use tokio::task::JoinSet;

use super::{User, folder_with};

#[test]
fn the_service_manager_is_told_when_the_node_serves_reloads_and_ends() {
    let folder = folder_with("bb.com\nlaura\n");
    let manager = Manager::in_folder(folder.path());
    let mut node = manager.start(folder.path(), &[]);
    assert_eq!(manager.hear(), "READY=1\n");
    for (settings, told) in
        [("rate-limit = 'off'\n", "reloaded, 1 user"), ("rate-limit = 0\n", "cannot reload")]
    {
        write_settings(folder.path(), settings);
        node.signal(Signal::HangUp);
        let reloading = manager.hear();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("it says so");
        assert!(since.trim().parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading}");
        assert_eq!(manager.hear(), "READY=1\n", "it serves, whatever became of the reload");
        node.wait_for_diagnostic(told);
    }
    node.signal(Signal::Terminate);
    assert_eq!(manager.hear(), "STOPPING=1\n");
    assert_eq!(node.wait_exit(), 0);
}

#[test]
fn a_watchdog_is_told_that_the_nodes_task_is_at_work() {
    let folder = folder_with("bb.com\nlaura\n");
    let manager = Manager::in_folder(folder.path());
    let node = manager.start(folder.path(), &[("WATCHDOG_USEC", "400000")]);
    assert_eq!(manager.hear(), "READY=1\n");
    (0..3).for_each(|_| assert_eq!(manager.hear(), "WATCHDOG=1\n"));
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
}

#[test]
fn the_socket_that_is_passed_is_served_whatever_the_settings_say() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "listen = '127.0.0.1:1'\n");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let laura = UdpSocket::bind("127.0.0.1:0").unwrap();
    laura.connect(socket.local_addr().unwrap()).unwrap();
    laura.set_read_timeout(Some(DEADLINE)).unwrap();
    laura.send(b"PRlaura@bb.com").unwrap();
    let node = start_with(&socket, folder.path());
    assert_eq!(node.address().to_string(), socket.local_addr().unwrap().to_string());
    assert_eq!(super::receive(&laura), "RR0", "what came before the node is served");
}

#[test]
fn what_is_passed_and_is_no_socket_for_a_node_is_told() {
    let folder = folder_with("bb.com\nlaura\n");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    let at_v6 = v6.local_addr().unwrap();
    for (passed, reason) in [
        (OwnedFd::from(tcp), "what was passed is no socket of UDP".to_owned()),
        (
            OwnedFd::from(v6),
            format!("the socket that was passed is at {at_v6}: a node is at an IPv4 address"),
        ),
    ] {
        let mut node = Program::start_with_stdin(passing(folder.path()).args(["--log", "bb.log"]), passed);
        assert_eq!(node.wait_exit(), 1);
        let [line] = &node.stderr()[..] else { panic!("{:?}", node.stderr()) };
        assert!(line.starts_with(&format!("lumi-node: {reason}")), "{line}");
    }
}

/// Datagrams wait in the socket, which stays open, between the end of one process and the start of the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_200_agents_loses_no_request_and_refuses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let users: Vec<_> = (0..AGENTS).map(|number| format!("u{number}")).collect();
    write_roster(folder.path(), &format!("bb.com\n{}\n", users.join("\n")));
    write_settings(folder.path(), "rate-limit = 'off'\n");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut node = start_with(&socket, folder.path());
    let mut starting = JoinSet::new();
    for user in &users {
        let address = format!("{user}@bb.com").parse().expect("an address");
        starting.spawn(Agent::builder(address).node(node.address()).schedule(once()).start());
    }
    let agents: Vec<_> =
        starting.join_all().await.into_iter().collect::<Result<_, _>>().expect("all register");

    let is_over = Arc::new(AtomicBool::new(false));
    // An ICMP error (port unreachable) reaches these as a socket error.
    let witnesses: Vec<_> = (0..WITNESSES)
        .map(|_| {
            let (user, is_over) = (User::of(&node), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut asked = 0;
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(user.ask("PDu0@bb.com").get(..2), Some("RD"));
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let mut asking = JoinSet::new();
    for (agent, _) in &agents {
        let (agent, is_over) = (agent.clone(), Arc::clone(&is_over));
        asking.spawn(async move {
            let nobody = "nobody@bb.com".parse().expect("an address");
            while !is_over.load(Ordering::Relaxed) {
                let found = agent.locate(nobody).await;
                assert!(matches!(found, Err(LocateError::NoSuchUser)), "{found:?}");
            }
            agent.messages()
        });
    }
    for _ in 0..RESTARTS {
        let before = node.logged("");
        eventually("it is busy", || node.logged("") > before + 10 * AGENTS);
        node.signal(Signal::Terminate);
        assert_eq!(node.wait_exit(), 0);
        node = start_with(&socket, folder.path());
    }
    is_over.store(true, Ordering::Relaxed);
    for counts in asking.join_all().await {
        // A lost request would be repeated, but only after much longer than a restart takes.
        assert_eq!(counts.sent, counts.received, "a request was lost");
        assert!(counts.sent > u64::from(RESTARTS), "{counts:?}");
    }
    let asked: Vec<u32> =
        witnesses.into_iter().map(|witness| witness.join().expect("never refused")).collect();
    assert!(asked.iter().all(|&asked| asked > RESTARTS), "{asked:?}");
}

/// A schedule that repeats no request while its answer may still come, even from a busy machine.
fn once() -> RequestSchedule {
    RequestSchedule::new(RequestSchedule::default().attempts, DEADLINE / 2)
}

/// A stand-in for the service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn in_folder(folder: &Path) -> Self {
        let socket = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("is not 0");
        Self(socket)
    }

    fn start(&self, folder: &Path, environment: &[(&str, &str)]) -> NodeProgram {
        let mut command = Command::new(executable(NODE));
        let command = at_home(&mut command, folder).args(["-v", "--listen", "127.0.0.1:0"]);
        command.env("NOTIFY_SOCKET", folder.join("notify")).envs(environment.iter().copied());
        NodeProgram::ready(Program::start_command(command), folder)
    }

    /// Waits for the next notification.
    fn hear(&self) -> String {
        let mut told = [0; 1024];
        let length = uninterrupted(|| self.0.recv(&mut told)).expect("it is told");
        String::from_utf8_lossy(&told[..length]).into_owned()
    }
}

/// Starts a node and passes it `socket`.
fn start_with(socket: &UdpSocket, folder: &Path) -> NodeProgram {
    let passed = OwnedFd::from(socket.try_clone().expect("a descriptor"));
    let program = Program::start_with_stdin(&mut passing(folder), passed);
    NodeProgram::ready(program, folder)
}

/// A node with its stdin as the socket that is passed to it: the first descriptor after stderr, with
/// LISTEN_PID set (sd_listen_fds(3)).
fn passing(folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null && LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    at_home(&mut command, folder).args(["-c", script]).arg(executable(NODE));
    command
}

const AGENTS: usize = 200;

const WITNESSES: usize = 10;

const RESTARTS: u32 = 5;

//! A program as a child process.

use std::fs::DirEntry;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::Duration;
use std::{env, fs};

use rustix::process::{self, Pid};

use super::output::{Captured, Output};
use super::{AGENT, NODE};

/// A running program, which is killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
    /// The number of stdout lines that [`Program::wait_for`] has passed.
    read: usize,
}

impl Program {
    /// Starts the program of `package`, built with the profile of this test, [`at_home`] in `folder`.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub fn start(package: &'static str, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(executable(package));
        Self::start_command(at_home(&mut command, folder).args(arguments))
    }

    /// Starts `command`. The test has its three streams.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_command(command: &mut Command) -> Self {
        Self::start_with_stdin(command, Stdio::piped())
    }

    /// Starts `command` with this `stdin`. The test has its other two streams.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_with_stdin(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let mut program = Self::spawn(command.stdin(stdin));
        program.read_stdout();
        program
    }

    /// Starts `command` without reading its stdout until [`Program::read_stdout`].
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_unread(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::piped()))
    }

    /// Starts to read stdout.
    ///
    /// # Panics
    /// If stdout is read already.
    pub fn read_stdout(&mut self) {
        let stdout = self.child.stdout.take().expect(PIPED);
        self.output.follow(stdout, |captured| &mut captured.stdout);
    }

    /// Closes stdout: from now on, writes of the program to it fail.
    ///
    /// # Panics
    /// If it is read already.
    pub fn close_stdout(&mut self) {
        self.child.stdout.take().expect(PIPED);
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let output = Arc::new(Output::default());
        output.follow(child.stderr.take().expect(PIPED), |captured| &mut captured.stderr);
        Self { stdin: child.stdin.take(), child, output, read: 0 }
    }

    /// Waits for the next line on stdout for which `is_it` holds, and skips the lines before it.
    ///
    /// # Panics
    /// If the line has not come within [`DEADLINE`](super::DEADLINE), or the program ends without it.
    pub fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let next = |captured: &Captured| captured.stdout[self.read..].iter().position(|line| is_it(line));
        let captured = self.output.wait_until(|captured| next(captured).is_some());
        let at = next(&captured).unwrap_or_else(|| panic!("what was waited for did not come; {captured}"));
        let line = captured.stdout[self.read + at].clone();
        drop(captured);
        self.read += at + 1;
        line
    }

    /// Waits for the next line on stdout that begins with `start`, and skips the lines before it.
    ///
    /// # Panics
    /// Like [`Program::wait_for`].
    pub fn expect_line(&mut self, start: &str) -> String {
        self.wait_for(|line| line.starts_with(start))
    }

    /// Like [`Program::expect_line`], but returns `None` if the program ends without the line.
    ///
    /// # Panics
    /// If neither happens within [`DEADLINE`](super::DEADLINE).
    pub fn try_expect_line(&mut self, start: &str) -> Option<String> {
        let is_there =
            |captured: &Captured| captured.stdout[self.read..].iter().any(|line| line.starts_with(start));
        let captured = self.output.wait_until(is_there);
        let has_come = is_there(&captured);
        assert!(has_come || captured.is_complete(), "neither {start:?} nor the end came; {captured}");
        drop(captured);
        has_come.then(|| self.expect_line(start))
    }

    /// Waits for the first line on stderr that contains `part`. It may have come already.
    ///
    /// # Panics
    /// Like [`Program::wait_for`].
    pub fn wait_for_diagnostic(&self, part: &str) -> String {
        let find = |captured: &Captured| captured.stderr.iter().find(|line| line.contains(part)).cloned();
        let captured = self.output.wait_until(|captured| find(captured).is_some());
        find(&captured).unwrap_or_else(|| panic!("no diagnostic {part:?} came; {captured}"))
    }

    /// Returns the lines that it has printed on stdout so far.
    pub fn stdout(&self) -> Vec<String> {
        self.output.lock().stdout.clone()
    }

    /// Returns the lines that it has printed on stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.output.lock().stderr.clone()
    }

    /// Returns the process number.
    ///
    /// # Panics
    /// Never.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the resident memory in bytes, including pages shared with other processes.
    ///
    /// # Panics
    /// If the program has ended, or this is not Linux.
    pub fn memory(&self) -> usize {
        self.bytes("VmRSS:")
    }

    /// Returns the resident memory in bytes that the program has written: its heap and its stacks, not its
    /// code, which the kernel reads and drops as it likes.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn written_memory(&self) -> usize {
        self.bytes("RssAnon:")
    }

    fn bytes(&self, name: &str) -> usize {
        let kibibytes = self.status(name);
        let kibibytes = kibibytes.strip_suffix(" kB").and_then(|kibibytes| kibibytes.parse::<usize>().ok());
        kibibytes.expect("proc(5) says so") * 1024
    }

    /// Returns the number of its threads.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn threads(&self) -> usize {
        self.status("Threads:").parse().expect("proc(5) says so")
    }

    /// Returns the processor time of its threads, without those that have ended.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn processor_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect(ON_LINUX);
        let of_task = |task: io::Result<DirEntry>| {
            // This is in nanoseconds, while `stat` counts ticks. A thread that ends meanwhile does not count.
            let times = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            times.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
        };
        tasks.filter_map(of_task).sum()
    }

    /// Returns whether [`Signal::Stop`] has stopped it.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn is_stopped(&self) -> bool {
        self.status("State:").starts_with('T')
    }

    /// Returns whether it has a handler for `signal`.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn catches(&self, signal: Signal) -> bool {
        let caught = u64::from_str_radix(&self.status("SigCgt:"), 16).expect("proc(5) says so");
        let number = process::Signal::from(signal).as_raw();
        caught >> (number - 1) & 1 == 1
    }

    /// Returns the number of open files, including sockets.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect(ON_LINUX).count()
    }

    /// Limits the number of files that it may have open from now on.
    ///
    /// # Panics
    /// Like [`Program::memory`].
    pub fn limit_files(&self, limit: usize) {
        let pid = Some(Pid::from_child(&self.child));
        let old = process::getrlimit(process::Resource::Nofile);
        let limit = process::Rlimit { current: u64::try_from(limit).ok(), ..old };
        process::prlimit(pid, process::Resource::Nofile, limit)
            .expect("it is a child, and the limit no higher");
    }

    /// Returns a field of its /proc/PID/status, proc(5).
    fn status(&self, key: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect(ON_LINUX);
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_else(|| panic!("there is no {key} in:\n{status}")).trim().to_owned()
    }

    /// Writes `line` and a line end to its stdin.
    ///
    /// # Panics
    /// If the program does not read, or its stdin was closed.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the program reads");
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends the program `signal`.
    ///
    /// # Panics
    /// If the program has been waited for already.
    pub fn signal(&self, signal: Signal) {
        process::kill_process(Pid::from_child(&self.child), signal.into()).expect("the program is there");
    }

    /// Returns whether the program has ended.
    ///
    /// # Panics
    /// Never.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect(OURS).is_some()
    }

    /// Kills the program, and waits until all its output has been read.
    ///
    /// # Panics
    /// If the program had ended before.
    pub fn kill(&mut self) {
        assert!(!self.has_ended(), "the program ended by itself; {}", self.output.lock());
        self.child.kill().and_then(|()| self.child.wait()).expect(OURS);
        let captured = self.output.wait_until(Captured::is_complete);
        assert!(captured.is_complete(), "somebody holds the streams of a program that is gone; {captured}");
    }

    /// Waits for the end of the program and returns the exit code.
    ///
    /// # Panics
    /// If the program has not ended within [`DEADLINE`](super::DEADLINE), or a signal ended it.
    pub fn wait_exit(&mut self) -> i32 {
        // std has no way to wait for a process with a deadline, but a process that ends closes its streams.
        let captured = self.output.wait_until(Captured::is_complete);
        assert!(captured.is_complete(), "the program does not end; {captured}");
        let status = self.child.wait().expect(OURS);
        status.code().unwrap_or_else(|| panic!("the program ended by {status}; {captured}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // These fail if the program has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A signal that ends, stops or continues a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP, which a terminal sends when it closes.
    HangUp,
    /// SIGSTOP. The program does not run until [`Signal::Continue`].
    Stop,
    /// SIGCONT.
    Continue,
}

impl From<Signal> for process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::INT,
            Signal::Terminate => Self::TERM,
            Signal::HangUp => Self::HUP,
            Signal::Stop => Self::STOP,
            Signal::Continue => Self::CONT,
        }
    }
}

/// Isolates `command` from the environment of the current user.
///
/// The working directory is `folder`. The folders for settings ([`CONFIG`]) and data ([`DATA`]) are in it.
/// There is no RUST_LOG and no log of keys, and the folder for sockets is the working directory.
pub fn at_home<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let command = command.current_dir(folder);
    for of_whoever_runs_the_test in ["RUST_LOG", "SSLKEYLOGFILE", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"] {
        command.env_remove(of_whoever_runs_the_test);
    }
    // Relative, because the path of a socket may have 107 bytes, and that of a temporary folder may have
    // more.
    command.env("XDG_RUNTIME_DIR", ".");
    command.env("XDG_CONFIG_HOME", folder.join(CONFIG)).env("XDG_DATA_HOME", folder.join(DATA))
}

/// Returns the path of the program of `package`, and builds it if necessary.
///
/// It is in the target folder, with the profile of this test.
///
/// Cargo sets `CARGO_BIN_EXE_*` only for the tests of the program's own package.
pub fn executable(package: &'static str) -> PathBuf {
    // This is <target>/<profile>/deps/<this test>, or <target>/<profile>/<this program>.
    let this = env::current_exe().expect("a test is a file");
    let folder = this.parent().expect("a file is in a folder");
    let folder =
        if folder.ends_with("deps") { folder.parent().expect("cargo keeps profiles so") } else { folder };
    let target = folder.parent().expect("cargo keeps profiles in the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    BUILT.call_once(|| {
        // Both are built with one command, as in the scripts of .ci. Cargo unifies the features of
        // dependencies over the packages of a command, so it would compile most of them again for each
        // program alone.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", NODE, "--package", AGENT, "--profile", profile]);
        cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
        let status = cargo.status().expect("there is a cargo, it built this test");
        assert!(status.success(), "the programs cannot be built");
    });
    folder.join(package).with_extension(env::consts::EXE_EXTENSION)
}

/// Copies the program of `package` to `folder`, and returns the path. Every user may run the copy.
///
/// Another user cannot run the program where cargo built it if the checkout is below a folder that only its
/// owner may enter.
///
/// # Panics
/// If it cannot be built or copied.
pub fn executable_for_everybody(package: &'static str, folder: &Path) -> PathBuf {
    let copy = folder.join(package);
    // Another process writes the copy. If this one did, a program that another thread starts meanwhile would
    // inherit the file open for writing, and the kernel does not execute such a file.
    let status = Command::new("install").args(["-m", "755"]).arg(executable(package)).arg(&copy).status();
    assert!(status.expect("coreutils has it").success(), "{package} cannot be copied");
    copy
}

/// The folder for settings, in the folder of a program.
pub const CONFIG: &str = ".config";

/// The folder for data, in the folder of a program.
pub const DATA: &str = ".local/share";

const OURS: &str = "it is a child of this process";

const ON_LINUX: &str = "a program that runs is in /proc";

const PIPED: &str = "it was set to be piped";

/// Set when the programs are built. Tests that need them earlier wait.
static BUILT: Once = Once::new();

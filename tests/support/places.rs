//! Places where scripts run programs, other than a user's terminal. Linux.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{self, Pid};
use tempfile::TempDir;

use crate::programs::{Program, Signal, eventually, executable_for_everybody};
use crate::skipped;

/// Gives `command` what cron gives a job: five variables, the user's folder and no terminal.
pub fn of_cron<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    let variables = [("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh"), ("LOGNAME", "laura"), ("LANG", "C")];
    command.env_clear().envs(variables).env("HOME", home).current_dir(home)
}

/// A service with a user of its own, to which everything but its state is read-only.
///
/// It imitates `User=`, `ProtectSystem=strict`, `StateDirectory=`, `NoNewPrivileges=` and
/// `CapabilityBoundingSet=` of systemd.exec(5). It needs root.
#[derive(Debug)]
pub struct Service {
    folder: TempDir,
}

impl Service {
    /// `None` if this system cannot imitate it. It has been reported on stderr then.
    ///
    /// # Panics
    /// If there can be no temporary folders.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("there can be temporary folders");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is the test's own");
        let service = Self { folder };
        fs::create_dir(service.state()).expect("it is the test's own");
        let is_possible =
            chown(service.state(), Some(NOBODY), Some(NOBODY)).map_err(|error| error.to_string());
        let script = "test \"$(id -u)\" = 65534 && ! touch /not-here 2>/dev/null && touch \"$0\"/here && rm \"$0\"/here";
        let mut trial = service.command("sh");
        trial.args(["-c", script]).arg(service.state());
        match is_possible.and_then(|()| succeeds(&mut trial)) {
            Ok(()) => Some(service),
            Err(reason) => {
                skipped(&format!("no service can be imitated here: {reason}"));
                None
            }
        }
    }

    /// Returns the folder that its programs may write to.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A command that runs `program` as the service.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.env_clear().env("PATH", PATH).env("HOME", "/nonexistent").env("LOGNAME", "nobody");
        command.args(["--mount", "sh", "-ec", STRICT]).arg(self.state()).arg(program);
        command
    }

    /// Starts the program of `package` with these variables as well. Stdin is `/dev/null`, as in a service.
    ///
    /// # Panics
    /// If it cannot be built, copied or started.
    pub fn start(&self, package: &'static str, arguments: &[&str], variables: &[(&str, &OsStr)]) -> Program {
        let mut command = self.command(executable_for_everybody(package, self.folder.path()));
        command.envs(variables.iter().copied()).args(arguments);
        Program::start_with_stdin(&mut command, Stdio::null())
    }
}

/// A program that runs as the first process of a container, without an init and without HOME.
#[derive(Debug)]
pub struct Contained(pub Program);

impl Contained {
    /// Starts `program`. `None` if this system cannot do that. It has been reported on stderr then.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(program: &Path, folder: &Path, arguments: &[&str], stdin: impl Into<Stdio>) -> Option<Self> {
        let container = |program: &OsStr| {
            let mut command = Command::new("unshare");
            command.env_clear().env("PATH", PATH).current_dir(folder);
            // Without HOME, the home is that of the user that runs the test, and nothing may be left there.
            command.env("XDG_DATA_HOME", "/proc/nothing");
            command.args(["--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
            command.arg(program);
            command
        };
        let mut trial = container(OsStr::new("sh"));
        if let Err(reason) = succeeds(trial.args(["-c", "test $$ = 1"])) {
            skipped(&format!("no container can be made here: {reason}"));
            return None;
        }
        Some(Self(Program::start_with_stdin(container(program.as_os_str()).args(arguments), stdin)))
    }

    /// Sends `signal` to the program, from outside.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        let outer = self.0.pid().as_raw_nonzero();
        let children = format!("/proc/{outer}/task/{outer}/children");
        let mut inner = None;
        eventually("it has a first process", || {
            let text = fs::read_to_string(&children).unwrap_or_default();
            inner = text.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            inner.is_some()
        });
        process::kill_process(inner.expect("it was found"), signal.into()).expect("it runs");
    }
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes everything read-only but the state, and gives up all rights.
const STRICT: &str = "mount --bind \"$0\" \"$0\"; mount -o remount,bind,ro /; \
     cd /; exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all \
     --bounding-set=-all \"$@\"";

const NOBODY: u32 = 65534;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

//! An engine of a test: a redis-server on a free port of 127.0.0.1, with its files in a temporary folder.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use lumi_bindings::DirectoryUrl;
use redis::{Client, Connection, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) struct Engine {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

impl Engine {
    /// Starts an engine that keeps what it has. `None` if there is no redis-server.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            _ = writeln!(io::stderr(), "SKIPPED, there is no redis-server here: install redis-server");
            return None;
        }
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut engine = Self {
                folder: tempfile::tempdir().unwrap(),
                port,
                options: options.iter().map(ToString::to_string).collect(),
                process: None,
            };
            // The port may belong to another process by now.
            if engine.run() {
                return Some(engine);
            }
        }
        panic!("no redis-server started");
    }

    /// Starts the process, and returns whether it is ready.
    pub(crate) fn run(&mut self) -> bool {
        let mut process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stdout.take().unwrap());
        self.process = Some(process);
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains("Ready to accept connections") {
                // Its end would be the engine's end at the next line.
                std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
                return true;
            }
            line.clear();
        }
        self.kill();
        false
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            _ = process.kill();
            _ = process.wait();
        }
    }

    /// Starts the process anew after [`Engine::kill`], without what it had.
    pub(crate) fn run_empty(&mut self) {
        self.folder = tempfile::tempdir().unwrap();
        assert!(self.run());
    }

    /// Holds the process, which keeps its connections, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) fn url(&self) -> DirectoryUrl {
        format!("redis://127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn connect(&self) -> Connection {
        Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap().get_connection().unwrap()
    }

    /// Gives a command to the engine.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut order = redis::cmd(command[0]);
        order.arg(&command[1..]);
        order.query(&mut self.connect()).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Free ports that are tried.
const ATTEMPTS: usize = 5;

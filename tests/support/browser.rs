//! A browser without a window, which tests and pictures look at pages with: Chromium, spoken to through the
//! pipe of its DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>), which takes neither
//! a port nor a driver.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::programs::{DEADLINE, eventually};

/// A browser with one page. It ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// Removed last.
    _profile: TempDir,
}

/// The view of a page.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Pixels of CSS, in width and height.
    pub size: (u32, u32),
    /// Set if the viewer wants it dark.
    pub is_dark: bool,
}

impl Browser {
    /// Starts one, with an empty page and nothing remembered from before.
    ///
    /// # Errors
    /// There is none here, in words.
    ///
    /// # Panics
    /// If there is one and it does not start.
    pub fn start() -> Result<Self, String> {
        let program = find().ok_or_else(|| format!("none of {} is there", PROGRAMS.join(", ")))?;
        let profile = tempfile::tempdir().expect("there can be temporary folders");
        // The pipe is two files that std does not pass on: numbers 3 and 4.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args(ARGUMENTS);
        shell.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        // The browser has forgotten afterwards what it wants to remember.
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            shell.env(home, profile.path());
        }
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
        let stdin = child.stdin.take().expect("it was set to be piped");
        let stdout = child.stdout.take().expect("it was set to be piped");
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let messages = BufReader::new(stdout).split(0).map_while(Result::ok);
            let parsed = messages.map_while(|message| serde_json::from_slice(&message).ok());
            parsed.map_while(|message: Value| sender.send(message).ok()).for_each(drop);
        });
        let mut browser = Self { child, stdin, messages, last: 0, session: None, _profile: profile };
        let pages = browser.call("Target.getTargets", &json!({}));
        let pages = pages["targetInfos"].as_array().expect("it tells them");
        let page = pages.iter().find(|page| page["type"] == "page").expect("it was started with one");
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", &json!({}));
        browser.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": LISTEN }));
        Ok(browser)
    }

    /// Sets the view of pages from now on.
    ///
    /// # Panics
    /// If it is not there any more, as all that follow.
    pub fn view(&mut self, view: View) {
        let View { size: (width, height), is_dark } = view;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Opens the page at `url`, and waits until it is there with its scripts.
    ///
    /// # Panics
    /// If there is none.
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url} cannot be opened: {opened}");
        self.wait_until("document.readyState === 'complete'");
    }

    /// Returns the value of `expression` in the page.
    ///
    /// # Panics
    /// If it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let evaluated =
            self.call("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(evaluated["exceptionDetails"].is_null(), "{expression}: {evaluated}");
        evaluated["result"]["value"].clone()
    }

    /// Waits until `expression` is true in the page.
    ///
    /// # Panics
    /// If it does not become so.
    pub fn wait_until(&mut self, expression: &str) {
        eventually(expression, || self.evaluate(expression) == true);
    }

    /// Presses `key`, which is named as in a `KeyboardEvent`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types `text` where the focus is.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Returns the errors of the page, and the things that it was not allowed to do.
    pub fn troubles(&mut self) -> Value {
        self.evaluate("troubles")
    }

    /// A picture of all that is seen: a PNG.
    ///
    /// # Panics
    /// If none can be taken.
    pub fn picture(&mut self) -> Vec<u8> {
        let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let data = picture["data"].as_str().expect("it is text");
        data_encoding::BASE64.decode(data.as_bytes()).expect("it is base64")
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut request = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        self.stdin.write_all(format!("{request}\0").as_bytes()).expect("the browser reads");
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut message = self.messages.recv_timeout(left).expect("the browser answers");
            // Messages that nobody asked for are of no interest.
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" });
        _ = self.stdin.write_all(format!("{close}\0").as_bytes());
        // Its processes write to its folder until they end, and with the last one the pipe does.
        let until = Instant::now() + DEADLINE;
        while self.messages.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    let mut places =
        PROGRAMS.iter().flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    places.find(|place| place.is_file())
}

/// The names of the program on different systems.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// It asks nobody for anything but what a test opens. Tests run as root, too, and in containers with little
/// memory to share.
const ARGUMENTS: [&str; 15] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--lang=en",
];

/// Runs in every page before its own scripts.
const LISTEN: &str = "
    globalThis.troubles = [];
    addEventListener('error', ({ message }) => troubles.push(message));
    addEventListener('unhandledrejection', ({ reason }) => troubles.push(String(reason)));
    document.addEventListener('securitypolicyviolation', (event) =>
        troubles.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
";

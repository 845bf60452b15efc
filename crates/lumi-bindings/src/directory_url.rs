//! The place of the engine, as an administrator writes it.

use std::fmt;
use std::str::FromStr;

/// `redis://HOST[:PORT]`: an engine, Redis or Valkey. The port is 6379 if it is left out.
///
/// A password in it is refused: others see the command line. See [`Credentials`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUrl {
    host: String,
    port: u16,
}

impl DirectoryUrl {
    /// Returns the name or the address of the engine's host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the engine is on this host, by what the URL says.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.starts_with("127.")
    }
}

impl FromStr for DirectoryUrl {
    type Err = DirectoryUrlError;

    fn from_str(text: &str) -> Result<Self, DirectoryUrlError> {
        let rest = text.strip_prefix("redis://").ok_or(DirectoryUrlError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(DirectoryUrlError::Password);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| DirectoryUrlError::Port)?),
            None => (rest, DEFAULT_PORT),
        };
        if port == 0 {
            return Err(DirectoryUrlError::Port);
        }
        let is_fine = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if host.is_empty() || !host.chars().all(is_fine) {
            return Err(DirectoryUrlError::Host);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for DirectoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis://{}:{}", self.host, self.port)
    }
}

/// The reason why a text is no [`DirectoryUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryUrlError {
    /// It begins with something else.
    #[error("it does not begin with \"redis://\"")]
    Scheme,
    /// It has a user or a password.
    #[error("it has a user or a password, which belong in a file")]
    Password,
    /// There is no host, or one with odd characters or a path.
    #[error("it needs the name or the address of a host, and nothing after the port")]
    Host,
    /// The port is none.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

/// An account at the engine. Its debug output hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user. `None` for the engine's default user.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Reads the text of a file: the user and the password in two lines, or the password alone in one.
    /// `None` if there is nothing, or more than that.
    pub fn from_file_text(text: &str) -> Option<Self> {
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        match lines[..] {
            [password] => Some(Self { user: None, password: password.to_owned() }),
            [user, password] => Some(Self { user: Some(user.to_owned()), password: password.to_owned() }),
            _ => None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The port of Redis and Valkey.
const DEFAULT_PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_perhaps_a_port_are_read() {
        for (text, host, port) in [
            ("redis://10.0.0.9", "10.0.0.9", 6379),
            ("redis://engine.bb.com:7000", "engine.bb.com", 7000),
            ("redis://localhost:1/", "localhost", 1),
        ] {
            let url: DirectoryUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port));
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        use DirectoryUrlError::{Host, Password, Port, Scheme};
        for (text, error) in [
            ("engine:6379", Scheme),
            ("rediss://engine", Scheme),
            ("redis://laura:secret@engine", Password),
            ("redis://", Host),
            ("redis://:6379", Host),
            ("redis://engine/3", Host),
            ("redis://engine:0", Port),
            ("redis://engine:99999", Port),
        ] {
            assert_eq!(text.parse::<DirectoryUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_file_has_a_password_and_perhaps_a_user() {
        let with_user = Credentials::from_file_text("laura\nsecret\n").unwrap();
        assert_eq!((with_user.user.as_deref(), with_user.password.as_str()), (Some("laura"), "secret"));
        assert_eq!(Credentials::from_file_text("secret").unwrap().user, None);
        assert_eq!(Credentials::from_file_text("\n"), None);
        assert!(!format!("{with_user:?}").contains("secret"));
    }
}

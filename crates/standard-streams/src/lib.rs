//! Stdin, stdout and stderr of a program, which waits for them even if they are non-blocking.
//!
//! Non-blocking mode belongs to the pipe or terminal, not to the program: another program that has it open,
//! such as a shell, Node.js or ssh, may have set it. The streams of std then fail with
//! [`WouldBlock`](io::ErrorKind::WouldBlock) where there is nothing to read *yet*, which looks like the end
//! of input, and lose what does not fit into a pipe. These wait instead, and change nothing for the other
//! program.
//!
//! This crate is a part of the programs `lumi-node` and `mi-agent`. It knows nothing of what they read and
//! write.

#[cfg(feature = "background")]
mod background;

use std::io::{self, BufRead, Read, StdinLock, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

#[cfg(feature = "background")]
pub use background::{BackgroundReader, BackgroundWriter};

/// Locks stdin for reading. Another thread that reads it waits until this is dropped.
pub fn stdin() -> Stdin {
    Stdin(io::stdin().lock())
}

/// Returns stdout, without a buffer.
pub fn stdout() -> Stdout {
    Stdout
}

/// Returns stderr, without a buffer.
pub fn stderr() -> Stderr {
    Stderr
}

/// Stdin. Reading waits for input or its end.
#[derive(Debug)]
pub struct Stdin(StdinLock<'static>);

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        patiently(io::stdin(), PollFlags::IN, || self.0.read(buffer))
    }
}

impl BufRead for Stdin {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if patiently(io::stdin(), PollFlags::IN, || self.0.fill_buf().map(<[u8]>::is_empty))? {
            // Asking a terminal once more would wait for a second end.
            return Ok(&[]);
        }
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

/// Stdout. Writing waits until there is room.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(io::stdout(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stderr. Writing waits until there is room.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(io::stderr(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(stream: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    patiently(&stream, PollFlags::OUT, || Ok(rustix::io::write(&stream, bytes)?))
}

/// Attempts an operation on `stream` until it succeeds or fails, and waits for `readiness` in between.
fn patiently<T>(
    stream: impl AsFd,
    readiness: PollFlags,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match poll(&mut [PollFd::new(&stream, readiness)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::io::ioctl_fionbio;

    use super::*;

    #[test]
    fn a_non_blocking_pipe_is_waited_for_in_both_directions() {
        let (mut reader, writer) = io::pipe().unwrap();
        ioctl_fionbio(&reader, true).unwrap();
        ioctl_fionbio(&writer, true).unwrap();
        // Many times what a pipe takes.
        let sent: Vec<_> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        let expected = sent.clone();
        let writing = thread::spawn(move || {
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                rest = &rest[write(&writer, rest).unwrap()..];
            }
        });
        let (mut received, mut buffer) = (Vec::new(), [0; 1000]);
        let stream = reader.try_clone().unwrap();
        loop {
            match patiently(&stream, PollFlags::IN, || reader.read(&mut buffer)).unwrap() {
                0 => break,
                length => received.extend_from_slice(&buffer[..length]),
            }
        }
        writing.join().unwrap();
        assert!(received == expected, "{} bytes came", received.len());
    }
}

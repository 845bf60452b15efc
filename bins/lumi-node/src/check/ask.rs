//! Finds out whether a LUMI node is at an address, and whether it is that of a domain.
//!
//! Deployed nodes crash on malformed messages (protocol.md §7, 6). They also forward a `PL` for another
//! domain from any sender. If that domain leads to their own host, they forward it to themselves again and
//! again. If it leads to another node, the `RL` of that node for an unknown user crashes them. So a node is
//! asked in three steps, each of which is safe after the one before. All three are about a user that does not
//! exist, and change nothing:
//!
//! ```text
//! PD user@domain                    every node answers RD1, whatever its domain; nothing else does
//! PL user@domain:user@no.invalid    a node that forwards for anybody answers RL2, as there is no such
//!                                   domain: it is asked no more. Ours drops it.
//! PL user@domain:user@domain        the node of the domain answers RL2. Ours drops it if it serves
//!                                   another domain.
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lumi_node_core::HostIp;
use message_ladder::{CHECK_USER, SHORT_CHECK_USER};
use plumi_proto::{
    DeregisterCode, Domain, Extension, Locate, LocateOutcome, MAX_MESSAGE, Message, MiAddress, NodeAddress,
    Registrant, UserName,
};
use tokio::net::UdpSocket;
use tokio::time::{self, Instant};

/// The kind of node at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The node of the domain.
    OfDomain,
    /// The node of another domain.
    OfAnother,
    /// A node of another program. Asking for its domain could harm it.
    OfAnyDomain,
    /// There is no answer.
    Silence,
    /// The host reports that no program listens there.
    Refusal,
}

/// Finds out what is at `address`, and whether it is the node of `domain`.
///
/// # Errors
/// Those of the operating system: there is no route to that address.
pub(super) async fn ask(address: NodeAddress, domain: Domain) -> io::Result<Answer> {
    let socket = UdpSocket::bind((HostIp::UNSPECIFIED, 0)).await?;
    // A connected socket receives nothing from other addresses.
    socket.connect(SocketAddr::from(address)).await?;
    let nobody = nobody_at(domain);
    let here = Locate { from: nobody, to: nobody };
    let nowhere = Locate { from: nobody, to: nobody_at(expect_name(NO_DOMAIN)) };
    let (outcome, extension) = (LocateOutcome::NoSuchUser, Extension::NONE);
    let refused = |locate| Message::LocateReply { locate, outcome, extension };

    let question = Message::Deregister(Registrant::Address(nobody));
    let answer = Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension };
    match exchange(&socket, &question, &answer, TRIES).await? {
        Outcome::Answered => {}
        Outcome::Silent => return Ok(Answer::Silence),
        Outcome::Refused => return Ok(Answer::Refusal),
    }
    // One of our nodes never answers this, so it gets fewer tries.
    let foreign = exchange(&socket, &Message::Locate(nowhere), &refused(nowhere), FOREIGN_TRIES).await?;
    if foreign == Outcome::Answered {
        return Ok(Answer::OfAnyDomain);
    }
    Ok(match exchange(&socket, &Message::Locate(here), &refused(here), TRIES).await? {
        Outcome::Answered => Answer::OfDomain,
        Outcome::Silent | Outcome::Refused => Answer::OfAnother,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    Silent,
    Refused,
}

/// Sends `question` up to `tries` times, until `answer` comes.
async fn exchange(
    socket: &UdpSocket,
    question: &Message,
    answer: &Message,
    tries: u32,
) -> io::Result<Outcome> {
    let node = socket.peer_addr()?;
    let question = question.encode();
    let mut outcome = Outcome::Silent;
    for _ in 0..tries {
        let deadline = Instant::now() + PAUSE;
        tracing::info!(%node, message = %question.escape_ascii(), "sent");
        // An error, of this try or the one before, counts as a lost try.
        let sent = socket.send(&question).await.map(|_| false);
        match time::timeout_at(deadline, hear(socket, answer)).await.unwrap_or(sent) {
            Ok(true) => return Ok(Outcome::Answered),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => outcome = Outcome::Refused,
            Err(error) => tracing::info!(%node, %error, "the try is lost"),
        }
        time::sleep_until(deadline).await;
    }
    Ok(outcome)
}

/// Waits for `answer`, and skips all other messages.
async fn hear(socket: &UdpSocket, answer: &Message) -> io::Result<bool> {
    // A message that fills the extra byte is too long.
    let mut buffer = [0; MAX_MESSAGE + 1];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let message = &buffer[..length];
        tracing::info!(message = %message.escape_ascii(), "received");
        if Message::decode(message).is_ok_and(|message| message.without_extension() == *answer) {
            return Ok(true);
        }
    }
}

/// The address of a user of `domain` that does not exist.
fn nobody_at(domain: Domain) -> MiAddress {
    let address = |name| MiAddress::new(&expect_user(name), &domain);
    // Message logs and ladders show by this name where the questions come from.
    address(CHECK_USER)
        .or_else(|_| address(SHORT_CHECK_USER))
        .expect("a user of one byte has room beside any domain")
}

fn expect_user(name: &str) -> UserName {
    UserName::new(name).expect("it is a name")
}

fn expect_name(name: &str) -> Domain {
    Domain::new(name).expect("it is a name")
}

/// A domain that cannot exist (RFC 6761 §6.4). The dot keeps search lists out.
const NO_DOMAIN: &str = "no.invalid.";

/// The number of tries: one or two datagrams may be lost. Agents try five times, which takes long.
const TRIES: u32 = 3;

/// Enough for a node that has just answered, and has to ask its name server.
const FOREIGN_TRIES: u32 = 2;

/// The time between two tries, as agents leave it (protocol.md §4).
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_room_in_every_domain() {
        let long = "a".repeat(plumi_proto::MAX_NAME);
        for (domain, address) in [("bb.com", "lumi-node-check@bb.com"), (&long, &format!("_@{long}"))] {
            assert_eq!(nobody_at(domain.parse().unwrap()).as_str(), address);
        }
    }
}

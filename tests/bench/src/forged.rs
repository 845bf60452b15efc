//! Forged proofs at a rate that no node could verify, and somebody who registers meanwhile.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::Context;
use integration_tests::loads::{self, Latencies};
use lumi_node_core::PublicKey;
use lumi_proof::{Signer, handle};
use plumi_proto::{Message, MiAddress, Proof, SIGNATURE_LENGTH, Verb};
use tokio::time::Instant;

use crate::Options;
use crate::domain::{self, DOMAIN, ROSTER};
use crate::report::{Report, Target};
use crate::roster::{in_ms, while_probed};

pub(crate) fn measure(_options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    domain::write_roster(folder.path(), USERS)?;
    let key = PublicKey(Signer::from_seed(&[7; 32])?.public_key());
    let mut keys = String::new();
    // The one who registers meanwhile has none.
    (1..USERS)
        .try_for_each(|number| writeln!(keys, "{} ed25519 {key} 2026-11-29 added", domain::user(number)))?;
    fs::write(folder.path().join(format!("{ROSTER}.keys")), keys)?;
    // The rate limit is the one that a node has by itself, for everybody but the one who registers all the time.
    let node = domain::start_in(folder.path(), &["--exempt", "127.0.0.1"]);
    // Nobody is kept on a core: the one who registers and the flood would take each other's time.
    let at = node.address();
    let (mut calm, _) = while_forged(at, &[])?;
    for addresses in [1, USERS - 1] {
        let forgers = (1..=addresses).flat_map(|number| [number; SOCKETS]);
        let forgers: Vec<_> = forgers.map(|number| Forger::new(at, number)).collect::<Result<_, _>>()?;
        let (mut flooded, rate) = while_forged(at, &forgers)?;
        let [is, limit] =
            [&mut flooded, &mut calm].map(|all| [99, 100].map(|part| in_ms(all.percentile(part))));
        let name = format!("PR -> RR0 while {addresses} addresses forge proofs, p99 : at rest");
        report.beside(&name, is[0], limit[0], "ms", Target::AtMost(5.0));
        report.note_beside("  the longest of the same", is[1], limit[1], "ms");
        report.note_beside("  forged proofs : 100,000", rate, RATE as f64, "/s");
    }
    Ok(())
}

/// Registers a user again and again while these forge proofs. Returns how long the answers took, and the number
/// of forged proofs a second.
fn while_forged(at: SocketAddrV4, forgers: &[Forger]) -> anyhow::Result<(Latencies, f64)> {
    let mut rate = 0.0;
    let latencies = while_probed(at, || {
        let start = Instant::now();
        let count = RATE * SECONDS;
        loads::at_rate(RATE, count, |turn| {
            if let Some(forger) = turn.checked_rem(forgers.len()) {
                forgers[forger].send();
            }
        });
        rate = count as f64 / start.elapsed().as_secs_f64();
    })?;
    Ok((latencies, rate))
}

/// One who has asked for a challenge and signs it with another key than the user's. The node has to verify that
/// to know.
struct Forger {
    socket: UdpSocket,
    proof: Vec<u8>,
}

impl Forger {
    /// The one at an address of its own who wants to be the user with this number.
    fn new(at: SocketAddrV4, number: usize) -> anyhow::Result<Self> {
        let ip = Ipv4Addr::new(127, 2, 0, u8::try_from(number)?);
        let socket = UdpSocket::bind((ip, 0))?;
        socket.connect(at)?;
        let address: MiAddress = format!("{}@{DOMAIN}", domain::user(number)).parse()?;
        socket.send(&Message::RequestChallenge { verb: Verb::Register, address }.encode())?;
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer)?;
        let (verb, challenge) =
            Message::decode(&buffer[..length])?.challenge().context("no challenge comes")?;
        let signature = [9; SIGNATURE_LENGTH];
        let proof = Proof { verb, hint: challenge.nonce.hint(), handle: handle(&address), signature };
        Ok(Self { socket, proof: Message::Prove(proof).encode().to_vec() })
    }

    fn send(&self) {
        // One that the kernel does not take is lost, as is one for which the node's queue has no room.
        _ = self.socket.send(&self.proof);
    }
}

/// The sockets of each address. Together they may have more verified than the node verifies of all.
const SOCKETS: usize = 20;

/// One who registers, and 200 with a key.
const USERS: usize = 201;

/// Forged proofs a second.
const RATE: usize = 100_000;

const SECONDS: usize = 10;

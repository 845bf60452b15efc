//! Checks whether others find the node here, and whether it finds them.

use std::io;
use std::net::UdpSocket;

use lumi_dns::{AddressOfNode, LookupError, NodeDirectory, is_of_this_host};
use lumi_node_core::{HostIp, UdpAddress, leads_to};
use plumi_proto::{Domain, NODE_PORT, NodeAddress, host_ip};

use super::ask::{Answer, ask};
use super::finding::{Finding, Report};
use super::settings::Doubt;
use crate::options::settings::Settings;
use crate::reason;

/// Checks the domain, the port and the nodes of `peers`. Returns whether a node has the port already.
///
/// # Errors
/// Those of `report`.
pub(super) async fn check(
    settings: &Settings,
    doubt: &Doubt,
    domain: Option<Domain>,
    peers: &[Domain],
    report: &mut Report,
) -> anyhow::Result<bool> {
    let listen = Some(settings.listen).filter(|_| !doubt.is_about(&["listen"]));
    let (directory, of_node) = if doubt.is_about(&["name-servers", "peers"]) {
        (None, None)
    } else {
        // Others look for the domain, so its address may be one that the node does not send to.
        match settings.unrestricted_directory() {
            Ok(directory) => {
                let of_node = listen.and_then(|listen| settings.directory(listen).ok());
                (Some(directory.clone()), of_node.or(Some(directory)))
            }
            Err(error) => {
                let remedy = "correct the key peers of the settings";
                report.add(&Finding::wrong("peers", reason::in_one_line(&error.into()), remedy))?;
                (None, None)
            }
        }
    };
    report.add(&match (domain, &directory) {
        (Some(name), Some(directory)) => resolves_to_here(name, directory, listen).await,
        (Some(name), None) => Finding::skipped(format!("domain {name}"), NO_DIRECTORY),
        (None, _) => Finding::skipped("domain", "not checked until the roster is right"),
    })?;
    let port = match listen {
        Some(listen) => is_free_or_ours(listen, domain).await,
        None => Finding::skipped("port", "not checked until the settings are right"),
    };
    let node_runs = port.is_well() && listen.is_some_and(|listen| UdpSocket::bind(listen).is_err());
    report.add(&port)?;
    for &peer in peers {
        report.add(&match &of_node {
            Some(directory) => answers(peer, directory).await,
            None => Finding::skipped(format!("peer {peer}"), NO_DIRECTORY),
        })?;
    }
    Ok(node_runs)
}

/// Checks that `domain` leads to this host, and to the address `listen` if that is known.
///
/// The second question is the one that a node asks about itself, and [`leads_to`] answers both. The check
/// differs in two ways. It reports a host that cannot be known as such, while a node takes it for another
/// host. It leaves the port out, which DNS does not know and [`is_free_or_ours`] checks.
async fn resolves_to_here(domain: Domain, directory: &NodeDirectory, listen: Option<UdpAddress>) -> Finding {
    let subject = format!("domain {domain}");
    let node = match directory.find(&domain).await {
        Ok(node) => node,
        Err(error) => {
            let remedy = match error {
                LookupError::NotFound | LookupError::NoIpv4Address => format!(
                    "give {domain} an A record with the address of this host{}, or a line in the hosts file of every \
                     host that asks",
                    address_of_node(listen, ANYWHERE).map(|own| format!(", {own}")).unwrap_or_default()
                ),
                LookupError::Unusable(_) => {
                    format!("correct the A record of {domain}, or its line in the hosts file of this host")
                }
                _ => REACH_NAME_SERVERS.to_owned(),
            };
            return Finding::wrong(subject, error, remedy);
        }
    };
    // One of several A records has to lead here.
    let here = node.addresses().find(|at| at.is_this_host);
    let found = here.map_or(node.address, |at| at.address).ip();
    match is_of_this_host(found) {
        Ok(true) => {}
        Ok(false) => {
            let (is, forward) = match address_of_node(listen, found) {
                Some(own) => (format!(", which is at {own}"), format!("to {own}")),
                None => (String::new(), "to this host".to_owned()),
            };
            let reason = format!("it resolves to {found}, which is no address of this host{is}");
            let remedy = format!(
                "correct the A record of {domain} or run the node on that host; if {found} is a router before this \
                 host (NAT), have it forward UDP port {NODE_PORT} {forward}"
            );
            return Finding::wrong(subject, reason, remedy);
        }
        Err(error) => {
            let reason = format!(
                "whether {found} is an address of this host cannot be told: {}",
                reason::in_words(&error)
            );
            return Finding::wrong(subject, reason, "look whether this host can open sockets");
        }
    }
    at_this_host(subject, domain, found, listen)
}

/// Checks that the node at `found`, an address of this host, is at the address `listen`, and that others can
/// be there as well.
fn at_this_host(subject: String, domain: Domain, found: HostIp, listen: Option<UdpAddress>) -> Finding {
    let is_at = |listen: UdpAddress| {
        let node = AddressOfNode::new(NodeAddress::new(found, listen.port()), true);
        leads_to(&node, listen.into())
    };
    match listen {
        Some(listen) if !is_at(listen) => Finding::wrong(
            subject,
            format!("it resolves to {found}, and the node listens on {listen} alone"),
            format!(
                "set listen to {found}:{NODE_PORT}, or to 0.0.0.0:{NODE_PORT}, or correct the A record of {domain}"
            ),
        ),
        // Debian writes such a line, `127.0.1.1 PC-c`, for the host's own name.
        Some(listen) if found.is_loopback() && !listen.ip().is_loopback() && is_for_others(&domain) => {
            let Some(own) = own_address(ANYWHERE) else { return only_here(subject, found) };
            Finding::wrong(
                subject,
                format!(
                    "it resolves to {found} on this host, so agents here publish a loopback address, and nobody on \
                     another host can call them"
                ),
                format!(
                    "write {own} instead of {found} into the line of {domain} in the hosts file; if the node is for \
                     programs on this host alone, set listen to {found}:{NODE_PORT}"
                ),
            )
        }
        _ if found.is_loopback() => only_here(subject, found),
        _ => Finding::well(subject, format!("resolves to {found}, an address of this host")),
    }
}

fn only_here(subject: String, found: HostIp) -> Finding {
    Finding::well(subject, format!("resolves to {found}: programs on this host find it there, and no others"))
}

/// Returns whether other hosts may look for `domain`.
fn is_for_others(domain: &Domain) -> bool {
    domain.as_str() != "localhost" && !is_literal(domain)
}

fn is_literal(domain: &Domain) -> bool {
    domain.as_str().trim_end_matches('.').parse::<HostIp>().is_ok()
}

/// Checks that the port is free, or belongs to the node of `domain`.
async fn is_free_or_ours(listen: UdpAddress, domain: Option<Domain>) -> Finding {
    let subject = format!("port {listen}");
    // Nodes find each other by DNS, which knows no ports.
    let note = match listen.port() {
        NODE_PORT => String::new(),
        0 => ": any other one at each start, and other nodes and agents have to be told which".to_owned(),
        _ => format!(", but other nodes and agents use {NODE_PORT} unless they are told this one"),
    };
    let Err(error) = UdpSocket::bind(listen) else {
        return Finding::well(subject, format!("free{note}"));
    };
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => return of_holder(subject, listen, domain, &note).await,
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this host has no such address: set listen to one that it has, or to 0.0.0.0:{}",
                listen.port()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("set listen to port {NODE_PORT}, or run the node as a user who may use this one")
        }
        _ => "set listen to another address or port".to_owned(),
    };
    Finding::wrong(subject, reason::in_words(&error), remedy)
}

/// Checks that the port in use belongs to the node of `domain`.
async fn of_holder(subject: String, listen: UdpAddress, domain: Option<Domain>, note: &str) -> Finding {
    let Some(domain) = domain else {
        return Finding::skipped(
            subject,
            "in use; whether by this domain's node is not checked until the roster is right",
        );
    };
    // The unspecified address cannot be sent to.
    let ip = if listen.ip().is_unspecified() { HostIp::LOCALHOST } else { *listen.ip() };
    let port = listen.port();
    let who = format!(
        "ss -ulpn 'sport = :{port}' tells which program that is: end it, or set listen to another address of this host; if \
         it is systemd, that waits to start the node: journalctl -u lumi-node tells why it has ended"
    );
    let reason = match ask(NodeAddress::new(ip, port), domain).await {
        Ok(Answer::OfDomain) => {
            return Finding::well(subject, format!("in use by the node of {domain}, which answers{note}"));
        }
        Ok(Answer::OfAnother) => format!("it is in use by a node that is not that of {domain}"),
        Ok(Answer::OfAnyDomain) => "it is in use by a node of another program".to_owned(),
        Ok(Answer::Silence | Answer::Refusal) => {
            format!("it is in use, and no node answers at {ip}:{port}")
        }
        Err(error) => format!("it is in use, and cannot be asked by whom: {}", reason::in_words(&error)),
    };
    Finding::wrong(subject, reason, who)
}

/// Checks that the node of `peer` is found and answers.
async fn answers(peer: Domain, directory: &NodeDirectory) -> Finding {
    let subject = format!("peer {peer}");
    let in_settings = format!("name its node in the settings, under [peers]: \"{peer}\" = \"IP:PORT\"");
    let found = match directory.find(&peer).await {
        Ok(found) => found.address,
        Err(error) => {
            let remedy = match error {
                LookupError::NoIpv4Address => {
                    format!("have who runs it give it an A record, or {in_settings}")
                }
                // Nothing else keeps an address from leading to itself.
                LookupError::NotFound if is_literal(&peer) => format!(
                    "while literal-domains is \"off\", an IPv4 address is no domain: set it to \"on\", or {in_settings}"
                ),
                LookupError::NotFound => {
                    format!("look at the spelling; have who runs it give it an A record, or {in_settings}")
                }
                LookupError::Unusable(_) => {
                    format!("have who runs it correct its A record, or {in_settings}")
                }
                _ => format!("{REACH_NAME_SERVERS}; or {in_settings}"),
            };
            return Finding::wrong(subject, error, remedy);
        }
    };
    let ip = found.ip();
    let record =
        format!("if {ip} is not the address of its host, have its A record corrected, or {in_settings}");
    let (reason, remedy) = match ask(found, peer).await {
        Ok(Answer::OfDomain) => {
            return Finding::well(subject, format!("its node answers at {found}"));
        }
        Ok(Answer::OfAnyDomain) => {
            let found = format!(
                "a node answers at {found}; it is another program, and not asked of which domain it is"
            );
            return Finding::well(subject, found);
        }
        Ok(Answer::OfAnother) => (format!("at {found} there is the node of another domain"), record),
        Ok(Answer::Refusal) => {
            (format!("no program listens at {found}"), format!("have who runs it start it; {record}"))
        }
        Ok(Answer::Silence) => (
            format!("no node answers at {found}"),
            format!(
                "see that it runs, and that firewalls here and there let UDP port {} through both ways; {record}",
                found.port()
            ),
        ),
        Err(error) => (
            format!("{found} cannot be reached: {}", reason::in_words(&error)),
            format!("look at the network of this host; {record}"),
        ),
    };
    Finding::wrong(subject, reason, remedy)
}

/// The address of this host at which the node is: that of `listen`, or the one on the route `towards`
/// another.
fn address_of_node(listen: Option<UdpAddress>, towards: HostIp) -> Option<HostIp> {
    let set = listen.map(|listen| *listen.ip()).filter(|ip| !ip.is_unspecified());
    set.or_else(|| own_address(towards))
}

/// The address of this host on the route `towards` another one. Nothing is sent.
fn own_address(towards: HostIp) -> Option<HostIp> {
    let socket = UdpSocket::bind((HostIp::UNSPECIFIED, 0)).ok()?;
    socket.connect((towards, NODE_PORT)).ok()?;
    host_ip(socket.local_addr().ok()?.ip()).filter(|own| !own.is_loopback())
}

/// An address that belongs to nobody (RFC 5737). The route to it is that to most others.
const ANYWHERE: HostIp = HostIp::new(192, 0, 2, 1);

const NO_DIRECTORY: &str = "not checked until the settings are right about peers and name servers";

const REACH_NAME_SERVERS: &str =
    "look at the network of this host, and at /etc/resolv.conf or the key name-servers of the settings";

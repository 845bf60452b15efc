//! Errors in words.

use std::error::Error;
use std::fmt;

use jiff::civil::Date;
use mi_agent_core::{
    CallError, Day, LocateError, LookupError, NotSecure, RefreshError, Security, SeenElsewhere, StartError,
    Strength, Trust,
};
use plumi_proto::{Domain, MiAddress, NodeAddress};

use crate::keys::first_words;

/// An error with its causes: `cannot listen for conversations on 0.0.0.0:22: Permission denied`.
pub(crate) struct Reason<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Returns the reason why the user at `own` is not registered, as all front ends tell it.
pub(crate) fn of_start(own: &MiAddress, error: &StartError) -> String {
    let reason = Reason(error);
    match error {
        StartError::NotAdmitted | StartError::KeyNotKnown => {
            format!("{reason}: ask for an invitation (lumi-node ctl invite {})", own.user())
        }
        StartError::SeenElsewhere(elsewhere) => with_ways_out(elsewhere),
        _ => reason.to_string(),
    }
}

/// Returns the reason why the registration of the user at `own` is lost, as all front ends tell it.
pub(crate) fn of_refresh(own: &MiAddress, error: &RefreshError) -> String {
    match error {
        RefreshError::KeyNotKnown => {
            format!("{error}: ask for an invitation (lumi-node ctl invite {})", own.user())
        }
        RefreshError::SeenElsewhere(elsewhere) => with_ways_out(elsewhere),
        _ => error.to_string(),
    }
}

fn with_ways_out(elsewhere: &SeenElsewhere) -> String {
    let ip = elsewhere.seen.ip();
    format!("{elsewhere}: behind NAT say --advertise {ip} or --behind-nat; otherwise somebody relays")
}

/// Returns the warning that the node of the user at `own` asks for no proof any more.
pub(crate) fn of_unproved(own: &MiAddress, since: Day) -> String {
    let day = since.to_string();
    // Such a day is always one of the calendar.
    let day = day.parse::<Date>().map_or(day, |day| day.strftime("%-d %b").to_string());
    let domain = own.domain();
    format!(
        "the node asked for no proof, as it did on {day}: another one may answer for {domain}. --accept-unproved goes on"
    )
}

/// Returns the reason why a call failed, as all front ends tell it.
pub(crate) fn of_call(error: &CallError) -> String {
    match error {
        // The cause is a file of the user's own.
        CallError::Trust(_) => Reason(error).to_string(),
        _ => error.to_string(),
    }
}

/// Returns the reason why a callee refused the key of `own`.
pub(crate) fn of_own_key(own: &MiAddress) -> String {
    format!("it knows another key for {own}")
}

/// Returns the words for so many lines that were not sent.
pub(crate) fn lines_not_sent(lines: usize) -> String {
    if lines == 1 { "1 line was not sent".into() } else { format!("{lines} lines were not sent") }
}

/// Returns the words for the peer that did something: its nickname, unless that reads as if the user did.
pub(crate) fn peer_in_words(nickname: &str) -> String {
    if nickname == YOU { format!("\"{nickname}\"") } else { nickname.into() }
}

/// Returns what may help if the node at the start does not know the user at `own`, is not found or reached,
/// or does not answer.
pub(crate) fn hint_for_start(own: &MiAddress, error: &StartError) -> Option<String> {
    match error {
        StartError::NoSuchUser | StartError::NotAdmitted => {
            Some(format!("{}; or --node names the node of another domain", for_unknown(own)))
        }
        StartError::KeyNotKnown => Some(format!("with an invitation for this agent: mi-agent enrol {own}")),
        StartError::Domain { domain, error } => Some(for_domain(domain, *error)),
        StartError::Unreachable { node, .. } | StartError::NoAnswer { node, unsent: Some(_) } => {
            Some(for_unreachable(*node))
        }
        StartError::NoAnswer { unsent: None, .. } => {
            Some("is lumi-node running there, and is that its port?".into())
        }
        _ => None,
    }
}

/// Returns what may help the user at `own` if there is no user at the called address `to`, or the own node
/// cannot be reached.
pub(crate) fn hint_for_call(own: &MiAddress, to: &MiAddress, error: &CallError) -> Option<String> {
    match error {
        CallError::Locate(LocateError::NoSuchUser) if own.domain() == to.domain() => Some(for_unknown(to)),
        CallError::Locate(LocateError::NoSuchUser) => Some(for_unknown_elsewhere(to)),
        CallError::Locate(LocateError::NoAnswer { node, unsent: Some(_) }) => Some(for_unreachable(*node)),
        CallError::KeyChanged { known, offered } => {
            let begins = first_words(to, offered);
            let why = format!(
                "its key begins with `{begins}` now: {to} may have a new machine, or somebody sits in between"
            );
            Some(match known.strength {
                Strength::Verified => {
                    format!("{why}; ask another way for the words of the new key, then: /trust {to} WORD…")
                }
                _ => format!("{why}; ask another way, then: /trust {to}"),
            })
        }
        CallError::NotSecure(NotSecure::HasKey | NotSecure::CannotEncrypt(_)) => {
            Some(format!("nothing was sent; /plain {to} calls once without encryption"))
        }
        CallError::NotSecure(NotSecure::TooWeak { trust: Trust::New, security: Security::Known }) => {
            Some(format!("/trust {to} takes its key as it is; /verify {to} WORD… compares its words"))
        }
        CallError::NotSecure(NotSecure::TooWeak { .. }) => {
            Some(format!("ask another way for the words of its key, then: /verify {to} WORD…"))
        }
        CallError::NotSecure(NotSecure::NoIdentity) => Some(WITHOUT_KEY.into()),
        CallError::NotSecure(NotSecure::AnswersPlain) => {
            Some("its agent is in trouble, or somebody sits in between; nothing was sent".into())
        }
        _ => None,
    }
}

/// Returns what may help a script of the user at `own`, to which nobody can type.
pub(crate) fn hint_for_script(own: &MiAddress, to: &MiAddress, error: &CallError) -> Option<String> {
    let from = format!("--from {own}");
    let imports_after = |first: &str| {
        let any_domain = if to.domain() == own.domain() { "" } else { "--any-domain " };
        format!(
            "save the line that `mi-agent key show --line` prints there, sent another way, in FILE, then: \
             {first}mi-agent trust import {any_domain}FILE {from}"
        )
    };
    match error {
        CallError::KeyChanged { known, offered } => {
            let begins = first_words(to, offered);
            // An import adds no key to one that somebody met.
            let verified = if known.strength == Strength::Verified { "--verified " } else { "" };
            let forgets = format!("mi-agent trust forget {verified}{to} {from}; ");
            Some(format!(
                "its key begins with `{begins}` now: {to} may have a new machine, or somebody sits in between; {}",
                imports_after(&forgets)
            ))
        }
        CallError::NotSecure(NotSecure::HasKey | NotSecure::CannotEncrypt(_)) => {
            Some("nothing was sent; with --security off it is sent in plain text".into())
        }
        CallError::NotSecure(NotSecure::TooWeak { security: Security::Verified, .. }) => Some(format!(
            "{}; then compare its words: mi-agent trust verify {to} WORD… {from}",
            imports_after("")
        )),
        CallError::NotSecure(NotSecure::TooWeak { .. }) => Some(imports_after("")),
        _ => hint_for_call(own, to, error),
    }
}

/// Returns what helps if a callee knows another key for the user at `own`.
pub(crate) fn hint_for_own_key(own: &MiAddress) -> String {
    format!("call another way and read out your /words; the other side types: /trust {own} WORD…")
}

/// Returns the same for a script.
pub(crate) fn script_hint_for_own_key(own: &MiAddress) -> String {
    let words = format!("mi-agent key show --words --from {own}");
    format!("call another way and read out what `{words}` prints; the other side types: /trust {own} WORD…")
}

/// The hint if a key is known of a user, and there is none of the own.
const WITHOUT_KEY: &str = "the warning at the start says why this agent has no key";

fn for_unreachable(node: NodeAddress) -> String {
    let ip = node.ip();
    format!(
        "this host cannot send to its node: check its network and firewall; `ip route get {ip}` shows the route"
    )
}

fn for_domain(domain: &Domain, error: LookupError) -> String {
    let first = match error {
        LookupError::NotFound => format!("check the spelling of {domain}"),
        LookupError::NoAnswer => {
            "check the network of this host, or name another name server with --name-server IP:PORT".into()
        }
        _ => format!("the administrator of {domain} gives it an A record with the address of its node"),
    };
    format!("{first}; with --node IP:PORT, the domain is not looked up")
}

fn for_unknown(address: &MiAddress) -> String {
    let (user, domain) = (address.user(), address.domain());
    format!("upper and lower case differ; the administrator of {domain} adds a user with `register {user}`")
}

/// The own node gives one answer if it does not find the domain and if the other node does not have the user.
fn for_unknown_elsewhere(address: &MiAddress) -> String {
    let domain = address.domain();
    format!(
        "check user and domain, upper and lower case differ; or your node does not find {domain}: its administrator runs \
         `lumi-node check --peer-domain {domain}`"
    )
}

/// The user, in a line about what somebody did.
pub(crate) const YOU: &str = "you";

#[cfg(test)]
mod tests {
    use std::io;

    use mi_agent_core::{ConversationError, SayError, TextError};

    use super::*;

    #[test]
    fn what_helps_against_a_domain_without_a_node_depends_on_the_reason() {
        let own = "laura@dd.com".parse().unwrap();
        for (error, first) in [
            (LookupError::NotFound, "check the spelling of dd.com; "),
            (LookupError::NoAnswer, "check the network of this host, or name another name server with "),
            (LookupError::NoIpv4Address, "the administrator of dd.com gives it an A record "),
        ] {
            let error = StartError::Domain { domain: "dd.com".parse().unwrap(), error };
            let hint = hint_for_start(&own, &error).unwrap();
            let last = "; with --node IP:PORT, the domain is not looked up";
            assert!(hint.starts_with(first) && hint.ends_with(last), "{hint}");
        }
    }

    #[test]
    fn a_peer_named_you_is_not_the_user() {
        assert_eq!(["joya", "you"].map(peer_in_words), ["joya", "\"you\""]);
    }

    #[test]
    fn what_helps_against_an_unknown_user_depends_on_whose_node_says_so() {
        let (own, own_domain, elsewhere): (MiAddress, _, _) =
            ("laura@bb.com".parse().unwrap(), "joan@bb.com".parse().unwrap(), "joya@cc.com".parse().unwrap());
        let unknown = CallError::Locate(LocateError::NoSuchUser);
        let of_bb = |user| {
            format!(
                "upper and lower case differ; the administrator of bb.com adds a user with `register {user}`"
            )
        };
        assert_eq!(hint_for_call(&own, &own_domain, &unknown), Some(of_bb("joan")));
        assert_eq!(
            hint_for_call(&own, &elsewhere, &unknown).unwrap(),
            "check user and domain, upper and lower case differ; or your node does not find cc.com: its administrator \
             runs `lumi-node check --peer-domain cc.com`"
        );
        let started = hint_for_start(&own, &StartError::NoSuchUser);
        assert_eq!(started, Some(of_bb("laura") + "; or --node names the node of another domain"));
    }

    #[test]
    fn each_cause_is_named_once() {
        let lost = ConversationError::Lost(io::Error::from_raw_os_error(104));
        assert_eq!(Reason(&lost).to_string(), "connection lost: Connection reset by peer (os error 104)");
        let said = SayError::Text(TextError::Empty);
        assert_eq!(Reason(&said).to_string(), "the line is empty");
    }
}

//! Events in the form that line mode and `mi-agent listen` print: a line of words, or a JSON object
//! (docs/events.md).

mod kinds;
mod mail;
mod parts;

use jiff::Timestamp;
use mi_agent_core::CallError;
use plumi_proto::MiAddress;
use serde::Serialize;

use self::kinds::{BUSY, KEY_CHANGED, kind_of_call, kind_of_refusal};
use self::parts::{about_security, raw};
use crate::reason::{self, Reason};
use crate::session::{ChangedKeys, End, Happened, of_gave_way, post};
use crate::store::json::in_a_line;

pub(crate) use self::parts::{Direction, EndedBy, Keys, Protection, Reference, SafeText, key_text};

/// An event, or the answer to an order.
///
/// Programs rely on the names and their meaning: new ones may be added, and none may change.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Report {
    Registered {
        address: SafeText,
        node: SafeText,
        listening: SafeText,
    },
    NotRegistered {
        address: SafeText,
        reason: SafeText,
        /// A line that says what may help.
        #[serde(skip)]
        hint: Option<SafeText>,
    },
    Begun {
        conversation: u64,
        way: Direction,
        nickname: SafeText,
        address: Option<SafeText>,
        /// The addresses of which one is the caller's, if there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<SafeText>,
        remote: SafeText,
        security: Protection,
        /// The lines about it, with their marks.
        #[serde(skip)]
        about_security: Vec<SafeText>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    Line {
        conversation: u64,
        nickname: SafeText,
        text: SafeText,
        /// The text as it came, if it is shown otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        raw: Option<String>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        continues: bool,
    },
    Trouble {
        conversation: u64,
        nickname: SafeText,
        reason: SafeText,
    },
    /// The callee refused the own key. Programs see a trouble of the conversation that has begun.
    #[serde(rename = "trouble")]
    KeyRefused {
        conversation: u64,
        nickname: SafeText,
        reason: SafeText,
        #[serde(skip)]
        address: SafeText,
    },
    Ended {
        conversation: u64,
        nickname: SafeText,
        /// Set if neither side ended it.
        lost: bool,
        /// The side that ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<EndedBy>,
        /// The reason, if this agent ended it by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<SafeText>,
        /// The number of lines that were said and not sent.
        unsaid: usize,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    Refused {
        nickname: SafeText,
        address: Option<SafeText>,
        remote: SafeText,
        kind: &'static str,
        reason: SafeText,
        /// The key that is known and the one of the caller, if they differ.
        #[serde(flatten)]
        keys: Option<Keys>,
        /// Set if it is worth a line of words.
        #[serde(skip)]
        is_news: bool,
    },
    GaveWay {
        callers: u64,
    },
    Missed {
        address: SafeText,
        kind: &'static str,
        reason: SafeText,
        /// Set if it is worth a line of words.
        #[serde(skip)]
        is_news: bool,
    },
    RegistrationLost {
        reason: SafeText,
    },
    /// The node asked for no proof of the registration, though it did so before.
    Unproved {
        address: SafeText,
        /// The day of the last proof, or of the enrolment.
        since: String,
        #[serde(skip)]
        reason: SafeText,
    },
    /// The node is not there yet. Programs see the same event as when the node goes away later.
    #[serde(rename = "registration-lost")]
    NotRegisteredYet {
        #[serde(skip)]
        address: SafeText,
        reason: SafeText,
        /// The seconds until the next attempt.
        #[serde(skip)]
        pause: u64,
    },
    RegistrationRegained {
        address: SafeText,
        node: SafeText,
    },
    Moved {
        address: SafeText,
        node: SafeText,
        listening: SafeText,
    },
    Said {
        conversation: u64,
        /// The number of lines that wait to be sent, including this one.
        waiting: usize,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    Failed {
        command: &'static str,
        /// The callee of a call that failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<SafeText>,
        /// The conversation of another command that failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<u64>,
        /// A word for the reason.
        kind: &'static str,
        reason: SafeText,
        /// The key that was known, and the one that the callee has, if they differ.
        #[serde(flatten)]
        keys: Option<Keys>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    /// A key is believed in from now on.
    Trusted {
        address: SafeText,
        trust: &'static str,
        key: String,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    /// A message waits for its receiver.
    Queued {
        id: String,
        address: SafeText,
        until: String,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    /// A message was sent, as far as the receiver's side shows that.
    Sent {
        id: String,
        address: SafeText,
    },
    /// A message may have arrived.
    Unsure {
        id: String,
        address: SafeText,
    },
    /// A message was not sent in time.
    Expired {
        id: String,
        address: SafeText,
    },
    /// A message cannot be delivered.
    Undeliverable {
        id: String,
        address: SafeText,
        reason: SafeText,
    },
    /// The user has dropped a message.
    Forgotten {
        id: String,
        address: SafeText,
    },
    Error {
        /// The number of the line on stdin, from 1.
        line: u64,
        reason: SafeText,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    Deregistered {
        address: SafeText,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    NotDeregistered {
        address: SafeText,
        reason: SafeText,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
}

impl Report {
    /// Creates the report of an event of the user at `own`. It answers the order marked `reference`.
    ///
    /// Returns `None` for events that are not reported.
    pub(crate) fn of(own: MiAddress, happened: &Happened, reference: Option<Reference>) -> Option<Self> {
        let address = SafeText::new(own);
        Some(match happened {
            Happened::Started { node, listening } => {
                Self::Registered { address, node: SafeText::new(node), listening: SafeText::new(listening) }
            }
            Happened::NotStarted(error) => {
                let hint = reason::hint_for_start(&own, error).map(SafeText::new);
                Self::NotRegistered { address, reason: SafeText::new(reason::of_start(&own, error)), hint }
            }
            Happened::Begun { id, peer, call } => Self::Begun {
                conversation: (*id).into(),
                way: if call.is_some() { Direction::Outgoing } else { Direction::Incoming },
                nickname: SafeText::new(&peer.nickname),
                address: peer.address.map(SafeText::new),
                candidates: peer.candidates.iter().map(SafeText::new).collect(),
                remote: SafeText::new(peer.remote),
                security: (&peer.security).into(),
                about_security: about_security(peer),
                reference,
            },
            Happened::CallFailed { to, error, .. } => Self::Failed {
                command: "call",
                address: Some(SafeText::new(to)),
                conversation: None,
                kind: kind_of_call(error),
                reason: SafeText::new(reason::of_call(error)),
                keys: match error {
                    CallError::KeyChanged { known, offered } => Some(Keys::of(&known.key, offered)),
                    _ => None,
                },
                reference,
            },
            Happened::Line { id, nickname, text } => Self::Line {
                conversation: (*id).into(),
                nickname: SafeText::new(nickname),
                raw: raw(text),
                text: SafeText::new(text),
                continues: text.continues(),
            },
            Happened::ConversationFailed { id, nickname, error } => Self::Trouble {
                conversation: (*id).into(),
                nickname: SafeText::new(nickname),
                reason: SafeText::new(Reason(error)),
            },
            Happened::Ended { id, nickname, end, unsaid } => Self::Ended {
                conversation: (*id).into(),
                nickname: SafeText::new(nickname),
                lost: *end == End::Lost,
                by: match end {
                    End::ByYou | End::GaveWay(_) => Some(EndedBy::You),
                    End::ByPeer => Some(EndedBy::Peer),
                    End::Lost => None,
                },
                reason: match end {
                    End::GaveWay(reason) => Some(SafeText::new(reason)),
                    _ => None,
                },
                unsaid: *unsaid,
                reference,
            },
            Happened::Refused { nickname, remote, address, reason, keys, is_news } => Self::Refused {
                nickname: SafeText::new(nickname),
                address: address.map(SafeText::new),
                remote: SafeText::new(remote),
                kind: kind_of_refusal(*reason),
                reason: SafeText::new(reason),
                keys: keys.map(|ChangedKeys { known, offered }| Keys::of(&known, &offered)),
                is_news: *is_news,
            },
            Happened::GaveWay { callers } => Self::GaveWay { callers: *callers },
            Happened::Missed { from, reason, is_news } => Self::Missed {
                address: SafeText::new(from),
                kind: kind_of_refusal(*reason),
                reason: SafeText::new(reason),
                is_news: *is_news,
            },
            Happened::StartDelayed { is_news: false, .. } => return None,
            Happened::StartDelayed { error, pause, .. } => Self::NotRegisteredYet {
                address,
                reason: SafeText::new(reason::of_start(&own, error)),
                pause: pause.as_secs(),
            },
            Happened::RegistrationLost(reason) => {
                Self::RegistrationLost { reason: SafeText::new(reason::of_refresh(&own, reason)) }
            }
            Happened::Unproved { since } => Self::Unproved {
                address,
                since: since.to_string(),
                reason: SafeText::new(reason::of_unproved(&own, *since)),
            },
            Happened::RegistrationRegained { node } => {
                Self::RegistrationRegained { address, node: SafeText::new(node) }
            }
            Happened::Moved { node, listening } => {
                Self::Moved { address, node: SafeText::new(node), listening: SafeText::new(listening) }
            }
            Happened::Left(Ok(())) => Self::Deregistered { address, reference },
            Happened::Left(Err(error)) => {
                Self::NotDeregistered { address, reason: SafeText::new(error), reference }
            }
            Happened::NotSent { id, nickname, lines } => Self::Trouble {
                conversation: (*id).into(),
                nickname: SafeText::new(nickname),
                reason: SafeText::new(reason::lines_not_sent(*lines)),
            },
            Happened::KeyRefused { id, nickname, to } => Self::KeyRefused {
                conversation: (*id).into(),
                nickname: SafeText::new(nickname),
                reason: SafeText::new(reason::of_own_key(&own)),
                address: to.map_or_else(|| SafeText::new(nickname), SafeText::new),
            },
            Happened::Mail(item) | Happened::Posted { answer: Ok(Some(item)), .. } => {
                return Self::of_mail(item, reference);
            }
            Happened::Posted { answer: Err(error), .. } => Self::Failed {
                command: "later",
                address: None,
                conversation: None,
                kind: post::kind_of(error),
                reason: SafeText::new(Reason(error)),
                keys: None,
                reference,
            },
            Happened::Posted { answer: Ok(None), .. }
            | Happened::HandedOver(_)
            | Happened::Answered(_)
            | Happened::Recalled(..)
            | Happened::Found(..)
            | Happened::LeftOut(_)
            | Happened::NotKept(_)
            | Happened::KeptAgain => {
                return None;
            }
        })
    }

    /// Returns one JSON object in one line, without its end. The line is safe to show, though `raw` is not.
    pub(crate) fn json(&self, at: Timestamp) -> String {
        #[derive(Serialize)]
        struct Dated<'a> {
            at: String,
            #[serde(flatten)]
            report: &'a Report,
        }
        let dated = Dated { at: format!("{at:.3}"), report: self };
        in_a_line(&dated).expect("nothing in it can fail")
    }

    /// Returns the words of line mode, if there are any. Conversations can be numbered in them.
    pub(crate) fn words(&self, numbered: bool) -> Option<String> {
        let number = |conversation: &u64| if numbered { format!("{conversation} ") } else { String::new() };
        Some(match self {
            Self::Registered {
                address: SafeText(address),
                node: SafeText(node),
                listening: SafeText(listening),
            }
            | Self::Moved {
                address: SafeText(address),
                node: SafeText(node),
                listening: SafeText(listening),
            } => {
                format!("* registered {address} at node {node}\n* listening for conversations on {listening}")
            }
            Self::NotRegistered { address: SafeText(address), reason: SafeText(reason), hint } => {
                let hint = hint.as_ref().map_or_else(String::new, |SafeText(hint)| format!("\n* {hint}"));
                format!("! cannot register {address}: {reason}{hint}")
            }
            Self::Begun {
                conversation,
                nickname: SafeText(nickname),
                address,
                remote: SafeText(remote),
                about_security,
                ..
            } => {
                let number = number(conversation);
                let address = address.as_ref().map_or("?", |SafeText(address)| address);
                let begun = format!("* in conversation {number}with {nickname} ({address}) at {remote}");
                about_security.iter().fold(begun, |all, SafeText(line)| all + "\n" + line)
            }
            Self::Line { conversation, nickname: SafeText(nickname), text: SafeText(text), .. } => {
                format!("<{}{nickname}> {text}", number(conversation))
            }
            Self::Trouble { conversation, nickname: SafeText(nickname), reason: SafeText(reason) } => {
                format!("! conversation {}with {nickname}: {reason}", number(conversation))
            }
            Self::KeyRefused { reason: SafeText(reason), address: SafeText(address), .. } => {
                format!("! cannot reach {address}: {reason}")
            }
            // The line that the connection was lost says enough.
            Self::Ended { by: None, .. } => return None,
            Self::Ended {
                conversation,
                nickname: SafeText(nickname),
                reason: Some(SafeText(reason)),
                ..
            } => {
                format!("* conversation {}with {nickname} ended: {reason}", number(conversation))
            }
            Self::Ended { conversation, nickname: SafeText(nickname), by: Some(by), .. } => {
                let by = match by {
                    EndedBy::You => reason::YOU.into(),
                    EndedBy::Peer => reason::peer_in_words(nickname),
                };
                format!("* conversation {}with {nickname} ended by {by}", number(conversation))
            }
            Self::Refused { is_news: false, .. } | Self::Missed { is_news: false, .. } => return None,
            Self::Refused { nickname: SafeText(nickname), remote: SafeText(remote), kind: BUSY, .. } => {
                format!("* {nickname} at {remote} called, and was told that you are busy")
            }
            Self::Refused { kind: KEY_CHANGED, reason: SafeText(reason), .. } => format!("! {reason}"),
            Self::Refused { address: Some(SafeText(caller)), reason: SafeText(reason), .. }
            | Self::Missed { address: SafeText(caller), reason: SafeText(reason), .. } => {
                format!("* {caller} was refused: {reason}")
            }
            Self::Refused {
                nickname: SafeText(nickname),
                remote: SafeText(remote),
                reason: SafeText(reason),
                ..
            } => {
                format!("* {nickname} at {remote} was refused: {reason}")
            }
            Self::GaveWay { callers } => format!("* {}", of_gave_way(*callers)),
            Self::NotRegisteredYet { address: SafeText(address), reason: SafeText(reason), pause } => {
                format!(
                    "! cannot register {address}: {reason}\n* trying again in {pause} s, and then less often"
                )
            }
            Self::RegistrationLost { reason: SafeText(reason) } => format!("! registration lost: {reason}"),
            Self::Unproved { reason: SafeText(reason), .. } => format!("! {reason}"),
            Self::RegistrationRegained { address: SafeText(address), node: SafeText(node) } => {
                format!("* registered {address} again at node {node}")
            }
            Self::Deregistered { address: SafeText(address), .. } => format!("* deregistered {address}"),
            Self::NotDeregistered { address: SafeText(address), reason: SafeText(reason), .. } => {
                format!("! cannot deregister {address}: {reason}")
            }
            // These answer orders, which are JSON only.
            Self::Said { .. } | Self::Failed { .. } | Self::Trusted { .. } | Self::Error { .. } => {
                return None;
            }
            // Line mode says more of them, and `listen` without JSON leaves none.
            Self::Queued { .. }
            | Self::Sent { .. }
            | Self::Unsure { .. }
            | Self::Expired { .. }
            | Self::Undeliverable { .. }
            | Self::Forgotten { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use mi_agent_core::Refusal;
    use std::collections::{BTreeMap, BTreeSet};

    use mi_agent_core::{PeerText, safe_text};
    use serde_json::Value;

    use super::*;

    const KEY: &str = "ed25519:2nHDMM1MqqWz5vIHTdgZhbUBYJmHqyBGZGdnLVqqyJ4=";
    const OTHER_KEY: &str = "ed25519:pE0uv5LFZ2FuyOUWbbf0Hq4yNJ0cf0cT7xWTIxRrzVQ=";
    const DOCUMENT: &str = include_str!("../../../docs/events.md");

    fn shown(text: &str) -> SafeText {
        SafeText::new(text)
    }

    fn mark(text: &str) -> Option<Reference> {
        Some(Reference::Text(text.into()))
    }

    fn number(number: u64) -> Option<Reference> {
        Some(Reference::Number(number.into()))
    }

    /// The examples of the document, in its order.
    fn examples() -> Vec<Report> {
        let (address, node) = (shown("bot@bb.com"), shown("192.0.2.7:3344"));
        let (joya, pere) = (shown("joya"), shown("pere"));
        let no_answer = shown("node 192.0.2.7:3344 does not answer");
        vec![
            Report::Registered {
                address: address.clone(),
                node: node.clone(),
                listening: shown("192.0.2.9:40112"),
            },
            Report::NotRegistered {
                address: address.clone(),
                reason: shown(
                    "no such user at its node, or the node does not know this agent's key: ask for an \
                     invitation (lumi-node ctl invite bot)",
                ),
                hint: None,
            },
            Report::Begun {
                conversation: 1,
                way: Direction::Incoming,
                nickname: joya.clone(),
                address: Some(shown("joya@cc.com")),
                candidates: Vec::new(),
                remote: shown("198.51.100.3:4456"),
                security: Protection::Tls { trust: "known", key: KEY.into() },
                about_security: vec![shown("* encrypted, …")],
                reference: None,
            },
            Report::Begun {
                conversation: 2,
                way: Direction::Outgoing,
                nickname: pere.clone(),
                address: Some(shown("pere@bb.com")),
                candidates: Vec::new(),
                remote: shown("192.0.2.21:51002"),
                security: Protection::Plain,
                about_security: Vec::new(),
                reference: mark("pere-1"),
            },
            Report::Begun {
                conversation: 3,
                way: Direction::Incoming,
                nickname: shown("anna"),
                address: None,
                candidates: vec![shown("anna@cc.com"), shown("boss@dd.com")],
                remote: shown("203.0.113.5:39211"),
                security: Protection::Tls { trust: "new", key: OTHER_KEY.into() },
                about_security: Vec::new(),
                reference: None,
            },
            Report::Line {
                conversation: 1,
                nickname: joya.clone(),
                text: shown("hola, què tal?"),
                raw: None,
                continues: false,
            },
            Report::Line {
                conversation: 1,
                nickname: joya.clone(),
                text: shown("last words"),
                raw: None,
                continues: true,
            },
            Report::Line {
                conversation: 1,
                nickname: joya.clone(),
                text: shown("\x1b[1mhola"),
                raw: Some("\x1b[1mhola".into()),
                continues: false,
            },
            Report::Trouble {
                conversation: 2,
                nickname: pere.clone(),
                reason: shown("connection lost: Connection reset by peer (os error 104)"),
            },
            Report::Ended {
                conversation: 1,
                nickname: joya,
                lost: false,
                by: Some(EndedBy::You),
                reason: None,
                unsaid: 0,
                reference: number(17),
            },
            Report::Ended {
                conversation: 2,
                nickname: pere,
                lost: true,
                by: None,
                reason: None,
                unsaid: 3,
                reference: None,
            },
            Report::Ended {
                conversation: 3,
                nickname: shown("anna"),
                lost: false,
                by: Some(EndedBy::You),
                reason: Some(shown("nothing was said")),
                unsaid: 0,
                reference: None,
            },
            Report::Refused {
                nickname: shown("maria"),
                address: None,
                remote: shown("203.0.113.5:39214"),
                kind: "busy",
                reason: shown("you are busy"),
                keys: None,
                is_news: true,
            },
            Report::Refused {
                nickname: shown("joya"),
                address: Some(shown("joya@cc.com")),
                remote: shown("198.51.100.77:50110"),
                kind: "key-changed",
                reason: shown("somebody called as joya@cc.com with another key"),
                keys: Some(Keys { known: KEY.into(), offered: OTHER_KEY.into() }),
                is_news: true,
            },
            Report::GaveWay { callers: 43 },
            Report::Missed {
                address: shown("anna@cc.com"),
                kind: "blocked",
                reason: shown("blocked"),
                is_news: false,
            },
            Report::RegistrationLost { reason: no_answer.clone() },
            Report::Unproved {
                address: address.clone(),
                since: "2026-11-24".into(),
                reason: shown("the node asked for no proof, …"),
            },
            Report::RegistrationRegained { address: address.clone(), node: node.clone() },
            Report::Moved { address: address.clone(), node, listening: shown("198.51.100.24:40112") },
            Report::Said { conversation: 1, waiting: 1, reference: number(16) },
            Report::Failed {
                command: "call",
                address: Some(shown("maria@bb.com")),
                conversation: None,
                kind: "busy",
                reason: shown("user is busy"),
                keys: None,
                reference: mark("maria-1"),
            },
            Report::Failed {
                command: "call",
                address: Some(shown("joya@cc.com")),
                conversation: None,
                kind: "key-changed",
                reason: shown("its key is not the one known since 2026-11-20"),
                keys: Some(Keys { known: KEY.into(), offered: OTHER_KEY.into() }),
                reference: None,
            },
            Report::Failed {
                command: "say",
                address: None,
                conversation: Some(2),
                kind: "no-conversation",
                reason: shown("there is no such conversation, or it is ending"),
                keys: None,
                reference: None,
            },
            Report::Trusted {
                address: shown("joya@cc.com"),
                trust: "verified",
                key: KEY.into(),
                reference: number(19),
            },
            Report::Queued {
                id: "6f897f2f0436d86e".into(),
                address: shown("joya@cc.com"),
                until: "2026-11-28T15:45:40.011Z".into(),
                reference: number(20),
            },
            Report::Sent { id: "6f897f2f0436d86e".into(), address: shown("joya@cc.com") },
            Report::Unsure { id: "b56ef5c662a461df".into(), address: shown("joya@cc.com") },
            Report::Expired { id: "750083d2ee6586c9".into(), address: shown("pere@bb.com") },
            Report::Undeliverable {
                id: "9c1f20aa77d0e3b1".into(),
                address: shown("jordi@bb.com"),
                reason: shown("there is no user jordi@bb.com"),
            },
            Report::Forgotten { id: "9c1f20aa77d0e3b1".into(), address: shown("jordi@bb.com") },
            Report::Error {
                line: 4,
                reason: shown(
                    "unknown field `dance`, expected one of `call`, `say`, `to`, `bye`, `quit`, `verify`, `words`, \
                     `trust`, `plain`, `later`, `for`, `keep`, `resend`, `forget`, `ref`",
                ),
                reference: number(18),
            },
            Report::Deregistered { address: address.clone(), reference: None },
            Report::NotDeregistered { address, reason: no_answer, reference: mark("bye") },
        ]
    }

    #[test]
    fn the_examples_of_the_document_are_what_is_printed() {
        let lines = DOCUMENT
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(r#"{"at":"#));
        let mut examples = examples().into_iter();
        for line in lines {
            let value: Value = serde_json::from_str(line).unwrap();
            let at = value["at"].as_str().unwrap().parse().unwrap();
            assert_eq!(examples.next().unwrap().json(at), line);
        }
        assert!(examples.next().is_none(), "the document has them all");
    }

    #[test]
    fn the_document_has_every_event_and_field_and_no_other() {
        let mut fields = BTreeMap::<String, BTreeSet<String>>::new();
        for example in examples() {
            let value: Value = serde_json::from_str(&example.json(Timestamp::UNIX_EPOCH)).unwrap();
            let keys = value.as_object().unwrap().keys();
            let known = fields.entry(value["event"].as_str().unwrap().to_owned()).or_default();
            known.extend(keys.filter(|key| !matches!(key.as_str(), "at" | "event")).cloned());
        }
        // The example of this event leaves out its `ref`.
        fields.get_mut("deregistered").unwrap().insert("ref".into());
        let mut documented = BTreeMap::new();
        let events = DOCUMENT.split("\n## ").find(|part| part.starts_with("Events")).unwrap();
        for section in events.split("\n### `").skip(1) {
            let (name, text) = section.split_once('`').unwrap();
            // The section may also have a table of kinds.
            let table = text.split("\n| kind |").next().unwrap();
            let fields = table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
            documented.insert(name.to_owned(), fields.map(str::to_owned).collect());
        }
        assert_eq!(documented, fields);
    }

    /// Hostile text cannot do harm in either form, on its way to the reader.
    #[test]
    fn text_of_strangers_is_safe_in_both_forms() {
        let hostile: String =
            ('\0'..='\u{ff}').chain('\u{2000}'..='\u{2070}').chain(['"', '\\', '\u{feff}']).collect();
        let line = || Report::Line {
            conversation: 1,
            nickname: shown(&hostile),
            text: shown(&hostile),
            raw: Some(hostile.clone()),
            continues: false,
        };
        let json = line().json(Timestamp::UNIX_EPOCH);
        for told in [json.clone(), line().words(true).unwrap()] {
            assert!(told.chars().all(message_log::is_visible), "{told}");
        }
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"].as_str().unwrap(), safe_text(&hostile));
        assert!(value["text"].as_str().unwrap().chars().all(message_log::is_visible));
        assert_eq!(value["raw"].as_str().unwrap(), hostile);
    }

    #[test]
    fn a_typed_escape_and_a_real_one_differ_in_json() {
        let own = "laura@bb.com".parse().unwrap();
        let json = |text: &str| {
            let (nickname, text) = (PeerText::new("joya"), PeerText::new(text));
            let line = Report::of(own, &Happened::Line { id: 1.into(), nickname, text }, None).unwrap();
            let value: Value = serde_json::from_str(&line.json(Timestamp::UNIX_EPOCH)).unwrap();
            (value["text"].as_str().unwrap().to_owned(), value.get("raw").cloned())
        };
        assert_eq!(json(r"\x1b"), (r"\x1b".into(), None));
        assert_eq!(json("\x1b"), (r"\x1b".into(), Some("\x1b".into())));
        assert_eq!(json("\ta"), ("    a".into(), Some("\ta".into())));
        assert_eq!(json("👩\u{200d}💻"), ("👩\u{200d}💻".into(), None));
    }

    #[test]
    fn with_several_conversations_each_has_its_number() {
        let words =
            |several| examples().iter().filter_map(|report| report.words(several)).collect::<Vec<_>>();
        assert_eq!(
            words(false)[2..10],
            [
                "* in conversation with joya (joya@cc.com) at 198.51.100.3:4456\n* encrypted, …",
                "* in conversation with pere (pere@bb.com) at 192.0.2.21:51002",
                "* in conversation with anna (?) at 203.0.113.5:39211",
                "<joya> hola, què tal?",
                "<joya> last words",
                r"<joya> \x1b[1mhola",
                "! conversation with pere: connection lost: Connection reset by peer (os error 104)",
                "* conversation with joya ended by you",
            ]
        );
        assert_eq!(
            words(true)[2..10],
            [
                "* in conversation 1 with joya (joya@cc.com) at 198.51.100.3:4456\n* encrypted, …",
                "* in conversation 2 with pere (pere@bb.com) at 192.0.2.21:51002",
                "* in conversation 3 with anna (?) at 203.0.113.5:39211",
                "<1 joya> hola, què tal?",
                "<1 joya> last words",
                r"<1 joya> \x1b[1mhola",
                "! conversation 2 with pere: connection lost: Connection reset by peer (os error 104)",
                "* conversation 1 with joya ended by you",
            ]
        );
    }

    #[test]
    fn refused_callers_are_named_by_what_is_known_of_them() {
        let remote = ([192, 0, 2, 7], 4456).into();
        let own = "laura@bb.com".parse().unwrap();
        let joya: MiAddress = "joya@cc.com".parse().unwrap();
        let words = |happened| Report::of(own, &happened, None).unwrap().words(false);
        let called = |address, reason, is_news| {
            let nickname = PeerText::new("joya\x1b");
            words(Happened::Refused { nickname, remote, address, reason, keys: None, is_news })
        };
        assert_eq!(
            called(Some(joya), Refusal::Busy, true).unwrap(),
            r"* joya\x1b at 192.0.2.7:4456 called, and was told that you are busy"
        );
        let why = "not among those who may call";
        let told = called(Some(joya), Refusal::NotAllowed, true).unwrap();
        assert_eq!(told, format!("* joya@cc.com was refused: {why}"));
        let told = called(None, Refusal::NotAllowed, true).unwrap();
        assert_eq!(told, format!(r"* joya\x1b at 192.0.2.7:4456 was refused: {why}"));
        assert_eq!(called(Some(joya), Refusal::Blocked, false), None);
        let another = called(Some(joya), Refusal::KeyChanged(joya), true).unwrap();
        assert_eq!(another, "! somebody called as joya@cc.com with another key");
        let missed = |is_news| words(Happened::Missed { from: joya, reason: Refusal::Blocked, is_news });
        assert_eq!(missed(true).unwrap(), "* joya@cc.com was refused: blocked");
        assert_eq!(missed(false), None);
    }
}

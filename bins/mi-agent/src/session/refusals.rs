//! What line mode tells of callers who were refused.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mi_agent_core::{PeerText, Refusal};
use plumi_proto::MiAddress;

/// Tells of each caller once: of who asked where the user is, and then called all the same, not again.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Who was told of, the latest last.
    told: VecDeque<MiAddress>,
}

impl Refusals {
    /// Somebody asked where the user is.
    pub(crate) fn asked(&mut self, from: MiAddress, reason: Refusal) -> Option<String> {
        // Most call again later, and the user knows that there is a conversation.
        if reason == Refusal::Busy {
            return None;
        }
        self.told.retain(|told| *told != from);
        if self.told.len() >= MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back(from);
        Some(format!("{from} was refused: {reason}"))
    }

    /// Somebody called.
    pub(crate) fn called(
        &mut self,
        nickname: &PeerText,
        remote: SocketAddr,
        address: Option<MiAddress>,
        reason: Refusal,
    ) -> Option<String> {
        match address {
            _ if reason == Refusal::Busy => {
                Some(format!("{nickname} at {remote} called, and was told that you are busy"))
            }
            Some(address) if self.told.contains(&address) => None,
            Some(address) => Some(format!("{address} was refused: {reason}")),
            None => Some(format!("{nickname} at {remote} was refused: {reason}")),
        }
    }
}

/// As many as an agent tells of in a minute: who calls then asked less than a minute ago.
const MAX_TOLD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_told_of_once() {
        let mut refusals = Refusals::default();
        let [joya, anna] = ["joya@cc.com", "anna@cc.com"].map(|address| address.parse().unwrap());
        let nickname = PeerText::new("joya\x1b");
        let calls = {
            let remote = ([192, 0, 2, 7], 4456).into();
            move |refusals: &mut Refusals, address, reason| {
                refusals.called(&nickname, remote, address, reason)
            }
        };
        assert_eq!(refusals.asked(joya, Refusal::Busy), None);
        let told = calls(&mut refusals, Some(joya), Refusal::Busy).unwrap();
        assert_eq!(told, r"joya\x1b at 192.0.2.7:4456 called, and was told that you are busy");

        assert_eq!(refusals.asked(joya, Refusal::Blocked).unwrap(), "joya@cc.com was refused: blocked");
        assert!(refusals.asked(anna, Refusal::Blocked).is_some());
        assert_eq!(calls(&mut refusals, Some(joya), Refusal::Blocked), None);
        assert!(refusals.asked(joya, Refusal::Blocked).is_some(), "the agent says when it is news");
        for n in 0..MAX_TOLD {
            let address = format!("u{n}@cc.com").parse().unwrap();
            let why = "not among those who may call";
            let told = calls(&mut refusals, Some(address), Refusal::NotAllowed).unwrap();
            assert_eq!(told, format!("{address} was refused: {why}"));
            refusals.asked(address, Refusal::NotAllowed);
        }
        assert!(calls(&mut refusals, Some(joya), Refusal::Blocked).is_some(), "as many others came since");
        assert_eq!(refusals.told.len(), MAX_TOLD);
        let told = calls(&mut refusals, None, Refusal::NotAllowed).unwrap();
        assert_eq!(told, r"joya\x1b at 192.0.2.7:4456 was refused: not among those who may call");
    }
}

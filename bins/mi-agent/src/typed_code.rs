//! The code of an invitation as people hand it on: alone, or in the line that `lumi-node ctl invite` printed.

use std::str::FromStr;

use mi_agent_core::InvitationCode;

/// A code that somebody typed or pasted, with or without the address in front of it.
#[derive(Clone)]
pub(crate) struct TypedCode(pub(crate) InvitationCode);

impl FromStr for TypedCode {
    type Err = <InvitationCode as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let code = match text.split_once(char::is_whitespace) {
            // The code is made for one address, so the node refuses it for another one.
            Some((address, code)) if address.contains('@') => code,
            _ => text,
        };
        code.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_alone_and_behind_its_address() {
        let code = "KQ7M-2XTN-9D4V-W3RH".parse().ok();
        for text in ["KQ7M-2XTN-9D4V-W3RH", "kq7m 2xtn 9d4v w3rh", " laura@bb.com KQ7M-2XTN-9D4V-W3RH\n"] {
            assert_eq!(text.parse::<TypedCode>().ok().map(|typed| typed.0), code, "{text:?}");
        }
        for text in ["", "laura@bb.com", "laura KQ7M-2XTN-9D4V-W3RH", "laura@bb.com KQ7M"] {
            assert!(text.parse::<TypedCode>().is_err(), "{text:?}");
        }
    }
}

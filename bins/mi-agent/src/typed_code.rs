//! The code of an invitation as people hand it on.
//!
//! ```text
//! KQ7M-2XTN-9D4V-W3RH                          alone
//! laura@bb.com KQ7M-2XTN-9D4V-W3RH             the line that `lumi-node ctl invite` printed
//! mi:laura@bb.com?code=KQ7M2XTN9D4VW3RH        what a camera reads in the code that it drew
//! ```
//!
//! A code is made for one address, so the node refuses it for any other one.

use std::str::FromStr;

use mi_agent_core::InvitationCode;

/// A code that somebody typed, pasted or scanned, with or without the address in front of it.
#[derive(Clone)]
pub(crate) struct TypedCode(pub(crate) InvitationCode);

impl FromStr for TypedCode {
    type Err = <InvitationCode as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let link = || text.strip_prefix("mi:")?.rsplit_once("?code=");
        let line = || text.split_once(char::is_whitespace);
        let code = match link().or_else(line) {
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
        for text in [
            "KQ7M-2XTN-9D4V-W3RH",
            "kq7m 2xtn 9d4v w3rh",
            " laura@bb.com KQ7M-2XTN-9D4V-W3RH\n",
            "mi:laura@bb.com?code=KQ7M2XTN9D4VW3RH",
            "mi:what?code=@bb.com?code=KQ7M2XTN9D4VW3RH\n",
        ] {
            assert_eq!(text.parse::<TypedCode>().ok().map(|typed| typed.0), code, "{text:?}");
        }
        for text in [
            "",
            "laura@bb.com",
            "laura KQ7M-2XTN-9D4V-W3RH",
            "laura@bb.com KQ7M",
            "mi:laura@bb.com?code=",
            "mi:laura@bb.com?key=KQ7M2XTN9D4VW3RH",
            "laura@bb.com?code=KQ7M2XTN9D4VW3RH",
        ] {
            assert!(text.parse::<TypedCode>().is_err(), "{text:?}");
        }
    }
}

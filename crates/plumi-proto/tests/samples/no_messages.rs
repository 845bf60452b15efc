//! Bytes that are nearly a message, with the error and its place, for all tests that read some.

use plumi_proto::DecodeReason as R;
use plumi_proto::{AddressError, NameError};

pub(crate) const NO_MESSAGES: &[(&[u8], (R, usize))] = &[
    (b"", (R::UnknownKind, 0)),
    (b"P", (R::UnknownKind, 0)),
    (b"pRlaura@bb.com", (R::UnknownKind, 0)),
    (b"XX", (R::UnknownKind, 0)),
    (b"PR", (R::User(NameError::Empty), 2)),
    (b"PR@bb.com", (R::Address(AddressError::User(NameError::Empty)), 2)),
    (b"PRlaura@", (R::Address(AddressError::Domain(NameError::Empty)), 2)),
    (b"PRlaura@bb@com", (R::Address(AddressError::SecondAt { at: 8 }), 2)),
    (b"PRlaura@bb.com\0", (R::Address(AddressError::Domain(forbidden('\0', 6))), 2)),
    (b"PRlaura@bb.com\n", (R::Address(AddressError::Domain(forbidden('\n', 6))), 2)),
    (b"PRla ura@bb.com", (R::Address(AddressError::User(forbidden(' ', 2))), 2)),
    (b"PRlaura@bb.com:", (R::TooMuch, 14)),
    (b"PRla\xffura", (R::NotUtf8, 4)),
    (b"PLu@b.c:joy\xffa@cc.com", (R::NotUtf8, 11)),
    (b"RR", (R::UnknownCode, 2)),
    (b"RR2", (R::UnknownCode, 2)),
    (b"RR00", (R::UnknownCode, 2)),
    (b"RD9", (R::UnknownCode, 2)),
    (b"PLlaura@bb.com", (R::FieldMissing, 14)),
    (b"PL:", (NO_AT, 2)),
    (b"PLlaura@bb.com:joya", (NO_AT, 15)),
    (b"PLlaura@bb.com:joya@cc.com:", (R::TooMuch, 26)),
    (b"RL", (R::UnknownCode, 2)),
    (b"RL4laura@bb.com:joya@cc.com", (R::UnknownCode, 2)),
    (b"RL00laura@bb.com", (R::FieldMissing, 16)),
    (b"RL0laura@bb.com:joya@cc.com", (R::FieldMissing, 27)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4", (R::FieldMissing, 35)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3:4456", (R::Ip, 28)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.04:4456", (R::Ip, 28)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4:0", (R::Port, 36)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4:04456", (R::Port, 36)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4:+446", (R::Port, 36)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4:65536", (R::Port, 36)),
    (b"RL0laura@bb.com:joya@cc.com:1.2.3.4:", (R::Port, 36)),
    (b"RL1laura@bb.com:", (NO_AT, 16)),
    (b"RR0x:", (R::UnknownCode, 2)),
    (b"RD1\0", (R::UnknownCode, 2)),
    (b"PDlaura:x", (R::TooMuch, 7)),
    (&[b'P'; 101], (R::TooLong { length: 101 }, 100)),
];

const NO_AT: R = R::Address(AddressError::NoAt);

pub(crate) const fn forbidden(character: char, at: usize) -> NameError {
    NameError::Forbidden { character, at }
}

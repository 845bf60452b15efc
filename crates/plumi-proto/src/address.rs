//! MI addresses, which identify users.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::inline::InlineText;
use crate::name::{Domain, MAX_ADDRESS, NameError, UserName};
use crate::text::impl_text;

/// An MI address, `user@domain`, of at most [`MAX_ADDRESS`] bytes.
///
/// ```text
///   l a u r a @ b b . c o m
///   └─ user ─┘ └─ domain ─┘      exactly one '@'
/// ```
///
/// Two addresses are equal if the users are equal to the byte and the domains are equal as [`Domain`]s. An
/// address keeps the form in which it was given, so that a request can be forwarded byte for byte.
#[derive(Clone, Copy)]
pub struct MiAddress {
    text: InlineText<MAX_ADDRESS>,
    /// The offset of the `@`.
    at: u8,
}

impl MiAddress {
    /// Returns the address of `user` in `domain`.
    ///
    /// # Errors
    /// [`AddressError::TooLong`].
    pub fn new(user: &UserName, domain: &Domain) -> Result<Self, AddressError> {
        let (user, domain) = (user.as_bytes(), domain.as_bytes());
        let text = InlineText::new(user).and_then(|text| text.and(b"@")?.and(domain));
        let too_long = AddressError::TooLong { length: user.len() + 1 + domain.len() };
        Ok(Self { text: text.ok_or(too_long)?, at: offset_after(user) })
    }

    /// Returns the address as it was given.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Returns the part before the `@`.
    pub fn user(&self) -> UserName {
        UserName::checked(self.parts().0)
    }

    /// Returns the part after the `@`.
    pub fn domain(&self) -> Domain {
        Domain::checked(self.parts().1)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the bytes before and after the `@`.
    fn parts(&self) -> (&[u8], &[u8]) {
        let (user, rest) = self.as_bytes().split_at(usize::from(self.at));
        (user, &rest[1..])
    }
}

impl FromStr for MiAddress {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<Self, AddressError> {
        let mut ats = address.bytes().enumerate().filter(|&(_, byte)| byte == b'@').map(|(at, _)| at);
        let at = ats.next().ok_or(AddressError::NoAt)?;
        if let Some(second) = ats.next() {
            return Err(AddressError::SecondAt { at: second });
        }
        let (user, domain) = (&address[..at], &address[at + 1..]);
        // Check the whole length first: the limit of the parts would hide it.
        let text =
            InlineText::new(address.as_bytes()).ok_or(AddressError::TooLong { length: address.len() })?;
        UserName::check(user).map_err(AddressError::User)?;
        Domain::check(domain).map_err(AddressError::Domain)?;
        Ok(Self { text, at: offset_after(user.as_bytes()) })
    }
}

impl PartialEq for MiAddress {
    fn eq(&self, other: &Self) -> bool {
        let ((user, domain), (other_user, other_domain)) = (self.parts(), other.parts());
        user == other_user && Domain::are_equal(domain, other_domain)
    }
}

impl Eq for MiAddress {}

impl Hash for MiAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.user().hash(state);
        self.domain().hash(state);
    }
}

/// Orders by domain, then by user, so that the users of a domain stand together.
impl Ord for MiAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((user, domain), (other_user, other_domain)) = (self.parts(), other.parts());
        Domain::order(domain, other_domain).then_with(|| user.cmp(other_user))
    }
}

impl PartialOrd for MiAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl_text!(MiAddress);

/// The reason why a text is not an MI address. Its `Display` counts bytes from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `@`.
    #[error("an address is user@domain, and there is no '@'")]
    NoAt,
    /// There is more than one `@`.
    #[error("an address is user@domain, and there is a second '@' at byte {}", at + 1)]
    SecondAt {
        /// The offset of the second one in bytes, from 0.
        at: usize,
    },
    /// The address is longer than [`MAX_ADDRESS`] bytes.
    #[error("the address is {length} bytes long, {MAX_ADDRESS} are the most")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The part before the `@` is not a user name.
    #[error("the user name {0}")]
    User(NameError),
    /// The part after the `@` is not a domain. Offsets count from the first byte after the `@`.
    #[error("the domain {0}")]
    Domain(NameError),
}

fn offset_after(user: &[u8]) -> u8 {
    u8::try_from(user.len()).expect("shorter than the address")
}

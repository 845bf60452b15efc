//! The file of a secret key.

use mi_agent_core::{Identity, IdentityError};

/// Any text is an identity or none, and one is the same again once it is written.
///
/// # Panics
/// If it is not.
pub fn identity(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let identity = match Identity::from_pem(text) {
        Ok(identity) => identity,
        Err(error) => return assert!(matches!(error, IdentityError::NoKey), "{error}"),
    };
    let pem = identity.to_pem();
    let again = Identity::from_pem(&pem).expect("it was read");
    assert_eq!(again.public_key(), identity.public_key());
    assert_eq!(*again.to_pem(), *pem);
    let secret = pem.lines().nth(1).expect("its body");
    assert!(
        !format!("{identity:?}").contains(&secret[secret.len().saturating_sub(8)..]),
        "a secret is shown"
    );
}

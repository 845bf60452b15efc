//! The laws of proofs and codes for every input.

use std::net::SocketAddrV4;

use lumi_proof::{Code, CodeError, NonceSecret, Signer, verify};
use plumi_proto::{Challenge, KeyAndMac, MiAddress, Nonce, Verb};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any other change, a proof is invalid.
    #[test]
    fn a_proof_is_good_for_what_it_says_and_nothing_else(
        seeds in any::<[[u8; 32]; 2]>(),
        nonces in any::<[[u8; 12]; 2]>(),
        sources in any::<[SocketAddrV4; 2]>(),
        bit in 0_usize..512,
    ) {
        prop_assume!(seeds[0] != seeds[1] && nonces[0] != nonces[1] && sources[0] != sources[1]);
        let [one, other] = seeds.map(|seed| Signer::from_seed(&seed).expect("a seed"));
        let [laura, pere] = ["laura@bb.com", "pere@bb.com"].map(|address| address.parse().expect("an address"));
        let challenge = Challenge { nonce: Nonce::new(nonces[0]), seen: sources[0] };
        let proof = one.prove(Verb::Register, &laura, &challenge);
        let key = one.public_key();
        prop_assert!(verify(&key, &laura, &challenge, &proof));
        prop_assert!(verify(&key, &"laura@BB.com.".parse().expect("an address"), &challenge, &proof));
        prop_assert!(!verify(&other.public_key(), &laura, &challenge, &proof));
        prop_assert!(!verify(&key, &pere, &challenge, &proof));
        let other_nonce = Challenge { nonce: Nonce::new(nonces[1]), ..challenge };
        let elsewhere = Challenge { seen: sources[1], ..challenge };
        prop_assert!(!verify(&key, &laura, &other_nonce, &proof));
        prop_assert!(!verify(&key, &laura, &elsewhere, &proof));
        let mut changed = proof;
        changed.verb = Verb::Deregister;
        prop_assert!(!verify(&key, &laura, &challenge, &changed));
        let mut changed = proof;
        changed.signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(&key, &laura, &challenge, &changed));
    }

    #[test]
    fn a_code_is_read_as_people_write_it(random in any::<[u8; 10]>()) {
        let code = Code::from_random(random);
        let text = code.to_string();
        prop_assert_eq!(text.len(), 19);
        prop_assert_eq!(text.parse::<Code>(), Ok(code));
        prop_assert_eq!(text.to_lowercase().replace('-', " ").parse::<Code>(), Ok(code));
        prop_assert_eq!(text.replace('-', "").replace('0', "o").replace('1', "l").parse::<Code>(), Ok(code));
        prop_assert_eq!(text.replace('1', "I").parse::<Code>(), Ok(code));
        prop_assert_eq!(format!("{code:?}"), "Code");
    }

    #[test]
    fn a_mac_is_good_for_one_code_user_and_key(codes in any::<[[u8; 10]; 2]>(), key in any::<[u8; 32]>(), bit in 0_usize..96) {
        prop_assume!(codes[0] != codes[1]);
        let [code, other] = codes.map(Code::from_random);
        let [laura, pere]: [MiAddress; 2] =
            ["laura@bb.com", "pere@bb.com"].map(|address| address.parse().expect("an address"));
        let enrolment = code.enrol(&laura, key);
        prop_assert!(code.has_enrolled(&laura, &enrolment));
        prop_assert!(!other.has_enrolled(&laura, &enrolment) && !code.has_enrolled(&pere, &enrolment));
        prop_assert!(!code.has_answered(&laura, &enrolment));
        let mut changed = enrolment;
        changed.mac[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!code.has_enrolled(&laura, &changed));
        let mut other_key = key;
        other_key[0] ^= 1;
        let changed = KeyAndMac { key: other_key, ..enrolment };
        prop_assert!(!code.has_enrolled(&laura, &changed));
    }
}

#[test]
fn what_is_no_code_says_why() {
    for (text, error) in [
        ("", CodeError::Length(0)),
        ("KQ7M-2XTN-9D4V-W3R", CodeError::Length(15)),
        ("KQ7M-2XTN-9D4V-W3RHH", CodeError::Length(17)),
        ("UQ7M-2XTN-9D4V-W3RH", CodeError::Character('U')),
        ("KQ7M_2XTN-9D4V-W3RH", CodeError::Character('_')),
        ("KQ7M-2XTN-9D4V-W3Ré", CodeError::Character('é')),
    ] {
        assert_eq!(text.parse::<Code>(), Err(error), "{text:?}");
    }
}

/// A node makes a challenge for each request, and verifies whatever comes.
#[test]
fn nothing_is_allocated_for_a_challenge_and_a_proof() {
    let secret = NonceSecret::new(&[7; 32]);
    let signer = Signer::from_seed(&[1; 32]).expect("a seed");
    let (address, source) =
        ("laura@bb.com".parse().expect("an address"), "10.0.0.1:5000".parse().expect("a socket"));
    let key = signer.public_key();
    let challenge = Challenge { nonce: secret.nonce(1, 2, &address, source), seen: source };
    let proof = signer.prove(Verb::Register, &address, &challenge);
    // The library looks at the processor once.
    assert!(verify(&key, &address, &challenge, &proof));
    let measured = allocation_counter::measure(|| {
        let challenge = Challenge { nonce: secret.nonce(1, 2, &address, source), seen: source };
        assert!(verify(&key, &address, &challenge, &proof));
    });
    assert_eq!(measured.count_total, 0);
}

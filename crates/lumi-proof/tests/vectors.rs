//! Texts that another program computed: `vectors/generate.py`, with Python's hashlib, hmac and cryptography.

use data_encoding::HEXLOWER;
use lumi_proof::{Code, NonceSecret, Signer, handle, key_tag, signed_text, verify};
use plumi_proto::{Message, MiAddress};

#[test]
fn another_program_computes_the_same() {
    let mut kinds = [0; 4];
    for line in include_str!("vectors/vectors.txt").lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let address: MiAddress = fields[1].parse().expect("an address");
        match fields[..] {
            ["address", _, _, expected, _, seed, _, key, _, tag] => {
                kinds[0] += 1;
                assert_eq!(handle(&address), bytes(expected), "{line}");
                let signer = Signer::from_seed(&bytes(seed)).expect("a seed");
                assert_eq!(signer.public_key(), bytes(key), "{line}");
                assert_eq!(key_tag(&signer.public_key()), bytes(tag), "{line}");
            }
            ["nonce", _, secret, epoch, n, source, expected] => {
                kinds[1] += 1;
                let secret = NonceSecret::new(&bytes(secret));
                let (epoch, n) = (epoch.parse().expect("a number"), n.parse().expect("a number"));
                let nonce = secret.nonce(epoch, n, &address, source.parse().expect("a socket"));
                assert_eq!(nonce.text(), *expected.as_bytes(), "{line}");
            }
            ["proof", _, seed, challenge, expected] => {
                kinds[2] += 1;
                let signer = Signer::from_seed(&bytes(seed)).expect("a seed");
                let challenge = Message::decode(challenge.as_bytes()).expect("a message").challenge();
                let (verb, challenge) = challenge.expect("a challenge");
                let proof = signer.prove(verb, &address, &challenge);
                assert_eq!(&*Message::Prove(proof).encode(), expected.as_bytes(), "{line}");
                assert!(verify(&signer.public_key(), &address, &challenge, &proof), "{line}");
            }
            ["enrol", _, random, code, enrolment, answer] => {
                kinds[3] += 1;
                let code: Code = code.parse().expect("a code");
                assert_eq!(code, Code::from_random(bytes(random)), "{line}");
                let Ok(Message::Enrol { address, key }) = Message::decode(enrolment.as_bytes()) else {
                    panic!("{line}")
                };
                assert_eq!(code.enrol(&address, key.key), key, "{line}");
                assert!(code.has_enrolled(&address, &key), "{line}");
                let answer =
                    Message::decode(answer.as_bytes()).expect("a message").enrolled().expect("an answer");
                assert_eq!(code.answer(&address, answer.key), answer, "{line}");
                assert!(
                    code.has_answered(&address, &answer) && !code.has_enrolled(&address, &answer),
                    "{line}"
                );
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(kinds, [6, 6, 12, 6]);
}

#[test]
fn the_text_that_is_signed_is_the_one_of_the_protocol() {
    let challenge = Message::decode(b"RR1:AAECAwQFBgcICQoLxjNkBxOI1").expect("a message").challenge();
    let (verb, challenge) = challenge.expect("a challenge");
    let text = signed_text(verb, &"laura@BB.com.".parse().expect("an address"), &challenge);
    assert_eq!(&*text, b"lumi-proof-1\0R\0laura@bb.com\0AAECAwQFBgcICQoL\0xjNkBxOI");
}

fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
    let bytes = HEXLOWER.decode(hexadecimal.as_bytes()).expect("hexadecimal digits");
    bytes.try_into().expect("so many")
}

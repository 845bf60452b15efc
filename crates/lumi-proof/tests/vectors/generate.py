"""Prints the test vectors of protocol.md §12, computed with hashlib, hmac and `cryptography` instead of our code.

    python3 generate.py > vectors.txt

Each line has a name and fields that blanks separate; bytes are hexadecimal.
"""

import base64
import hashlib
import hmac
import socket

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def canonical(address):
    user, domain = address.split("@")
    return f"{user}@{domain.lower().removesuffix('.')}".encode()


def socket_bytes(ip, port):
    return socket.inet_aton(ip) + port.to_bytes(2, "big")


def hmac256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def code_of(octets):
    bits = int.from_bytes(octets, "big")
    return "".join(ALPHABET[bits >> 5 * place & 31] for place in range(15, -1, -1))


ADDRESSES = ["laura@bb.com", "laura@BB.Com.", "Laura@bb.com", "ñandú@10.100.100.103", "l" * 29 + "@bb.com", "a@b"]
for number, address in enumerate(ADDRESSES):
    seed = hashlib.sha256(b"seed %d" % number).digest()
    secret = hashlib.sha256(b"secret %d" % number).digest()
    code = code_of(hashlib.sha256(b"code %d" % number).digest()[:10])
    addr = canonical(address)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    ip, port, epoch, n = ["198.51.100.7", "0.0.0.0", "255.255.255.255"][number % 3], 5000 + number, number * 7, number
    source = socket_bytes(ip, port)
    nonce = base64url(hmac256(secret, epoch.to_bytes(8, "big") + n.to_bytes(8, "big") + addr + source)[:12])
    print("address", address, "handle", hashlib.sha256(b"lumi-handle-1\0" + addr).digest()[:6].hex(),
          "seed", seed.hex(), "key", public.hex(), "tag", hashlib.sha256(public).digest()[:8].hex())
    print("nonce", address, secret.hex(), epoch, n, f"{ip}:{port}", nonce.decode())
    for verb in "RD":
        text = b"\0".join([b"lumi-proof-1", verb.encode(), addr, nonce, base64url(source)])
        proof = b"PK" + verb.encode() + nonce[:1] + base64url(hashlib.sha256(b"lumi-handle-1\0" + addr).digest()[:6])
        print("proof", address, seed.hex(), f"R{verb}1:{nonce.decode()}{base64url(source).decode()}1",
              (proof + base64url(key.sign(text))).decode())
    key43 = base64url(public)
    mac = base64url(hmac256(code.encode(), b"lumi-enrol-1\0" + addr + b"\0" + key43)[:12])
    node = base64url(hashlib.sha256(b"node").digest())
    node_mac = base64url(hmac256(code.encode(), b"lumi-enrolled-1\0" + addr + b"\0" + node)[:12])
    print("enrol", address, hashlib.sha256(b"code %d" % number).digest()[:10].hex(), code,
          f"PR{address}:E{key43.decode()}:{mac.decode()}", f"RR0:{node.decode()}:{node_mac.decode()}")

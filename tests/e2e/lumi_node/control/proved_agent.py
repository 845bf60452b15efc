"""An agent that proves its registrations, written from the description of the messages alone.

It shares no line with the programs under test, so a mistake that they make on both sides of the wire is found here. It has
one socket and one key, which is new at each start, and is driven by lines on stdin:

    ADDRESS of the user, IP:PORT of the node are the arguments. The first line on stdout is `key BASE64`.

    register      registered | registered unproved | refused | key not known | relayed | no answer
    deregister    deregistered | refused | key not known | relayed | no answer
    enrol CODE    enrolled NODEKEY | not taken | no invitations | no answer
    answer        found by ADDRESS | not found
"""

import base64
import hashlib
import hmac
import random
import re
import select
import socket
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# A request is sent this many times, this many seconds apart.
TRIES = 5
INTERVAL = 1.0
# A proof that is refused may have met the proof of another agent of the user, so it is tried again.
REFUSALS = 5
REFUSALS_WITHIN = 10.0

BASE64URL = "[A-Za-z0-9_-]"
CHALLENGE = re.compile(f"R[RD]1:({BASE64URL}{{16}})({BASE64URL}{{8}})1")
ENROLLED = re.compile(f"RR0:({BASE64URL}{{43}}):({BASE64URL}{{16}})")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def canonical(address):
    user, domain = address.split("@")
    return f"{user}@{domain.lower().removesuffix('.')}"


def joined(*parts):
    return b"\0".join(part.encode() for part in parts)


class Agent:
    def __init__(self, address, node):
        self.address = canonical(address)
        self.node = node
        self.is_enrolled = False
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((route_to(node), 0))

    def exchange(self, message, is_answer):
        """Sends `message` until something comes for which `is_answer` holds. Anything else is a stray."""
        for _ in range(TRIES):
            self.socket.sendto(message.encode(), self.node)
            until = time.monotonic() + INTERVAL
            while select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
                data, source = self.socket.recvfrom(200)
                answer = data.decode("ascii", "replace")
                if source == self.node and is_answer(answer):
                    return answer
        return None

    def register(self):
        if not self.is_enrolled:
            answer = self.exchange(f"PR{self.address}", lambda answer: answer in ("RR0", "RR1"))
            if answer != "RR1":
                return "registered" if answer else "no answer"
        return self.prove("R", "registered", "registered unproved")

    def deregister(self):
        return self.prove("D", "deregistered", "deregistered")

    def prove(self, verb, done, unproved):
        """Asks for a challenge and proves the key, again if that is refused."""
        well, refused = f"R{verb}0", f"R{verb}1"
        begun, refusals = time.monotonic(), 0
        while True:
            ask = f"P{verb}{self.address}:A".ljust(32, ".")
            answer = self.exchange(ask, lambda answer: answer in (well, refused) or is_challenge(answer, refused))
            if answer is None or answer in (well, refused):
                return {None: "no answer", well: unproved, refused: "refused"}[answer]
            nonce, seen = CHALLENGE.fullmatch(answer).groups()
            if seen != self.local():
                return "relayed"
            answer = self.exchange(self.proof(verb, nonce, seen), lambda answer: answer in (well, refused))
            if answer != refused:
                self.is_enrolled |= answer == well
                return done if answer else "no answer"
            refusals += 1
            if refusals > REFUSALS or time.monotonic() - begun > REFUSALS_WITHIN:
                return "key not known"
            time.sleep(random.uniform(0.05, 0.5))

    def proof(self, verb, nonce, seen):
        handle = hashlib.sha256(joined("lumi-handle-1", self.address)).digest()[:6]
        signature = self.key.sign(joined("lumi-proof-1", verb, self.address, nonce, seen))
        return f"PK{verb}{nonce[0]}{base64url(handle)}{base64url(signature)}"

    def enrol(self, code):
        code = code.upper().translate(str.maketrans("OIL", "011", "- ")).encode()
        key = base64url(self.public)

        def mac(label, key):
            return base64url(hmac.digest(code, joined(label, self.address, key), "sha256")[:12])

        def is_answer(answer):
            enrolled = ENROLLED.fullmatch(answer)
            # Without the code, nobody can answer that the key is taken.
            return answer in ("RR0", "RR1") or enrolled and enrolled[2] == mac("lumi-enrolled-1", enrolled[1])

        answer = self.exchange(f"PR{self.address}:E{key}:{mac('lumi-enrol-1', key)}", is_answer)
        if answer in (None, "RR0", "RR1"):
            return {None: "no answer", "RR0": "no invitations", "RR1": "not taken"}[answer]
        self.is_enrolled = True
        return f"enrolled {ENROLLED.fullmatch(answer)[1]}"

    def answer(self):
        """Waits for somebody who locates the user, and answers."""
        while select.select([self.socket], [], [], TRIES * INTERVAL)[0]:
            data, source = self.socket.recvfrom(200)
            asked = data.decode("utf-8", "replace")
            if source == self.node and asked.startswith("PL") and asked.endswith(f":{self.address}"):
                ip, port = self.socket.getsockname()
                self.socket.sendto(f"RL0{asked[2:]}:{ip}:{port}".encode(), self.node)
                return f"found by {asked[2:].split(':')[0]}"
        return "not found"

    def local(self):
        ip, port = self.socket.getsockname()
        return base64url(socket.inet_aton(ip) + port.to_bytes(2, "big"))


def is_challenge(answer, refused):
    return answer.startswith(refused) and CHALLENGE.fullmatch(answer)


def route_to(node):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(node)
        return probe.getsockname()[0]


def main():
    address, node = sys.argv[1:]
    ip, port = node.split(":")
    agent = Agent(address, (ip, int(port)))
    print("key", base64.b64encode(agent.public).decode(), flush=True)
    for line in sys.stdin:
        match line.split(maxsplit=1):
            case ["register"]:
                outcome = agent.register()
            case ["deregister"]:
                outcome = agent.deregister()
            case ["answer"]:
                outcome = agent.answer()
            case ["enrol", code]:
                outcome = agent.enrol(code.strip())
            case _:
                sys.exit(f"unknown command {line!r}")
        print(outcome, flush=True)


if __name__ == "__main__":
    main()

//! The captured exchange of protocol.md §8.

use message_ladder::mermaid;

use crate::{drawn, ladder_of};

const OF_C: &str = "\
R: 10.100.100.101:UDP:51189, PRu1@PC-c, 9
E: 10.100.100.101:UDP:51189, RR0, 3
R: 10.100.100.101:UDP:51189, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17
R: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.101:UDP:51189, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
R: 10.100.100.101:UDP:51189, PDu1@PC-c, 9
E: 10.100.100.101:UDP:51189, RD0, 3
";

const OF_D: &str = "\
R: 10.100.100.102:UDP:43545, PRu2@PC-d, 9
E: 10.100.100.102:UDP:43545, RR0, 3
R: 10.100.100.103:UDP:3344, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.102:UDP:43545, PLu1@PC-c:u2@PC-d, 17
R: 10.100.100.102:UDP:43545, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
E: 10.100.100.103:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39
R: 10.100.100.102:UDP:43545, PDu2@PC-d, 9
E: 10.100.100.102:UDP:43545, RD0, 3
";

#[test]
fn it_is_drawn() {
    for (owner, lines, expected) in [("PC-c", OF_C, DRAWN_OF_C), ("PC-d", OF_D, DRAWN_OF_D)] {
        let shown = drawn(&ladder_of(owner, lines), None, 300);
        assert_eq!(shown, expected.strip_prefix('\n').unwrap(), "{shown}");
    }
}

#[test]
fn where_there_is_less_room_the_ends_of_addresses_and_the_beginnings_of_texts_are_seen() {
    let ladder = ladder_of("PC-c", OF_C);
    let shown = drawn(&ladder, Some("u1"), 64);
    assert_eq!(shown, NARROW.strip_prefix('\n').unwrap(), "{shown}");
}

#[test]
fn it_is_a_diagram() {
    for (owner, lines, expected) in [("PC-c", OF_C, DIAGRAM_OF_C), ("PC-d", OF_D, DIAGRAM_OF_D)] {
        let diagram = mermaid(&ladder_of(owner, lines), None);
        assert_eq!(diagram, expected, "{diagram}");
    }
}

const DRAWN_OF_C: &str = "
       u1@PC-c           PC-c            PC-d
10.100.100.101:51189   this node  10.100.100.104:3344
          ├───────PR──────▶│               │           PRu1@PC-c  9 B  register u1@PC-c
          │◀─────RR0───────┤               │           RR0  3 B  registered
          ├───────PL──────▶│               │           PLu1@PC-c:u2@PC-d  17 B  u1@PC-c asks where u2@PC-d is
          │                ├──────PL──────▶│           PLu1@PC-c:u2@PC-d  17 B  u1@PC-c asks where u2@PC-d is
          │                │◀─────RL0──────┤           RL0u1@PC-c:u2@PC-d:10.100.100.102:43038  39 B  u2@PC-d is at TCP 10.100.100.102:43038
          │◀─────RL0───────┤               │           RL0u1@PC-c:u2@PC-d:10.100.100.102:43038  39 B  u2@PC-d is at TCP 10.100.100.102:43038
          ├───────PD──────▶│               │           PDu1@PC-c  9 B  deregister u1@PC-c
          │◀─────RD0───────┤               │           RD0  3 B  deregistered
";

const DRAWN_OF_D: &str = "
       u2@PC-d           PC-d            PC-c
10.100.100.102:43545   this node  10.100.100.103:3344
          ├───────PR──────▶│               │           PRu2@PC-d  9 B  register u2@PC-d
          │◀─────RR0───────┤               │           RR0  3 B  registered
          │                │◀─────PL───────┤           PLu1@PC-c:u2@PC-d  17 B  u1@PC-c asks where u2@PC-d is
          │◀──────PL───────┤               │           PLu1@PC-c:u2@PC-d  17 B  u1@PC-c asks where u2@PC-d is
          ├──────RL0──────▶│               │           RL0u1@PC-c:u2@PC-d:10.100.100.102:43038  39 B  u2@PC-d is at TCP 10.100.100.102:43038
          │                ├──────RL0─────▶│           RL0u1@PC-c:u2@PC-d:10.100.100.102:43038  39 B  u2@PC-d is at TCP 10.100.100.102:43038
          ├───────PD──────▶│               │           PDu2@PC-d  9 B  deregister u2@PC-d
          │◀─────RD0───────┤               │           RD0  3 B  deregistered
";

const NARROW: &str = "
  u1@PC-c      PC-c        PC-d
…101:51189   this node  ….104:3344
     ├────PR────▶│           │      PRu1@PC-c  9 B  register u1…
     │◀───RR0────┤           │      RR0  3 B  registered
     ├────PL────▶│           │      PLu1@PC-c:u2@PC-d  17 B  u1…
     │           ├────PL────▶│      PLu1@PC-c:u2@PC-d  17 B  u1…
     │           │◀───RL0────┤      RL0u1@PC-c:u2@PC-d:10.100.1…
     │◀───RL0────┤           │      RL0u1@PC-c:u2@PC-d:10.100.1…
     ├────PD────▶│           │      PDu1@PC-c  9 B  deregister …
     │◀───RD0────┤           │      RD0  3 B  deregistered
";

const DIAGRAM_OF_C: &str = "\
sequenceDiagram
    participant p1 as u1@PC-c<br/>10.100.100.101:51189
    participant p0 as PC-c<br/>this node
    participant p2 as PC-d<br/>10.100.100.104:3344
    p1->>p0: PRu1@PC-c (9 B)<br/>register u1@PC-c
    p0->>p1: RR0 (3 B)<br/>registered
    p1->>p0: PLu1@PC-c:u2@PC-d (17 B)<br/>u1@PC-c asks where u2@PC-d is
    p0->>p2: PLu1@PC-c:u2@PC-d (17 B)<br/>u1@PC-c asks where u2@PC-d is
    p2->>p0: RL0u1@PC-c:u2@PC-d:10.100.100.102:43038 (39 B)<br/>u2@PC-d is at TCP 10.100.100.102:43038
    p0->>p1: RL0u1@PC-c:u2@PC-d:10.100.100.102:43038 (39 B)<br/>u2@PC-d is at TCP 10.100.100.102:43038
    p1->>p0: PDu1@PC-c (9 B)<br/>deregister u1@PC-c
    p0->>p1: RD0 (3 B)<br/>deregistered
";

const DIAGRAM_OF_D: &str = "\
sequenceDiagram
    participant p1 as u2@PC-d<br/>10.100.100.102:43545
    participant p0 as PC-d<br/>this node
    participant p2 as PC-c<br/>10.100.100.103:3344
    p1->>p0: PRu2@PC-d (9 B)<br/>register u2@PC-d
    p0->>p1: RR0 (3 B)<br/>registered
    p2->>p0: PLu1@PC-c:u2@PC-d (17 B)<br/>u1@PC-c asks where u2@PC-d is
    p0->>p1: PLu1@PC-c:u2@PC-d (17 B)<br/>u1@PC-c asks where u2@PC-d is
    p1->>p0: RL0u1@PC-c:u2@PC-d:10.100.100.102:43038 (39 B)<br/>u2@PC-d is at TCP 10.100.100.102:43038
    p0->>p2: RL0u1@PC-c:u2@PC-d:10.100.100.102:43038 (39 B)<br/>u2@PC-d is at TCP 10.100.100.102:43038
    p1->>p0: PDu2@PC-d (9 B)<br/>deregister u2@PC-d
    p0->>p1: RD0 (3 B)<br/>deregistered
";

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
    for (owner, lines) in [("PC-c", OF_C), ("PC-d", OF_D)] {
        let ladder = ladder_of(owner, lines);
        println!("{}", drawn(&ladder, None, 300));
        println!("{}", drawn(&ladder, None, 100));
        println!("{}", drawn(&ladder, None, 60));
        println!("{}", drawn(&ladder, None, 20));
        println!("{}", mermaid(&ladder, None));
    }
}

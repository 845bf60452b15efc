//! The real programs beside emulators of L and S, as their users see it.

use std::net::SocketAddrV4;
use std::time::Duration;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::{EmulatedAgent, EmulatedNode, fence};
use integration_tests::programs::{AGENT, AgentProgram, NodeProgram, Program, Signal};

use super::{BOTH, agent_at, converse, peer};

fn agent(address: &str, node: &EmulatedNode, arguments: &[&str]) -> AgentProgram {
    let mut agent = AgentProgram::start(address, node.address, arguments);
    agent.expect_line("* listening");
    agent
}

fn listening(agent: &mut AgentProgram) -> SocketAddrV4 {
    let line = agent.expect_line("* listening");
    line.rsplit(' ').next().and_then(|at| at.parse().ok()).expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_at_a_node_of_l_or_s_is_told_line_by_line() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let arguments: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
        let mut x1 = agent("x1@bb", &node, arguments);
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        for line in ["/call x2@bb", "hola", "", "//bye és per acabar", "/var/log és ple"] {
            x1.type_line(line);
        }
        x2.expect("heard /var").await;
        assert_eq!(x2.heard(), ["hola", "", "/bye és per acabar", "/var/log és ple"]);
        x2.say("Que tal?").await;
        assert_eq!(x1.expect_line("<"), "<x2> Que tal?");
        x1.type_line("/bye");
        x2.expect("closed").await;
        assert_eq!(x1.expect_line("* conversation"), "* conversation with x2 ended by you");
        for (typed, told) in [
            ("/call off@bb", "! cannot reach off@bb: user is offline"),
            ("/call nobody@bb", "! cannot reach nobody@bb: no such user or domain"),
            ("/call x@cc", "! cannot reach x@cc: no such user or domain"),
        ] {
            x1.type_line(typed);
            assert_eq!(x1.expect_line("!"), told);
        }
        x2.talk_to("x1@bb").await;
        x1.expect_line("* in conversation with x2 (x2@bb) at 127.0.0.1:");
        x2.hang_up().await;
        x1.expect_line("* conversation with x2 ended");
        x1.type_line("/quit");
        assert_eq!(x1.wait_exit(), 0);
        assert_eq!(x1.expect_line("* dereg"), "* deregistered x1@bb");
        assert_eq!(node.address_of("x1").await, None);
        x2.end().await;
        node.end().await;
    }
}

/// A text of many lines reaches an agent of theirs, which may be busy or gone. It is all one to them whether
/// a person or a script calls.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_send_to_agents_of_l_and_s() {
    let folder = tempfile::tempdir().expect("a folder");
    for theirs in BOTH {
        let node = peer(theirs).await;
        let at = node.address.to_string();
        let bare: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
        let send = |to: &str, text: &str| {
            let arguments = [&["send", "--from", "x1@bb", "--node", &at, to, text], bare].concat();
            Program::start(AGENT, folder.path(), &arguments)
        };
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        let lines: Vec<_> = (0..60).map(|n| format!("line {n}")).collect();
        let mut x1 = send("x2@bb", &lines.join("\n"));
        x2.expect("begun x1").await;
        x2.say("Hola!").await;
        x2.expect("closed").await;
        assert_eq!(x2.heard(), lines);
        assert_eq!(x1.wait_exit(), 0);
        assert_eq!((x1.stdout(), x1.stderr()), (vec!["<x2> Hola!".to_owned()], vec![]));
        assert_eq!(node.address_of("x1").await, None);

        let mut x3 = agent_at(theirs, "x3@bb", node.address).await;
        x3.talk_to("x2@bb").await;
        for (to, told, code) in [
            ("x2@bb", "user is busy", 7),
            ("off@bb", "user is offline", 4),
            ("nobody@bb", "no such user or domain", 3),
        ] {
            let mut x1 = send(to, "hola");
            assert_eq!(x1.wait_exit(), code);
            assert_eq!(x1.stderr()[0], format!("! cannot reach {to}: {told}"));
        }
        x3.say("adeu").await;
        x3.hang_up().await;
        x2.expect("closed").await;
        x2.end().await;
        x3.end().await;
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_s_refuses_the_full_form_and_its_user_is_told() {
    let node = peer(S).await;
    let mut x1 = AgentProgram::start("x1@bb", node.address, &[]);
    assert_eq!(x1.wait_exit(), 3);
    assert_eq!(
        x1.stdout(),
        [
            "! cannot register x1@bb: no such user at its node, or the node does not know this agent's key: ask for an invitation (lumi-node ctl invite x1)",
            "* upper and lower case differ; the administrator of bb adds a user with `register x1`; or --node names the node of another domain",
        ]
    );
    node.end().await;
}

/// Lines are on their way in both directions when the program is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_a_conversation_leaves_the_other_at_its_menu() {
    for theirs in BOTH {
        for (signal, ours_calls) in [(Signal::Terminate, true), (Signal::Interrupt, false)] {
            let node = peer(theirs).await;
            let arguments: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
            let mut x1 = agent("x1@bb", &node, arguments);
            let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
            if ours_calls {
                x1.type_line("/call x2@bb");
                x2.expect("begun x1").await;
            } else {
                x2.talk_to("x1@bb").await;
                x1.expect_line("* in conversation");
            }
            for n in 0..20 {
                x1.type_line(&format!("line {n}"));
                x2.say(&format!("back {n}")).await;
            }
            x2.expect("heard line 2").await;
            x1.signal(signal);
            x2.expect("closed").await;
            assert_eq!(x1.wait_exit(), 0);
            assert_eq!(node.address_of("x1").await, None);
            x2.end().await;
            node.end().await;
        }
    }
}

/// The caller has connected and its nickname is yet to come; the callee has been called and yet to answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_a_conversation_begins_leaves_the_other_at_its_menu() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let arguments: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        // S bears no end before a line. While it does not run, it would take a line and our nickname for one
        // frame.
        if theirs == L {
            let mut x1 = agent("x1@bb", &node, arguments);
            x2.freeze_when_called().await;
            x1.type_line("/call x2@bb");
            x2.expect("accepted").await;
            x1.signal(Signal::Terminate);
            assert_eq!(x1.wait_exit(), 0);
            x2.thaw().await;
            x2.expect("begun x1").await;
            x2.expect("closed").await;
        }

        let mut x1 = AgentProgram::start("x1@bb", node.address, arguments);
        let at = listening(&mut x1);
        // A program that is told to end waits 400 ms for a nickname, and says a line only then, which S
        // needs. L bears an end without one.
        let slowness = if theirs == L { 300 } else { 150 };
        x2.dial_slowly(at, Duration::from_millis(slowness)).await;
        x2.expect("dialled").await;
        x1.signal(Signal::Terminate);
        x2.expect("begun x1").await;
        x2.expect("closed").await;
        assert_eq!(x1.wait_exit(), 0);
        x2.end().await;
        node.end().await;
    }
}

/// The caller has connected, and given its nickname, to a program that did not run, and is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_the_queue_of_a_program_that_ends_is_greeted_and_let_go() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let arguments: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
        let mut x1 = AgentProgram::start("x1@bb", node.address, arguments);
        let at = listening(&mut x1);
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        x1.signal(Signal::Stop);
        x2.dial(at).await;
        x2.expect("dialled").await;
        x1.signal(Signal::Terminate);
        x1.signal(Signal::Continue);
        x2.expect("begun x1").await;
        x2.expect("closed").await;
        assert_eq!(x1.wait_exit(), 0);
        x2.end().await;
        node.end().await;
    }
}

/// Killed, it says nothing: the node has it as online, and its user is found again when it is started again.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_is_started_again() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let arguments: &[_] = if theirs == S { &["--bare-user"] } else { &[] };
        let x1 = agent("x1@bb", &node, arguments);
        let mut x2 = agent_at(theirs, "x2@bb", node.address).await;
        drop(x1);
        x2.call("x1@bb").await;
        x2.wait_for(|line| line.contains(" PLx2@bb:x1@bb")).await;
        let mut x1 = agent("x1@bb", &node, arguments);
        // The next try of the same call, or the first one, which the new program was sent.
        x2.expect("begun x1").await;
        x1.expect_line("* in conversation with x2");
        x2.hang_up().await;
        x1.expect_line("* conversation with x2 ended");
        x1.close_stdin();
        assert_eq!(x1.wait_exit(), 0);
        x2.assert_alive();
        node.assert_alive();
    }
}

/// L has asked twice when our program, which did not run meanwhile, answers both. The node of L and the agent
/// behind it hear one.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stood_still_is_heard_once() {
    for theirs in BOTH {
        let peer = peer(theirs).await;
        let node = NodeProgram::start("aa", &["u1"], &["--peer", &format!("bb={}", peer.address)]);
        peer.add_peer("aa", node.address()).await;
        let mut u1 = AgentProgram::start("u1@aa", node.address(), &[]);
        u1.expect_line("* listening");
        let mut x1 = agent_at(theirs, "x1@bb", peer.address).await;
        u1.signal(Signal::Stop);
        x1.call("u1@aa").await;
        for _ in 0..2 {
            x1.wait_for(|line| line.contains(" PL")).await;
        }
        // Otherwise, the second question could come after the first was answered, and would be another one.
        peer.fence().await;
        fence(node.address(), "aa").await;
        u1.signal(Signal::Continue);
        x1.expect("begun u1").await;
        u1.expect_line("* in conversation with x1 (x1@bb)");
        x1.hang_up().await;
        u1.expect_line("* conversation with x1 ended");
        u1.close_stdin();
        assert_eq!(u1.wait_exit(), 0);
        peer.fence().await;
        assert_eq!(peer.all("R RL").len(), 1, "{}", *peer);
        x1.end().await;
        peer.end().await;
    }
}

/// An L that has asked dies of the ICMP error of a closed port. So what has come when the node is told to end
/// is answered, though the node did not run when it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_end_answers_what_has_come() {
    let users: Vec<_> = (0..10).map(|n| format!("u{n}")).collect();
    let roster: Vec<_> = users.iter().map(String::as_str).collect();
    let mut node = NodeProgram::start("bb", &roster, &[]);
    let mut agents = Vec::new();
    for user in &users {
        agents.push(EmulatedAgent::start(L, &format!("{user}@bb"), node.address()).await);
    }
    node.signal(Signal::Stop);
    let (idle, leaving) = agents.split_first_mut().expect("ten");
    for agent in &mut *leaving {
        agent.leave().await;
        agent.wait_for(|line| line.contains(" PD")).await;
    }
    node.signal(Signal::Terminate);
    node.signal(Signal::Continue);
    for agent in leaving {
        agent.expect("deregistered").await;
    }
    assert_eq!(node.wait_exit(), 0);
    idle.read_all().await;
    for agent in agents {
        agent.assert_alive();
    }
}

/// Each asks ten times in a second or two, all from one address, and nobody is kept out.
#[tokio::test(flavor = "multi_thread")]
async fn the_rate_limit_bears_a_house_full_of_s_agents() {
    let users: Vec<_> = (0..30).map(|n| format!("u{n}")).collect();
    let roster: Vec<_> = users.iter().map(String::as_str).collect();
    let node = NodeProgram::start("bb", &roster, &[]);
    let mut agents = Vec::new();
    for user in &users {
        agents.push(EmulatedAgent::start(S, &format!("{user}@bb"), node.address()).await);
    }
    for _ in 0..3 {
        for agent in &agents {
            agent.call("nobody@bb").await;
        }
        for agent in &mut agents {
            assert_eq!(agent.expect("failed Locate").await, r#"("nobody@bb"): Code('2')"#);
        }
    }
    for agent in &mut agents {
        agent.deregister().await;
    }
    for agent in agents {
        agent.assert_alive();
    }
    // It would say that it keeps somebody out.
    assert_eq!(node.stderr(), [""; 0]);
}

/// S asks each 200 ms and gives up after 2 s. A callee that takes more than half of that is asked more than
/// five times meanwhile, and reached nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_slow_is_not_taken_for_gone_by_the_quick_tries_of_s() {
    for callee_is in BOTH {
        let node = NodeProgram::start("bb", &["u1", "u2"], &[]);
        let mut caller = EmulatedAgent::start(S, "u1@bb", node.address()).await;
        let mut callee = EmulatedAgent::start(callee_is, "u2@bb", node.address()).await;
        callee.freeze().await;
        caller.call("u2@bb").await;
        for _ in 0..6 {
            caller.expect("S PL").await;
        }
        fence(node.address(), "bb").await;
        callee.thaw().await;
        caller.expect("begun u2").await;
        callee.expect("begun u1").await;
        callee.read_all().await;
        fence(node.address(), "bb").await;
        caller.say("adeu").await;
        caller.hang_up().await;
        callee.expect("closed").await;
        caller.assert_alive();
        callee.end().await;
    }
}

/// The whole, with L at one end and ours at the other.
#[tokio::test(flavor = "multi_thread")]
async fn our_node_program_serves_agents_of_l_and_s() {
    let mut node = NodeProgram::start("bb", &["u1", "u2"], &[]);
    let mut u1 = EmulatedAgent::start(L, "u1@bb", node.address()).await;
    let mut u2 = EmulatedAgent::start(S, "u2@bb", node.address()).await;
    converse(&mut u1, &mut u2).await;
    converse(&mut u2, &mut u1).await;
    u1.deregister().await;
    u2.deregister().await;
    node.type_line("list");
    node.wait_for(|line| line.contains("u1") && line.contains("offline"));
    node.wait_for(|line| line.contains("u2") && line.contains("offline"));
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    let letters: Vec<_> = node.log().iter().map(|line| line[..1].to_owned()).collect();
    assert_eq!(letters.join(""), "RERE".to_owned() + &"RERE".repeat(2) + "RERE");
    u1.end().await;
    u2.end().await;
}

//! The page of a node, in a browser that nobody sees.

mod columns;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use integration_tests::browser::{Browser, View};
use integration_tests::exchange::Exchange;
use integration_tests::programs::{DEADLINE, NodeProgram, Signal, eventually};
use integration_tests::skipped;
use message_log::printable;
use plumi_proto::Verb;
use serde_json::{Value, json};

use super::web::{ARGUMENTS, web_of};
use super::{User, folder_with, key, prove};

#[test]
fn a_page_that_loses_its_place_to_another_address_comes_again_when_it_is_told_to() {
    let Some(mut browser) = browser() else { return };
    let node = NodeProgram::start("bb.com", &[], &ARGUMENTS);
    let web = web_of(&node);
    open(&mut browser, web);
    browser.wait_until("document.querySelector('#connection').dataset.state === 'live'");
    browser.evaluate("window.pauses = []; window.setTimeout = (_, pause) => pauses.push(pause); true");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let watch_from = |ip: [u8; 4]| {
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((ip, 0).into()).unwrap();
            socket.connect(web).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(&stream, "GET /events HTTP/1.1\r\nHost: {web}\r\n\r\n").unwrap();
        let mut status = [0; 12];
        (&stream).read_exact(&mut status).unwrap();
        assert_eq!(str::from_utf8(&status), Ok("HTTP/1.1 200"));
        stream
    };
    let crowd: Vec<_> = (0..31).map(|_| watch_from([127, 0, 0, 1])).collect();
    let newcomer = watch_from([127, 0, 0, 9]);
    browser.wait_until("pauses.includes(30000)");
    browser.wait_until("document.querySelector('#connection').textContent.startsWith('32 watch this node')");
    drop((crowd, newcomer));
}

#[test]
fn the_captured_exchange_is_drawn_as_it_was() {
    let Some(mut browser) = browser() else { return };
    let exchange = Exchange::at("127.0.0.1:0", "127.0.0.1:0").unwrap();
    let peer = exchange.peer();
    let arguments = [&ARGUMENTS[..], &["--peer", &peer]].concat();
    let node = NodeProgram::start("PC-c", &["joya", "laura", "u1"], &arguments);
    open(&mut browser, web_of(&node));
    browser.wait_until("document.title === 'PC-c – lumi-node'");
    browser.wait_until("document.querySelector('#how-many').textContent === '0 of 3 online'");
    exchange.play(node.address());
    wait_for_rows(&mut browser, 8);

    let found = "RL0u1@PC-c:u2@PC-d:10.100.100.102:43038 39 B u2@PC-d is at TCP 10.100.100.102:43038";
    let asks = "PLu1@PC-c:u2@PC-d 17 B u1@PC-c asks where u2@PC-d is";
    let expected = [
        ("u1@PC-c", "PC-c", "PRu1@PC-c 9 B register u1@PC-c"),
        ("PC-c", "u1@PC-c", "RR0 3 B registered"),
        ("u1@PC-c", "PC-c", asks),
        ("PC-c", "PC-d", asks),
        ("PC-d", "PC-c", found),
        ("PC-c", "u1@PC-c", found),
        ("u1@PC-c", "PC-c", "PDu1@PC-c 9 B deregister u1@PC-c"),
        ("PC-c", "u1@PC-c", "RD0 3 B deregistered"),
    ];
    // The page shows it in words, and draws it between the columns that have these names above them.
    assert_eq!(browser.evaluate(IN_WORDS), json!(expected));
    assert_eq!(browser.evaluate(AS_DRAWN), json!(expected.map(|(from, to, _)| (from, to))));
    let columns = browser.evaluate(&texts_of("#columns .role, #columns .name"));
    assert_eq!(columns, json!(["agent", "u1@PC-c", "this node", "PC-c", "node", "PC-d"]));
    let kinds = browser.evaluate("[...document.querySelectorAll('.row')].map((row) => row.classList[1])");
    assert_eq!(kinds, json!(["asks", "done", "asks", "asks", "done", "done", "asks", "done"]));

    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    // The number alone may still be that of the moment in which u1 was online.
    browser.wait_until("document.querySelector('#users th')?.textContent === 'laura'");
    assert_eq!(browser.evaluate("document.querySelector('#how-many').textContent"), "1 of 3 online");
    let users = browser.evaluate(&texts_of("#users th, #users .state, #users .address"));
    let address = laura.address().to_string();
    assert_eq!(users, json!(["laura", "online", address, "joya", "offline", "", "u1", "offline", ""]));
    let ghost = User::of(&node);
    assert_eq!(ghost.ask("PRghost"), "RR1");
    wait_for_rows(&mut browser, 12);
    assert_eq!(browser.evaluate("[...document.querySelectorAll('.row')].at(-1).classList[1]"), "refused");

    by_keyboard(&mut browser);
    standing_still(&mut browser, &laura);
    browser.evaluate("document.querySelector('#counters').open = true");
    let counted = "document.querySelector('#kinds tr')?.textContent === 'PR40'";
    browser.wait_until(counted);
    browser.wait_until("document.querySelector('.received .line').getAttribute('d').includes('L')");
    for size in [(1280, 800), (360, 740)] {
        browser.view(View { size, is_dark: true });
        browser.wait_until("document.documentElement.scrollWidth <= innerWidth");
    }
    assert_eq!(browser.troubles(), json!([]));
}

/// All that there is can be reached and chosen without a mouse.
fn by_keyboard(browser: &mut Browser) {
    let focus = "document.activeElement.id || document.activeElement.textContent";
    let mut stops = Vec::new();
    for _ in 0..9 {
        browser.press("Tab");
        stops.push(browser.evaluate(focus));
    }
    let expected =
        ["Go to the messages", "about", "pause", "rows", "named", "laura", "joya", "u1", "All counters"];
    assert_eq!(json!(stops), json!(expected));

    browser.evaluate("document.querySelector('#rows').focus()");
    let chosen =
        "document.getElementById(document.querySelector('#rows').getAttribute('aria-activedescendant'))";
    let words = format!("{chosen}?.querySelector('.words').textContent");
    for (key, expected) in [
        ("Home", json!("register u1@PC-c")),
        ("ArrowDown", json!("registered")),
        ("ArrowUp", json!("register u1@PC-c")),
        ("ArrowUp", json!("register u1@PC-c")),
        ("End", json!("not registered: no such user, or not from there")),
        ("ArrowDown", json!("not registered: no such user, or not from there")),
        ("Escape", json!(null)),
        ("ArrowUp", json!("not registered: no such user, or not from there")),
        ("Home", json!("register u1@PC-c")),
    ] {
        browser.press(key);
        assert_eq!(browser.evaluate(&words), expected, "{key}");
    }
    for _ in 0..4 {
        browser.press("ArrowDown");
    }
    assert_eq!(browser.evaluate(&format!("{chosen}.getAttribute('aria-selected')")), "true");
    let facts = browser.evaluate(&texts_of("#facts dd"));
    let facts: Vec<_> =
        facts.as_array().expect("a list").iter().map(|fact| fact.as_str().expect("text")).collect();
    let [
        "RL0u1@PC-c:u2@PC-d:10.100.100.102:43038",
        "u2@PC-d is at TCP 10.100.100.102:43038",
        from,
        to,
        at,
        length,
    ] = facts[..]
    else {
        panic!("{facts:?}")
    };
    assert!(from.starts_with("node PC-d, 127.0.0.1:") && to == "this node PC-c", "{from} {to}");
    assert!(at.ends_with(", as number 5") && length == "39 bytes", "{at} {length}");

    // The user of the pressed button, and nobody else.
    browser.evaluate("document.querySelector('#users button').focus()");
    browser.press("Enter");
    wait_for_rows(browser, 2);
    assert_eq!(browser.evaluate("document.querySelector('#about').value"), "laura@PC-c");
    assert_eq!(browser.evaluate("document.querySelector('#count').textContent"), "2 of 12 messages");
    browser.evaluate("document.querySelector('#about').select()");
    browser.type_text("ghost");
    wait_for_rows(browser, 2);
    browser.evaluate("document.querySelector('#about').select()");
    browser.type_text("nobody");
    wait_for_rows(browser, 0);
    assert_eq!(
        browser.evaluate("document.querySelector('#none').textContent"),
        "No message here is about that user."
    );
    browser.evaluate("document.querySelector('#about').select()");
    browser.type_text(" ");
    wait_for_rows(browser, 12);
}

/// A paused page does not move, and has all of it afterwards.
fn standing_still(browser: &mut Browser, laura: &User) {
    browser.evaluate("document.querySelector('#pause').focus()");
    browser.press("Enter");
    assert_eq!(laura.ask("PRlaura"), "RR0");
    browser.wait_until("document.querySelector('#pause').textContent === 'Go on (2 new)'");
    wait_for_rows(browser, 12);
    browser.press("Enter");
    wait_for_rows(browser, 14);
    assert_eq!(browser.evaluate("document.querySelector('#pause').textContent"), "Pause");
}

#[test]
fn proofs_of_registrations_are_counted() {
    let Some(mut browser) = browser() else { return };
    let folder = folder_with("bb.com\nlaura\npere\n");
    let line = format!("laura ed25519 {} 2026-11-29 invited\n", key(1));
    std::fs::write(folder.path().join("config/nodelumi.cfg.keys"), line).unwrap();
    let arguments = [&["--listen", "127.0.0.1:0"], &ARGUMENTS[..]].concat();
    let node = NodeProgram::start_in(folder.path(), &arguments);
    open(&mut browser, web_of(&node));
    browser.evaluate("document.querySelector('#counters').open = true");
    browser.wait_until("document.querySelector('#proofs tr') !== null");
    let (laura, thief) = (User::of(&node), User::of(&node));
    assert_eq!(prove(&thief, Verb::Register, 2), "RR1");
    assert_eq!(prove(&laura, Verb::Register, 1), "RR0");
    assert_eq!(prove(&laura, Verb::Register, 1), "RR0");
    let shows = |browser: &mut Browser, selector: &str, expected: Value| {
        let shown = format!("JSON.stringify({})", texts_of(selector));
        browser.wait_until(&format!("{shown} === {}", json!(expected.to_string())));
    };
    let proofs = json!(["Challenges sent3", "Accepted2", "Accepted again0", "Refused1", "Keys enrolled0"]);
    shows(&mut browser, "#proofs tr", proofs);
    let users = json!(["laura", "online", ", has a key", "pere", "offline", ""]);
    shows(&mut browser, "#users th, #users .state, #users .key", users);
    assert_eq!(browser.troubles(), json!([]));
}

#[test]
fn what_is_looked_at_stays_and_what_is_new_is_a_click_away() {
    let Some(mut browser) = browser() else { return };
    let users: Vec<_> = (0..600).map(|number| format!("u{number:03}")).collect();
    let mut users: Vec<_> = users.iter().map(String::as_str).collect();
    users.extend(["ana", "joana"]);
    let arguments = [&ARGUMENTS[..], &["--rate-limit", "off"]].concat();
    let node = NodeProgram::start("PC-c", &users, &arguments);
    let (ana, joana) = (User::of(&node), User::of(&node));
    ana.ask("PRana");
    joana.ask("PRjoana");
    open(&mut browser, web_of(&node));
    wait_for_rows(&mut browser, 4);

    // A user with a name that contains hers is somebody else.
    browser.evaluate("[...document.querySelectorAll('#users button')].find(({ textContent }) => textContent === 'ana').click()");
    browser.wait_until("document.querySelector('#count').textContent === '2 of 4 messages'");
    assert_eq!(browser.evaluate(&texts_of(".row .message")), json!(["PRana", "RR0"]));
    browser.evaluate("document.querySelector('#about').focus(); document.querySelector('#about').select()");
    browser.type_text(" ");
    wait_for_rows(&mut browser, 4);

    for _ in 0..20 {
        ana.ask("PRana");
    }
    wait_for_rows(&mut browser, 44);
    browser.wait_until(AT_THE_END);
    browser.evaluate("document.querySelectorAll('.row')[40].click()");
    let place = "document.querySelectorAll('.row')[40].getBoundingClientRect().top";
    let before = browser.evaluate(place);
    for _ in 0..20 {
        ana.ask("PRana");
    }
    wait_for_rows(&mut browser, 84);
    assert_eq!(browser.evaluate(place), before);
    browser.wait_until("!document.querySelector('#newest').hidden");
    browser.evaluate("document.querySelector('#newest').click()");
    browser.wait_until(&format!("{AT_THE_END} && document.querySelector('#newest').hidden"));
    assert_eq!(browser.evaluate("document.querySelector('[aria-selected=true]')"), json!(null));
    // So it is for a viewer that goes there by hand.
    browser.evaluate("document.querySelectorAll('.row')[80].click()");
    ana.ask("PRana");
    wait_for_rows(&mut browser, 86);
    browser.evaluate("document.querySelector('#ladder').scrollTop = 1e6");
    browser.wait_until("document.querySelector('#newest').hidden");
    ana.ask("PRana");
    wait_for_rows(&mut browser, 88);
    browser.wait_until(AT_THE_END);

    // The page says nothing wrong about users that are too many to be shown.
    let others = "document.querySelector('#others').textContent";
    let more = "102 more users are not shown: lumi-node ctl list finds them.";
    assert_eq!(browser.evaluate(others), more);
    browser.evaluate("document.querySelector('#named').focus()");
    browser.type_text("u599");
    browser.wait_until("document.querySelectorAll('#users tr').length === 0");
    assert_eq!(browser.evaluate(others), format!("Nobody who is shown is named so. {more}"));

    // Agents with messages in view have columns, as far as there is room.
    for number in 0..40 {
        assert_eq!(User::of(&node).ask(&format!("PRu{number:03}")), "RR0");
    }
    wait_for_rows(&mut browser, 168);
    browser.wait_until("document.querySelector('#columns').textContent.includes('u039@PC-c')");
    let drawn = browser.evaluate(AS_DRAWN);
    let drawn = drawn.as_array().expect("a list");
    assert_eq!(drawn.last(), Some(&json!(["PC-c", "u039@PC-c"])));
    let is_shared = |end: &Value| end.as_str().is_some_and(|name| name.ends_with(" others"));
    assert!(drawn[0].as_array().is_some_and(|ends| ends.iter().any(is_shared)), "{drawn:?}");
    assert_eq!(browser.evaluate("document.querySelector('.row .from').textContent"), "ana@PC-c");
    assert_eq!(browser.troubles(), json!([]));
}

#[test]
fn whatever_strangers_say_stays_text() {
    let Some(mut browser) = browser() else { return };
    let user = "<img/src=x/onerror=alert(1)>";
    let arguments = [&ARGUMENTS[..], &["--rate-limit", "off"]].concat();
    let node = NodeProgram::start("PC-c", &["laura", user], &arguments);
    open(&mut browser, web_of(&node));
    browser.wait_until("document.querySelector('#how-many').textContent === '0 of 2 online'");
    let stranger = User::of(&node);
    assert_eq!(stranger.ask(&format!("PR{user}")), "RR0");
    let mut random = fastrand::Rng::with_seed(7);
    let messages: Vec<Vec<u8>> = [
        "<img src=x onerror=alert(1)>",
        "PL<script>alert(1)</script>",
        "</ol></script><script>troubles.push('ran')</script><b style=\"color:red\">",
        "PR\u{202e}moc.bb@arual\u{2066}",
        "javascript:alert(1)",
        "&lt;b&gt;&amp;\u{0}\u{1b}[2J",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    // No more than the lines about one address in a second.
    .chain((0..14).map(|_| std::iter::repeat_with(|| random.u8(..)).take(100).collect()))
    .collect();
    for message in &messages {
        stranger.say(message);
    }
    wait_for_rows(&mut browser, 2 + messages.len());
    let shown = browser.evaluate(&texts_of(".row .message"));
    let expected: Vec<_> = [format!("PR{user}"), "RR0".to_owned()]
        .into_iter()
        .chain(messages.iter().map(|message| printable(message).to_string()))
        .collect();
    assert_eq!(shown, json!(expected));
    // It is the name of a column, of a row's parties and of a user by now, and about the chosen message.
    browser.wait_until("document.querySelector('#how-many').textContent === '1 of 2 online'");
    browser.evaluate("document.querySelector('#rows').focus()");
    browser.press("Home");
    let places = "[...document.querySelectorAll('#columns .name, .from, #users th, #facts .message')]";
    let places = browser
        .evaluate(&format!("{places}.filter(({{ textContent }}) => textContent.includes('{user}')).length"));
    assert_eq!(places, 1 + (1 + messages.len()) + 1 + 1);

    let foreign = "document.querySelectorAll('img, b, script:not([src=\"page.js\"]), [onerror], [style*=color]').length";
    assert_eq!(browser.evaluate(foreign), 0);
    assert_eq!(browser.troubles(), json!([]));

    // Far more than anybody can look at. The page is paused, as a gap goes with the messages that follow it.
    let pause = "document.querySelector('#pause').click()";
    eventually("a gap is held", || {
        for _ in 0..3000 {
            stranger.say(format!("PR{user}").as_bytes());
        }
        browser.wait_until("document.querySelectorAll('.row').length === 500");
        browser.evaluate(pause);
        browser.wait_until("document.querySelector('#pause').textContent.startsWith('Go on')");
        let is_held = browser.evaluate("document.querySelector('.gap') !== null") == true;
        if !is_held {
            browser.evaluate(pause);
        }
        is_held
    });
    // A viewer that searches for a user learns, too, that not all has been seen.
    browser.evaluate("document.querySelector('#about').focus()");
    browser.type_text("nobody");
    wait_for_rows(&mut browser, 0);
    let gaps = browser.evaluate(&texts_of(".gap"));
    let gaps = gaps.as_array().expect("a list");
    assert!(
        gaps.len() == 1 && gaps[0].as_str().is_some_and(|gap| gap.contains(" passed too fast")),
        "{gaps:?}"
    );
    browser.evaluate("document.querySelector('#about').select()");
    browser.type_text(" ");
    wait_for_rows(&mut browser, 500);
    browser.evaluate(pause);
    // A datagram of a flood may be lost before the node has it.
    eventually("the end of the flood is seen", || {
        stranger.say(b"the end");
        browser.evaluate("[...document.querySelectorAll('.row')].at(-1).textContent.includes('the end')")
            == true
    });
    assert_eq!(browser.evaluate("document.querySelectorAll('.row').length"), 500);
    assert_eq!(browser.troubles(), json!([]));
}

#[test]
fn a_node_that_is_lost_is_found_again() {
    let Some(mut browser) = browser() else { return };
    let folder = folder_with("PC-c\nu1\n");
    let mut node = NodeProgram::start_in(folder.path(), &ARGUMENTS);
    let web = web_of(&node);
    assert_eq!(User::of(&node).ask("PRu1"), "RR0");
    open(&mut browser, web);
    wait_for_rows(&mut browser, 2);
    // One that says nothing is lost, too.
    node.signal(Signal::Stop);
    wait_for_state(&mut browser, "lost", "connection lost, trying again");
    node.signal(Signal::Continue);
    wait_for_state(&mut browser, "live", "live");
    browser.evaluate("document.querySelector('#pause').click()");
    node.kill();
    wait_for_state(&mut browser, "lost", "connection lost, trying again");
    // The messages that it has shown can still be looked at.
    wait_for_rows(&mut browser, 2);

    let address = web.to_string();
    let node = NodeProgram::start_in(folder.path(), &["-v", "--web", &address]);
    wait_for_state(&mut browser, "live", "live");
    // So it can as long as it is paused.
    let joan = User::of(&node);
    assert_eq!(joan.ask("PRjoan"), "RR1");
    browser.wait_until("document.querySelector('#pause').textContent === 'Go on (2 new)'");
    assert_eq!(browser.evaluate(&texts_of(".row .message")), json!(["PRu1", "RR0"]));
    // It is the ladder of the new node.
    browser.evaluate("document.querySelector('#pause').click()");
    browser.wait_until("document.querySelector('.row .message').textContent === 'PRjoan'");
    wait_for_rows(&mut browser, 2);
    assert_eq!(User::of(&node).ask("PRghost"), "RR1");
    wait_for_rows(&mut browser, 4);
    let messages = browser.evaluate(&texts_of(".row .message"));
    assert_eq!(messages, json!(["PRjoan", "RR1", "PRghost", "RR1"]));

    browser.open("about:blank");
    let mut others = Vec::new();
    eventually("all other places are taken", || {
        let mut other = TcpStream::connect(web).unwrap();
        other.write_all(format!("GET /events HTTP/1.1\r\nHost: {web}\r\n\r\n").as_bytes()).unwrap();
        let mut head = [0; 12];
        other.read_exact(&mut head).unwrap();
        let is_in = head == *b"HTTP/1.1 200";
        others.push(other);
        !is_in
    });
    open(&mut browser, web);
    wait_for_state(&mut browser, "lost", "32 watch this node already, and no more can: try again later\n");
    drop(others);
    wait_for_state(&mut browser, "live", "live");
    wait_for_rows(&mut browser, 4);
    assert_eq!(browser.troubles(), json!([]));
}

/// `None`, and said past what captures the output of tests, where there is no browser: nobody shall take it
/// for proved.
fn browser() -> Option<Browser> {
    let told = |reason| skipped(&format!("no page is looked at: {reason}"));
    Browser::start().map_err(told).ok()
}

fn open(browser: &mut Browser, web: SocketAddr) {
    browser.view(View { size: (1280, 800), is_dark: false });
    browser.open(&format!("http://{web}/"));
}

fn wait_for_rows(browser: &mut Browser, count: usize) {
    browser.wait_until(&format!("document.querySelectorAll('.row').length === {count}"));
}

fn wait_for_state(browser: &mut Browser, state: &str, words: &str) {
    let words = Value::from(words);
    let place = "document.querySelector('#connection')";
    browser.wait_until(&format!("{place}.dataset.state === '{state}' && {place}.textContent === {words}"));
}

fn texts_of(selector: &str) -> String {
    format!("[...document.querySelectorAll('{selector}')].map(({{ textContent }}) => textContent)")
}

/// The newest message is in view.
const AT_THE_END: &str = "(({ scrollTop, clientHeight, scrollHeight }) => scrollTop + clientHeight > scrollHeight - 2)(document.querySelector('#ladder'))";

/// Each message: its sender, its receiver, and everything that is said of it.
const IN_WORDS: &str = "[...document.querySelectorAll('.row')].map((row) => {
    const [from, to, message, size, words] = ['from', 'to', 'message', 'size', 'words']
        .map((name) => row.querySelector(`.${name}`).textContent);
    return [from, to, `${message}${size} ${words}`];
})";

/// Each arrow in view: the names above its beginning and above its end, at which its point is.
const AS_DRAWN: &str = "[...document.querySelectorAll('.row')].filter((row) => {
    const { top, bottom } = row.getBoundingClientRect();
    const above = document.querySelector('#columns').getBoundingClientRect().bottom;
    return bottom > above && top < document.querySelector('#ladder').getBoundingClientRect().bottom;
}).map((row) => {
    const arrow = row.querySelector('.arrow').getBoundingClientRect();
    const point = row.querySelector('.point').getBoundingClientRect();
    const isToTheRight = point.right > arrow.right;
    const above = (x) => [...document.querySelectorAll('.column')]
        .map((column) => [Math.abs(column.getBoundingClientRect().left + column.offsetWidth / 2 - x), column])
        .sort(([one], [other]) => one - other)[0][1].querySelector('.name').textContent;
    return isToTheRight ? [above(arrow.left), above(point.right)] : [above(arrow.right), above(point.left)];
})";

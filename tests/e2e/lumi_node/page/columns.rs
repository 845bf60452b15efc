//! The columns of the page: one for each user with messages in view, on a desk and on a phone.

use integration_tests::browser::{Browser, View};
use integration_tests::programs::NodeProgram;
use serde_json::json;

use super::{browser, open, texts_of, wait_for_rows, web_of};
use crate::lumi_node::User;
use crate::lumi_node::web::ARGUMENTS;

/// A node without a limit of datagrams.
fn node(users: &[&str]) -> NodeProgram {
    NodeProgram::start("PC-c", users, &[&ARGUMENTS[..], &["--rate-limit", "off"]].concat())
}

fn names(browser: &mut Browser) -> serde_json::Value {
    browser.evaluate(&texts_of("#columns .name"))
}

#[test]
fn a_user_has_one_column_and_a_check_has_none() {
    let Some(mut browser) = browser() else { return };
    let node = node(&["laura"]);
    open(&mut browser, web_of(&node));
    assert_eq!(User::of(&node).ask("PDlumi-node-check@PC-c"), "RD1");
    wait_for_rows(&mut browser, 2);
    browser.wait_until("document.querySelectorAll('.arrow').length === 2");
    assert_eq!(names(&mut browser), json!(["PC-c"]));
    let lengths =
        "[...document.querySelectorAll('.arrow')].map((arrow) => arrow.getBoundingClientRect().width > 40)";
    assert_eq!(browser.evaluate(lengths), json!([true, true]));

    // There are no more refusals, with the check, than lines about one address in a second.
    let sockets: Vec<_> = (0..9).map(|_| User::of(&node)).collect();
    for laura in &sockets {
        assert_eq!(laura.ask("PRlaura"), "RR0");
        assert_eq!(laura.ask("PLlaura@PC-c:pere@PC-c"), "RL2laura@PC-c:pere@PC-c");
        assert_eq!(laura.ask("PDlaura"), "RD0");
    }
    wait_for_rows(&mut browser, 56);
    let latest = sockets[8].address();
    browser.wait_until(&format!("document.querySelector('#columns .address').textContent === '{latest} +8'"));
    assert_eq!(names(&mut browser), json!(["laura@PC-c", "PC-c"]));
    assert_eq!(browser.evaluate(WRONG), json!([]));
    // All about a message has the address that it came from.
    browser.evaluate("document.querySelectorAll('.row')[2].click()");
    let from = browser.evaluate("document.querySelectorAll('#facts dd')[2].textContent");
    assert_eq!(from, format!("agent laura@PC-c, {}", sockets[0].address()));
    assert_eq!(browser.troubles(), json!([]));
}

#[test]
fn however_many_agents_there_are_each_arrow_has_both_ends_in_view() {
    let Some(mut browser) = browser() else { return };
    for count in [3, 30, 300] {
        let users: Vec<_> = (1..=count).map(|number| format!("agent{number:03}")).collect();
        let node = node(&users.iter().map(String::as_str).collect::<Vec<_>>());
        // No address has more datagrams dropped than it may have lines in a second.
        let ips = (1..=4).map(|last| format!("127.0.0.{last}")).cycle();
        let agents: Vec<_> = users.iter().zip(ips).map(|(_, ip)| User::at(&ip, &node)).collect();
        for (agent, user) in agents.iter().zip(&users) {
            assert_eq!(agent.ask(&format!("PR{user}")), "RR0");
        }
        for (at, agent) in agents.iter().enumerate() {
            let other = (at + 1) % count;
            let asks = format!("{}@PC-c:{}@PC-c", users[at], users[other]);
            agent.say(format!("PL{asks}").as_bytes());
            assert_eq!(agents[other].hear(), format!("PL{asks}"));
            agents[other].say(format!("RL1{asks}").as_bytes());
            assert_eq!(agent.hear(), format!("RL1{asks}"));
        }
        // Each of the last messages is another agent's, so more agents are in view than columns have room.
        let first = count.saturating_sub(CROWD);
        for (agent, user) in agents.iter().zip(&users).skip(first) {
            agent.say(format!("RL1nobody@PC-c:{user}@PC-c").as_bytes());
        }
        open(&mut browser, web_of(&node));
        wait_for_rows(&mut browser, (6 * count + count - first).min(500));
        for size in [(1366, 768), (390, 844)] {
            browser.view(View { size, is_dark: false });
            browser.evaluate("document.querySelector('#newest').click()");
            browser.wait_until(&format!("{WRONG}.length === 0"));
            let last = names(&mut browser);
            assert!(last.to_string().contains(&format!("agent{count:03}@PC-c")), "{last}");
            // Others have columns where others are looked at.
            browser.evaluate("document.querySelector('#rows').focus()");
            browser.press("Home");
            browser.wait_until(&format!(
                "document.querySelector('.row').getAttribute('aria-selected') === 'true' && {WRONG}.length === 0"
            ));
            let chosen = "[...document.querySelectorAll('#columns .name')].some(({ textContent }) =>
                textContent === document.querySelector('.row .from').textContent)";
            browser.wait_until(chosen);
            assert_eq!(browser.evaluate(WRONG), json!([]), "{count} at {size:?}");
        }
        assert_eq!(browser.troubles(), json!([]));
    }
}

/// The most agents that say something without an answer: fewer datagrams than the queue of a socket holds.
const CROWD: usize = 60;

/// The faults of the columns and of the arrows in view: there should be none.
const WRONG: &str = "(() => {
    const wrong = [];
    const box = document.querySelector('#ladder');
    if (box.scrollWidth > box.clientWidth) wrong.push('it scrolls sideways');
    const [frame, head] = [box, document.querySelector('#columns')].map((part) => part.getBoundingClientRect());
    const columns = [...document.querySelectorAll('.column')].map((column) => {
        const { left, right } = column.getBoundingClientRect();
        if (left < frame.left - 1 || right > frame.right + 1) wrong.push(`${column.textContent} is out of view`);
        if (right - left < 70) wrong.push(`${column.textContent} has no room`);
        return { middle: (left + right) / 2, name: column.querySelector('.name').textContent };
    });
    const isThere = (name) => columns.some((column) => column.name === name);
    if (!document.querySelector('.column.this')) wrong.push('the node has no column');
    const seen = new Set([document.querySelector('.column.this .name').textContent]);
    for (const row of document.querySelectorAll('.row')) {
        const { top, bottom } = row.getBoundingClientRect();
        if (bottom <= head.bottom || top >= frame.bottom) continue;
        const [from, to] = ['.from', '.to'].map((name) => row.querySelector(name).textContent);
        seen.add(from).add(to);
        if (from === 'lumi-node check' || to === 'lumi-node check') continue;
        const arrow = row.querySelector('.arrow')?.getBoundingClientRect();
        const point = row.querySelector('.point')?.getBoundingClientRect();
        if (!arrow) { wrong.push(`${row.id} has no arrow`); continue; }
        const isRight = point.right > arrow.right;
        const ends = isRight ? [arrow.left, point.right] : [arrow.right, point.left];
        [from, to].forEach((name, at) => {
            const near = columns.find(({ middle }) => Math.abs(middle - ends[at]) < 6)?.name ?? 'nothing';
            if (near !== name && (isThere(name) || !near.endsWith('others'))) wrong.push(`${row.id}: ${near} for ${name}`);
        });
    }
    for (const { name } of columns) if (!seen.has(name) && !name.endsWith('others')) wrong.push(`${name} has no arrow`);
    return wrong;
})()";

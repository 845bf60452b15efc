//! The test of a bot that the README shows.

use std::error::Error;

use lumi_testkit::network::TestNode;
use mi_agent_core::{Event, Events};

/// The bot.
async fn echo(mut events: Events) {
    while let Some(event) = events.next().await {
        if let Event::Incoming(caller) = event
            && let Ok(mut talk) = caller.accept()
        {
            while let Ok(Some(line)) = talk.next_line().await {
                _ = talk.send(line.raw()).await;
            }
        }
    }
}

#[tokio::test]
async fn the_bot_says_what_it_is_told() -> Result<(), Box<dyn Error>> {
    let node = TestNode::alone("bb.com", &["laura", "bot"]).await;
    let (bot, events) = node.agent("bot").start().await?;
    tokio::spawn(echo(events));

    let (laura, _) = node.agent("laura").start().await?;
    let mut talk = laura.call(bot.address()).await?;
    talk.send("hola").await?;
    assert_eq!(talk.next_line().await?.ok_or("the bot has hung up")?, "hola");
    Ok(())
}

#[test]
fn the_readme_shows_this_test() {
    let this = include_str!("readme.rs");
    let start = this.find("/// The bot.").expect("the bot above");
    let end = this.find("\n#[test]").expect("this test");
    assert!(include_str!("../README.md").contains(&this[start..end]), "the README shows another test");
}

//! The README shows what there is.

const README: &str = include_str!("../../README.md");

#[test]
fn the_embedded_agent_is_the_example() {
    let example = include_str!("../../crates/mi-agent-core/examples/echo-bot.rs");
    let shown = &example[example.find("async fn run()").expect("its main part")..];
    assert!(README.contains(shown), "the README shows another echo-bot");
}

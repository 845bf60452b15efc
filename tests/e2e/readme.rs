//! The documents show what there is.

const EMBEDDING: &str = include_str!("../../docs/embedding.md");

#[test]
fn the_embedded_agent_is_the_example() {
    let example = include_str!("../../crates/mi-agent-core/examples/echo-bot.rs");
    let shown = &example[example.find("async fn run()").expect("its main part")..];
    assert!(EMBEDDING.contains(shown), "docs/embedding.md shows another echo-bot");
}

//! A ladder as a sequence diagram of Mermaid.

use std::collections::HashSet;
use std::fmt::Write;

use crate::arrow::{Arrow, MALFORMED, Role};
use crate::ladder::Ladder;

/// The arrows of `ladder` that are about `user`, or all of them, as a diagram that Mermaid draws, with a line
/// end at its end.
///
/// Names and messages stay text, whatever is in them: but for letters, digits and some signs that mean
/// nothing to Mermaid, each character is written by its number.
pub fn mermaid(ladder: &Ladder, user: Option<&str>) -> String {
    let shown = |arrow: &&Arrow| user.is_none_or(|user| arrow.concerns(user));
    let arrows: Vec<_> = ladder.arrows().filter(shown).collect();
    let mut diagram = "sequenceDiagram\n".to_owned();
    let has_column = |id| ladder.party(id).is_some_and(|party| party.role != Role::Check);
    let used: HashSet<_> = arrows.iter().flat_map(|arrow| [arrow.from, arrow.to]).collect();
    for party in ladder.parties() {
        let id = party.id;
        if party.role != Role::This && !(used.contains(&id) && has_column(id)) {
            continue;
        }
        let address = match party.address {
            Some(address) if party.addresses > 1 => {
                format!("<br/>{address} and {} more", party.addresses - 1)
            }
            Some(address) if address.to_string() == party.name => String::new(),
            Some(address) => format!("<br/>{address}"),
            None if party.role == Role::This && ladder.is_of_agent() => "<br/>this agent".into(),
            None if party.role == Role::This => "<br/>this node".into(),
            None => String::new(),
        };
        put(
            &mut diagram,
            format_args!("    participant p{} as {}{address}\n", id.number(), escaped(&party.name)),
        );
    }
    for arrow in arrows {
        let Arrow { from, to, length, .. } = arrow;
        // The beginning of what is no message could mean something here.
        let before = if arrow.kind == MALFORMED { "(malformed) " } else { "" };
        let (message, words) = (escaped(&arrow.message), escaped(&arrow.words));
        let place = match (has_column(*from), has_column(*to)) {
            (true, true) => format!("p{}->>p{}: ", from.number(), to.number()),
            (false, _) => format!("Note left of p{}: received: ", to.number()),
            (_, false) => format!("Note left of p{}: sent: ", from.number()),
        };
        put(&mut diagram, format_args!("    {place}{before}{message} ({length} B)<br/>{words}\n"));
        if let Some(note) = arrow.note.as_ref().filter(|_| has_column(*from) && has_column(*to)) {
            let (from, to) = (from.number(), to.number());
            put(&mut diagram, format_args!("    Note over p{from},p{to}: {}\n", escaped(note)));
        }
    }
    diagram
}

fn put(diagram: &mut String, text: std::fmt::Arguments<'_>) {
    diagram.write_fmt(text).expect("a String takes everything");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric()
            || matches!(character, ' ' | '@' | ':' | '.' | ',' | '-' | '_' | '?' | '(' | ')' | '…')
        {
            escaped.push(character);
        } else {
            put(&mut escaped, format_args!("#{};", u32::from(character)));
        }
    }
    escaped
}

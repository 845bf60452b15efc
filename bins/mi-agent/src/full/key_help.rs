//! Descriptions of what the keys do, for help. `app/key_presses.rs` does it.

/// Keys and what they do.
pub(crate) const KEYS: [(&str, &str); 15] = [
    ("F1 · F2 · F3", "help · protocol · contacts"),
    ("Enter", "sends the line, or carries the command out"),
    ("Tab, Shift-Tab", "complete a command or an address"),
    ("↑ ↓", "lines typed before"),
    ("PageUp, PageDown, wheel", "scroll, load history; with Alt, the protocol"),
    ("Ctrl-Home, Ctrl-End", "to the first line, to the last"),
    ("Esc", "closes what lies above, or goes to the last line"),
    ("Ctrl-N, Ctrl-P, Alt-1 …", "the next tab, the one before, that of a number"),
    ("Ctrl-← →, Alt-B Alt-F", "by words"),
    ("Ctrl-A, Ctrl-E", "to the beginning of the line, to its end"),
    ("Ctrl-W, Alt-D", "delete the word before, the word behind"),
    ("Ctrl-U, Ctrl-K, Ctrl-Y", "delete to the beginning, to the end; put it back"),
    ("Ctrl-L, Ctrl-Z", "draw all of it again, suspend"),
    ("Ctrl-C", "clears the line; if it is empty, leaves at once"),
    ("Ctrl-D", "leaves, if the line is empty"),
];

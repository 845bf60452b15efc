//! `mi-agent`, as its library has it.

use std::process::ExitCode;

fn main() -> ExitCode {
    mi_agent::main()
}

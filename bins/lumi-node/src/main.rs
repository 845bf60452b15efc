//! `lumi-node`, as its library has it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lumi_node::main()
}

//! Runs `lumi-node`; everything is in its library.

use std::process::ExitCode;

fn main() -> ExitCode {
    lumi_node::main()
}

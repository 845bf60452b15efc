//! Programs with nothing to do.

use std::thread;
use std::time::Duration;

use integration_tests::programs::{AgentProgram, NodeProgram, Program};
use tokio::time::Instant;

use crate::report::{Report, Target};
use crate::{Options, domain};

pub(crate) fn measure(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    domain::write_roster(folder.path(), 1)?;
    let with_console = NodeProgram::start("cc.com", &["laura"], &[]);
    let without = domain::start_in(folder.path(), &[]);
    let mut agent = AgentProgram::start("laura@cc.com", with_console.address(), &[]);
    agent.expect_line("* listening");
    let programs: [(&str, &Program); 3] =
        [("node", &without), ("node with a console", &with_console), ("agent, registered", &agent)];
    // All at the same time.
    let start = Instant::now();
    let before = programs.map(|(_, program)| program.processor_time());
    while start.elapsed() < TIME {
        thread::park_timeout(TIME - start.elapsed());
    }
    let after = programs.map(|(_, program)| program.processor_time());
    let time = start.elapsed();
    for ((name, program), (before, after)) in programs.into_iter().zip(before.into_iter().zip(after)) {
        let percent = 100.0 * after.saturating_sub(before).as_secs_f64() / time.as_secs_f64();
        report.figure(&format!("idle {name}: CPU"), percent, "%", Target::AtMost(0.1));
        let mebibytes = program.memory() as f64 / f64::from(1 << 20);
        report.figure("  resident memory", mebibytes, "MiB", Target::AtMost(12.0));
        report.figure("  threads", program.threads() as f64, "", Target::AtMost(2.0));
    }
    Ok(())
}

/// The time for which they are watched: longer than the 10 s for which the runtime keeps its first threads.
const TIME: Duration = Duration::from_secs(12);

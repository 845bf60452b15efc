//! The machine of the measurements.

use std::fs;
use std::num::NonZero;
use std::thread;

/// The processor, how many cores of it, and the kernel, as far as proc(5) tells.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    let kernel = kernel.as_deref().map_or("an unknown kernel", str::trim);
    format!("{cores} cores of {model}, Linux {kernel}")
}

//! Sources within ranges of addresses, which the settings name.

use plumi_proto::AddressRange;

use super::source::Source;

/// Returns whether `source` is in one of `ranges`.
pub(super) fn is_in(ranges: &[AddressRange], source: Source) -> bool {
    ranges.iter().any(|range| range.contains(source.ip()))
}

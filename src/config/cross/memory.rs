//! `memory.limit` beside what must fit into it.

use super::Cross;
use crate::config::machine::Machine;
use crate::config::{assemble, memory, units};

impl Cross<'_> {
    /// Lanes and the largest records must fit, or the limit would be a wish.
    pub(super) fn memory(&mut self, machine: Machine) {
        const LIMIT: &str = "memory.limit";
        const LANES: &str = "kafka.lanes";
        let general = &self.parts.general;
        let sizes_are_sound =
            self.parts.layers().all(|values| values.sound(&["records.max_bytes"]));
        if !general.sound(&[LIMIT, LANES]) || !sizes_are_sound {
            return;
        }
        let (limit, lanes) =
            (assemble::memory_limit(general, machine), assemble::lanes(self.parts, machine));
        let largest = self.parts.largest_record();
        let least = memory::least(lanes, largest);
        if limit >= least {
            return;
        }
        let size = units::format_size;
        let (whose, mend) = match general.number(LIMIT) {
            Some(_) => (size(limit), "raise it".to_owned()),
            // Raised by itself it would be more than half, and the kernel would end the process.
            None => (
                format!("{}, half of the memory that there is,", size(limit)),
                format!("give the container or the machine {}", size(2 * least)),
            ),
        };
        let fewer = if lanes > 1 { "lower kafka.lanes, " } else { "" };
        let message = format!(
            "{whose} cannot be kept with records.max_bytes = {} and {lanes} {}, which need \
             {}: {mend}, {fewer}or lower records.max_bytes (larger records are dead letters \
             then)",
            size(largest),
            if lanes == 1 { "lane" } else { "lanes" },
            size(least),
        );
        self.wrong_key(general, LIMIT, message);
    }
}

//! SIGHUP: reads the configuration again and takes up what can be while the daemon runs.
//!
//! `run` calls it between two looks at the end. Lanes hear how topics that come are laid out before
//! the group hears of them, so that a Kafka partition that comes finds its own. A file that is wrong
//! changes nothing; of what needs a restart only the names are told.

use std::sync::Arc;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use super::world::{RunOptions, World};
use crate::config::{ConfigErrors, LogSettings, Settings, TakenUp, TopicPolicies};
use crate::kafka::KafkaEdge;
use crate::telemetry::{Reload, TelemetryError, systemd};

/// Where settings come from, and who filters the log: the command line knows.
pub trait Source {
    /// Reads the settings again.
    fn load(&self) -> Result<Settings, ConfigErrors>;

    /// Sets another `log.level`.
    fn set_level(&self, settings: &LogSettings) -> Result<(), TelemetryError>;
}

/// What a reload reaches.
pub(super) struct Reloader<'a> {
    pub(super) world: &'a World,
    pub(super) source: &'a dyn Source,
    pub(super) options: RunOptions,
    pub(super) edge: &'a KafkaEdge,
    pub(super) lanes: &'a [LaneHandle],
    /// What is in force now.
    pub(super) settings: Settings,
}

impl Reloader<'_> {
    /// Reads the configuration again, and says what became of it.
    pub(super) fn reload(&mut self) {
        systemd::reloading();
        let result = match self.source.load() {
            Ok(wanted) => self.take_up(wanted),
            Err(errors) => {
                tracing::error!(
                    "SIGHUP: nothing is changed, for the configuration is wrong:\n{errors}"
                );
                Reload::Refused
            }
        };
        self.world.metrics.reloaded(result);
        systemd::reloaded();
    }

    fn take_up(&mut self, wanted: Settings) -> Reload {
        let TakenUp { settings, changes, restart } =
            self.settings.take_up(wanted, !self.options.until_end);
        if let Err(why) = self.put_in_force(&settings) {
            tracing::error!("SIGHUP: {why}");
            return Reload::Refused;
        }
        self.settings = settings;
        for change in &changes {
            tracing::info!("SIGHUP: {change}");
        }
        if !restart.is_empty() {
            tracing::warn!("SIGHUP: these are as before until a restart: {}", restart.join(", "));
        }
        if changes.is_empty() && restart.is_empty() {
            tracing::info!("SIGHUP: the configuration is as it was");
        }
        for warning in self.settings.warnings() {
            tracing::warn!("{warning}");
        }
        Reload::Done
    }

    /// Takes up all of it, or nothing.
    fn put_in_force(&self, settings: &Settings) -> Result<(), String> {
        self.set_level(&self.settings, settings)?;
        if settings.kafka.topics != self.settings.kafka.topics {
            // librdkafka has the last word on expressions, and until then limits are as they were.
            self.send_policies(self.settings.policies_before(settings));
            if let Err(error) = self.edge.subscribe(&settings.kafka.topics) {
                self.set_level(settings, &self.settings)?;
                return Err(format!("nothing is changed: {error}"));
            }
        }
        self.send_policies(settings.topics.clone());
        Ok(())
    }

    fn set_level(&self, from: &Settings, to: &Settings) -> Result<(), String> {
        if from.log.level == to.log.level {
            return Ok(());
        }
        self.source.set_level(&to.log).map_err(|error| error.to_string())
    }

    fn send_policies(&self, policies: TopicPolicies) {
        let policies = Arc::new(policies);
        for lane in self.lanes {
            lane.send(LaneInput::Policies(Arc::clone(&policies)));
        }
    }
}

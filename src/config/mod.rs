//! From one TOML file and the environment to checked `Settings`.

mod settings;

pub use settings::{
    Assignor, GroupProtocol, HttpSettings, KafkaSettings, LogFormat, LogSettings, MemorySettings,
    S3Settings, Settings, ShutdownSettings, TopicPolicies,
};

//! How stages and waits look in all figures.

use super::svg::{Paint, Texture, colour};
use crate::report::critical_path::Leg;
use crate::report::tasks::Stage;

/// The paint of a stage of a task.
pub(super) const fn of_stage(stage: Stage) -> Paint {
    match stage {
        Stage::Download => Paint::plain(colour::SKY),
        Stage::Train => Paint::textured(colour::ORANGE, Texture::Rising),
        Stage::Upload => Paint::textured(colour::GREEN, Texture::Falling),
        Stage::Pause => Paint::textured(colour::PURPLE, Texture::Dots),
        Stage::Arrived => Paint::plain(colour::GREY),
    }
}

/// The paint of a part of a critical path.
pub(super) const fn of_leg(leg: Leg) -> Paint {
    match leg {
        Leg::Download => of_stage(Stage::Download),
        Leg::Train => of_stage(Stage::Train),
        Leg::Upload => of_stage(Stage::Upload),
        Leg::Pause => of_stage(Stage::Pause),
        Leg::ForClients => Paint::textured(colour::BLUE, Texture::Dots),
        Leg::ForDeadline => Paint::textured(colour::VERMILLION, Texture::Upright),
        Leg::ForServer => Paint::textured(colour::GREY, Texture::Level),
        Leg::ServerDown => Paint::plain(colour::VERMILLION),
    }
}

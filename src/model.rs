//! Encoders of our own with hook points, and the checkpoints that fill them.

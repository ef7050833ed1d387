//! The world, the server and the clients.

pub mod pool;

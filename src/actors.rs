//! The world, the server and the clients.

//! Ordered collections for what is numbered densely: tasks by their rising numbers, sets of clients.
//!
//! Both go through their items in order, as the results need it, and find one in constant time, as a busy run needs it.

mod changes;
mod id_set;
mod window;

pub use changes::Changes;
pub use id_set::IdSet;
pub use window::Window;

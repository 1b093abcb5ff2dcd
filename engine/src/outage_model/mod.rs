//! Terminals, lines and upstreams in simulated time: whatever the line does and whoever crashes, each event takes
//! effect once and those of a lane in order, nothing is stuck once the line is good, and an upstream that refuses is
//! not asked more than once a second.
//!
//! | file | what |
//! |---|---|
//! | `world` | a terminal, its line and its upstream, and the time |
//! | `line` | what becomes of a request: lost, late, doubled, answered by strangers |
//! | `upstream` | an upstream that applies what comes, and holds each effect against what was captured |
//! | `tests` | the normal run, and an upstream that must be caught |

mod line;
mod tests;
mod upstream;
mod world;

//! How a bench program is started.

/// True if `cargo bench` started this program.
///
/// `cargo test --all-targets` starts benches too, without this argument: they then do nothing.
#[must_use]
pub fn is_wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

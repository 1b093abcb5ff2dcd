# Every recipe is plain commands, so nobody needs `just`: CONTRIBUTING.md lists the same lines.

# Everything that a change must pass; installs what is missing where it may.
ci:
    ./scripts/test

# The quick look before the tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --locked -- -D warnings

# Unit, integration and tidy tests.
test:
    cargo nextest run --workspace --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --locked

# One test, by its name or a part of it: just one torn_last_frame_is_cut_and_counted
one name:
    cargo nextest run --workspace --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --locked {{name}}

# The same as `test`, without cargo-nextest.
test-plain:
    cargo test --workspace --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --locked --all-targets

# The examples in the documentation, as tests, and the documentation itself.
doc:
    cargo test --workspace --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --doc --locked
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --features onceward/encryption,onceward/testing,onceward-uplink/faults,onceward-uplink/nats,onceward-uplink/tokio --no-deps --locked

# Only the rules about the source tree.
tidy:
    cargo test --locked -p onceward-tests --test tidy

# Minutes, not seconds: ten million crash states, optimised and with assertions; prints the number.
crash:
    ONCEWARD_CRASH_STATES=10000000 cargo test --locked --profile crash -p onceward-wal --test wal crash_states -- --nocapture

# Each planted bug is caught by the test that is named for it.
bugs:
    ./scripts/bugs

# Benchmarks for work on a part.
bench:
    cargo bench --locked -p onceward-benches

# Instructions of the engine for an event, beside those that are committed.
instructions:
    cargo run --release --locked -p onceward-benches --bin figures -- engine --instructions --quick

# Other stores doing the same work: writes benches/PEERS.md and its chart. A quarter of an hour; wants a quiet machine.
peers:
    cargo run --release --locked -p onceward-benches --features peers --bin figures -- peers --write

# Licences, advisories and bans of the dependency tree.
deny:
    cargo deny check

# Every schedule of the commit queue that the time allows: threads that stop at each lock, write and sync.
model:
    ./scripts/model

# Every fuzz target for a while, and planted bugs that each must find: just fuzz 300
fuzz seconds="60":
    ./scripts/fuzz {{seconds}}

# What a durable append costs in system calls.
syscalls:
    ./scripts/syscalls

# The proof, end to end: exit 0 only if every purchase took effect once.
demo:
    cargo run --release --locked -p onceward-cli -- demo

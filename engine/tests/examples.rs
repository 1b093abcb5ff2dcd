//! Every example does what it says, and asserts it.
//! Method: each is a module here, and its `main` is run.

#[cfg(test)]
#[path = "../examples/03_idempotent_call.rs"]
mod idempotent_call;
#[cfg(test)]
#[path = "../examples/04_inbox.rs"]
mod inbox;

#[test]
fn an_idempotent_call_takes_effect_once() {
    idempotent_call::main().unwrap();
}

#[test]
fn an_inbox_takes_a_delivery_once() {
    inbox::main().unwrap();
}
